package peer

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"flexi/core/search"
)

// results are what a rule sees after the first architectures of a library got scores.
func results(t *testing.T, lib *search.Library, scores []float64) (seen *search.Results) {
	t.Helper()
	p, err := search.NewRulePolicy("spy", lib, 1, 1, func(r *search.Results, rng *rand.Rand) (int, error) {
		seen = r
		return r.RandomUnseen(rng), nil
	})
	require.NoError(t, err)
	outcomes := make([]search.Outcome, len(scores))
	for i := range scores {
		outcomes[i] = search.Outcome{Index: i, Score: &scores[i]}
	}
	_, err = p.Next(context.Background(), outcomes)
	require.NoError(t, err)
	return seen
}

func TestChanges(t *testing.T) {
	lib := product(4, 5, 7)
	near := NewChanges(lib).Of(0)
	require.Len(t, near, 3+4+6)
	for _, i := range near {
		require.Equal(t, 1, hamming(lib.Codes[0], lib.Codes[i]))
	}
	few := NewChanges(product(2, 2, 3, 2))
	require.Len(t, few.Of(5), 1+1+2+1+(1+2+1)+(2+1)+2, "with one change 5, so two changes count too")
	require.Len(t, NewChanges(product(4, 5)).Of(0), 19, "seven with one change are too few")
	require.Empty(t, NewChanges(product(1)).Of(0))
}

// TestLocalClimbs follows one climb by hand: ten random architectures, all neighbours of their best, all of the best neighbour, until none is better;
// then ten random ones.
func TestLocalClimbs(t *testing.T) {
	lib := product(8, 8)
	score := func(i int) float64 { return bowl(lib, i) }
	p, err := New("local", lib, 2)
	require.NoError(t, err)
	picks := replay(t, p, lib.Len(), score)
	changes := NewChanges(lib)
	known := map[int]bool{}
	at := picks[0]
	for _, i := range picks[:initial] {
		if known[i] = true; score(i) > score(at) {
			at = i
		}
	}
	n := initial
	for better := true; better; {
		open := 0
		for _, i := range changes.Of(at) {
			if !known[i] {
				open++
			}
		}
		for _, i := range picks[n : n+open] {
			require.Equal(t, 1, hamming(lib.Codes[at], lib.Codes[i]), "proposal %d is a neighbour", n)
			known[i] = true
		}
		n, better = n+open, false
		for _, i := range changes.Of(at) {
			if score(i) > score(at) {
				at, better = i, true
			}
		}
	}
	require.Zero(t, score(at), "a bowl has one optimum")
	require.Greater(t, n, initial+7)
	far := 0
	for _, i := range picks[n : n+initial] {
		if hamming(lib.Codes[at], lib.Codes[i]) > 1 {
			far++
		}
	}
	require.Equal(t, initial, far, "all neighbours of the optimum are known: what follows is random")
}

func TestTreeSplits(t *testing.T) {
	features := product(3, 4).Features
	codes := [][]int{{0, 0}, {0, 3}, {1, 0}, {1, 3}, {2, 1}, {2, 2}}
	scores := []float64{10, 10, 0, 0, 10, 10}
	rng := rand.New(rand.NewPCG(1, 1))
	tr := grow(features, codes, scores, rng)
	require.Equal(t, 0, tr.feature)
	require.Equal(t, tr.left[0], tr.left[2], "0 and 2 are alike, 1 is between them: a cut of means, not of values")
	require.NotEqual(t, tr.left[0], tr.left[1])
	require.Nil(t, tr.yes.yes)
	require.Nil(t, tr.no.yes)
	for i, c := range codes {
		require.Equal(t, scores[i], tr.leaf(c).mean)
	}
	ordinal := grow(features, [][]int{{0, 0}, {0, 1}, {0, 2}, {0, 3}}, []float64{1, 2, 8, 9}, rng)
	require.Equal(t, 1, ordinal.feature)
	require.Equal(t, []bool{true, true, false, false}, ordinal.left[:4])
	same := grow(features, [][]int{{0, 0}, {0, 0}}, []float64{1, 3}, rng)
	require.Equal(t, 2.0, same.mean, "rows that nothing tells apart share a leaf")
	require.Equal(t, 1.0, same.spread)
}

func TestForestPredictsByTotalVariance(t *testing.T) {
	forest := []*tree{{mean: 1, spread: 2}, {mean: 3, spread: 4}}
	mean, variance := predictForest(forest, nil)
	require.Equal(t, 2.0, mean)
	require.Equal(t, 1.0+3, variance)
}

func TestLogCosts(t *testing.T) {
	scores := []float64{5, 1, 3}
	costs := logCosts(scores)
	require.Equal(t, 0.0, costs[1], "the worst is exp(0) of the range")
	require.Less(t, costs[0], costs[2])
	same := logCosts([]float64{2, 2})
	require.False(t, math.IsNaN(same[0]) || math.IsInf(same[0], 0))
}

// TestLogNormalImprovement integrates numerically.
func TestLogNormalImprovement(t *testing.T) {
	least, mean, sd := -0.7, -0.2, 0.6
	var want float64
	const step = 1e-4
	for y := mean - 10*sd; y < least; y += step {
		u := (y - mean) / sd
		want += step * (math.Exp(least) - math.Exp(y)) * math.Exp(-u*u/2) / (sd * math.Sqrt(2*math.Pi))
	}
	require.InDelta(t, want, logNormalImprovement(least, mean, sd*sd), 1e-5)
	require.Zero(t, logNormalImprovement(least, -2, 0))
}
