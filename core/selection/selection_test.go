package selection

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func selectBy(t *testing.T, rule string, alpha []float64, params ...int) (Set, error) {
	t.Helper()
	r, err := ParseRule(rule)
	require.NoError(t, err)
	require.Equal(t, rule, r.String())
	if params == nil {
		params = slices.Repeat([]int{10}, len(alpha))
	}
	return r.Select(alpha, params)
}

func TestSelectionRules(t *testing.T) {
	mixed := []float64{0.5, -1, 0.2, 0.5, -0.1}
	for _, c := range []struct {
		rule   string
		alpha  []float64
		layers []int
		warns  bool
	}{
		{"positive", mixed, []int{0, 2, 3}, false},
		{"positive", []float64{0, 0, 0}, []int{0}, true},
		{"positive", []float64{-3, -1, -2}, []int{1}, true},
		{"positive", []float64{1, 2, 3}, []int{0, 1, 2}, true},
		{"centred", []float64{1, 2, 4}, []int{2}, false},
		{"centred", []float64{-3, -1, -1}, []int{1, 2}, false},
		{"above_mean", mixed, []int{0, 2, 3}, false},
		{"above_mean", []float64{0.1, 0, 3}, []int{2}, false},
		{"above_mean", []float64{2, 2, 2}, []int{0}, true},
		{"topk=1", mixed, []int{0}, false},
		{"topk=2", mixed, []int{0, 3}, false},
		{"topk=2", []float64{1, 1, 1}, []int{0, 1}, false},
		{"topk=5", mixed, []int{0, 1, 2, 3, 4}, true},
		{"budget=29", mixed, []int{0, 3}, false},
		{"budget=30", mixed, []int{0, 2, 3}, false},
		{"budget=1000", mixed, []int{0, 1, 2, 3, 4}, true},
		{"threshold=0.2", mixed, []int{0, 3}, false},
		{"threshold=-0.5", mixed, []int{0, 2, 3, 4}, false},
		{"multiplier=1.3", mixed, []int{0, 3}, false},
	} {
		s, err := selectBy(t, c.rule, c.alpha)
		require.NoError(t, err)
		require.Equal(t, c.layers, s.Layers, "%s of %v", c.rule, c.alpha)
		require.Equal(t, c.warns, s.Warning != "", s.Warning)
		require.Equal(t, []any{10 * len(c.layers), c.alpha, Multipliers(c.alpha)}, []any{s.Params, s.Alpha, s.Multipliers})
	}
	s, err := selectBy(t, "budget=8", []float64{1, 3, 2}, 1, 5, 4)
	require.NoError(t, err)
	require.Equal(t, []any{[]int{1}, []int{1, 2, 0}}, []any{s.Layers, s.Order}, "a layer is not passed over for a smaller one of less alpha")
}

func TestSelectionErrors(t *testing.T) {
	for rule, want := range map[string]string{"topk=6": "the model has 5 layers", "budget=9": "layer 0, the first in order, has 10 parameters"} {
		_, err := selectBy(t, rule, []float64{0.5, -1, 0.2, 0.5, -0.1})
		require.ErrorContains(t, err, want)
	}
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		_, err := selectBy(t, "positive", []float64{1, bad})
		require.ErrorContains(t, err, "alpha of layer 1 is")
	}
	_, err := selectBy(t, "positive", nil)
	require.ErrorContains(t, err, "0 layers")
	for rule, want := range map[string]string{
		"": `no selection rule ""`, "best": "rules are positive, centred", "topk": "needs a value", "positive=1": "takes no value",
		"topk=0": "whole number above 0", "topk=1.5": "whole number above 0", "budget=x": "whole number", "threshold=NaN": "not a number",
	} {
		_, err := ParseRule(rule)
		require.ErrorContains(t, err, want)
	}
}

// TestSelectionLaws: above_mean knows no shift and keeps no more layers than centred (Jensen); a larger budget keeps what a smaller one kept.
func TestSelectionLaws(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		alpha := rapid.SliceOfN(rapid.Float64Range(-4, 4), 2, 32).Draw(rt, "alpha")
		shift := rapid.Float64Range(-3, 3).Draw(rt, "shift")
		params := slices.Repeat([]int{7}, len(alpha))
		pick := func(name string, value, by float64) []int {
			moved := slices.Clone(alpha)
			for i := range moved {
				moved[i] += by
			}
			s, err := Rule{name, value}.Select(moved, params)
			require.NoError(rt, err)
			require.NotEmpty(rt, s.Layers)
			require.True(rt, slices.IsSorted(s.Layers))
			return s.Layers
		}
		require.LessOrEqual(rt, len(pick("above_mean", 0, 0)), len(pick("centred", 0, 0)))
		if clear := slices.ContainsFunc(Multipliers(alpha), func(s float64) bool { return math.Abs(s-1) < 1e-9 }); !clear {
			require.Equal(rt, pick("above_mean", 0, 0), pick("above_mean", 0, shift))
		}
		k := rapid.IntRange(1, len(alpha)-1).Draw(rt, "k")
		small, large := pick("topk", float64(k), 0), pick("budget", float64(7*(k+1)+3), 0)
		for _, l := range small {
			require.Contains(rt, large, l)
		}
		require.Len(rt, large, k+1)
	})
}

func TestMeanAlpha(t *testing.T) {
	history := [][]float64{{9, 9}, {1, 2}, {3, 6}}
	for last, want := range map[int][]float64{0: {3, 6}, 1: {3, 6}, 2: {2, 4}} {
		got, err := MeanAlpha(history, last)
		require.NoError(t, err)
		require.InDeltaSlice(t, want, got, 1e-15)
	}
	_, err := MeanAlpha(history, 4)
	require.ErrorContains(t, err, "the last 4 of 3 outer steps")
}

func TestSeries(t *testing.T) {
	for _, layer := range []int{0, 7, 31, 126} {
		got, ok := LayerOf(AlphaSeries(layer))
		require.True(t, ok)
		require.Equal(t, layer, got)
	}
	for _, other := range []string{SearchLoss, "alpha ", "alpha x", "alpha -1", "alpha 007"} {
		_, ok := LayerOf(other)
		require.False(t, ok, other)
	}
}
