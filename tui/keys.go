package tui

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// where is a set of places in which a binding works.
type where uint16

const (
	onOverview where = 1 << iota
	onRuns
	onInspector
	onFlexora
	onLogs
	onSystem
	inHelp
	inPalette
	inDialog
	inFilter
	inForm
	inField // a value of a form is being typed

	onScreens = onOverview | onRuns | onInspector | onFlexora | onLogs | onSystem
)

// binding is a key and all that is said about it. The table of bindings feeds dispatch, help, palette and footer.
type binding struct {
	keys  []string // as Bubble Tea names them
	in    where
	group string // heading in the help
	name  string // two words for the footer
	help  string // what it does, for help and palette
	rank  int    // place in the footer, from 1; 0 stays out
	acts  bool   // it changes a run, which not everybody may
	// says replaces name where what the key does depends on the state.
	says func(*model) string
	// refuse returns why the key does nothing now, in few words; "" if it works.
	refuse func(*model) string
	do     func(*model) tea.Cmd
}

// Headings of the help.
const (
	groupMove    = "move around"
	groupRuns    = "runs and trials"
	groupShow    = "what is shown"
	groupCharts  = "charts"
	groupSession = "everywhere"
	groupDialogs = "in dialogs"
)

// keymap is the table of all keys. A key press goes to the first binding that works in the place where it was pressed.
func keymap() []binding {
	return slices.Concat(overlayKeys(), formKeys(), moveKeys(), flexoraKeys(), commandKeys(), steerKeys(), lensKeys(), sessionKeys())
}

func overlayKeys() []binding {
	const any = inHelp | inPalette | inDialog | inFilter | inForm | inField
	return []binding{
		{keys: []string{"esc"}, in: any, group: groupDialogs, name: "close", help: "close without doing anything", rank: 2, do: (*model).goOut},
		{keys: []string{"?", "q"}, in: inHelp, group: groupDialogs, name: "close", help: "close the help", do: (*model).goOut},
		{keys: []string{"up", "k"}, in: inHelp, group: groupDialogs, name: "scroll", help: "scroll the help", do: func(m *model) tea.Cmd { m.offset--; return nil }},
		{keys: []string{"down", "j"}, in: inHelp, group: groupDialogs, name: "scroll", help: "scroll the help", rank: 1, do: func(m *model) tea.Cmd { m.offset++; return nil }},
		{keys: []string{"up", "ctrl+p", "shift+tab"}, in: inPalette, group: groupDialogs, name: "previous", help: "previous command", do: func(m *model) tea.Cmd { m.choose(-1); return nil }},
		{keys: []string{"down", "ctrl+n", "tab"}, in: inPalette, group: groupDialogs, name: "next", help: "next command", rank: 3, do: func(m *model) tea.Cmd { m.choose(1); return nil }},
		{keys: []string{"enter"}, in: inPalette, group: groupDialogs, name: "do it", help: "do the marked command", rank: 1, do: (*model).runPalette},
		{keys: []string{"left", "up", "shift+tab", "h", "k"}, in: inDialog, group: groupDialogs, name: "previous", help: "previous answer", do: func(m *model) tea.Cmd { m.choose(-1); return nil }},
		{keys: []string{"right", "down", "tab", "l", "j"}, in: inDialog, group: groupDialogs, name: "next", help: "next answer", rank: 3, do: func(m *model) tea.Cmd { m.choose(1); return nil }},
		{keys: []string{"enter"}, in: inDialog, group: groupDialogs, name: "answer", help: "give the marked answer", rank: 1, do: (*model).answer},
		{keys: []string{"enter"}, in: inFilter, group: groupDialogs, name: "keep", help: "keep the filter", rank: 1, do: func(m *model) tea.Cmd { m.overlay = noOverlay; return nil }},
	}
}

func moveKeys() []binding {
	return []binding{
		{keys: []string{"enter"}, in: onScreens, group: groupMove, name: "open", help: "open what is marked: a run, an architecture", rank: 4, refuse: (*model).cannotOpen, do: (*model).openMarked},
		{keys: []string{"esc"}, in: onScreens, group: groupMove, name: "back", help: "step out of one layer", rank: 5, refuse: (*model).cannotGoOut, do: (*model).goOut},
		{keys: []string{"up", "k"}, in: onScreens, group: groupMove, name: "up", help: "previous row", do: func(m *model) tea.Cmd { return m.move(-1) }},
		{keys: []string{"down", "j"}, in: onScreens, group: groupMove, name: "down", help: "next row", do: func(m *model) tea.Cmd { return m.move(1) }},
		{keys: []string{"pgup", "ctrl+u"}, in: onScreens, group: groupMove, name: "page up", help: "a page up", do: func(m *model) tea.Cmd { return m.move(-m.page()) }},
		{keys: []string{"pgdown", "ctrl+d"}, in: onScreens, group: groupMove, name: "page down", help: "a page down", do: func(m *model) tea.Cmd { return m.move(m.page()) }},
		{keys: []string{"home", "g"}, in: onScreens, group: groupMove, name: "first", help: "first row", do: func(m *model) tea.Cmd { return m.move(-farAway) }},
		{keys: []string{"end", "G"}, in: onScreens, group: groupMove, name: "last", help: "last row; in the logs, follow", do: func(m *model) tea.Cmd { return m.move(farAway) }},
		{keys: []string{"tab"}, in: onScreens, group: groupMove, name: "next pane", help: "next pane; behind a title there may be several", rank: 6, refuse: (*model).onePane, do: func(m *model) tea.Cmd { m.nextPane(1); return nil }},
		{keys: []string{"shift+tab"}, in: onScreens, group: groupMove, name: "previous pane", help: "previous pane", refuse: (*model).onePane, do: func(m *model) tea.Cmd { m.nextPane(-1); return nil }},
		{keys: []string{"["}, in: onInspector, group: groupMove, name: "previous", help: "previous trial of the table", do: func(m *model) tea.Cmd { return m.stepTrial(-1) }},
		{keys: []string{"]"}, in: onInspector, group: groupMove, name: "next", help: "next trial of the table", rank: 7, do: func(m *model) tea.Cmd { return m.stepTrial(1) }},
		{keys: []string{"x"}, in: onInspector, group: groupShow, name: "compare", help: "compare with the parent; again with marked trials, with the best", rank: 3, refuse: (*model).cannotCompare, do: (*model).compare},
		{keys: []string{"1"}, in: onScreens, group: groupMove, name: "overview", help: "overview of the run", do: func(m *model) tea.Cmd { return m.goTo(overview) }},
		{keys: []string{"2"}, in: onScreens, group: groupMove, name: "runs", help: "all runs", do: func(m *model) tea.Cmd { return m.goTo(runsList) }},
		{keys: []string{"3"}, in: onScreens, group: groupMove, name: "inspect", help: "architecture of the marked (or the best) trial", refuse: (*model).nothingToInspect, do: func(m *model) tea.Cmd { return m.goTo(inspector) }},
		{keys: []string{"4"}, in: onScreens, group: groupMove, name: "layers", help: "how a Flexora run chooses layers", refuse: (*model).noLayers, do: func(m *model) tea.Cmd { return m.goTo(flexora) }},
		{keys: []string{"5"}, in: onScreens, group: groupMove, name: "logs", help: "all that happened", do: func(m *model) tea.Cmd { return m.goTo(logs) }},
		{keys: []string{"6"}, in: onScreens, group: groupMove, name: "system", help: "device, memory, store", do: func(m *model) tea.Cmd { return m.goTo(system) }},
	}
}

func commandKeys() []binding {
	const runs = onOverview | onRuns | onInspector | onFlexora | onLogs
	return []binding{
		{keys: []string{"p"}, acts: true, in: runs, group: groupRuns, name: "pause", help: "pause with a checkpoint, or resume", rank: 1, says: (*model).pauseSays, refuse: (*model).cannotPause, do: (*model).pauseOrResume},
		{keys: []string{"S"}, acts: true, in: runs, group: groupRuns, name: "stop", help: "end the run for good (asks first)", rank: 2, refuse: (*model).cannotStop, do: (*model).askStop},
		{keys: []string{"b"}, acts: true, in: runs, group: groupRuns, name: "branch", help: "new run from this one's trials (asks first)", rank: 3, refuse: (*model).cannotBranch, do: (*model).askBranch},
		{keys: []string{"r"}, acts: true, in: onOverview | onInspector | onFlexora, group: groupRuns, name: "retry", help: "train a failed trial again", refuse: (*model).cannotRetry, do: (*model).retry},
		{keys: []string{"y"}, in: onOverview | onRuns | onInspector | onFlexora, group: groupRuns, name: "copy", help: "copy the hash of the trial, or the run's name", do: (*model).copyName},
	}
}

func sessionKeys() []binding {
	return []binding{
		{keys: []string{"z"}, in: onScreens, group: groupShow, name: "maximise", help: "this pane alone, and back", refuse: (*model).onePane, do: func(m *model) tea.Cmd { m.zoomed = !m.zoomed; return nil }},
		{keys: []string{"s"}, in: onOverview, group: groupShow, name: "sort", help: "sort trials by number, score or parameters", do: (*model).nextOrder},
		{keys: []string{"s"}, in: onRuns, group: groupShow, name: "sort", help: "sort runs by activity, or by the next column", do: (*model).nextRunOrder},
		{keys: []string{"R"}, in: onRuns, group: groupShow, name: "turn", help: "sort runs the other way round", do: func(m *model) tea.Cmd { return m.orderRuns(m.sorted) }},
		{keys: []string{"space"}, in: onRuns, group: groupShow, name: "mark", help: "draw this run's curve, too, and list what differs in the configurations", rank: 6, refuse: (*model).noRun, do: func(m *model) tea.Cmd { m.marked[m.listed] = !m.marked[m.listed]; return nil }},
		{keys: []string{"space"}, in: onOverview, group: groupShow, name: "mark", help: "mark this trial for comparisons", refuse: (*model).nothingToInspect, do: (*model).markTrial},
		{keys: []string{"t"}, in: onOverview | onInspector | onFlexora | onLogs, group: groupShow, name: "show log", help: "what happened to this trial; on the logs again: all that happened", refuse: (*model).noTrialLog, do: (*model).showTrialLog},
		{keys: []string{"l"}, in: onLogs, group: groupShow, name: "level", help: "only warnings and errors, only errors, everything", do: (*model).nextLevel},
		{keys: []string{"w"}, in: onLogs, group: groupShow, name: "wrap", help: "wrap long lines", rank: 4, do: func(m *model) tea.Cmd { m.wrap = !m.wrap; return nil }},
		{keys: []string{"/"}, in: onOverview | onRuns | onLogs, group: groupShow, name: "filter", help: "show only some rows", rank: 7, do: (*model).editFilter},
		{keys: []string{":", "ctrl+k"}, in: onScreens, group: groupSession, name: "command", help: "command palette", rank: 8, do: (*model).openPalette},
		{keys: []string{"?"}, in: onScreens, group: groupSession, name: "help", help: "this help", rank: 9, do: func(m *model) tea.Cmd { m.overlay, m.offset = helpOverlay, 0; return nil }},
		{keys: []string{"m"}, in: onScreens, group: groupSession, name: "mouse", help: "mouse on or off; while it is on, shift lets the terminal select text", do: (*model).toggleMouse},
		{keys: []string{"ctrl+l"}, in: onScreens, group: groupSession, name: "redraw", help: "draw the screen again", do: func(*model) tea.Cmd { return tea.ClearScreen }},
		{keys: []string{"q"}, in: onScreens, group: groupSession, name: "quit", help: "leave the workbench; the runs go on", rank: 10, do: func(*model) tea.Cmd { return tea.Quit }},
		{keys: []string{"ctrl+c"}, in: onScreens | inHelp | inPalette | inDialog | inFilter | inForm | inField, group: groupSession, name: "quit now", help: "twice: leave at once", do: (*model).interrupt},
	}
}

// farAway is more rows than any list has.
const farAway = 1 << 30

// place is where a key pressed now would land.
func (m *model) place() where {
	switch m.overlay {
	case helpOverlay:
		return inHelp
	case paletteOverlay:
		return inPalette
	case dialogOverlay:
		return inDialog
	case filterOverlay:
		return inFilter
	case formOverlay:
		if m.form.editing {
			return inField
		}
		return inForm
	}
	return map[screen]where{overview: onOverview, runsList: onRuns, inspector: onInspector, flexora: onFlexora, logs: onLogs, system: onSystem}[m.screen]
}

// press dispatches a key.
func (m *model) press(msg tea.KeyPressMsg) tea.Cmd {
	name := msg.String()
	if name == "alt+esc" { // two quick escapes arrive as one key
		name = "esc"
	}
	if name != "ctrl+c" {
		m.flash = flash{}
	}
	here := m.place()
	for i := range m.keys {
		b := &m.keys[i]
		if b.in&here == 0 || !b.has(name) {
			continue
		}
		cmd := m.invoke(b)
		m.refresh()
		return tea.Batch(cmd, m.inspect())
	}
	if here&(inPalette|inFilter|inField) != 0 && (m.line.key(name) || msg.Text != "") {
		m.line.insert(msg.Text)
		m.typed()
	}
	return nil
}

const readOnlyKey = "read-only key"

// deny tells the owner of the session what a person tried who may only look.
func (m *model) deny(what string) {
	if m.denied != nil {
		m.denied(what)
	}
}

func (b *binding) has(key string) bool {
	for _, k := range b.keys {
		if k == key {
			return true
		}
	}
	return false
}

func (b *binding) refused(m *model) string {
	if b.acts && m.readOnly {
		return readOnlyKey
	}
	if b.refuse == nil {
		return ""
	}
	return b.refuse(m)
}

// label is what the footer and the palette call the binding now.
func (b *binding) label(m *model) string {
	if b.says != nil {
		return b.says(m)
	}
	return b.name
}

// keyNames are keys as they are printed.
var keyNames = map[string]string{"enter": "↵", "up": "↑", "down": "↓", "left": "←", "right": "→", "shift+tab": "⇧tab", "pgdown": "pgdn"}

// shown is the binding's keys as text.
func (b *binding) shown(g glyphs) string {
	out := make([]string, len(b.keys))
	for i, k := range b.keys {
		out[i] = k
		if s, ok := keyNames[k]; ok && (!g.ascii || k == "pgdown") {
			out[i] = s
		}
	}
	return strings.Join(out, " ")
}

// first is the binding's first key as text.
func (b *binding) first(g glyphs) string {
	one := binding{keys: b.keys[:1]}
	return one.shown(g)
}
