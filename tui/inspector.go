package tui

import (
	"fmt"
	"strconv"

	"flexi/core/run"
	"flexi/tui/chart"
)

// layerRows are the inspected trial's layers: from the inspection, or those the trial itself carries until that has arrived.
func (m *model) layerRows() []run.LayerRow {
	if m.looked.inspection != nil && len(m.looked.inspection.Layers) > 0 {
		return m.looked.inspection.Layers
	}
	if t := m.trialAt(m.inspected()); t != nil {
		return t.Layers
	}
	return nil
}

// drawStack lists the layers; those that differ from the parent's are marked.
func (p *painter) drawStack(r rect) {
	rows := p.m.layerRows()
	if len(rows) == 0 {
		p.f.text(r.row(0), p.m.pending(), dim)
		return
	}
	parent := p.m.parentLayers()
	var total int64
	for _, l := range rows {
		total += l.Params
	}
	t := table{rows: len(rows) + 1, cursor: -1, from: p.m.scroll[paneStack], columns: []column{
		{title: "layer", w: widest(rows, 5, func(l run.LayerRow) string { return l.Name })},
		{title: "op", w: widest(rows, 6, func(l run.LayerRow) string { return l.Op }), rank: 1},
		{title: "h", w: 4, right: true, rank: 2},
		{title: "heads", w: 5, right: true, rank: 5},
		{title: "feed-forward", w: widest(rows, 12, func(l run.LayerRow) string { return l.FF }), rank: 4},
		{title: "params", w: 7, right: true, rank: 3},
		{title: "", w: 1, rank: 6},
	}, cell: func(row, col int) span {
		if row == len(rows) {
			return [...]span{{"sum", strong}, {}, {}, {}, {}, {paramsText(total), strong}, {}}[col]
		}
		l := rows[row]
		diff := span{}
		if parent != nil && changed(l, parent) {
			diff = span{p.g.differs, warn}
		}
		return [...]span{{l.Name, plain}, {l.Op, plain}, {number(l.Hidden), plain}, {number(l.Heads), plain}, {l.FF, plain}, {paramsText(l.Params), plain}, diff}[col]
	}}
	p.drawTable(r, t, false)
}

// widest is the width of a column that no row is too wide for.
func widest(rows []run.LayerRow, least int, text func(run.LayerRow) string) int {
	for _, l := range rows {
		least = max(least, width(text(l)))
	}
	return least
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// parentLayers are the layers of the trial whose weights this one started from, by name; nil without one.
func (m *model) parentLayers() map[string]run.LayerRow {
	t := m.trialAt(m.inspected())
	if t == nil {
		return nil
	}
	parent := m.trialAt(t.Parent)
	if parent == nil || len(parent.Layers) == 0 {
		return nil
	}
	out := make(map[string]run.LayerRow, len(parent.Layers))
	for _, l := range parent.Layers {
		out[l.Name] = l
	}
	return out
}

func changed(l run.LayerRow, parent map[string]run.LayerRow) bool {
	was, there := parent[l.Name]
	return !there || was.Op != l.Op || was.Hidden != l.Hidden || was.Heads != l.Heads || was.FF != l.FF
}

// pending says why something of the inspection is missing.
func (m *model) pending() string {
	switch {
	case m.looked.problem != "":
		return m.looked.problem
	case m.inspected() < 0 || m.trialAt(m.inspected()) == nil:
		return "No trial is chosen; mark one on the overview."
	case m.looked.inspection == nil:
		return "Looking it up ..."
	}
	return "None."
}

func (p *painter) drawNeighbours(r rect) {
	in := p.m.looked.inspection
	if in == nil || len(in.Neighbours) == 0 {
		text := p.m.pending()
		if in != nil {
			text = "None known: neighbours are looked up while the run is being worked on."
		}
		for i, l := range wrapText(text, r.w) {
			if i < r.h {
				p.f.text(r.row(i), l, dim)
			}
		}
		return
	}
	near := in.Neighbours
	t := table{rows: len(near), marks: true, cursor: clamp(p.m.scroll[paneNeighbours], len(near)), columns: []column{
		{title: "trial", w: 5, right: true, rank: 1},
		{title: "hash", w: 7, rank: 5},
		{title: "distance", w: 8, right: true},
		{title: "overlap", w: 7, right: true, rank: 3},
		{title: "score", w: 7, right: true, rank: 2},
		{title: "edit", rank: 4},
		{title: "architecture", w: 34, rank: 6},
	}, cell: func(row, col int) span {
		n := &near[row]
		trial, score := span{p.g.dash, dim}, span{p.g.dash, dim}
		if n.Trial >= 0 {
			trial = span{"#" + strconv.Itoa(n.Trial), strong}
		}
		if n.Score != nil {
			score = span{scoreText(*n.Score), plain}
		}
		return [...]span{trial, {shortHash(n.Hash), dim}, {short(n.Distance), plain}, {fmt.Sprintf("%.2f", n.Overlap), plain}, score, {n.Edit, plain}, {n.Title, dim}}[col]
	}}
	p.drawTable(r, t, p.focus == paneNeighbours)
}

// partLines are the shares of the parameters.
func (m *model) partLines() []textLine {
	in := m.looked.inspection
	if in == nil {
		return []textLine{oneSpan(m.pending(), dim)}
	}
	out := []textLine{field("all", paramsText(in.Params))}
	for _, part := range in.Parts {
		share := 0.0
		if in.Params > 0 {
			share = float64(part.Params) / float64(in.Params)
		}
		out = append(out, textLine{{padRight(part.Name, 20) + " ", dim}, {padLeft(paramsText(part.Params), 8) + " ", plain}, {chart.Bar(share, 12, m.glyphs.chart), series0}, {fmt.Sprintf("%6.1f%%", 100*share), plain}})
	}
	return out
}
