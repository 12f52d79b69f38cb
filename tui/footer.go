package tui

import (
	"fmt"
	"time"

	tea "charm.land/bubbletea/v2"

	"flexi/core/run"
)

// status is the answer to the last key, else what is wrong, else what is going on.
func (p *painter) status(r rect) {
	if p.m.overlay == filterOverlay {
		p.drawFilter(r)
		return
	}
	text, st := p.statusText()
	size := fmt.Sprintf("%dx%d", p.m.w, p.m.h)
	if p.class >= medium {
		size += "  " + p.m.theme.name + "  " + p.g.name
	}
	n := p.f.text(rect{r.x + 1, r.y, r.w - 2, 1}, text, st)
	if n+len(size)+4 <= r.w {
		p.f.right(rect{r.x, r.y, r.w - 1, 1}, size, dim)
	}
}

func (p *painter) statusText() (string, style) {
	m := p.m
	switch {
	case m.flash.text != "":
		return m.flash.text, m.flash.st
	case m.problem != nil:
		return "filter not applied: " + m.problem.Error(), warn
	case m.snap == nil:
		return "", dim
	case m.snap.Store.ReadOnly != "":
		return "nothing is saved any more, the store failed: " + m.snap.Store.ReadOnly, bad
	case len(m.snap.Store.Notices) > 0 && m.now.Sub(m.snap.System.Started) < noticeTime:
		return "at the start: " + m.snap.Store.Notices[0], warn
	case m.derived.run != nil && m.derived.run.State == run.Failed:
		return "failed: " + m.derived.run.Error, bad
	case m.derived.run != nil && m.derived.run.Thinking != "":
		return m.thinkingText(m.derived.run), dim
	case m.filters[m.screen] != "":
		return "filter: " + m.filters[m.screen], dim
	case m.derived.run != nil && len(m.derived.run.Events) > 0 && m.screen != logs:
		e := m.derived.run.Events[len(m.derived.run.Events)-1]
		return m.clockText(e.Time) + " " + e.Kind + " " + eventText(&e), dim
	}
	return "", dim
}

// noticeTime is how long what the start repaired stays in the footer; the system screen keeps it.
const noticeTime = 10 * time.Minute

// drawFilter is the filter that is being typed; from where it is wrong in the colour of errors.
func (p *painter) drawFilter(r rect) {
	m, right := p.m, len(p.m.line.text)
	if m.problem != nil {
		right = min(right, m.problem.column-1)
	}
	const label = "filter: "
	spans := []span{{label, accent}}
	from := max(0, m.line.at-(r.w-len(label)-4)) // the caret is always seen
	for i, c := range m.line.text {
		if i < from {
			continue
		}
		if i == m.line.at {
			spans = append(spans, span{p.g.caret, accent})
		}
		st := plain
		if i >= right {
			st = bad
		}
		spans = append(spans, span{string(c), st})
	}
	if m.line.at == len(m.line.text) {
		spans = append(spans, span{p.g.caret, accent})
	}
	p.f.spans(rect{r.x + 1, r.y, r.w - 2, 1}, spans...)
}

// drawProblem says below the filter what is wrong with it, or above it where the filter has the last line.
func (p *painter) drawProblem(r rect) {
	p.f.fill(r)
	p.f.text(rect{r.x + 1, r.y, r.w - 2, 1}, p.m.problem.Error(), warn)
}

// maxFooter is how many keys the footer names.
const maxFooter = 8

// footer names the keys that work here; those that are refused say why.
func (p *painter) footer(r rect) {
	typing := p.m.overlay == filterOverlay
	switch {
	case typing && !p.m.hasStatus():
		p.drawFilter(r)
		if p.m.problem != nil {
			p.drawProblem(rect{r.x, r.y - 1, r.w, 1})
		}
		return
	case typing && p.m.problem != nil:
		p.drawProblem(r)
		return
	case !p.m.hasStatus() && p.m.flash.text != "":
		p.f.text(rect{r.x + 1, r.y, r.w - 2, 1}, p.m.flash.text, p.m.flash.st)
		return
	}
	x := r.x + 1
	for _, item := range p.footerItems(r.w - 1) {
		n := p.f.spans(rect{x, r.y, r.x + r.w - x, 1}, item.key, item.name)
		b := item.binding
		p.spot(rect{x, r.y, n, 1}, func(m *model) tea.Cmd { return m.invoke(b) })
		x += n + 2
	}
}

// footerItem is a key with its name.
type footerItem struct {
	key, name span
	binding   *binding
}

// footerItems are keys with their names; where there is no room, those before help and quit are left out.
func (p *painter) footerItems(room int) []footerItem {
	var items []footerItem
	n := -2
	size := func(i footerItem) int { return width(i.key.text) + width(i.name.text) + 2 }
	for _, b := range p.footerKeys() {
		item := footerItem{span{b.first(p.g), accent}, span{" " + b.label(p.m), plain}, b}
		if why := b.refused(p.m); why != "" {
			item.key.st, item.name = dim, span{" " + b.label(p.m) + " (" + why + ")", dim}
		}
		items, n = append(items, item), n+size(item)
	}
	for n > room && len(items) > 2 {
		out := len(items) - 3
		n -= size(items[out])
		items = append(items[:out], items[out+1:]...)
	}
	return items
}

// footerKeys are at most maxFooter bindings of this place by rank, of which refused ones are left out first, except what people look for.
func (p *painter) footerKeys() []*binding {
	here := p.m.place()
	byRank := map[int]*binding{}
	top := 0
	for i := range p.m.keys {
		b := &p.m.keys[i]
		if b.rank == 0 || b.in&here == 0 {
			continue
		}
		if other := byRank[b.rank]; other == nil || other.refused(p.m) != "" && b.refused(p.m) == "" {
			byRank[b.rank], top = b, max(top, b.rank)
		}
	}
	var out []*binding
	for rank := 1; rank <= top; rank++ {
		if b := byRank[rank]; b != nil && (b.refused(p.m) == "" || rank <= 3) {
			out = append(out, b)
		}
	}
	for len(out) > maxFooter { // keep the first ones, help and quit
		out = append(out[:len(out)-3], out[len(out)-2:]...)
	}
	return out
}
