package tui

import (
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"flexi/core/run"
)

// offer is a line of the command palette.
type offer struct {
	text string
	name string // also found by this
	hint string // its key, or how it is typed
	why  string // why it does nothing now; "" if it works
	do   func(*model) tea.Cmd
}

// typedCommand takes an argument; try carries it out, or says what is wrong with the argument.
type typedCommand struct {
	name, argument, help string
	try                  func(m *model, argument string) (tea.Cmd, string)
}

var typedCommands = []typedCommand{
	{"trial", "NUMBER", "open a trial in the inspector", (*model).openTyped},
	{"run", "NAME", "show another run", (*model).enterTyped},
	{"note", "TEXT", "write a note on the run", (*model).noteTyped},
	{"set", "KEY=VALUE ...", "change the run as it goes on, such as workers=2 acquisition.explore=1.5", (*model).setTyped},
	{"branch", "KEY=VALUE ...", "new run from all finished trials, with another configuration", (*model).branchTyped},
	{"theme", strings.Join(themes, "|"), "change the colours", func(m *model, a string) (tea.Cmd, string) {
		if err := m.setTheme(a); err != nil {
			return nil, err.Error()
		}
		if m.autoTheme {
			return tea.RequestBackgroundColor, ""
		}
		return nil, ""
	}},
	{"glyphs", strings.Join(glyphSets, "|"), "change the characters of charts and frames", func(m *model, a string) (tea.Cmd, string) {
		g, err := newGlyphs(a)
		if err != nil {
			return nil, err.Error()
		}
		m.glyphs = g
		return nil, ""
	}},
}

func (m *model) openTyped(argument string) (tea.Cmd, string) {
	n, err := strconv.Atoi(strings.TrimPrefix(argument, "#"))
	if err != nil {
		return nil, "a trial is named by its number, such as trial 3"
	}
	if m.trialAt(n) == nil {
		return nil, "there is no trial " + strconv.Itoa(n)
	}
	m.open(n)
	return nil, ""
}

func (m *model) enterTyped(argument string) (tea.Cmd, string) {
	if m.snap != nil {
		for i := range m.snap.Runs {
			if m.snap.Runs[i].ID == argument {
				m.enter(argument)
				return nil, ""
			}
		}
	}
	return nil, "there is no run " + argument + "; 2 lists them"
}

func (m *model) noteTyped(argument string) (tea.Cmd, string) {
	r := m.target()
	if r == nil {
		return nil, "there is no run to write on"
	}
	if m.readOnly {
		m.deny("note")
		return nil, readOnlyKey
	}
	return m.send(run.Command{Verb: run.Annotate, Run: r.ID, Trial: -1, Text: argument}), ""
}

func (m *model) openPalette() tea.Cmd {
	m.overlay, m.choice = paletteOverlay, 0
	m.line.set("")
	return nil
}

// offers are the commands that match what was typed.
func (m *model) offers() []offer {
	typed := strings.TrimLeft(m.line.String(), " ")
	if o, ok := m.typedOffer(typed); ok {
		return []offer{o}
	}
	var all []offer
	overlay := m.overlay
	m.overlay = noOverlay
	here := m.place()
	m.overlay = overlay
	for _, group := range []string{groupRuns, groupShow, groupSession, groupMove, groupCharts} {
		for i := range m.keys {
			if b := &m.keys[i]; b.group == group && b.in&here != 0 && b.in&inPalette == 0 {
				all = append(all, offer{text: b.help, name: b.label(m), hint: b.first(m.glyphs), why: b.refused(m), do: b.do})
			}
		}
	}
	for _, c := range typedCommands {
		all = append(all, offer{text: c.help, name: c.name, hint: c.name + " " + c.argument, do: func(m *model) tea.Cmd {
			m.overlay = paletteOverlay
			m.line.set(c.name + " ")
			return nil
		}})
	}
	if m.snap != nil {
		for i := range m.snap.Runs {
			r := &m.snap.Runs[i]
			all = append(all, offer{text: "go to " + r.ID, name: "run", hint: string(r.State), do: func(m *model) tea.Cmd { m.enter(r.ID); return nil }})
		}
	}
	return matching(all, strings.ToLower(typed))
}

// typedOffer is a typed command with its argument.
func (m *model) typedOffer(typed string) (offer, bool) {
	name, argument, spaced := strings.Cut(typed, " ")
	argument = strings.TrimSpace(argument)
	for _, c := range typedCommands {
		if c.name != name || !spaced {
			continue
		}
		if argument == "" {
			return offer{text: name + " " + c.argument, why: "type it", hint: c.help}, true
		}
		return offer{text: name + " " + argument, hint: c.help, do: func(m *model) tea.Cmd {
			cmd, problem := c.try(m, argument)
			if problem != "" {
				m.flash = flash{problem, warn}
			}
			return cmd
		}}, true
	}
	return offer{}, false
}

// matching keeps the offers that contain every typed word; those that begin with the text come first.
func matching(all []offer, typed string) []offer {
	var starts, others []offer
	for _, o := range all {
		text := strings.ToLower(o.name + " " + o.text + " " + o.hint)
		keep := true
		for _, word := range strings.Fields(typed) {
			keep = keep && strings.Contains(text, word)
		}
		switch {
		case !keep:
		case strings.HasPrefix(text, typed):
			starts = append(starts, o)
		default:
			others = append(others, o)
		}
	}
	return append(starts, others...)
}

func (m *model) runPalette() tea.Cmd {
	all := m.offers()
	if len(all) == 0 {
		m.flash = flash{"no such command: " + m.line.String(), warn}
		return nil
	}
	o := all[clamp(m.choice, len(all))]
	if o.why != "" {
		m.flash = flash{o.text + ": " + o.why, warn}
		return nil
	}
	m.overlay = noOverlay
	return o.do(m)
}

const paletteWidth = 84

func (p *painter) drawPalette(area rect) {
	all := p.m.offers()
	rows := min(len(all), max(1, area.h-4), 14)
	box := p.overlayBox(area, min(paletteWidth, area.w), max(rows, 1)+4, "command", "type, "+p.keys("up", "down")+", enter, esc")
	p.f.text(box.row(0), "> ", accent)
	p.m.line.draw(p.f, rect{box.x + 2, box.y, box.w - 2, 1}, p.g.caret)
	list := rect{box.x, box.y + 2, box.w, box.h - 2}
	if len(all) == 0 {
		p.f.text(list.row(0), "no command matches", dim)
		return
	}
	at := clamp(p.m.choice, len(all))
	from := clamp(at-list.h/2, max(1, len(all)-list.h+1))
	for i := from; i < len(all) && i-from < list.h; i++ {
		p.drawOffer(list.row(i-from), all[i], i == at)
		p.spot(list.row(i-from), func(m *model) tea.Cmd { m.choice = i; return m.runPalette() })
	}
}

func (p *painter) drawOffer(r rect, o offer, marked bool) {
	lead, st := "  ", plain
	if marked {
		lead = p.g.cursor + " "
	}
	hint, hintStyle := o.hint, accent
	if o.why != "" {
		st, hint, hintStyle = dim, o.why, dim
	}
	n := min(width(hint), r.w/2)
	p.f.spans(rect{r.x, r.y, r.w - n - 1, 1}, span{lead, accent}, span{o.text, st})
	p.f.right(rect{r.x + r.w - n, r.y, n, 1}, hint, hintStyle)
	if marked {
		p.f.restyle(r, selected)
	}
}
