package table

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// flat is the result of searches that found one value each at once.
func flat(policy string, queries int, values ...float64) Result {
	r := Result{Policy: policy, Best: map[int][3]float64{}}
	for _, v := range values {
		c := make([]float64, queries)
		for i := range c {
			c[i] = v
		}
		r.Curves = append(r.Curves, c)
		r.toOptimum = append(r.toOptimum, reached(c, 10))
	}
	for _, n := range Checkpoints {
		if n <= queries {
			r.Best[n] = [3]float64{}
		}
	}
	return r
}

func numbers(d Difference) []float64 { return []float64{d.Mean, d.Low, d.High} }

func TestCompare(t *testing.T) {
	up, noisy, down := &Table{Maximize: true}, &Table{Maximize: true, NoiseSD: 1.5}, &Table{}
	ours, theirs := flat("a", 60, 5, 6, 7, 8, 9, 10), flat("b", 60, 4, 5, 6, 7, 8, 9)
	c := Compare(up, theirs, ours)
	require.Equal(t, "a", c.Reference)
	require.Len(t, c.Best, 2, "after 25 and 50")
	require.InDeltaSlice(t, []float64{-1, -1, -1}, numbers(c.Best[25]), 1e-12, "paired: one less on every seed")
	require.Equal(t, "behind after 25, 50", c.Verdict)
	require.Equal(t, "ahead after 25, 50", Compare(up, ours, theirs).Verdict)
	require.Equal(t, NoDifference, Compare(noisy, theirs, ours).Verdict, "less than a training's noise")
	require.Equal(t, NoDifference, Compare(up, ours, ours).Verdict)
	require.InDelta(t, 60./6, c.QueriesToOptimum.Mean, 1e-12, "one search of six had it after 1 query instead of never, 61")

	lower := Compare(down, theirs, ours) // oriented scores are negated objectives
	require.InDeltaSlice(t, []float64{1, 1, 1}, numbers(lower.Best[25]), 1e-12, "in units of the objective")
	require.Equal(t, "behind after 25, 50", lower.Verdict)

	mixed := Compare(up, flat("c", 60, 9, 8, 7, 8, 7, 6), flat("a", 60, 8, 9, 6, 9, 6, 7))
	require.Zero(t, mixed.Best[50].Mean)
	require.Less(t, mixed.Best[50].Low, 0.0)
	require.Greater(t, mixed.Best[50].High, 0.0)
	require.Equal(t, NoDifference, mixed.Verdict)
	require.Nil(t, Compare(up, flat("a", 60, 1, 2, 3, 4), flat("b", 60, 1, 2, 3, 4)), "four seeds")
}

// TestBootstrapInterval compares with the normal interval of a mean, which it tends to.
func TestBootstrapInterval(t *testing.T) {
	const n = 40
	d := newDraws(n).difference(func(s int) float64 { return float64(s) })
	sd := math.Sqrt(float64(n*n-1) / 12)
	half := 1.96 * sd / math.Sqrt(n)
	require.InDelta(t, (n-1)/2., d.Mean, 1e-9)
	require.InDelta(t, d.Mean-half, d.Low, 0.05*half)
	require.InDelta(t, d.Mean+half, d.High, 0.05*half)
	require.Equal(t, d, newDraws(n).difference(func(s int) float64 { return float64(s) }), "the same resamples every time")
}

// TestReplayPairsSeeds: seeds are those asked for, so that a policy compared with itself never differs.
func TestReplayPairsSeeds(t *testing.T) {
	tab := grid()
	run := func(first uint64, seeds int) Result {
		r, err := Replay(context.Background(), tab, "random", Options{Queries: 30, Seeds: seeds, FirstSeed: first, Target: 89})
		require.NoError(t, err)
		return r
	}
	all, tail := run(1, 8), run(4, 5)
	require.Equal(t, all.Curves[3:], tail.Curves)
	c := Compare(tab, tail, run(4, 5))
	require.Equal(t, Difference{}, c.Best[25])
	require.Equal(t, Difference{}, *c.QueriesToTarget)
	require.Positive(t, tail.SecondsPerProposal)
}
