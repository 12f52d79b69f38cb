package tui

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"flexi/core/run"
)

// header: where one is on the left, how the run stands on the right.
func (p *painter) header(r rect) {
	right := p.standing()
	n := 0
	for _, s := range right {
		n += width(s.text)
	}
	rightW := min(n, max(r.w*2/3, r.w-11))
	left := rect{r.x, r.y, r.w - rightW - 1, 1}
	used := p.f.spans(left, p.crumbs(left.w-1)...)
	if p.class >= medium {
		p.tabs(rect{left.x + used + 4, left.y, left.w - used - 4, 1})
	}
	p.f.spans(rect{r.x + r.w - rightW, r.y, rightW, 1}, right...)
}

// crumbs name the place, from the program down; where there is no room, the outer parts are left out.
func (p *painter) crumbs(room int) []span {
	m := p.m
	parts := []span{{" ", plain}, {"flexi ", accent}}
	if r := m.derived.run; r != nil && m.screen != runsList && m.screen != system {
		parts = append(parts, span{r.ID + " " + p.g.arrow + " ", plain})
	}
	parts = append(parts, span{m.screen.name(), strong})
	if t := m.trialAt(m.inspected()); m.screen == inspector && t != nil {
		parts = append(parts, span{fmt.Sprintf(" #%d %s", t.ID, shortHash(t.Hash)), strong})
	}
	if t := m.searched(); m.screen == flexora && t != nil {
		parts = append(parts, span{fmt.Sprintf(" #%d %s", t.ID, t.Title), strong})
	}
	if p.class == single && m.screen == overview && m.derived.run != nil {
		return []span{parts[0], {m.derived.run.ID, strong}}
	}
	n := 0
	for _, s := range parts {
		n += width(s.text)
	}
	for n > room && len(parts) > 2 {
		n -= width(parts[1].text)
		parts = append(parts[:1], parts[2:]...)
	}
	return parts
}

// tabs are the screens and their keys, if all fit.
func (p *painter) tabs(r rect) {
	var pieces []span
	n := 0
	screens := p.m.screens()
	for _, s := range screens {
		text, st := fmt.Sprintf(" %d %s  ", s, s.name()), dim
		if s == p.m.screen {
			text, st = fmt.Sprintf("[%d %s] ", s, s.name()), strong
		}
		pieces, n = append(pieces, span{text, st}), n+width(text)
	}
	if n > r.w {
		return
	}
	p.f.spans(r, pieces...)
	for i, piece := range pieces {
		key := strconv.Itoa(int(screens[i]))
		p.spot(rect{r.x, r.y, width(piece.text), 1}, func(m *model) tea.Cmd { return m.invoke(m.bindingOf(key)) })
		r.x += width(piece.text)
	}
}

// standing is the state of the run in a few words.
func (p *painter) standing() []span {
	m := p.m
	if m.cut && m.snap != nil {
		return []span{{"! connection lost, picture of " + m.snap.Time.In(m.now.Location()).Format("15:04:05") + " ", bad}}
	}
	if m.screen == runsList && m.snap != nil {
		busy := 0
		for i := range m.snap.Runs {
			if active(m.snap.Runs[i].State) {
				busy++
			}
		}
		return []span{{fmt.Sprintf("%s, %d active ", plural(len(m.snap.Runs), "run"), busy), dim}}
	}
	r := m.derived.run
	if r == nil {
		return p.present()
	}
	out := []span{{p.g.state(r.State) + " " + stateText(r), stateStyle(r.State)}, {"  " + progressText(r) + " ", plain}}
	if t := bestTrial(r); p.class == single && t != nil {
		return append(out, span{" best " + scoreText(*t.Score), dim})
	}
	if r.ETA > 0 && active(r.State) {
		out = append(out, span{" eta " + spanText(r.ETA) + " ", dim})
	}
	return append(out, p.present()...)
}

// present names the people attached where there is room and somebody else is there.
func (p *painter) present() []span {
	if p.class < medium || p.m.snap == nil || len(p.m.snap.Present) < 2 {
		return nil
	}
	text := presentText(p.m.snap.Present)
	if width(text) > p.m.w/4 {
		text = plural(len(p.m.snap.Present), "person")
	}
	return []span{{" " + text + " ", accent}}
}

// presentText names everybody once.
func presentText(names []string) string {
	var text []string
	for i, n := range names {
		if slices.Contains(names[:i], n) {
			continue
		}
		times := 0
		for _, other := range names {
			if other == n {
				times++
			}
		}
		if times > 1 {
			n = fmt.Sprintf("%s (%d)", n, times)
		}
		text = append(text, n)
	}
	return strings.Join(text, ", ")
}

// stateText is the state, and what was asked for while that differs.
func stateText(r *run.RunView) string {
	switch {
	case r.State == run.Pausing:
		return "pausing at step boundary"
	case r.State == run.Stopping:
		return "stopping at step boundary"
	case r.Want != "" && r.Want != r.State && r.State == run.Running:
		return "running, to be " + string(r.Want)
	case r.State == run.Queued:
		return "queued"
	}
	return string(r.State)
}

// progressText is ended trials, without those that failed, of the budget.
func progressText(r *run.RunView) string {
	if r.Budget <= 0 {
		return plural(r.Done+r.StoppedN, "trial")
	}
	return fmt.Sprintf("%d/%d", r.Done+r.StoppedN, r.Budget)
}
