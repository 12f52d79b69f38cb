package tui

import "slices"

// helpLine is a line of the help: a heading (keys "") or a key and what it does.
type helpLine struct{ keys, text string }

// helpText lists every binding once, those that work on the current screen first in each group, and explains the signs.
func (m *model) helpText() []helpLine {
	var out []helpLine
	for _, group := range []string{groupMove, groupRuns, groupShow, groupCharts, groupSession, groupDialogs} {
		out = append(out, helpLine{"", group})
		for i := range m.keys {
			b := &m.keys[i]
			if b.group != group {
				continue
			}
			line := helpLine{b.shown(m.glyphs), b.help + elsewhere(b.in)}
			if !slices.Contains(out, line) {
				out = append(out, line)
			}
		}
		out = append(out, helpLine{})
	}
	return append(out, m.legend()...)
}

// elsewhere names the screens of a binding that does not work on all of them.
func elsewhere(in where) string {
	if in&onScreens == 0 || in&onScreens == onScreens {
		return ""
	}
	text := ""
	for _, s := range []struct {
		in   where
		name string
	}{{onOverview, "overview"}, {onRuns, "runs"}, {onInspector, "architecture"}, {onFlexora, "layers"}, {onLogs, "logs"}, {onSystem, "system"}} {
		if in&s.in == 0 {
			continue
		}
		if text != "" {
			text += ", "
		}
		text += s.name
	}
	return " (" + text + ")"
}

// legend explains the signs and the filter.
func (m *model) legend() []helpLine {
	g := m.glyphs
	return []helpLine{
		{"", "signs"},
		{g.mean, "score the surrogate expects"},
		{g.sigma, "its standard deviation from noise in the trainings (aleatoric)"},
		{g.xi, "its standard deviation from what the surrogate has not seen (epistemic)"},
		{g.marks(), "in charts: another trial, on the frontier, evaluated, to be picked next"},
		{g.bands(), "in charts: expected score with its noise, and with noise and ignorance"},
		{"overlap", "share of the weights taken over from the trial it started from"},
		{"frontier", "trials that no other beats in both score and parameters"},
		{},
		{"", "filter"},
		{"word", "rows that contain it; \"two words\" in quotes; -word or not word: rows that do not"},
		{"state:done|failed", "one of these in a field; = and != compare the whole field"},
		{"params<12M", "a number in a field; also >, <=, >="},
		{"a or (b and -c)", "and binds closer than or, and may be left out"},
		{"trials", trialFields.String()},
		{"runs", runFields.String()},
		{"logs", eventFields.String()},
	}
}

// marks and bands are the signs of the charts, in the order the help explains them.
func (g glyphs) marks() string {
	if g.ascii {
		return ". o # @"
	}
	return "· ● ◆ ▲"
}

func (g glyphs) bands() string {
	if g.ascii {
		return "= -"
	}
	return "▒ ░"
}

const (
	helpWidth   = 100
	helpKeyCols = 19
)

func (p *painter) drawHelp(area rect) {
	text := p.m.helpText()
	w := min(helpWidth, area.w)
	h := min(area.h, len(text)+2)
	box := p.overlayBox(area, w, h, "help "+p.g.dot+" "+p.m.screen.name(), "esc")
	keyCols := min(helpKeyCols, box.w/3)
	var rows []helpLine
	for _, l := range text {
		parts := wrapText(l.text, box.w-keyCols-1)
		if l.keys == "" || len(parts) == 0 {
			rows = append(rows, l)
			continue
		}
		for i, part := range parts {
			keys := ""
			if i == 0 {
				keys = l.keys
			}
			rows = append(rows, helpLine{keys + " ", part})
		}
	}
	from := clamp(p.m.offset, max(1, len(rows)-box.h+1))
	for i := 0; i < box.h && from+i < len(rows); i++ {
		l, at := rows[from+i], box.row(i)
		if l.keys == "" {
			p.f.text(at, l.text, strong)
			continue
		}
		p.f.text(rect{at.x, at.y, keyCols, 1}, l.keys, accent)
		p.f.text(rect{at.x + keyCols + 1, at.y, at.w - keyCols - 1, 1}, l.text, plain)
	}
	if from+box.h < len(rows) {
		p.f.right(rect{box.x, box.y + box.h, box.w, 1}, " more: "+p.keys("down")+" ", accent)
	}
}
