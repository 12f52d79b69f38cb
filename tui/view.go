package tui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// painter draws one frame.
type painter struct {
	f     *frame
	m     *model
	g     glyphs
	class sizeClass
	slots []slot
	focus pane
	// What a mouse finds: spots that answer, the pane that is being drawn, and where charts lie.
	spots  []spot
	inside pane
	plots  map[pane]rect
}

// View is the frame, and what the terminal should show of it in tabs and task bars.
func (m *model) View() tea.View {
	v := tea.NewView(m.draw())
	v.AltScreen = true
	v.WindowTitle = m.title()
	if m.mouse {
		v.MouseMode = tea.MouseModeCellMotion
	}
	return v
}

func (m *model) title() string {
	r := m.derived.run
	if r == nil {
		return "flexi"
	}
	return fmt.Sprintf("flexi %s %s %s", r.ID, r.State, progressText(r))
}

// draw returns exactly m.h lines of m.w cells.
func (m *model) draw() string {
	if m.w <= 0 || m.h <= 0 {
		return ""
	}
	return m.paint().f.render(m.theme)
}

// paint draws a frame that has at least one cell.
func (m *model) paint() *painter {
	p := &painter{f: newFrame(m.w, m.h, m.glyphs), m: m, g: m.glyphs, class: classOf(m.w, m.h), plots: map[pane]rect{}}
	if p.class == oneLine {
		p.tooSmall()
		return p
	}
	p.slots = m.slots()
	p.focus = m.focus(p.slots)
	p.header(rect{0, 0, m.w, 1})
	p.body()
	p.overlays()
	if m.hasStatus() {
		p.status(rect{0, m.h - 2, m.w, 1})
	}
	p.footer(rect{0, m.h - 1, m.w, 1})
	return p
}

// hasStatus: low windows give their status line to the panes.
func (m *model) hasStatus() bool { return m.h >= 16 }

// content is the area between header and the lines at the bottom.
func (m *model) content() rect {
	bottom := 1
	if m.hasStatus() {
		bottom = 2
	}
	return rect{0, 1, m.w, max(0, m.h-1-bottom)}
}

// tooSmall is all that fits below 20x5: where the run stands, and what would show more.
func (p *painter) tooSmall() {
	text := "no run"
	if r := p.m.derived.run; r != nil {
		text = p.g.state(r.State) + " " + progressText(r)
		if t := bestTrial(r); t != nil {
			text += " " + scoreText(*t.Score)
		}
	}
	p.f.text(rect{0, 0, p.m.w, 1}, text, plain)
	if p.m.h > 1 {
		p.f.text(rect{0, 1, p.m.w, 1}, "needs 20x5", dim)
	}
	if p.m.overlay == formOverlay && p.m.h > 2 {
		p.f.text(rect{0, 2, p.m.w, 1}, p.m.form.title, warn)
	}
	if p.m.overlay == dialogOverlay && p.m.h > 2 {
		p.f.text(rect{0, 2, p.m.w, 1}, p.m.dialog.title, warn)
	}
}

// body draws the panes, or why there are none.
func (p *painter) body() {
	area := p.m.content()
	switch {
	case p.m.snap == nil && p.m.cut:
		p.message(area, "The connection to the runs ended before anything arrived.", "q leaves; flexi opens the workbench again.")
		return
	case p.m.snap == nil:
		p.message(area, "Opening the workspace ...")
		return
	case len(p.m.snap.Runs) == 0 && p.m.screen != system:
		p.message(area, "There are no runs here yet.", "Leave with q and start one:", "flexi search --demo")
		return
	}
	for _, s := range p.slots {
		p.slot(s)
	}
}

func (p *painter) message(area rect, lines ...string) {
	y := area.y + max(0, (area.h-len(lines))/2)
	for i, l := range lines {
		if y+i < area.y+area.h {
			n := min(width(l), area.w)
			p.f.text(rect{area.x + (area.w-n)/2, y + i, n, 1}, l, plain)
		}
	}
}

func (p *painter) overlays() {
	area := p.m.content()
	if p.m.overlay != noOverlay {
		p.spots = nil // what lies below an overlay does not answer
	}
	switch p.m.overlay {
	case helpOverlay:
		p.drawHelp(area)
	case paletteOverlay:
		p.drawPalette(area)
	case dialogOverlay:
		p.drawDialog(area)
	case formOverlay:
		p.drawForm(area)
	}
}

// overlayBox clears a box in the middle of area and returns its inside.
func (p *painter) overlayBox(area rect, w, h int, title, hint string) rect {
	w, h = min(w, area.w), min(h, area.h)
	box := rect{area.x + (area.w-w)/2, area.y + (area.h-h)/2, w, h}
	p.f.fill(box)
	p.f.box(box, p.g.heavy, frameFocus)
	p.f.text(rect{box.x + 2, box.y, box.w - 4, 1}, " "+title+" ", strong)
	if width(title)+width(hint)+10 < box.w {
		p.f.right(rect{box.x + 2, box.y, box.w - 4, 1}, " "+hint+" ", dim)
	}
	return rect{box.x + 2, box.y + 1, box.w - 4, box.h - 2}
}

// keys prints keys by Bubble Tea's names.
func (p *painter) keys(names ...string) string {
	b := binding{keys: names}
	return strings.ReplaceAll(b.shown(p.g), " ", "")
}
