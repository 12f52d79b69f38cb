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

func TestEmbedIsFaithful(t *testing.T) {
	_, lib := demoLibrary(t)
	require.Greater(t, lib.Fit.Correlation, 0.95)
	require.Less(t, lib.Fit.Stress, 0.08)
	require.Len(t, demoStress, lib.Fit.Sweeps)
	require.Equal(t, demoStress[len(demoStress)-1], lib.Fit.Stress)

	raised := 0
	for i := 1; i < len(demoStress); i++ {
		if demoStress[i] > demoStress[i-1]+1e-6 {
			raised++
		}
	}
	require.LessOrEqual(t, raised, 1, "majorisation never raises the stress; only going from the sample to all pairs may")
}

// TestEmbedIsReproducible goes through all stages with a small sample.
func TestEmbedIsReproducible(t *testing.T) {
	deltas := demoDistances(t).allPairs(0).sub(indices(300))
	embed := func(seed uint64, threads int) ([]point, Fit) {
		m := majorisation{EmbedOptions: EmbedOptions{Seed: seed, Threads: threads}, sample: 60}
		points, fit, err := m.run(t.Context(), deltas)
		require.NoError(t, err)
		require.Less(t, fit.Stress, 0.12)
		return points, fit
	}
	one, fit := embed(1, 1)
	three, again := embed(1, 3)
	require.Equal(t, one, three, "same seed, other number of threads")
	require.Equal(t, fit, again)
	other, _ := embed(2, 1)
	require.NotEqual(t, one, other)
}

// TestEmbedStressIsTrue recomputes the figures of Fit from the vectors.
func TestEmbedStressIsTrue(t *testing.T) {
	d := demoDistances(t)
	d.profiles, d.layers = d.profiles[:200], d.layers[:200]
	e, err := Embed(t.Context(), d, EmbedOptions{Seed: 3})
	require.NoError(t, err)
	var loss, scale float64
	held := 0
	for j := range 200 {
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
	require.InDelta(t, 200*199/2/64, held, 100, "about 1 pair in 64")
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

// TestAdamPairs runs the paper's procedure on 700 architectures with distances that its few steps can reach.
func TestAdamPairs(t *testing.T) {
	deltas := demoDistances(t).allPairs(0).sub(indices(700))
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

	few := deltas.sub(indices(60))
	first, _, err := adamPairs(t.Context(), few, EmbedOptions{Seed: 1, Threads: 2})
	require.NoError(t, err)
	again, _, err := adamPairs(t.Context(), few, EmbedOptions{Seed: 1, Threads: 1})
	require.NoError(t, err)
	require.Equal(t, first, again)
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
