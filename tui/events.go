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

// eventLine is when, what kind and what; narrow windows have no room for columns and seconds.
func (m *model) eventLine(e *run.Event) textLine {
	at, kind := m.clockText(e.Time), padRight(e.Kind, 10)
	if m.w < 60 && len(at) > 3 {
		at, kind = at[:len(at)-3], e.Kind
	}
	return textLine{{at + " ", dim}, {kind + " ", eventStyle(e.Kind)}, {eventText(e), plain}}
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
