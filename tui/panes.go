package tui

import (
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

// paneNames are the panes' titles; paneTitle adds what depends on the run.
var paneNames = map[pane]string{
	paneFrontier: "frontier", paneBest: "best so far", paneSurrogate: "surrogate", paneQueue: "next picks", paneFacts: "run", paneWorkers: "workers", paneTrials: "trials",
	paneEvents: "events", paneRuns: "runs", paneRunCurves: "best so far", paneConfig: "configuration", paneStack: "layers", paneCurves: "learning curves",
	paneNeighbours: "neighbours", paneParts: "parameters", paneOrigin: "result", paneGraph: "graph", paneCompare: "comparison", paneMap: "map", paneAlphas: "alpha per layer", paneLosses: "losses", paneHistory: "alpha", paneHeat: "layers over time", paneChoice: "choice", paneLog: "events", paneSystem: "system",
}

// slot draws a framed pane. Panes that share the slot are named in its title, the one seen in brackets.
func (p *painter) slot(s slot) {
	if s.w < 4 || s.h < 3 {
		return
	}
	id := p.m.seen(s)
	focused := id == p.focus
	b, st := p.g.light, frameLine
	if focused {
		b, st = p.g.heavy, frameFocus
	}
	p.f.box(s.rect, b, st)
	p.inside = id
	p.spot(s.rect, func(m *model) tea.Cmd { m.focusOn(id); return nil })
	title := rect{s.x + 2, s.y, s.w - 4, 1}
	names := p.titles(s, id, title.w)
	used := p.f.spans(title, names...)
	p.titleSpots(s, title, names)
	if hint := p.hint(id); hint != "" && used+width(hint)+4 <= title.w {
		p.f.right(title, " "+hint+" ", dim)
	}
	p.pane(id, rect{s.x + 1, s.y + 1, s.w - 2, s.h - 2})
	p.inside = noPane
}

// titleSpots lets a click on a name in the title bring that pane to the front.
func (p *painter) titleSpots(s slot, title rect, names []span) {
	if len(s.panes) < 2 || len(names) != len(s.panes)+2 { // not all names are there
		return
	}
	x := title.x
	for i, name := range names[:len(names)-1] {
		n := width(name.text)
		if i > 0 {
			id := s.panes[i-1]
			p.spot(rect{x, title.y, n, 1}, func(m *model) tea.Cmd { m.focusOn(id); return nil })
		}
		x += n
	}
}

// titles is the seen pane's long title if it is alone or all names together do not fit, else all names.
func (p *painter) titles(s slot, seen pane, room int) []span {
	if len(s.panes) == 1 {
		return []span{{" " + p.title(seen) + " ", strong}}
	}
	pieces := []span{{" ", plain}}
	n := 1
	for i, id := range s.panes {
		text, st := paneNames[id], dim
		if id == seen {
			text, st = "["+text+"]", strong
		}
		if i < len(s.panes)-1 {
			text += " "
		}
		pieces, n = append(pieces, span{text, st}), n+width(text)
	}
	if n+1 <= room {
		return append(pieces, span{" ", plain})
	}
	for i, id := range s.panes {
		if id == seen {
			return []span{{" [" + paneNames[seen] + "] ", strong}, {strings.Repeat(p.g.dot, i) + "#" + strings.Repeat(p.g.dot, len(s.panes)-1-i) + " ", dim}}
		}
	}
	return nil
}

func (p *painter) title(id pane) string {
	r := p.m.derived.run
	if r == nil {
		return paneNames[id]
	}
	switch id {
	case paneFrontier:
		return "frontier: " + objectiveText(r.Objective) + " against parameters"
	case paneBest:
		return "best so far: " + objectiveText(r.Objective)
	case paneSurrogate:
		return "surrogate over its candidates, best first"
	}
	return paneNames[id]
}

// hint is a short remark at the right end of a pane's title.
func (p *painter) hint(id pane) string {
	m := p.m
	r := m.derived.run
	switch {
	case id == paneTrials && len(m.trials) > 0:
		return plural(len(m.trials), "trial") + " by " + m.order.name()
	case id == paneWorkers && r != nil:
		return plural(len(r.Workers), "slot")
	case id == paneRuns:
		return plural(len(m.runs), "run") + " by " + m.sorted.name() + m.marksText()
	case id == paneRunCurves:
		_, leftOut := m.overlaid()
		return leftOut
	case id == paneConfig && len(m.compared()) > 1:
		return "what differs"
	case id == paneQueue && len(m.queue) > 0:
		return "P pin  X skip  T now"
	case id == paneEvents:
		return "5 full log"
	case id == paneAlphas:
		return m.alphaHint()
	case id == paneLog:
		return "l level  t its trial  " + p.g.dot + "  " + m.logHint()
	case id == paneNeighbours && m.looked.inspection != nil && len(m.looked.inspection.Neighbours) > 0:
		return "nearest first"
	}
	return ""
}

// pane draws the inside of a pane.
func (p *painter) pane(id pane, r rect) {
	switch id {
	case paneFrontier, paneBest, paneSurrogate, paneRunCurves, paneCurves, paneMap, paneLosses, paneHistory:
		p.drawChart(id, r)
	case paneAlphas:
		p.drawAlphas(r)
	case paneHeat:
		p.drawHeat(r)
	case paneWorkers:
		p.drawWorkers(r)
	case paneTrials:
		p.drawTrials(r)
	case paneQueue:
		p.drawQueue(r)
	case paneRuns:
		p.drawRuns(r)
	case paneStack:
		p.drawStack(r)
	case paneNeighbours:
		p.drawNeighbours(r)
	case paneEvents:
		p.drawEvents(r)
	case paneLog:
		p.drawLog(r)
	default:
		p.drawLines(r, p.m.linesAt(id, r.w), p.m.scroll[id])
	}
}

// textLine is a line of a text pane.
type textLine []span

func oneSpan(text string, st style) textLine { return textLine{{text, st}} }

// field is a line "name  value".
func field(name, value string) textLine {
	return textLine{{padRight(name, 11), dim}, {value, plain}}
}

// wrapped is a field whose long value goes on below itself.
func wrapped(name, value string, st style, w int) []textLine {
	var out []textLine
	for i, part := range wrapText(value, max(w-11, 8)) {
		if i > 0 {
			name = ""
		}
		out = append(out, textLine{{padRight(name, 11), dim}, {part, st}})
	}
	return out
}

// drawLines shows lines from the given one on; the last screenful stays full.
func (p *painter) drawLines(r rect, lines []textLine, from int) {
	from = clamp(from, max(1, len(lines)-r.h+1))
	for i := 0; i < r.h && from+i < len(lines); i++ {
		p.f.spans(r.row(i), lines[from+i]...)
	}
	p.moreBelow(r, len(lines)-from-r.h)
}

// moreBelow notes in the frame under r that n rows are hidden.
func (p *painter) moreBelow(r rect, n int) {
	if n > 0 && r.w > 16 {
		p.f.right(rect{r.x, r.y + r.h, r.w - 1, 1}, " "+plural(n, "more row")+" ", dim)
	}
}

// lines are the rows of a text pane at the width it has now.
func (m *model) lines(id pane) []textLine {
	for _, s := range m.slots() {
		if m.seen(s) == id {
			return m.linesAt(id, s.w-2)
		}
	}
	return nil
}

func (m *model) linesAt(id pane, w int) []textLine {
	switch id {
	case paneFacts:
		return m.factLines(w)
	case paneConfig:
		return m.configLines()
	case paneOrigin:
		return m.originLines(w)
	case paneParts:
		return m.partLines()
	case paneGraph:
		return m.graphLines(w)
	case paneCompare:
		return m.compareLines(w)
	case paneChoice:
		return m.choiceLines(w)
	case paneSystem:
		return m.systemLines(w)
	}
	return nil
}

// wrapText breaks text at blanks into lines of at most w cells.
func wrapText(s string, w int) []string {
	if w < 1 || s == "" {
		return nil
	}
	return strings.Split(ansi.Wrap(s, w, ""), "\n")
}

func padRight(s string, w int) string {
	return s + strings.Repeat(" ", max(0, w-width(s)))
}

func padLeft(s string, w int) string {
	return strings.Repeat(" ", max(0, w-width(s))) + s
}
