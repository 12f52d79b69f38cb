package tui

import (
	"sort"

	tea "charm.land/bubbletea/v2"
)

// page is how many rows pgup and pgdn move by.
func (m *model) page() int {
	for _, s := range m.slots() {
		if m.seen(s) == m.focused() {
			return max(1, s.h-4)
		}
	}
	return 1
}

// move moves the cursor of the focused pane, or scrolls it, by n rows.
func (m *model) move(n int) tea.Cmd {
	p := m.focused()
	if p == paneHeat { // the same layers as the bars
		p = paneAlphas
	}
	switch p {
	case paneTrials:
		m.moveTrial(n)
	case paneRuns:
		if len(m.runs) > 0 {
			m.listed = m.runs[clamp(add(max(m.findListed(), 0), n), len(m.runs))].ID
		}
	case paneLog:
		m.moveLog(n)
	default:
		m.scroll[p] = clamp(add(m.scroll[p], n), m.length(p))
	}
	return nil
}

// add is a+b without overflow for the far moves.
func add(a, b int) int { return max(-farAway, min(a+b, farAway)) }

// length is how many rows a pane has whose cursor is an index or that is scrolled.
func (m *model) length(p pane) int {
	r := m.derived.run
	switch {
	case p == paneWorkers && r != nil:
		return len(r.Workers)
	case p == paneQueue:
		return len(m.queue)
	case p == paneNeighbours && m.looked.inspection != nil:
		return len(m.looked.inspection.Neighbours)
	case p == paneEvents && r != nil:
		return len(r.Events)
	case p == paneAlphas || p == paneHeat:
		return m.layers.n()
	case p == paneStack:
		return len(m.layerRows()) + 1
	case m.tables[p]:
		_, rows := m.chart(p).Table()
		return len(rows)
	}
	return len(m.lines(p))
}

// moveTrial starts at the end of the table that is seen when nothing is marked yet.
func (m *model) moveTrial(n int) {
	if len(m.trials) == 0 {
		return
	}
	at := m.findTrial()
	switch {
	case at >= 0:
		at = clamp(add(at, n), len(m.trials))
	case n == farAway || n != -farAway && m.order == byNumber: // the table follows the newest
		at = len(m.trials) - 1
	default:
		at = 0
	}
	m.trial = m.trials[at].ID
}

// moveLog moves the cursor; at the end it follows again.
func (m *model) moveLog(n int) {
	last := len(m.log) - 1
	if last < 0 {
		return
	}
	at := clamp(add(m.logBottom(), n), len(m.log))
	m.anchor = m.log[at].Seq
	if at == last {
		m.anchor = 0
	}
}

// logBottom is the index of the marked event of the log, -1 without any.
func (m *model) logBottom() int {
	if m.anchor == 0 || len(m.log) == 0 {
		return len(m.log) - 1
	}
	i := sort.Search(len(m.log), func(i int) bool { return m.log[i].Seq > m.anchor })
	return max(0, i-1)
}

func (m *model) noCurves() string {
	if len(m.series()) < 2 {
		return "there is no other curve"
	}
	return ""
}

// turnCurve shows another learning curve of the inspected trial.
func (m *model) turnCurve(step int) tea.Cmd {
	n := len(m.series())
	m.curve = (clamp(m.curve, n) + step + n) % n
	m.scroll[paneCurves] = 0
	delete(m.lenses, paneCurves)
	m.focusOn(paneCurves)
	return nil
}
