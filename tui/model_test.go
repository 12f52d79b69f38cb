package tui

import (
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/stretchr/testify/require"

	"flexi/core/run"
	"flexi/tui/internal/fixture"
)

// newTest is a workbench on the fixture at a fixed time, in stripped braille, after its first snapshot.
func newTest(t testing.TB, w, h int, o Options) *model {
	t.Helper()
	return onSnapshot(t, fixture.Snapshot(), w, h, o)
}

func onSnapshot(t testing.TB, s *run.Snapshot, w, h int, o Options) *model {
	t.Helper()
	if o.Actor == "" {
		o.Actor = "ana"
	}
	if o.Theme == "" {
		o.Theme = "none"
	}
	if o.Glyphs == "" {
		o.Glyphs = "braille"
	}
	if o.Clock == nil {
		o.Clock = func() time.Time { return fixture.Now }
	}
	if o.Environ == nil {
		o.Environ = []string{}
	}
	m, err := newModel(t.Context(), fixture.NewViewer(s), o)
	require.NoError(t, err)
	m.Init()
	m.Update(tea.WindowSizeMsg{Width: w, Height: h})
	m.Update(snapshotMsg{s})
	return m
}

// key makes the message for a key by its name.
func key(name string) tea.KeyPressMsg {
	codes := map[string]tea.Key{
		"enter": {Code: tea.KeyEnter}, "esc": {Code: tea.KeyEscape}, "tab": {Code: tea.KeyTab}, "shift+tab": {Code: tea.KeyTab, Mod: tea.ModShift},
		"up": {Code: tea.KeyUp}, "down": {Code: tea.KeyDown}, "left": {Code: tea.KeyLeft}, "right": {Code: tea.KeyRight}, "home": {Code: tea.KeyHome}, "end": {Code: tea.KeyEnd},
		"pgup": {Code: tea.KeyPgUp}, "pgdown": {Code: tea.KeyPgDown}, "space": {Code: tea.KeySpace, Text: " "}, "backspace": {Code: tea.KeyBackspace}, "delete": {Code: tea.KeyDelete},
		"alt+esc": {Code: tea.KeyEscape, Mod: tea.ModAlt},
	}
	if k, ok := codes[name]; ok {
		return tea.KeyPressMsg(k)
	}
	if len(name) == 6 && name[:5] == "ctrl+" {
		return tea.KeyPressMsg{Code: rune(name[5]), Mod: tea.ModCtrl}
	}
	return tea.KeyPressMsg{Code: []rune(name)[0], Text: name}
}

// do presses keys and runs the commands that answer at once, feeding their messages back; timers and waits are left alone.
func do(t testing.TB, m *model, keys ...string) {
	t.Helper()
	for _, k := range keys {
		_, cmd := m.Update(key(k))
		settle(m, cmd)
	}
}

func settle(m *model, cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	switch msg := cmd().(type) {
	case tea.BatchMsg:
		for _, c := range msg {
			settle(m, c)
		}
	case replyMsg, inspectionMsg, pointsMsg:
		_, next := m.Update(msg)
		settle(m, next)
	}
}

// quits reports whether a command ends the program.
func quits(cmd tea.Cmd) bool {
	if cmd == nil {
		return false
	}
	switch msg := cmd().(type) {
	case tea.QuitMsg:
		return true
	case tea.BatchMsg:
		return slices.ContainsFunc(msg, quits)
	}
	return false
}

func typing(s string) []string {
	var keys []string
	for _, r := range s {
		if r == ' ' {
			keys = append(keys, "space")
			continue
		}
		keys = append(keys, string(r))
	}
	return keys
}

// lastCommand is what the viewer was asked last.
func lastCommand(t *testing.T, m *model) run.Command {
	t.Helper()
	all := m.viewer.(*fixture.Viewer).Commands()
	require.NotEmpty(t, all, "no command was sent; flash: %s", m.flash.text)
	return all[len(all)-1]
}

func TestScreensAndLayers(t *testing.T) {
	cases := []struct {
		name   string
		keys   []string
		screen screen
		trial  int // inspected, -1 for none
	}{
		{"start", nil, overview, -1},
		{"runs", []string{"2"}, runsList, -1},
		{"logs", []string{"5"}, logs, -1},
		{"system", []string{"6"}, system, -1},
		{"back from logs", []string{"5", "esc"}, overview, -1},
		{"best trial by 3", []string{"3"}, inspector, 31},
		{"a worker's trial", []string{"tab", "tab", "tab", "tab", "enter"}, inspector, 38},
		{"the other worker's", []string{"tab", "tab", "tab", "tab", "down", "enter"}, inspector, 39},
		{"first trial of the table", []string{"s", "s", "s", "g", "enter"}, inspector, 0},
		{"best trial of the table", []string{"s", "g", "enter"}, inspector, 31},
		{"next trial by number", []string{"s", "s", "s", "g", "enter", "]", "]"}, inspector, 2},
		{"previous stops at the first", []string{"s", "s", "s", "g", "enter", "["}, inspector, 0},
		{"neighbour", []string{"3", "shift+tab", "shift+tab", "enter"}, inspector, 32},
		{"neighbour and back", []string{"3", "shift+tab", "shift+tab", "enter", "esc"}, inspector, 31},
		{"inspector and back", []string{"3", "esc"}, overview, 31},
		{"help takes the keys", []string{"?", "5"}, overview, -1},
		{"help and back", []string{"?", "esc", "5"}, logs, -1},
		{"run by enter", []string{"2", "down", "enter"}, overview, -1},
		{"key 4 is for Flexora runs", []string{"4"}, overview, -1},
		{"two quick escapes", []string{"5", "alt+esc"}, overview, -1},
		{"typed trial", append(append([]string{":"}, typing("trial 7")...), "enter"), inspector, 7},
		{"typed trial that is not there", append(append([]string{":"}, typing("trial 99")...), "enter"), overview, -1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			m := newTest(t, 80, 24, Options{})
			do(t, m, c.keys...)
			require.Equal(t, c.screen.name(), m.screen.name())
			require.Equal(t, c.trial, m.inspected(), "inspected trial")
		})
	}
}

func TestCommands(t *testing.T) {
	cases := []struct {
		name  string
		keys  []string
		verb  run.Verb
		run   string
		trial int
		text  string
	}{
		{"pause", []string{"p"}, run.Pause, "search-05", -1, ""},
		{"resume a paused run", []string{"2", "down", "down", "down", "p"}, run.Resume, "search-02", -1, ""},
		{"resume a lost run", []string{"2", "down", "p"}, run.Resume, "search-04", -1, ""},
		{"stop gracefully", []string{"S", "enter"}, run.Stop, "search-05", -1, ""},
		{"kill", []string{"S", "right", "right", "enter"}, run.Kill, "search-05", -1, ""},
		{"kill by wrapping round", []string{"S", "left", "enter"}, run.Kill, "search-05", -1, ""},
		{"branch all", []string{"b", "enter"}, run.Branch, "search-05", -1, ""},
		{"branch from the marked trial", []string{"s", "s", "s", "g", "down", "down", "b", "right", "enter"}, run.Branch, "search-05", 3, ""},
		{"retry the failed trial", append([]string{"/"}, append(typing("state:failed"), "enter", "g", "r")...), run.Retry, "search-05", 33, ""},
		{"retry in the inspector", append(append([]string{":"}, typing("trial 33")...), "enter", "r"), run.Retry, "search-05", 33, ""},
		{"note", append(append([]string{":"}, typing("note try wider")...), "enter"), run.Annotate, "search-05", -1, "try wider"},
		{"pause from the palette", append(append([]string{":"}, typing("pause")...), "enter"), run.Pause, "search-05", -1, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			m := newTest(t, 120, 36, Options{})
			do(t, m, c.keys...)
			got := lastCommand(t, m)
			require.Equal(t, c.verb, got.Verb)
			require.Equal(t, c.run, got.Run)
			require.Equal(t, c.trial, got.Trial)
			require.Equal(t, c.text, got.Text)
			require.Equal(t, "ana", got.Actor)
			require.Equal(t, fixture.Now, got.Time)
			require.NotEmpty(t, got.ID)
		})
	}
}

// What is refused sends nothing and says why.
func TestRefusals(t *testing.T) {
	cases := []struct {
		name string
		keys []string
		says string
	}{
		{"retry a finished trial", []string{"r"}, "cannot retry: trial 31 has not failed"},
		{"resume a finished run", []string{"2", "end", "p"}, "cannot resume: run is done"},
		{"stop a finished run", []string{"2", "end", "S"}, "cannot stop: run is done"},
		{"table of no chart", []string{"tab", "tab", "tab", "tab", "v"}, "cannot table: this pane is no chart"},
		{"out of the outermost layer", []string{"esc"}, "cannot back: this is the outermost layer; q leaves"},
		{"open without a neighbour in focus", []string{"3", "enter"}, "cannot open: tab to the neighbours to open one"},
		{"open a neighbour nobody trained", []string{"3", "shift+tab", "shift+tab", "down", "enter"}, "cannot open: this neighbour was never trained"},
		{"cancelled stop", []string{"S", "right", "enter"}, ""},
		{"closed dialog", []string{"S", "esc"}, ""},
		{"typed nonsense", append(append([]string{":"}, typing("theme pink")...), "enter"), "unknown theme \"pink\"; known are [auto dark light 16 none]"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			m := newTest(t, 80, 24, Options{})
			do(t, m, c.keys...)
			require.Equal(t, c.says, m.flash.text)
			require.Empty(t, m.viewer.(*fixture.Viewer).Commands())
		})
	}
}

func TestReplies(t *testing.T) {
	m := newTest(t, 80, 24, Options{})
	m.viewer.(*fixture.Viewer).Reply = func(run.Command) (run.Reply, error) {
		return run.Reply{Refused: true, Text: "search-05 is already pausing (bo, 1s ago)"}, nil
	}
	do(t, m, "p")
	require.Equal(t, flash{"refused: search-05 is already pausing (bo, 1s ago)", warn}, m.flash)
	require.Contains(t, m.draw(), "refused: search-05 is already pausing (bo, 1s ago)")
	do(t, m, "down")
	require.Empty(t, m.flash.text, "the next key clears the answer")
}

func TestQuit(t *testing.T) {
	press := func(m *model, keys ...string) bool {
		var cmd tea.Cmd
		for _, k := range keys {
			_, cmd = m.Update(key(k))
		}
		return quits(cmd)
	}
	require.True(t, press(newTest(t, 80, 24, Options{}), "q"))
	require.False(t, press(newTest(t, 80, 24, Options{}), "ctrl+c"))
	require.True(t, press(newTest(t, 80, 24, Options{}), "ctrl+c", "ctrl+c"))
	require.True(t, press(newTest(t, 80, 24, Options{}), ":", "ctrl+c", "ctrl+c"), "also while typing")

	now := fixture.Now
	m := newTest(t, 80, 24, Options{Clock: func() time.Time { return now }})
	require.False(t, press(m, "ctrl+c"))
	now = now.Add(doubleTap + time.Second)
	require.False(t, press(m, "ctrl+c"), "too late to be the second of two")
}

// The cursor stays on its trial when the order or the list changes.
func TestSelectionIsATrial(t *testing.T) {
	m := newTest(t, 80, 24, Options{})
	do(t, m, "s", "s", "s", "g", "down", "down")
	require.Equal(t, 2, m.trial)
	do(t, m, "s", "s")
	require.Equal(t, 2, m.trial)
	require.Equal(t, 2, m.trials[m.findTrial()].ID)
	longer := fixture.Snapshot()
	longer.Runs[4] = fixture.Search(60)
	m.Update(snapshotMsg{longer})
	require.Equal(t, 2, m.trials[m.findTrial()].ID)
	do(t, m, "/")
	do(t, m, append(typing("state:failed"), "enter")...)
	require.Equal(t, -1, m.findTrial(), "filtered away")
	do(t, m, "down")
	require.Equal(t, run.Failed, m.trialAt(m.trial).State, "moving marks a listed one")
}

func TestLogScroll(t *testing.T) {
	m := newTest(t, 80, 24, Options{})
	do(t, m, "5")
	require.Equal(t, "following", m.logHint())
	do(t, m, "up", "up", "up")
	require.Contains(t, m.logHint(), "3 newer; G follows")
	more := fixture.Snapshot()
	r := &more.Runs[4]
	for i := range 5 {
		r.Events = append(r.Events, run.Event{Seq: uint64(1000 + i), Time: fixture.Now, Run: r.ID, Trial: -1, Kind: "checkpoint", Text: "saved"})
	}
	m.Update(snapshotMsg{more})
	require.Contains(t, m.logHint(), "8 newer", "what arrives does not move the page")
	do(t, m, "G")
	require.Equal(t, "following", m.logHint())
	do(t, m, "up", "esc")
	require.Equal(t, "following", m.logHint())
	require.Equal(t, logs, m.screen, "esc follows first, then leaves")
}

// From a line of the log to its trial, from a trial to its log, and levels before the rest of the filter.
func TestLogOfTrials(t *testing.T) {
	m := newTest(t, 80, 24, Options{})
	do(t, m, "5", "enter")
	require.Equal(t, logs, m.screen)
	require.Equal(t, "cannot open: this event is about no trial", m.flash.text)
	do(t, m, "up", "up", "up", "enter")
	require.Equal(t, inspector, m.screen)
	require.Equal(t, 39, m.inspected(), "the pick of the youngest trial")

	do(t, m, "]", "[", "t")
	require.Equal(t, "trial=38", m.filters[logs])
	for _, e := range m.log {
		require.Equal(t, 38, e.Trial)
	}
	do(t, m, "t")
	require.Empty(t, m.filters[logs])

	do(t, m, append(append([]string{"/"}, typing("trial>3")...), "enter")...)
	for _, want := range []string{"level>=warn trial>3", "level>=error trial>3", "trial>3"} {
		do(t, m, "l")
		require.Equal(t, want, m.filters[logs])
		require.Empty(t, m.problem)
	}
	do(t, m, "esc", "l")
	require.Equal(t, "level>=warn", m.filters[logs])
	require.Len(t, m.log, 1)
	require.Equal(t, "fail", m.log[0].Kind)

	do(t, m, "esc", "g")
	lines := strings.Split(m.draw(), "\n")
	require.Contains(t, lines[2], "▸ 11:22:11 state", "the first event lies at the top of a full page")
	require.Contains(t, lines[20], "#")
	do(t, m, append(append([]string{"/"}, typing("nothing of that kind")...), "enter", "up", "enter", "t")...)
	require.Equal(t, logs, m.screen)
	require.Equal(t, "cannot show log: nothing has happened yet", m.flash.text)
}

// A trial that is being trained is read again now and then; a finished one is not.
func TestCurvesAreReadAgain(t *testing.T) {
	now := fixture.Now
	m := newTest(t, 80, 24, Options{Clock: func() time.Time { return now }})
	do(t, m, append(append([]string{":"}, typing("trial 39")...), "enter")...)
	require.NotEmpty(t, m.looked.points)
	require.NotNil(t, m.looked.inspection)
	require.Nil(t, m.inspect(), "just read")
	now = now.Add(pointsPause)
	_, cmd := m.Update(snapshotMsg{m.snap})
	require.NotNil(t, cmd)
	require.True(t, m.looked.reading)
	_, late := m.Update(pointsMsg{of: subject{"search-05", 3}, points: nil})
	require.Nil(t, late)
	require.True(t, m.looked.reading, "the answer for another trial is not taken")

	do(t, m, append(append([]string{":"}, typing("trial 3")...), "enter")...)
	now = now.Add(time.Minute)
	m.now = now
	require.Nil(t, m.inspect(), "a finished trial's curves do not grow")
}

func TestBackground(t *testing.T) {
	m := newTest(t, 80, 24, Options{Theme: "auto"})
	require.Equal(t, "dark", m.theme.name)
	m.background(false)
	require.Equal(t, "light", m.theme.name)
	m = newTest(t, 80, 24, Options{Theme: "light"})
	m.background(true)
	require.Equal(t, "light", m.theme.name, "a chosen theme stays")
}

func TestEnvironment(t *testing.T) {
	cases := []struct {
		environ       environment
		glyphs, theme string
	}{
		{environment{"LANG=de_DE.UTF-8", "TERM=xterm-256color"}, "braille", "auto"},
		{environment{"LANG=C.utf8"}, "braille", "auto"},
		{environment{"LANG=de_DE.UTF-8", "LC_ALL=C"}, "ascii", "auto"},
		{environment{"LANG=C", "LC_CTYPE=en_US.UTF-8"}, "braille", "auto"},
		{environment{"LANG=en_US.UTF-8", "TERM=linux"}, "block", "auto"},
		{environment{}, "ascii", "auto"},
		{environment{"LANG=en_US.UTF-8", "NO_COLOR=1"}, "braille", "none"},
		{environment{"NO_COLOR=", "TERM=dumb"}, "ascii", "none"},
		{environment{"NO_COLOR=1", "NO_COLOR="}, "ascii", "auto"},
	}
	for _, c := range cases {
		require.Equal(t, c.glyphs, c.environ.glyphs(), "%v", c.environ)
		require.Equal(t, c.theme, c.environ.theme(), "%v", c.environ)
	}
}
