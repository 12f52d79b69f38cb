package tui

import (
	"fmt"
	"time"

	"flexi/core/run"
)

// clockText is a time of day; with the date if that is not today.
func (m *model) clockText(t time.Time) string {
	t = t.In(m.now.Location())
	if t.YearDay() != m.now.YearDay() || t.Year() != m.now.Year() {
		return t.Format("01-02 15:04:05")
	}
	return t.Format("15:04:05")
}

func eventStyle(kind string) style {
	switch kind {
	case "best":
		return good
	case "fail":
		return bad
	case "warn":
		return warn
	case "command", "pick":
		return accent
	}
	return dim
}

func (m *model) eventLine(e *run.Event) textLine {
	return textLine{{m.clockText(e.Time) + " ", dim}, {padRight(e.Kind, 10) + " ", eventStyle(e.Kind)}, {eventText(e), plain}}
}

// eventText is the event with whom and what it is about.
func eventText(e *run.Event) string {
	text := e.Text
	if e.Trial >= 0 {
		text = fmt.Sprintf("#%d %s", e.Trial, text)
	}
	if e.Actor != "" {
		text = e.Actor + ": " + text
	}
	return text
}

// drawEvents shows the run's events on the overview, newest first.
func (p *painter) drawEvents(r rect) {
	v := p.m.derived.run
	if v == nil || len(v.Events) == 0 {
		p.f.text(r.row(0), "Nothing has happened yet.", dim)
		return
	}
	n := len(v.Events)
	from := clamp(p.m.scroll[paneEvents], max(1, n-r.h+1))
	for i := 0; i < r.h && from+i < n; i++ {
		p.f.spans(r.row(i), p.m.eventLine(&v.Events[n-1-from-i])...)
	}
	p.moreBelow(r, n-from-r.h)
}

// logHint says whether the log follows, and what has arrived since it was scrolled back.
func (m *model) logHint() string {
	if m.anchor == 0 {
		return "following"
	}
	at := m.logBottom()
	if at < 0 {
		return ""
	}
	return fmt.Sprintf("paused at %s, %d newer; G follows", m.clockText(m.log[at].Time), len(m.log)-1-at)
}

// drawLog fills the pane from the last line seen upwards.
func (p *painter) drawLog(r rect) {
	m := p.m
	if len(m.log) == 0 {
		text := "Nothing has happened yet."
		if m.filters[logs] != "" {
			text = "No event matches the filter " + m.filters[logs]
		}
		p.f.text(r.row(0), text, dim)
		return
	}
	var lines []textLine // last first
	for i := m.logBottom(); i >= 0 && len(lines) < r.h; i-- {
		l := m.eventLine(&m.log[i])
		rest := m.wrapEvent(l, r.w)
		for k := len(rest) - 1; k >= 0; k-- {
			lines = append(lines, rest[k])
		}
	}
	n := min(len(lines), r.h)
	for i := range n {
		p.f.spans(r.row(n-1-i), lines[i]...)
	}
}

// wrapEvent breaks a long event into lines below its text if wrapping is on (w).
func (m *model) wrapEvent(l textLine, w int) []textLine {
	indent := width(l[0].text) + width(l[1].text)
	if !m.wrap || indent+width(l[2].text) <= w || w-indent < 8 {
		return []textLine{l}
	}
	var out []textLine
	for i, part := range wrapText(l[2].text, w-indent) {
		if i == 0 {
			out = append(out, textLine{l[0], l[1], {part, plain}})
			continue
		}
		out = append(out, textLine{{padRight("", indent), plain}, {part, plain}})
	}
	return out
}
