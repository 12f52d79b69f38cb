package tui

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/exp/golden"
	"github.com/stretchr/testify/require"

	"flexi/core/run"
	"flexi/tui/internal/fixture"
)

var sizes = [][2]int{{200, 60}, {120, 36}, {80, 24}, {60, 18}, {40, 12}}

// Every screen at every size, without colours, in sixteen, in all colours, and in ASCII; flexora_test.go has the Flexora screen. Regenerate with: go test ./tui -run TestView -update, and read the difference.
func TestViewGolden(t *testing.T) {
	steps := []struct {
		name string
		keys []string
	}{{"overview", nil}, {"runs", []string{"2"}}, {"inspector", []string{"3"}}, {"logs", []string{"5"}}, {"system", []string{"6"}}}
	for _, s := range steps {
		for _, size := range sizes {
			for _, o := range []Options{{}, {Glyphs: "ascii"}, {Theme: "16"}, {Theme: "dark"}} {
				t.Run(fmt.Sprintf("%s/%dx%d%s%s", s.name, size[0], size[1], o.Theme, o.Glyphs), func(t *testing.T) {
					m := newTest(t, size[0], size[1], o)
					do(t, m, s.keys...)
					golden.RequireEqual(t, m.draw()+"\n")
				})
			}
		}
	}
}

// What lies over a screen, at every size, and at one size in every look.
func TestOverlayGolden(t *testing.T) {
	overlays := map[string][]string{"help": {"?"}, "palette": {":"}, "stop": {"S"}, "change": {"E"}, "filter": append([]string{"/"}, typing("state:done or (score>x")...)}
	for name, keys := range overlays {
		for _, size := range sizes {
			for _, o := range []Options{{}, {Glyphs: "ascii"}, {Theme: "16"}, {Theme: "light"}} {
				if (o.Theme != "" || o.Glyphs != "") && size[0] != 60 {
					continue
				}
				t.Run(fmt.Sprintf("%s/%dx%d%s%s", name, size[0], size[1], o.Theme, o.Glyphs), func(t *testing.T) {
					m := newTest(t, size[0], size[1], o)
					do(t, m, keys...)
					golden.RequireEqual(t, m.draw()+"\n")
				})
			}
		}
	}
}

func TestViewOverlays(t *testing.T) {
	cases := []struct {
		name string
		w, h int
		keys []string
	}{
		{"help", 80, 24, []string{"?"}},
		{"help end", 120, 36, append([]string{"?"}, strings.Split(strings.Repeat("j", 60), "")...)},
		{"palette", 80, 24, []string{":"}},
		{"palette typed", 80, 24, append([]string{":"}, typing("run")...)},
		{"stop", 80, 24, []string{"S"}},
		{"stop narrow", 40, 12, []string{"S"}},
		{"branch", 80, 24, []string{"b"}},
		{"filter", 80, 24, append([]string{"/"}, typing("params<5M state:done")...)},
		{"filter wrong", 80, 24, append([]string{"/"}, typing("size<5M")...)},
		{"table of the frontier", 80, 24, []string{"v"}},
		{"surrogate alone", 120, 36, []string{"tab", "tab", "z"}},
		{"log scrolled", 80, 24, []string{"5", "pgup", "w"}},
		{"failed trial", 120, 36, append(append([]string{":"}, typing("trial 33")...), "enter")},
		{"graph", 80, 24, []string{"3", "tab"}},
		{"configurations", 120, 36, []string{"2", "space", "down", "space", "down", "tab", "tab"}},
		{"runs by score", 120, 36, []string{"2", "s", "s"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			m := newTest(t, c.w, c.h, Options{})
			do(t, m, c.keys...)
			golden.RequireEqual(t, m.draw()+"\n")
		})
	}
}

// Spot checks of the other repertoires and of colours, which the other goldens leave out.
func TestViewLooks(t *testing.T) {
	cases := []struct {
		name, theme, glyphs string
		w, h                int
	}{{"ascii", "none", "ascii", 80, 24}, {"block", "none", "block", 80, 24}, {"sixteen", "16", "braille", 80, 24}, {"dark", "dark", "braille", 60, 18}, {"light", "light", "braille", 60, 18}}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			golden.RequireEqual(t, newTest(t, c.w, c.h, Options{Theme: c.theme, Glyphs: c.glyphs}).draw()+"\n")
		})
	}
}

func TestViewWithoutData(t *testing.T) {
	empty, err := newModel(t.Context(), fixture.NewViewer(nil), Options{Theme: "none", Glyphs: "braille", Clock: func() time.Time { return fixture.Now }})
	require.NoError(t, err)
	empty.w, empty.h = 80, 24
	require.Contains(t, empty.draw(), "Opening the workspace ...")
	empty.Update(feedClosedMsg{})
	require.Contains(t, empty.draw(), "The connection to the runs ended before anything arrived.")

	none := onSnapshot(t, &run.Snapshot{Time: fixture.Now}, 80, 24, Options{})
	require.Contains(t, none.draw(), "flexi search --demo")

	young := fixture.Snapshot()
	young.Runs = []run.RunView{{Best: -1, Run: run.Run{ID: "search-01", Kind: "search", State: run.Queued, Budget: 8, Created: fixture.Now}, Thinking: "embedding 9312 architectures"}}
	text := onSnapshot(t, young, 80, 24, Options{}).draw()
	for _, want := range []string{"○ queued  0/8", "No finished trial yet.", "No trial yet: the first is being proposed.", "embedding 9312 architectures"} {
		require.Contains(t, text, want)
	}
	m := onSnapshot(t, young, 80, 24, Options{})
	do(t, m, "3")
	require.Equal(t, "cannot inspect: no trial yet", m.flash.text)
}

// What must not be overlooked is in words on every screen.
func TestAlarms(t *testing.T) {
	s := fixture.Snapshot()
	s.Store.ReadOnly = "write flexi.db: no space left on device"
	m := onSnapshot(t, s, 80, 24, Options{})
	for _, k := range []string{"1", "2", "3", "5", "6"} {
		do(t, m, k)
		require.Contains(t, m.draw(), "nothing is saved any more, the store failed: write flexi.db: no space", "screen %s", k)
	}
	m.Update(feedClosedMsg{})
	require.Contains(t, m.draw(), "connection lost, picture of 14:02:11")

	repaired := fixture.Snapshot()
	repaired.Store.Notices = []string{"the database could not be used"}
	repaired.System.Started = fixture.Now.Add(-time.Minute)
	require.Contains(t, onSnapshot(t, repaired, 80, 24, Options{}).draw(), "at the start: the database could not be used")
	repaired.System.Started = fixture.Now.Add(-time.Hour)
	m = onSnapshot(t, repaired, 120, 50, Options{})
	require.NotContains(t, m.draw(), "at the start")
	do(t, m, "6")
	require.Contains(t, m.draw(), "repaired   the database could not be used")

	failed := fixture.Snapshot()
	failed.Runs = failed.Runs[1:2]
	require.Contains(t, onSnapshot(t, failed, 120, 36, Options{}).draw(), "failed: ../shared/data/glue/CoLA/train.tsv line 17: 3 columns instead of 4; mend the row")
}

// While what is asked for differs from what is, the header says both.
func TestWantIsShown(t *testing.T) {
	cases := []struct {
		is, want run.State
		text     string
	}{
		{run.Pausing, run.Paused, "◌ pausing at step boundary"},
		{run.Stopping, run.Stopped, "◌ stopping at step boundary"},
		{run.Running, run.Paused, "● running, to be paused"},
		{run.Running, run.Running, "● running  37/50"},
		{run.Lost, run.Running, "! lost"},
		{run.Done, run.Running, "✓ done"},
		{run.Stopped, run.Stopped, "■ stopped"},
	}
	for _, c := range cases {
		s := fixture.Snapshot()
		s.Runs[4].State, s.Runs[4].Want = c.is, c.want
		require.Contains(t, strings.SplitN(onSnapshot(t, s, 80, 24, Options{Start: "search-05"}).draw(), "\n", 2)[0], c.text)
	}
}

func TestTitle(t *testing.T) {
	v := newTest(t, 80, 24, Options{}).View()
	require.True(t, v.AltScreen)
	require.Equal(t, "flexi search-05 running 37/50", v.WindowTitle)
}

// bigSearch is a snapshot with one run of n trials.
func bigSearch(n int) *run.Snapshot {
	s := fixture.Snapshot()
	s.Runs = []run.RunView{fixture.Search(n)}
	s.Runs[0].Events = s.Runs[0].Events[max(0, len(s.Runs[0].Events)-2000):]
	return s
}

// A frame of 200x60 over 10,000 trials takes under 5 ms on an idle core; the bound here leaves room for a busy machine and the race detector.
func TestViewIsFast(t *testing.T) {
	m := onSnapshot(t, bigSearch(10_000), 200, 60, Options{Theme: "dark"})
	best := time.Hour
	for range 25 { // the best of them had a core for itself
		start := time.Now()
		m.draw()
		best = min(best, time.Since(start))
	}
	require.Less(t, best, 60*time.Millisecond)
	allocations := testing.AllocsPerRun(3, func() { m.draw() })
	require.Less(t, allocations, 200.0*60, "allocations per cell")
}

func BenchmarkView(b *testing.B) {
	for _, n := range []int{40, 10_000} {
		b.Run(fmt.Sprintf("%d trials", n), func(b *testing.B) {
			m := onSnapshot(b, bigSearch(n), 200, 60, Options{Theme: "dark"})
			b.ReportAllocs()
			for b.Loop() {
				m.draw()
			}
		})
	}
}

// BenchmarkSnapshot is what Update does when a snapshot arrives.
func BenchmarkSnapshot(b *testing.B) {
	m := onSnapshot(b, bigSearch(10_000), 200, 60, Options{})
	m.order = byScore
	for b.Loop() {
		m.refresh()
	}
}

// A GPU's load is on the system screen, as far as the GPU tells it; a machine without one has no such line.
func TestDeviceLoad(t *testing.T) {
	s := fixture.Snapshot()
	m := onSnapshot(t, s, 80, 24, Options{})
	do(t, m, "6")
	require.NotContains(t, m.draw(), "busy")
	s.System.Load = &run.Load{Busy: 87, UsedBytes: 23 << 29, TotalBytes: 140 << 30, Celsius: 56, MHz: 1755, MostMHz: 1980}
	for load, want := range map[run.Load]string{
		*s.System.Load: "load       87% busy, 11.5 GiB of 140 GiB in use, 56 °C, 1755 of 1980 MHz",
		{Busy: run.Unknown, TotalBytes: 2 << 30, UsedBytes: 1 << 30, Celsius: 40, MHz: run.Unknown, MostMHz: 1980}: "load       1.00 GiB of 2.00 GiB in use, 40 °C",
		{Busy: run.Unknown, Celsius: run.Unknown, MHz: run.Unknown, MostMHz: run.Unknown}:                          "load       the device does not tell",
	} {
		s.System.Load = &load
		m := onSnapshot(t, s, 80, 24, Options{})
		do(t, m, "6")
		require.Contains(t, m.draw(), want)
	}
}
