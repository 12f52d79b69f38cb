package tui

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/charmbracelet/x/exp/golden"
	"github.com/stretchr/testify/require"

	"flexi/core/run"
	"flexi/tui/internal/fixture"
)

func newFlexora(t testing.TB, w, h int, o Options) *model {
	t.Helper()
	o.Start = fixture.FlexoraID
	m := onSnapshot(t, fixture.WithFlexora(), w, h, o)
	do(t, m, "4")
	return m
}

func TestFlexoraGolden(t *testing.T) {
	for _, size := range sizes {
		for _, o := range []Options{{}, {Glyphs: "ascii"}, {Theme: "16"}, {Theme: "dark"}} {
			t.Run(fmt.Sprintf("%dx%d/%s%s", size[0], size[1], o.Theme, o.Glyphs), func(t *testing.T) {
				golden.RequireEqual(t, newFlexora(t, size[0], size[1], o).draw()+"\n")
			})
		}
	}
	t.Run("table", func(t *testing.T) {
		m := newFlexora(t, 80, 24, Options{})
		do(t, m, "v", "G")
		golden.RequireEqual(t, m.draw()+"\n")
	})
	t.Run("done without search", func(t *testing.T) {
		m := newFlexora(t, 120, 36, Options{})
		do(t, m, "<")
		golden.RequireEqual(t, m.draw()+"\n")
	})
	t.Run("freeze", func(t *testing.T) {
		m := newFlexora(t, 80, 24, Options{})
		do(t, m, "]", "]", "]", "F")
		golden.RequireEqual(t, m.draw()+"\n")
	})
}

// What is chosen follows the rule; a threshold that is tried moves it, freezing sends it, and esc takes the rule again.
func TestFlexoraThreshold(t *testing.T) {
	m := newFlexora(t, 120, 36, Options{})
	byRule := len(m.layers.chosen())
	require.Equal(t, "positive", m.layers.Rule)
	for _, l := range m.layers.chosen() {
		require.Positive(t, m.layers.alpha[l])
	}
	for range 12 {
		do(t, m, "]")
	}
	require.Less(t, len(m.layers.chosen()), byRule)
	require.Greater(t, *m.tried, 0.0)
	for l, a := range m.layers.alpha {
		require.Equal(t, a > *m.tried, m.layers.takes(l))
	}
	do(t, m, "F", "enter")
	c := lastCommand(t, m)
	require.Equal(t, run.Freeze, c.Verb)
	require.Equal(t, 1, c.Trial)
	require.Equal(t, fmt.Sprintf("threshold=%v", *m.tried), c.Text)
	do(t, m, "esc")
	require.Nil(t, m.tried)
	require.Len(t, m.layers.chosen(), byRule)
	for range 200 {
		do(t, m, "]")
	}
	require.Len(t, m.layers.chosen(), 1, "one is always kept")
	require.Contains(t, strings.Join(strings.Fields(m.draw()), " "), "takes 1 of 32")
	do(t, m, "esc", "esc")
	require.Equal(t, overview, m.screen)
}

func TestFlexoraRefuses(t *testing.T) {
	search := newTest(t, 120, 36, Options{})
	do(t, search, "4")
	require.Equal(t, overview, search.screen)
	require.Contains(t, search.flash.text, "a search chooses no layers")

	m := newFlexora(t, 120, 36, Options{})
	do(t, m, "<", "F")
	require.Contains(t, m.flash.text, "this trial searches no layers now")
	do(t, m, "]")
	require.Contains(t, m.flash.text, "no alphas yet")

	viewer := newFlexora(t, 120, 36, Options{ReadOnly: true})
	do(t, viewer, "F")
	require.Contains(t, viewer.flash.text, readOnlyKey)
}

// Points of a damaged record show what is whole, and nothing else.
func TestAlphasOf(t *testing.T) {
	p := func(series string, step int, v float64) run.Point {
		return run.Point{Series: series, Step: step, Value: v}
	}
	c := alphasOf([]run.Point{
		p("alpha 00", 1, 0.5), p("alpha 01", 1, -1), p("alpha 00", 3, math.NaN()), p("alpha 01", 3, 2), p("alpha 01", 2, 7), p("alpha 00", 2, 6), p("loss", 2, 1), p("alpha 9999", 2, 1),
		p("alpha 00", 4, 1),
	})
	require.Equal(t, alphaCurves{[]int{1, 2}, [][]float64{{0.5, -1}, {6, 7}}}, c)
}

func TestFlexoraText(t *testing.T) {
	said := talkThrough(t, fixture.NewViewer(fixture.WithFlexora()), Options{}, "layers", "run "+fixture.FlexoraID, "layers", "layers 0", "freeze", "freeze 1 threshold=0.1")
	golden.RequireEqual(t, said)
}

func TestFlexoraFreezeByWord(t *testing.T) {
	v := fixture.NewViewer(fixture.WithFlexora())
	talkThrough(t, v, Options{}, "run "+fixture.FlexoraID, "freeze 1 threshold=0.1", "freeze 1")
	require.Len(t, v.Commands(), 2)
	require.Equal(t, []any{run.Freeze, 1, "threshold=0.1"}, []any{v.Commands()[0].Verb, v.Commands()[0].Trial, v.Commands()[0].Text})
	require.Empty(t, v.Commands()[1].Text)
}

func TestLayerList(t *testing.T) {
	for want, layers := range map[string][]int{"none": nil, "3": {3}, "0-1": {0, 1}, "0-4, 7, 25-31": {0, 1, 2, 3, 4, 7, 25, 26, 27, 28, 29, 30, 31}} {
		require.Equal(t, want, layerList(layers))
	}
}
