package tui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"flexi/core/run"
)

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

// markedEvent is the one under the cursor, which is the last where the log follows; nil without any.
func (m *model) markedEvent() *run.Event {
	if at := m.logBottom(); at >= 0 {
		return &m.log[at]
	}
	return nil
}

// drawLog fills the pane from the cursor upwards, and at the beginning of the log what is left from it downwards.
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
	at, room := m.logBottom(), rect{r.x + 2, r.y, r.w - 2, r.h}
	from, used := at, len(m.logLines(at, room.w))
	for from > 0 && used+len(m.logLines(from-1, room.w)) <= r.h {
		from--
		used += len(m.logLines(from, room.w))
	}
	y := 0
	for i := from; i < len(m.log) && y < r.h; i++ {
		if i == at {
			p.f.text(r.row(y), p.g.cursor, accent)
		}
		for _, l := range m.logLines(i, room.w) {
			if y == r.h {
				break
			}
			p.f.spans(room.row(y), l...)
			p.spot(r.row(y), func(m *model) tea.Cmd { return m.clickRow(paneLog, i, at) })
			if i == at && m.anchor != 0 {
				p.f.restyle(r.row(y), selected)
			}
			y++
		}
	}
}

func (m *model) logLines(i, w int) []textLine { return m.wrapEvent(m.eventLine(&m.log[i]), w) }

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

func (m *model) noEventTrial() string {
	switch e := m.markedEvent(); {
	case e == nil:
		return "nothing has happened yet"
	case m.trialAt(e.Trial) == nil:
		return "this event is about no trial"
	}
	return ""
}

// noTrialLog says why there is no log of one trial to go to.
func (m *model) noTrialLog() string {
	if m.screen == logs {
		return m.noEventTrial()
	}
	return m.nothingToInspect()
}

// showTrialLog goes to what happened to one trial; if that is shown already, to all events.
func (m *model) showTrialLog() tea.Cmd {
	only := fmt.Sprintf("trial=%d", m.subject().ID)
	if m.screen == logs && m.filters[logs] == only {
		only = ""
	}
	m.screen, m.zoomed, m.anchor = logs, false, 0
	m.filters[logs] = only
	return nil
}

// nextLevel puts the next level of events, from info to error, before the rest of the filter.
func (m *model) nextLevel() tea.Cmd {
	rest, level := m.filters[logs], 0
	for i, name := range eventLevels {
		if after, ok := strings.CutPrefix(rest+" ", levelFilter(name)+" "); ok && i > 0 {
			rest, level = strings.TrimSpace(after), i
		}
	}
	level = (level + 1) % len(eventLevels)
	if level > 0 {
		rest = strings.TrimSpace(levelFilter(eventLevels[level]) + " " + rest)
	}
	m.filters[logs] = rest
	m.flash = flash{"events from level " + eventLevels[level], dim}
	return nil
}

func levelFilter(level string) string { return "level>=" + level }
