package tui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"flexi/core/run"
)

// painter draws one frame.
type painter struct {
	f     *frame
	m     *model
	g     glyphs
	class sizeClass
	slots []slot
	focus pane
}

// View is the frame, and what the terminal should show of it in tabs and task bars.
func (m *model) View() tea.View {
	v := tea.NewView(m.draw())
	v.AltScreen = true
	v.WindowTitle = m.title()
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
	f := newFrame(m.w, m.h, m.glyphs)
	p := &painter{f: f, m: m, g: m.glyphs, class: classOf(m.w, m.h)}
	if p.class == oneLine {
		p.tooSmall()
		return f.render(m.theme)
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
	return f.render(m.theme)
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
	switch p.m.overlay {
	case helpOverlay:
		p.drawHelp(area)
	case paletteOverlay:
		p.drawPalette(area)
	case dialogOverlay:
		p.drawDialog(area)
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

// header: where one is on the left, how the run stands on the right.
func (p *painter) header(r rect) {
	right := p.standing()
	n := 0
	for _, s := range right {
		n += width(s.text)
	}
	rightW := min(n, max(r.w*2/3, r.w-10))
	left := rect{r.x, r.y, r.w - rightW, 1}
	used := p.f.spans(left, p.crumbs(left.w-2)...)
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
		parts = append(parts, span{r.ID + " ", plain}, span{p.g.arrow + " ", plain})
	}
	parts = append(parts, span{m.screen.name(), strong})
	if t := m.trialAt(m.inspected()); m.screen == inspector && t != nil {
		parts = append(parts, span{fmt.Sprintf(" #%d %s", t.ID, shortHash(t.Hash)), strong})
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
	for _, s := range screens {
		text, st := fmt.Sprintf(" %d %s  ", s, s.name()), dim
		if s == p.m.screen {
			text, st = fmt.Sprintf("[%d %s] ", s, s.name()), strong
		}
		pieces, n = append(pieces, span{text, st}), n+width(text)
	}
	if n <= r.w {
		p.f.spans(r, pieces...)
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
		return nil
	}
	out := []span{{p.g.state(r.State) + " " + stateText(r), stateStyle(r.State)}, {"  " + progressText(r) + " ", plain}}
	if t := bestTrial(r); p.class == single && t != nil {
		return append(out, span{" best " + scoreText(*t.Score) + " ", dim})
	}
	if r.ETA > 0 && active(r.State) {
		out = append(out, span{" eta " + spanText(r.ETA) + " ", dim})
	}
	return out
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

// progressText is finished trials of the budget.
func progressText(r *run.RunView) string {
	if r.Budget <= 0 {
		return plural(r.Done, "trial")
	}
	return fmt.Sprintf("%d/%d", r.Done, r.Budget)
}

// status is the answer to the last key, else what is wrong, else what is going on.
func (p *painter) status(r rect) {
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
	case m.overlay == filterOverlay:
		return p.filterLine(), plain
	case m.flash.text != "":
		return m.flash.text, m.flash.st
	case m.problem != "":
		return "filter not applied: " + m.problem, warn
	case m.snap == nil:
		return "", dim
	case m.snap.Store.ReadOnly != "":
		return "nothing is saved any more, the store failed: " + m.snap.Store.ReadOnly, bad
	case m.derived.run != nil && m.derived.run.State == run.Failed:
		return "failed: " + m.derived.run.Error, bad
	case m.derived.run != nil && m.derived.run.Thinking != "":
		return m.derived.run.Thinking, dim
	case m.filters[m.screen] != "":
		return "filter: " + m.filters[m.screen], dim
	case m.derived.run != nil && len(m.derived.run.Events) > 0 && m.screen != logs:
		e := m.derived.run.Events[len(m.derived.run.Events)-1]
		return m.clockText(e.Time) + " " + e.Kind + " " + eventText(&e), dim
	}
	return "", dim
}

func (p *painter) filterLine() string {
	m := p.m
	text := "filter: " + string(m.line.text[:m.line.at]) + p.g.caret + string(m.line.text[m.line.at:])
	if m.problem != "" {
		text += "   " + m.problem
	}
	return text
}

// maxFooter is how many keys the footer names.
const maxFooter = 8

// footer names the keys that work here; those that are refused say why.
func (p *painter) footer(r rect) {
	if !p.m.hasStatus() && (p.m.flash.text != "" || p.m.overlay == filterOverlay) {
		text, st := p.statusText()
		p.f.text(rect{r.x + 1, r.y, r.w - 2, 1}, text, st)
		return
	}
	x := r.x + 1
	for _, item := range p.footerItems(r.w - 1) {
		x += p.f.spans(rect{x, r.y, r.x + r.w - x, 1}, item[0], item[1]) + 2
	}
}

// footerItems are keys with their names; where there is no room, those before help and quit are left out.
func (p *painter) footerItems(room int) [][2]span {
	var items [][2]span
	n := -2
	size := func(i [2]span) int { return width(i[0].text) + width(i[1].text) + 2 }
	for _, b := range p.footerKeys() {
		item := [2]span{{b.first(p.g), accent}, {" " + b.label(p.m), plain}}
		if why := b.refused(p.m); why != "" {
			item[0].st, item[1] = dim, span{" " + b.label(p.m) + " (" + why + ")", dim}
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
		if b.rank > 0 && b.in&here != 0 && byRank[b.rank] == nil {
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

// keys prints keys by Bubble Tea's names.
func (p *painter) keys(names ...string) string {
	b := binding{keys: names}
	return strings.ReplaceAll(b.shown(p.g), " ", "")
}
