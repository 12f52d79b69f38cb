package tui

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"flexi/core/run"
	"flexi/tui/internal/fixture"
)

// everyKey is every key of the table and some that are in none.
func everyKey() []string {
	var out []string
	for _, b := range keymap() {
		out = append(out, b.keys...)
	}
	return append(out, "x", "ü", "界", "<", "space", "backspace", "ctrl+w", "delete")
}

// hostile is a snapshot whose texts and numbers are as odd as stored data can be.
func hostile() *run.Snapshot {
	s := fixture.Snapshot()
	r := &s.Runs[4]
	r.Note = "数据 ok\x1b[31m red\tTab\nnewline e\u0301 👩‍👩‍👧"
	r.Error = strings.Repeat("very long cause ", 200)
	r.ID = "search-05-界界界界界界界界界界界界"
	r.Trials[3].Title = "\x00\x07 title → 界"
	r.Workers[0].Phase, r.Workers[0].Steps, r.Workers[0].Step = "微调 MRPC", -5, 1<<40
	r.Workers[1].Trial, r.Workers[1].ETA = 9999, -time.Hour
	r.Events = append(r.Events, run.Event{Seq: 9999, Text: "no time, no kind"})
	r.Best, r.Frontier = 10_000, []int{-3, 77_777, 1}
	r.Surrogate.Queue[0].Trial = 4242
	r.Config = []byte(`{"broken`)
	s.Store.ReadOnly = "disk full: 数据"
	return s
}

// oddFlexora is a Flexora run whose records do not fit together.
func oddFlexora() *run.Snapshot {
	s := fixture.WithFlexora()
	r := &s.Runs[5]
	r.Trials[1].Layers = r.Trials[1].Layers[:3]
	r.Trials[0].Layers = nil
	r.Workers[0].Trial = 12
	return s
}

// Whatever the window, the look, the data and the keys: no panic, exactly h lines of w cells, no escape sequence without colours, and only ASCII
// where only ASCII can be shown.
func TestFrameLaws(t *testing.T) {
	keys := everyKey()
	snapshots := []*run.Snapshot{fixture.Snapshot(), hostile(), fixture.WithFlexora(), oddFlexora(), {Time: fixture.Now}, {Time: fixture.Now, Runs: []run.RunView{{Best: -1}}}}
	rapid.Check(t, func(rt *rapid.T) {
		o := Options{Theme: rapid.SampledFrom([]string{"dark", "light", "16", "none"}).Draw(rt, "theme"), Glyphs: rapid.SampledFrom(glyphSets).Draw(rt, "glyphs")}
		o.Start = rapid.SampledFrom([]string{"", "search-05", "search-03", fixture.FlexoraID}).Draw(rt, "start")
		m := onSnapshot(t, rapid.SampledFrom(snapshots).Draw(rt, "snapshot"), rapid.IntRange(1, 210).Draw(rt, "w"), rapid.IntRange(1, 70).Draw(rt, "h"), o)
		for range rapid.IntRange(0, 12).Draw(rt, "events") {
			switch rapid.IntRange(0, 9).Draw(rt, "event") {
			case 0:
				m.Update(tea.WindowSizeMsg{Width: rapid.IntRange(1, 210).Draw(rt, "w"), Height: rapid.IntRange(1, 70).Draw(rt, "h")})
			case 1:
				m.Update(snapshotMsg{rapid.SampledFrom(snapshots).Draw(rt, "snapshot")})
			case 3:
				m.mouse = true
				settle(m, m.pointed(drawMouse(rt)))
			case 2:
				m.Update(tea.PasteMsg{Content: "state:failed\n界"})
			default:
				do(t, m, rapid.SampledFrom(keys).Draw(rt, "key"))
			}
			checkFrame(rt, m)
		}
	})
}

// drawMouse is any mouse message, inside the window or outside.
func drawMouse(rt *rapid.T) tea.MouseMsg {
	at := tea.Mouse{X: rapid.IntRange(-1, 220).Draw(rt, "x"), Y: rapid.IntRange(-1, 75).Draw(rt, "y")}
	at.Button = rapid.SampledFrom([]tea.MouseButton{tea.MouseLeft, tea.MouseRight, tea.MouseMiddle, tea.MouseWheelUp, tea.MouseWheelDown, tea.MouseNone}).Draw(rt, "button")
	switch rapid.IntRange(0, 3).Draw(rt, "kind") {
	case 0:
		return tea.MouseWheelMsg(at)
	case 1:
		return tea.MouseMotionMsg(at)
	case 2:
		return tea.MouseReleaseMsg(at)
	}
	return tea.MouseClickMsg(at)
}

func checkFrame(t require.TestingT, m *model) {
	text := m.draw()
	lines := strings.Split(text, "\n")
	require.Len(t, lines, m.h)
	for i, l := range lines {
		require.Equal(t, m.w, ansi.StringWidth(l), "width of line %d: %q", i, l)
	}
	if m.theme.name == "none" {
		require.NotContains(t, text, "\x1b")
	}
	if m.glyphs.ascii {
		require.Equal(t, len(ansi.Strip(text)), utf8.RuneCountInString(ansi.Strip(text)), "bytes beyond ASCII in %q", text)
	}
}

func TestEverySize(t *testing.T) {
	m := newTest(t, 1, 1, Options{})
	for w := 1; w <= 210; w += 7 {
		for h := 1; h <= 70; h += 3 {
			m.Update(tea.WindowSizeMsg{Width: w, Height: h})
			checkFrame(t, m)
		}
	}
}

// esc leads to the overview from anywhere in at most six presses.
func TestEscapeReachesTheRoot(t *testing.T) {
	keys := everyKey()
	rapid.Check(t, func(rt *rapid.T) {
		m := onSnapshot(t, fixture.WithFlexora(), 80, 24, Options{Start: rapid.SampledFrom([]string{"", fixture.FlexoraID}).Draw(rt, "start")})
		for range rapid.IntRange(0, 25).Draw(rt, "presses") {
			do(t, m, rapid.SampledFrom(keys).Draw(rt, "key"))
		}
		do(t, m, "esc", "esc", "esc", "esc", "esc", "esc")
		if m.screen != overview || m.overlay != noOverlay || m.zoomed || m.filters[overview] != "" {
			rt.Fatalf("after six escapes: screen %s, overlay %d, zoomed %v, filter %q", m.screen.name(), m.overlay, m.zoomed, m.filters[overview])
		}
	})
}

// The help lists every binding, and every binding has what the tables need.
func TestHelpListsEveryBinding(t *testing.T) {
	m := newTest(t, 80, 24, Options{})
	lines := m.helpText()
	for _, b := range m.keys {
		require.NotEmpty(t, b.name, "%v", b.keys)
		require.NotNil(t, b.do, "%v", b.keys)
		found := false
		for _, l := range lines {
			found = found || l.keys == b.shown(m.glyphs) && strings.HasPrefix(l.text, b.help)
		}
		require.True(t, found, "%v (%s) is not in the help", b.keys, b.help)
	}
}

// No key means two things in one place.
func TestNoKeyTwice(t *testing.T) {
	for place := where(1); place <= inField; place <<= 1 {
		seen := map[string]string{}
		for _, b := range keymap() {
			if b.in&place == 0 {
				continue
			}
			for _, k := range b.keys {
				require.Empty(t, seen[k], "key %s means %q and %q in place %b", k, seen[k], b.help, place)
				seen[k] = b.help
			}
		}
	}
}

// The footer names at most eight keys, and each of them works there or says why not.
func TestFooter(t *testing.T) {
	for _, k := range []string{"1", "2", "3", "5", "6", "?", ":", "S"} {
		m := newTest(t, 200, 60, Options{})
		do(t, m, k)
		p := &painter{m: m, g: m.glyphs}
		keys := p.footerKeys()
		require.NotEmpty(t, keys)
		require.LessOrEqual(t, len(keys), maxFooter)
		for _, b := range keys {
			require.NotZero(t, b.in&m.place())
		}
	}
	m := newTest(t, 120, 36, Options{})
	do(t, m, "2", "end")
	lines := strings.Split(m.draw(), "\n")
	require.Contains(t, lines[len(lines)-1], "p resume (run is done)")
}

// A filter never shows a trial that does not match, nor hides one that does.
func TestFilterShowsMatches(t *testing.T) {
	m := newTest(t, 80, 24, Options{})
	states := []string{"done", "failed", "running"}
	rapid.Check(t, func(rt *rapid.T) {
		state := rapid.SampledFrom(states).Draw(rt, "state")
		limit := rapid.Float64Range(4, 8).Draw(rt, "params in millions")
		m.filters[overview] = "state:" + state + " params<" + axisCount(limit*1e6)
		m.refresh()
		bound, err := parseNumber(axisCount(limit * 1e6))
		require.NoError(rt, err)
		want := 0
		for _, tr := range m.derived.run.Trials {
			if string(tr.State) == state && float64(tr.Params) < bound {
				want++
			}
		}
		for _, tr := range m.trials {
			if string(tr.State) != state || float64(tr.Params) >= bound {
				rt.Fatalf("filter %s shows trial %d: %s, %d", m.filters[overview], tr.ID, tr.State, tr.Params)
			}
		}
		require.Len(rt, m.trials, want)
	})
	delete(m.filters, overview)
}
