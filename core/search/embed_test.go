package search

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"flexi/core/model"
)

// demoDistances are those of level 1 of the demo space: 1,640 architectures, more than the sample that is embedded first.
func demoDistances(t testing.TB) *Distances {
	t.Helper()
	s := mustSpace(t, "demo")
	archs, err := s.Enumerate(s.Levels()[0], 2000)
	require.NoError(t, err)
	d, err := NewDistances(s, archs, Scheme2022, DefaultEdgeWeight)
	require.NoError(t, err)
	return d
}

func TestEmbedIsFaithfulAndReproducible(t *testing.T) {
	d := demoDistances(t)
	var stress []float64
	e, err := Embed(t.Context(), d, EmbedOptions{Seed: 1, Threads: 2, Progress: func(done, total int, s float64) {
		stress = append(stress, s)
		require.Equal(t, len(stress), done)
		require.LessOrEqual(t, done, total)
	}})
	require.NoError(t, err)
	require.Greater(t, e.Fit.Correlation, 0.95)
	require.Less(t, e.Fit.Stress, 0.08)
	require.Equal(t, stress[len(stress)-1], e.Fit.Stress)

	raised := 0
	for i := 1; i < len(stress); i++ {
		if stress[i] > stress[i-1]+1e-6 {
			raised++
		}
	}
	require.LessOrEqual(t, raised, 1, "majorisation never raises the stress; only going from the sample to all pairs may")

	again, err := Embed(t.Context(), d, EmbedOptions{Seed: 1, Threads: 1})
	require.NoError(t, err)
	require.Equal(t, e, again, "same seed, other number of threads")
	other, err := Embed(t.Context(), d, EmbedOptions{Seed: 2})
	require.NoError(t, err)
	require.NotEqual(t, e.Vectors, other.Vectors)
	require.InDelta(t, e.Fit.Stress, other.Fit.Stress, 0.005, "the seed hardly matters for the quality")
}

// TestEmbedStressIsTrue recomputes the figures of Fit from the vectors.
func TestEmbedStressIsTrue(t *testing.T) {
	d := demoDistances(t)
	d.profiles, d.layers = d.profiles[:400], d.layers[:400]
	e, err := Embed(t.Context(), d, EmbedOptions{Seed: 3})
	require.NoError(t, err)
	var loss, scale float64
	held := 0
	for j := range 400 {
		for i := range j {
			if heldOut(i, j) {
				held++
				continue
			}
			gap := euclid(e.Vectors[i], e.Vectors[j]) - d.At(i, j)
			loss += gap * gap
			scale += d.At(i, j) * d.At(i, j)
		}
	}
	require.InDelta(t, math.Sqrt(loss/scale), e.Fit.Stress, 1e-5)
	require.InDelta(t, 400*399/2/64, held, 200, "about 1 pair in 64")
}

func euclid(a, b []float64) float64 {
	var sum float64
	for k := range a {
		sum += (a[k] - b[k]) * (a[k] - b[k])
	}
	return math.Sqrt(sum)
}

func TestEmbedOfFew(t *testing.T) {
	s := mustSpace(t, "paper")
	few := []model.Arch{bertTiny(), bertMini(), flexiMini(), bertTiny()}
	for n := range len(few) + 1 {
		d, err := NewDistances(s, few[:n], Scheme2022, 0.1)
		require.NoError(t, err)
		e, err := Embed(t.Context(), d, EmbedOptions{Seed: 1})
		if n == 0 {
			require.ErrorContains(t, err, "there are none")
			continue
		}
		require.NoError(t, err)
		require.Len(t, e.Vectors, n)
		for i := range n {
			for j := range n {
				require.InDelta(t, d.At(i, j), euclid(e.Vectors[i], e.Vectors[j]), 0.5, "%d points, %d and %d", n, i, j)
			}
		}
	}
}

func TestEmbedStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Embed(ctx, demoDistances(t), EmbedOptions{})
	require.ErrorIs(t, err, context.Canceled)
}

// TestAdamPairs runs the paper's procedure on 800 architectures with distances that its few steps can reach.
func TestAdamPairs(t *testing.T) {
	deltas := demoDistances(t).allPairs(0).sub(indices(800))
	for _, row := range deltas.rows {
		for k := range row {
			row[k] /= 10
		}
	}
	var stress []float64
	points, fit, err := adamPairs(t.Context(), deltas, EmbedOptions{Seed: 1, Progress: func(_, _ int, s float64) { stress = append(stress, s) }})
	require.NoError(t, err)
	require.Len(t, stress, tableEpochs)
	require.Less(t, fit.Stress, 0.6*stress[0])
	require.Greater(t, heldOutCorrelation(points, deltas), 0.5)
	again, _, err := adamPairs(t.Context(), deltas, EmbedOptions{Seed: 1, Threads: 1})
	require.NoError(t, err)
	require.Equal(t, points, again)
}

// TestAdamGradient checks the gradient of a batch by finite differences in float64.
func TestAdamGradient(t *testing.T) {
	deltas := demoDistances(t).allPairs(0).sub(indices(40))
	rng := embedRandom(5)
	table := adamTable{points: make([]point, 40), grads: make([]point, 40)}
	for i := range table.points {
		for k := range table.points[i] {
			table.points[i][k] = float32(20 * rng.NormFloat64())
		}
	}
	pairs := 40 * 39 / 2
	order := newShuffle(pairs, rng)
	table.batch(deltas, order, 100, 500)
	loss := func(shift float64, at, dim int) float64 {
		var sum float64
		for p := 100; p < 500; p++ {
			i, j := pairOf(order.at(p), 40)
			if heldOut(i, j) {
				continue
			}
			var square float64
			for k := range EmbedDim {
				diff := float64(table.points[i][k]) - float64(table.points[j][k])
				if k == dim && i == at {
					diff += shift
				}
				if k == dim && j == at {
					diff -= shift
				}
				square += diff * diff
			}
			gap := math.Sqrt(square) - float64(deltas.rows[i][j-i-1])
			sum += gap * gap
		}
		return sum / 400
	}
	for at := range 40 {
		for _, dim := range []int{0, 7, 15} {
			const h = 1e-3
			want := (loss(h, at, dim) - loss(-h, at, dim)) / (2 * h)
			require.InDelta(t, want, table.grads[at][dim], 1e-3, "point %d dimension %d", at, dim)
		}
	}
}

func TestPairsAndShuffleAreBijections(t *testing.T) {
	for _, n := range []int{2, 3, 17, 200} {
		pairs := n * (n - 1) / 2
		order := newShuffle(pairs, rand.New(rand.NewPCG(uint64(n), 0)))
		seen := map[[2]int]bool{}
		ascents := 0
		for p := range pairs {
			i, j := pairOf(order.at(p), n)
			require.True(t, 0 <= i && i < j && j < n)
			seen[[2]int{i, j}] = true
			if p > 0 && order.at(p) > order.at(p-1) {
				ascents++
			}
		}
		require.Len(t, seen, pairs)
		require.InDelta(t, pairs/2, ascents, 5*math.Sqrt(float64(pairs)), "n=%d: half of the steps of a random permutation go up", n)
	}
	last := 9312*9311/2 - 1
	i, j := pairOf(last, 9312)
	require.Equal(t, [2]int{9310, 9311}, [2]int{i, j})
}
