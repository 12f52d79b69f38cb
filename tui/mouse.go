package tui

import (
	"slices"

	tea "charm.land/bubbletea/v2"
)

// spot is a part of the frame that answers to a click; those drawn later lie above.
type spot struct {
	rect
	pane pane // noPane where it is none's
	do   func(*model) tea.Cmd
}

func (r rect) has(x, y int) bool { return x >= r.x && x < r.x+r.w && y >= r.y && y < r.y+r.h }

// spot makes a part of the frame answer to a click.
func (p *painter) spot(r rect, do func(*model) tea.Cmd) {
	p.spots = append(p.spots, spot{r, p.inside, do})
}

// spotAt is what lies at a place of the window, nil for nothing.
func (p *painter) spotAt(x, y int) *spot {
	for i := len(p.spots) - 1; i >= 0; i-- {
		if p.spots[i].has(x, y) {
			return &p.spots[i]
		}
	}
	return nil
}

// toggleMouse is off at first, because a terminal that reports the mouse no longer selects text with it.
func (m *model) toggleMouse() tea.Cmd {
	m.mouse = !m.mouse
	m.flash = flash{"the mouse is yours again", dim}
	if m.mouse {
		m.flash = flash{"mouse on: click, wheel, drag charts; with shift the terminal selects text", good}
	}
	return nil
}

// pointed takes a mouse message.
func (m *model) pointed(msg tea.MouseMsg) tea.Cmd {
	if !m.mouse || m.w <= 0 || m.h <= 0 {
		return nil
	}
	at := msg.Mouse()
	p := m.paint()
	var cmd tea.Cmd
	switch msg.(type) {
	case tea.MouseWheelMsg:
		cmd = m.wheel(p, at)
	case tea.MouseClickMsg:
		cmd = m.click(p, at)
	case tea.MouseMotionMsg:
		m.drag(p, at)
	case tea.MouseReleaseMsg:
		m.held = nil
	}
	m.refresh()
	return tea.Batch(cmd, m.inspect())
}

func (m *model) click(p *painter, at tea.Mouse) tea.Cmd {
	m.flash = flash{}
	s := p.spotAt(at.X, at.Y)
	if s == nil {
		return nil
	}
	switch {
	case at.Button == tea.MouseRight && s.pane != noPane:
		m.focusOn(s.pane)
		m.probeAt(p, s.pane, at.X)
	case at.Button == tea.MouseLeft:
		m.held = &grip{at: at.X, pane: s.pane}
		return s.do(m)
	}
	return nil
}

// grip is where the pointer was when the button was last known to be down.
type grip struct {
	at   int
	pane pane
}

// drag pans a zoomed chart with the left button, and reads values off with the right one.
func (m *model) drag(p *painter, at tea.Mouse) {
	s := p.spotAt(at.X, at.Y)
	switch {
	case at.Button == tea.MouseRight && s != nil && s.pane != noPane:
		m.probeAt(p, s.pane, at.X)
	case at.Button == tea.MouseLeft && m.held != nil && m.held.pane != noPane:
		r, ok := p.plots[m.held.pane]
		if !ok {
			return
		}
		m.lenses[m.held.pane] = m.lenses[m.held.pane].moved(float64(m.held.at-at.X) / float64(max(r.w, 1)))
		m.held.at = at.X
	}
}

// probeAt puts the cursor of a chart on the value nearest to a column.
func (m *model) probeAt(p *painter, id pane, x int) {
	r, ok := p.plots[id]
	if !ok {
		return
	}
	l := m.lenses[id]
	c := m.chart(id)
	l.through(&c)
	_, rows := c.Readings()
	l.probing, l.row = len(rows) > 0, c.NearestRow(rows, r.w, r.h, x-r.x)
	m.lenses[id] = l
}

// wheel moves through lists and zooms charts at the pointer.
func (m *model) wheel(p *painter, at tea.Mouse) tea.Cmd {
	step := map[tea.MouseButton]int{tea.MouseWheelUp: -1, tea.MouseWheelDown: 1}[at.Button]
	switch m.overlay {
	case helpOverlay:
		m.offset += 3 * step
		return nil
	case formOverlay:
		if !m.form.editing {
			m.form.at = clamp(m.form.at+step, len(m.form.rows))
		}
		return nil
	case noOverlay:
	default:
		m.choose(step)
		return nil
	}
	s := p.spotAt(at.X, at.Y)
	if step == 0 || s == nil || s.pane == noPane {
		return nil
	}
	m.focusOn(s.pane)
	r, ok := p.plots[s.pane]
	if !ok {
		return m.move(step)
	}
	by := zoomStep
	if step > 0 {
		by = 1 / zoomStep
	}
	l := m.lenses[s.pane]
	from, to := l.window()
	m.lenses[s.pane] = l.scaled(by, from+(to-from)*float64(at.X-r.x)/float64(max(r.w, 1)))
	return nil
}

// clickRow marks a row of the pane's table; a row that is marked already is opened.
func (m *model) clickRow(id pane, row, cursor int) tea.Cmd {
	marked := m.focused() == id && row == cursor
	m.focusOn(id)
	if marked {
		if m.cannotOpen() == "" {
			return m.openMarked()
		}
		return nil
	}
	if cursor < 0 && id == paneTrials { // nothing is marked yet
		m.trial = m.trials[row].ID
		return nil
	}
	return m.move(row - cursor)
}

// invoke does what a key is bound to, or says why not.
func (m *model) invoke(b *binding) tea.Cmd {
	if why := b.refused(m); why != "" {
		if b.acts && m.readOnly {
			m.deny(b.label(m))
		}
		m.flash = flash{"cannot " + b.label(m) + ": " + why, warn}
		return nil
	}
	return b.do(m)
}

// bindingOf is what a key means on the present screen; the key must mean something there.
func (m *model) bindingOf(key string) *binding {
	here := m.place()
	return &m.keys[slices.IndexFunc(m.keys, func(b binding) bool { return b.in&here != 0 && b.has(key) })]
}
