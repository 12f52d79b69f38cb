package tui

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sort"
	"strconv"

	"flexi/core/run"
)

func (p *painter) drawRuns(r rect) {
	m := p.m
	if len(m.runs) == 0 {
		p.f.text(r.row(0), "No run matches the filter "+m.filters[runsList], dim)
		return
	}
	t := table{rows: len(m.runs), marks: true, cursor: m.findListed(), columns: []column{
		{title: "", w: 1, rank: 6},
		{title: "run", w: 12},
		{title: "kind", w: 8, rank: 8},
		{title: "state", w: 10, rank: 1},
		{title: "trials", w: 9, right: true, rank: 2},
		{title: "best", w: 7, right: true, rank: 3},
		{title: "age", w: 6, right: true, rank: 5},
		{title: "spent", w: 6, right: true, rank: 4},
		{title: "parent", w: 13, rank: 9},
		{title: "note", rank: 10},
	}, cell: func(row, col int) span { return p.runCell(m.runs[row], col) }, note: func(row int) string { return p.cause(m.runs[row]) }}
	p.drawTable(r, t, p.focus == paneRuns)
}

func (p *painter) runCell(r *run.RunView, col int) span {
	switch col {
	case 0:
		if p.m.marked[r.ID] {
			return span{"*", accent}
		}
	case 1:
		if p.m.derived.run != nil && r.ID == p.m.derived.run.ID {
			return span{r.ID, strong}
		}
		return span{r.ID, plain}
	case 2:
		return span{r.Kind, plain}
	case 3:
		return span{p.g.state(r.State) + " " + string(r.State), stateStyle(r.State)}
	case 4:
		return span{progressText(r), plain}
	case 5:
		if t := bestTrial(r); t != nil {
			return span{scoreText(*t.Score), plain}
		}
		return span{p.g.dash, dim}
	case 6:
		return span{ageText(p.m.now, r.Created), dim}
	case 7:
		return span{secondsText(r.Seconds), dim}
	case 8:
		if r.Parent != "" {
			return span{fmt.Sprintf("%s@%d", r.Parent, r.ParentTrials), plain}
		}
		return span{p.g.dash, dim}
	case 9:
		return span{r.Note, plain}
	}
	return span{}
}

// cause explains a state that nobody asked for, and the way on.
func (p *painter) cause(r *run.RunView) string {
	switch r.State {
	case run.Failed:
		return r.Error
	case run.Lost:
		return "its process is gone; p resumes it from the last checkpoint"
	}
	return ""
}

// configLines is the configuration of the run under the cursor, a line per key.
func (m *model) configLines() []textLine {
	i := m.findListed()
	if i < 0 {
		return nil
	}
	return configText(m.runs[i].Config)
}

func configText(raw json.RawMessage) []textLine {
	if len(raw) == 0 {
		return []textLine{oneSpan("no configuration", dim)}
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return []textLine{oneSpan("unreadable configuration: "+err.Error(), bad)}
	}
	var out []textLine
	flatten("", v, func(key, value string) {
		out = append(out, textLine{{key + "  ", dim}, {value, plain}})
	})
	return out
}

// noValue stands for null.
const noValue = "none"

// flatten walks a JSON value and calls each leaf with its dotted key, in the order of keys; lists of plain values are leaves.
func flatten(key string, v any, leaf func(key, value string)) {
	switch v := v.(type) {
	case map[string]any:
		names := make([]string, 0, len(v))
		for n := range v {
			names = append(names, n)
		}
		sort.Strings(names)
		for _, n := range names {
			inner := n
			if key != "" {
				inner = key + "." + n
			}
			flatten(inner, v[n], leaf)
		}
	case []any:
		if text, err := json.Marshal(v); err == nil && len(text) <= 120 {
			leaf(key, string(text))
			return
		}
		for i, e := range v {
			flatten(key+"["+strconv.Itoa(i)+"]", e, leaf)
		}
	case nil:
		leaf(key, noValue)
	default:
		leaf(key, fmt.Sprint(v))
	}
}
