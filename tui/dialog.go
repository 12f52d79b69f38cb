package tui

import (
	tea "charm.land/bubbletea/v2"
)

// dialog asks before something that is hard to undo. The first answer is the gentle one.
type dialog struct {
	title   string
	text    []string
	answers []answer
}

// answer is one way out of a dialog; do is nil for those that change nothing.
type answer struct {
	label string
	do    func(*model) tea.Cmd
}

const dialogWidth = 66

func (m *model) ask(d *dialog) {
	m.overlay, m.dialog, m.choice = dialogOverlay, d, 0
}

func (m *model) answer() tea.Cmd {
	a := m.dialog.answers[m.choice]
	m.overlay, m.dialog = noOverlay, nil
	if a.do == nil {
		return nil
	}
	return a.do(m)
}

// drawDialog shows the answers in a row, or below each other where the window is narrow.
func (p *painter) drawDialog(area rect) {
	d := p.m.dialog
	w := min(dialogWidth, area.w)
	var lines []string
	for _, t := range d.text {
		lines = append(lines, wrapText(t, w-4)...)
	}
	row := 0
	for _, a := range d.answers {
		row += width(a.label) + 6
	}
	answersH := 1
	if row > w-4 {
		answersH = len(d.answers)
	}
	gap := 1
	if len(lines)+answersH+gap+2 > area.h {
		gap = 0
		if room := max(0, area.h-answersH-2); len(lines) > room {
			lines = append(lines[:max(0, room-1)], string(p.g.ellipsis))[:room]
		}
	}
	box := p.overlayBox(area, w, len(lines)+answersH+gap+2, d.title, "enter, esc")
	for i, l := range lines {
		p.f.text(box.row(i), l, plain)
	}
	at := box.row(max(0, box.h-answersH))
	for i, a := range d.answers {
		label, st := "  "+a.label+"  ", dim
		if i == p.m.choice {
			label, st = "[ "+a.label+" ]", selected
		}
		n := p.f.text(at, label, st)
		p.spot(rect{at.x, at.y, n, 1}, func(m *model) tea.Cmd { m.choice = i; return m.answer() })
		if answersH > 1 {
			at.y++
		} else {
			at.x, at.w = at.x+n+2, at.w-n-2
		}
	}
}
