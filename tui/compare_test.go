package tui

import (
	"fmt"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/stretchr/testify/require"

	"flexi/core/run"
	"flexi/tui/internal/fixture"
)

// linesText is a text pane's lines as one text.
func linesText(lines []textLine) string {
	var b strings.Builder
	for _, l := range lines {
		for _, s := range l {
			b.WriteString(s.text)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// x compares with the parent, then with the marked trials, then with the best; the rival's curve and graph are fetched, too.
func TestCompare(t *testing.T) {
	m := newTest(t, 120, 36, Options{})
	m.trial = 12
	m.focusOn(paneTrials)
	do(t, m, "space")
	require.Contains(t, m.draw(), "*12")
	do(t, m, ":", "t", "r", "i", "a", "l", " ", "3", "8", "enter")
	require.Equal(t, []int{10, 12, 31}, m.rivals())
	do(t, m, "x")
	require.Equal(t, paneCompare, m.focused())
	require.Equal(t, 10, m.rival().ID)
	require.Equal(t, 10, m.looked2.of.trial)
	require.NotEmpty(t, m.looked2.points)
	do(t, m, "x")
	require.Equal(t, 12, m.rival().ID)
	do(t, m, "x")
	require.Equal(t, 31, m.rival().ID)
	text := linesText(m.compareLines(60))
	require.Contains(t, text, "#38 68393db")
	require.Contains(t, text, "#31 19671d5")
	require.Regexp(t, `score +≠ — +0\.8352`, text)
	do(t, m, "x")
	require.Equal(t, 10, m.rival().ID, "it goes round")
	require.Contains(t, linesText(m.graphLines(80)), "#10")
	require.NotContains(t, linesText(m.graphLines(20)), "#10", "no room for two")
}

func TestCompareNeedsARival(t *testing.T) {
	m := newTest(t, 80, 24, Options{})
	r := m.derived.run
	alone := *r
	alone.Trials = []*run.Trial{{ID: 0, Parent: -1, Hash: "a"}}
	alone.Best, alone.Frontier, alone.Workers = 0, nil, nil
	s := *m.snap
	s.Runs = []run.RunView{alone}
	m = onSnapshot(t, &s, 80, 24, Options{})
	do(t, m, "3", "x")
	require.Contains(t, m.flash.text, "nothing to compare with")
}

// Layers are laid side by side by their names, projections after the layer they follow.
func TestCompareLayers(t *testing.T) {
	a := []run.LayerRow{{Name: "embedding", Op: "9 words", Hidden: 256}, {Name: "1", Op: "sa·sdp", Hidden: 256, Heads: 4, FF: "512·512"}, {Name: "projection", Op: "256→128"}, {Name: "2", Op: "l·dct", Hidden: 128, Heads: 2, FF: "512"}, {Name: "pooler", Op: "tanh"}}
	b := []run.LayerRow{{Name: "embedding", Op: "9 words", Hidden: 256}, {Name: "1", Op: "sa·sdp", Hidden: 256, Heads: 4, FF: "512·1024"}, {Name: "pooler", Op: "tanh"}}
	c := comparison{g: unicodeGlyphs, name: 10, col: 24}
	c.layers(a, b)
	require.Equal(t, strings.Join([]string{
		"embedding   9 words h256            9 words h256",
		"1         ≠ sa·sdp h256 n4 ff 2×512 sa·sdp h256 n4 ff 512·1…",
		"1 proj    ≠ 256→128                 —",
		"2         ≠ l·dct h128 n2 ff 512    —",
		"pooler      tanh                    tanh", "",
	}, "\n"), linesText(c.out))
}

// The configurations of marked runs are compared key by key, in the pane and in the text form.
func TestConfigDiff(t *testing.T) {
	s := fixture.Snapshot()
	s.Runs[0].Config = []byte(`{"space":"paper","policy":"random","candidates":12,"pretrain":{"steps":600},"extra":null}`)
	s.Runs[1].Config = []byte(`{"broken`)
	m := onSnapshot(t, s, 120, 36, Options{})
	do(t, m, "2", "space", "end")
	require.Equal(t, "search-01", m.listed)
	var lines []string
	for _, l := range m.configLines() {
		text := ""
		for _, part := range l {
			text += part.text
		}
		lines = append(lines, text)
	}
	require.Contains(t, lines[0], "2 runs: ")
	require.Contains(t, strings.Join(lines, "\n"), "policy\n  search-05  boshnas\n  search-01  random\n")
	require.NotContains(t, strings.Join(lines, "\n"), "pretrain.steps")

	said := talkThrough(t, fixture.NewViewer(s), Options{}, "diff search-01 search-05", "diff search-01", "diff search-01 nothing", "diff search-01 search-03")
	require.Contains(t, said, "policy\n  search-01  random\n  search-05  boshnas\n")
	require.Contains(t, said, "Say which runs")
	require.Contains(t, said, `There is no run "nothing"`)
	require.Contains(t, said, "search-03: unreadable configuration")
}

func TestRunOrders(t *testing.T) {
	m := newTest(t, 120, 36, Options{})
	order := func() (ids []string) {
		for _, r := range m.runs {
			ids = append(ids, r.ID[len(r.ID)-2:])
		}
		return ids
	}
	do(t, m, "2")
	require.Equal(t, "05 04 03 02 01", strings.Join(order(), " "))
	want := map[runOrder]string{
		byName: "01 02 03 04 05", byState: "01 03 04 02 05", byTrials: "05 01 02 04 03", byBest: "05 01 02 04 03", byAge: "05 04 03 02 01", bySpent: "05 01 02 04 03", byOrigin: "04 03 02 01 05",
	}
	for by := byName; by < runOrders; by++ {
		do(t, m, "s")
		require.Equal(t, by, m.sorted)
		if want[by] != "" {
			require.Equal(t, want[by], strings.Join(order(), " "), by.name())
		}
	}
	do(t, m, "s")
	require.Equal(t, "05 04 03 02 01", strings.Join(order(), " "))
	do(t, m, "s", "R")
	require.Equal(t, "05 04 03 02 01", strings.Join(order(), " "), "names turned round")
	require.Contains(t, m.draw(), "run▲")

	do(t, m, "m")
	clickOn(t, m, "spent", tea.MouseLeft)
	require.Equal(t, bySpent, m.sorted)
	require.False(t, m.turned)
	clickOn(t, m, "spent▼", tea.MouseLeft)
	require.True(t, m.turned)
	require.Equal(t, "03 04 02 01 05", strings.Join(order(), " "))
}

// One chart shows as many runs as can be told apart, always the one under the cursor, and only those of its objective; marks outlive a filter.
func TestOverlay(t *testing.T) {
	s := fixture.Snapshot()
	for i, r := range s.Runs[:2] { // two more that are finished, of another objective
		r.ID, r.Objective = fmt.Sprintf("tune-%d", i), run.Objective{Name: "loss"}
		s.Runs = append(s.Runs, r)
	}
	m := onSnapshot(t, s, 120, 36, Options{})
	drawn := func() (ids []string, leftOut string) {
		runs, leftOut := m.overlaid()
		for _, r := range runs {
			ids = append(ids, r.ID)
		}
		return ids, leftOut
	}
	do(t, m, "2", "s") // by name
	do(t, m, "home", "space", "down", "space", "down", "space", "down", "space", "down")
	ids, leftOut := drawn()
	require.Equal(t, "search-05", m.listed)
	require.Equal(t, []string{"search-01", "search-02", "search-03", "search-05"}, ids)
	require.Equal(t, "1 more not drawn", leftOut)
	require.Contains(t, m.draw(), "1 more not drawn")
	require.Contains(t, m.draw(), "4 marked")

	do(t, m, append(append([]string{"/"}, typing("kind:search done>30")...), "enter")...)
	require.Len(t, m.runs, 1)
	ids, _ = drawn()
	require.Len(t, ids, maxCurves, "marked runs stay on the chart")
	do(t, m, "esc", "end")
	require.Equal(t, "tune-1", m.listed)
	ids, leftOut = drawn()
	require.Equal(t, []string{"tune-1"}, ids)
	require.Equal(t, "4 runs of another objective not drawn", leftOut)
}
