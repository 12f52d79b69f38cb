package gauss

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"
)

// TestPosteriorIsTheConditional compares mean and variance with conditioning by a dense inverse, with a mean of variance 1e5: the limit but for 1e-3.
func TestPosteriorIsTheConditional(t *testing.T) {
	eachInputs(t, 40, func(t *testing.T, in *Inputs, m *Model, rng *rand.Rand) {
		const n, c = 20, 1e5
		scores := normals(rng, n)
		p := m.Condition(in, firsts(n), scores, nil)
		k := newKernel(in, m)
		var inverse mat.Dense
		require.NoError(t, inverse.Inverse(naiveCovariance(in, m, firsts(n), p.level, c)))
		y := mat.NewVecDense(n, nil)
		for i, s := range scores {
			y.SetVec(i, p.Warp.Of(s))
		}
		for x := range 40 {
			cross := mat.NewVecDense(n, nil)
			for j := range n {
				cross.SetVec(j, k.between(x, j, k.row(j))+c)
			}
			mean, variance := p.Predict(x)
			require.InDelta(t, mat.Inner(cross, &inverse, y), mean, 1e-3)
			require.InDelta(t, k.signal+c-mat.Inner(cross, &inverse, cross), variance, 1e-3)
			bounded, bound := p.Bound(x)
			require.InDelta(t, mean, bounded, 1e-12)
			require.GreaterOrEqual(t, bound, variance-1e-9)
		}
	})
}

func TestPendingLeavesMeansAndReducesVariance(t *testing.T) {
	eachInputs(t, 30, func(t *testing.T, in *Inputs, m *Model, rng *rand.Rand) {
		scores := normals(rng, 15)
		with, without := m.Condition(in, firsts(15), scores, []int{20, 21}), m.Condition(in, firsts(15), scores, nil)
		for x := 15; x < 30; x++ {
			a, va := with.Predict(x)
			b, vb := without.Predict(x)
			require.InDelta(t, b, a, 1e-8)
			require.LessOrEqual(t, va, vb+1e-12)
		}
		_, va := with.Predict(20)
		_, vb := without.Predict(20)
		require.Less(t, va, 0.8*vb)
	})
}

// TestExpandDerivatives compares gradient and Hessian diagonal of mean and deviation with central differences.
func TestExpandDerivatives(t *testing.T) {
	eachInputs(t, 20, func(t *testing.T, in *Inputs, m *Model, rng *rand.Rand) {
		p := m.Condition(in, firsts(12), normals(rng, 12), nil)
		r := in.Relaxed(15)
		for i := range r {
			r[i] += 0.1 + 0.2*rng.Float64()
		}
		mean, sd := p.Expand(r)
		const h = 1e-4
		for q := range r {
			at := r[q]
			r[q] = at + h
			upMean, upSD := p.Expand(r)
			r[q] = at - h
			downMean, downSD := p.Expand(r)
			r[q] = at
			for _, c := range [][3]Expansion{{upMean, mean, downMean}, {upSD, sd, downSD}} {
				require.InDelta(t, (c[0].Value-c[2].Value)/(2*h), c[1].Grad[q], 1e-6, "gradient %d", q)
				require.InDelta(t, (c[0].Grad[q]-c[2].Grad[q])/(2*h), c[1].Diag[q], 1e-5, "curvature %d", q)
			}
		}
	})
}

// TestRelaxedPointsAreTheArchitectures: on an architecture, relaxation changes neither distances nor, but for smoothed counts, the posterior.
func TestRelaxedPointsAreTheArchitectures(t *testing.T) {
	eachInputs(t, 20, func(t *testing.T, in *Inputs, m *Model, rng *rand.Rand) {
		p := m.Condition(in, firsts(12), normals(rng, 12), nil)
		lo, hi := in.Box()
		for i := range 20 {
			r := in.Relaxed(i)
			distance := p.Distance(r)
			require.InDelta(t, 0, distance(i), 1e-12)
			for q := range r {
				require.True(t, lo[q] <= r[q] && r[q] <= hi[q])
			}
			for j := range 12 {
				e, _, _ := p.exponent(r, j)
				require.InDelta(t, distance(p.at[j]), e, 0.5, "counts are smoothed")
			}
			if len(in.columns) == in.features { // no counts: exact
				mean, _ := p.Predict(i)
				relaxed, _ := p.Expand(r)
				require.InDelta(t, mean, relaxed.Value, 1e-10)
			}
		}
	})
}

// TestFitFindsTheModel draws scores from the model: fitted hyperparameters explain them better than the prior's mode, the weightiest choice is
// recognised, and calibrated intervals hold what they should. Of 4,800 held-back values in eight draws the standard errors are under 1%, but those
// of one draw are dependent.
func TestFitFindsTheModel(t *testing.T) {
	const draws, n, all = 8, 150, 750
	var in68, in95, raw68, fitted, unfitted, recognised float64
	for seed := range uint64(draws) {
		rng := seeded(11 + seed)
		in := NewInputs(features, randomCodes(rng, all), nil)
		truth := NewModel(in, Fixed{})
		truth.LogWeights[0] += 1.5
		truth.LogSignal, truth.LogNoise, truth.Slope = 0.5, -2.5, -0.8
		latent, scores := draw(in, truth, all, rng)
		m := NewModel(in, Fixed{})
		for range 3 {
			m.Fit(in, firsts(n), scores[:n])
		}
		p := m.Condition(in, firsts(n), scores[:n], nil)
		q := NewModel(in, Fixed{}).Condition(in, firsts(n), scores[:n], nil)
		recognised += count(m.LogWeights[0] > m.LogWeights[1])
		for i := n; i < all; i++ {
			low, high := p.Interval(i, 1)
			in68 += count(low < scores[i] && scores[i] < high) / (draws * (all - n))
			low, high = p.Interval(i, 1.96)
			in95 += count(low < scores[i] && scores[i] < high) / (draws * (all - n))
			z, v := p.Predict(i)
			raw68 += count(math.Abs(p.Warp.Of(scores[i])-z) < math.Sqrt(v+p.Noise(z))) / (draws * (all - n))
			fitted += math.Pow(p.Warp.Score(z)-latent[i], 2)
			z, _ = q.Predict(i)
			unfitted += math.Pow(q.Warp.Score(z)-latent[i], 2)
		}
	}
	t.Logf("coverage %.3f %.3f, uncalibrated %.3f", in68, in95, raw68)
	require.InDelta(t, 0.68, in68, 0.03)
	require.InDelta(t, 0.95, in95, 0.02)
	require.Less(t, raw68, in68, "fits are too sure without inflation")
	require.Less(t, fitted, unfitted)
	require.GreaterOrEqual(t, recognised, float64(draws-1))
}

// TestLeftOutIsLeavingOut compares with conditioning on all results but one, with the same noise.
func TestLeftOutIsLeavingOut(t *testing.T) {
	eachInputs(t, 15, func(t *testing.T, in *Inputs, m *Model, rng *rand.Rand) {
		m.Slope = 0 // the noise does not change with what is left out
		scores := normals(rng, 15)
		p := m.Condition(in, firsts(15), scores, nil)
		sum := float64(inflationWeight)
		for i := range 15 {
			rest := &Posterior{in: in, model: m, k: p.k, level: make([]float64, 14)}
			rest.extend(slices.Delete(firsts(15), i, i+1))
			var y []float64
			for _, j := range rest.at {
				y = append(y, p.Warp.Of(scores[j]))
			}
			rest.solve(y)
			z, v := rest.Predict(i)
			sum += math.Pow(p.Warp.Of(scores[i])-z, 2) / (v + rest.Noise(z) + jitter*p.k.signal)
		}
		require.InDelta(t, min(sum/(15+inflationWeight), inflationLimit), p.leftOut(), 1e-6)
	})
}

func count(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func draw(in *Inputs, m *Model, n int, rng *rand.Rand) (latent, scores []float64) {
	k := newKernel(in, m)
	a := mat.NewSymDense(n, nil)
	for i := range n {
		r := k.row(i)
		for j := range i + 1 {
			a.SetSym(i, j, k.between(j, i, r))
		}
		a.SetSym(i, i, a.At(i, i)+1e-6)
	}
	var chol mat.Cholesky
	chol.Factorize(a)
	var l mat.TriDense
	chol.LTo(&l)
	var f mat.VecDense
	f.MulVec(&l, mat.NewVecDense(n, normals(rng, n)))
	for i := range n {
		z := f.AtVec(i)
		latent = append(latent, z)
		scores = append(scores, z+math.Sqrt(m.noise(z))*rng.NormFloat64())
	}
	return latent, scores
}

// TestFitIsReproducible also covers few, equal and single scores.
func TestFitIsReproducible(t *testing.T) {
	eachInputs(t, 200, func(t *testing.T, in *Inputs, _ *Model, rng *rand.Rand) {
		for _, scores := range [][]float64{{70}, {70, 70, 70}, {1, 2}, normals(rng, 12), normals(rng, 200)} {
			a, b := NewModel(in, Fixed{}), NewModel(in, Fixed{})
			a.Fit(in, firsts(len(scores)), scores)
			b.Fit(in, firsts(len(scores)), scores)
			require.Equal(t, a, b)
			require.NoError(t, a.Check(in))
			mean, variance := a.Condition(in, firsts(len(scores)), scores, nil).Predict(5)
			require.False(t, math.IsNaN(mean) || math.IsNaN(variance) || variance <= 0)
		}
	})
}

func TestFixedPartsStay(t *testing.T) {
	in := NewInputs(features, randomCodes(seeded(4), 40), nil)
	m := NewModel(in, Fixed{Values: true, Additive: true, Slope: true})
	start := NewModel(in, m.Fixed)
	m.Fit(in, firsts(40), normals(seeded(5), 40))
	require.Equal(t, start.LogValues, m.LogValues)
	require.Equal(t, start.Additive, m.Additive)
	require.Zero(t, m.Slope)
	require.NotEqual(t, start.LogWeights, m.LogWeights)
}

func TestCheckRefuses(t *testing.T) {
	in := NewInputs(features, randomCodes(seeded(4), 4), nil)
	m := NewModel(in, Fixed{})
	m.LogNoise = math.NaN()
	require.ErrorContains(t, m.Check(in), "out of range")
	require.ErrorContains(t, NewModel(in, Fixed{}).Check(NewInputs(features[:2], nil, nil)), "weights")
}
