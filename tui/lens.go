package tui

import (
	"strings"

	tea "charm.land/bubbletea/v2"

	"flexi/tui/chart"
)

// lens is how a chart is looked at.
type lens struct {
	from, to float64 // the part of the x axis that is seen, as shares; the whole of it where to is 0
	log      bool    // logarithmic y
	probing  bool    // a cursor stands on a row of the chart's table
	row      int
}

const (
	zoomStep = 0.6  // what is left of the window after zooming in once
	zoomMost = 0.01 // smallest window
	panStep  = 0.2  // of the window
)

func (l lens) zoomed() bool { return l.to > l.from }

// window is the part seen, 0 to 1 for all.
func (l lens) window() (from, to float64) {
	if l.zoomed() {
		return l.from, l.to
	}
	return 0, 1
}

// scaled makes the window wider or narrower around a place in it.
func (l lens) scaled(by, around float64) lens {
	from, to := l.window()
	span := max(zoomMost, min(1, (to-from)*by))
	if span >= 1 {
		l.from, l.to = 0, 0
		return l
	}
	l.from = max(0, min(around-(around-from)*span/(to-from), 1-span))
	l.to = l.from + span
	return l
}

// moved shifts the window.
func (l lens) moved(by float64) lens {
	if !l.zoomed() {
		return l
	}
	span := l.to - l.from
	l.from = max(0, min(l.from+by*span, 1-span))
	l.to = l.from + span
	return l
}

func lensKeys() []binding {
	const in = onOverview | onRuns | onInspector | onFlexora
	zoom := func(by float64) func(*model) tea.Cmd {
		return func(m *model) tea.Cmd { return m.zoom(by) }
	}
	return []binding{
		{keys: []string{"+", "="}, in: in, group: groupCharts, name: "zoom in", help: "look closer at a part of the chart", refuse: (*model).noPicture, do: zoom(zoomStep)},
		{keys: []string{"-"}, in: in, group: groupCharts, name: "zoom out", help: "see more of the chart", refuse: (*model).noPicture, do: zoom(1 / zoomStep)},
		{keys: []string{"0"}, in: in, group: groupCharts, name: "fit", help: "the whole chart, linear, without cursor", refuse: (*model).noPicture, do: func(m *model) tea.Cmd { delete(m.lenses, m.focused()); return nil }},
		{keys: []string{"L"}, in: in, group: groupCharts, name: "log y", help: "logarithmic y axis, and back", refuse: (*model).noPicture, do: func(m *model) tea.Cmd { m.look(func(l *lens) { l.log = !l.log }); return nil }},
		{keys: []string{"i"}, in: in, group: groupCharts, name: "read off", help: "a cursor that reads off values, and back", refuse: (*model).noPicture, do: (*model).probe},
		{keys: []string{"left", "h"}, in: in, group: groupCharts, name: "left", help: "the cursor or the window of the chart to the left; else the previous learning curve", refuse: (*model).cannotTurn, do: func(m *model) tea.Cmd { return m.turn(-1) }},
		{keys: []string{"right", "l"}, in: in, group: groupCharts, name: "right", help: "the same to the right", refuse: (*model).cannotTurn, do: func(m *model) tea.Cmd { return m.turn(1) }},
		{keys: []string{"v"}, in: in, group: groupCharts, name: "table", help: "a chart as a table, and back", refuse: (*model).noTable, do: func(m *model) tea.Cmd { p := m.focused(); m.tables[p] = !m.tables[p]; m.scroll[p] = 0; return nil }},
	}
}

// noTable says why the focused pane has no table form.
func (m *model) noTable() string {
	if m.focused() == paneAlphas {
		return ""
	}
	return m.noChart()
}

// noPicture says why the focused pane cannot be looked at through a lens.
func (m *model) noPicture() string {
	if why := m.noChart(); why != "" {
		return why
	}
	if m.tables[m.focused()] {
		return "v shows the chart"
	}
	return ""
}

func (m *model) look(change func(*lens)) {
	l := m.lenses[m.focused()]
	change(&l)
	m.lenses[m.focused()] = l
}

// zoom keeps the cursor where it is, or else the middle.
func (m *model) zoom(by float64) tea.Cmd {
	m.look(func(l *lens) {
		from, to := l.window()
		*l = l.scaled(by, (from+to)/2)
	})
	return nil
}

// probe puts the cursor on the chart's last value, or takes it away.
func (m *model) probe() tea.Cmd {
	m.look(func(l *lens) {
		l.probing = !l.probing
		l.row = farAway
	})
	return nil
}

func (m *model) cannotTurn() string {
	l := m.lenses[m.focused()]
	switch {
	case m.noPicture() == "" && (l.probing || l.zoomed()):
		return ""
	case m.screen == inspector:
		return m.noCurves()
	case m.noPicture() != "":
		return m.noPicture()
	}
	return "all is seen; + zooms in"
}

// turn moves the cursor, else the window, else to another learning curve.
func (m *model) turn(step int) tea.Cmd {
	p := m.focused()
	l := m.lenses[p]
	switch {
	case m.noPicture() == "" && l.probing:
		c := m.chart(p)
		_, rows := c.Readings()
		l.row = clamp(clamp(l.row, len(rows))+step, len(rows))
	case m.noPicture() == "" && l.zoomed():
		l = l.moved(panStep * float64(step))
	default:
		return m.turnCurve(step)
	}
	m.lenses[p] = l
	return nil
}

// through gives a chart the window and the cursor of its lens; the text is what the cursor reads off.
func (l lens) through(c *chart.Chart) (text string) {
	c.From, c.To = l.from, l.to
	if l.log {
		c.Y.Log = true
	}
	if !l.probing {
		return ""
	}
	head, rows := c.Readings()
	if len(rows) == 0 {
		return ""
	}
	at := rows[clamp(l.row, len(rows))]
	c.Cursor = &at.X
	parts := make([]string, 0, len(head))
	for i, cell := range at.Cells {
		if cell != "" {
			parts = append(parts, head[i]+" "+cell)
		}
	}
	return strings.Join(parts, "  ")
}
