package gauss

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"
)

func normals(rng *rand.Rand, n int) []float64 {
	y := make([]float64, n)
	for i := range y {
		y[i] = rng.NormFloat64()
	}
	return y
}

func firsts(n int) []int {
	at := make([]int, n)
	for i := range at {
		at[i] = i
	}
	return at
}

// TestEvidenceGradient compares with central differences, which are good to about 1e-7 here.
func TestEvidenceGradient(t *testing.T) {
	eachInputs(t, 25, func(t *testing.T, in *Inputs, m *Model, rng *rand.Rand) {
		e := newEvidence(in, firsts(25), normals(rng, 25), normals(rng, 25))
		grad := m.zero()
		e.at(m, grad)
		v := m.vector()
		for i, g := range grad.vector() {
			const h = 1e-5
			at := v[i]
			v[i] = at + h
			up, _ := m.with(v)
			v[i] = at - h
			down, _ := m.with(v)
			v[i] = at
			require.InDelta(t, (e.at(up, nil)-e.at(down, nil))/(2*h), g, 1e-6*(1+math.Abs(g)), "hyperparameter %d", i)
		}
	})
}

// naiveCovariance is K + noise + c 11ᵀ: a constant mean of variance c.
func naiveCovariance(in *Inputs, m *Model, at []int, level []float64, c float64) *mat.Dense {
	k, n := newKernel(in, m), len(at)
	a := mat.NewDense(n, n, nil)
	for i := range n {
		for j := range n {
			v := k.between(at[i], at[j], k.row(at[j])) + c
			if i == j {
				v += k.signal*jitter + math.Exp(m.LogNoise+m.Slope*level[i])
			}
			a.Set(i, j, v)
		}
	}
	return a
}

// TestEvidenceIsTheDensity: integrating the mean out is the limit of a normal mean of large variance c, but for log c, with an error of order 1/c.
func TestEvidenceIsTheDensity(t *testing.T) {
	eachInputs(t, 20, func(t *testing.T, in *Inputs, m *Model, rng *rand.Rand) {
		y, level := normals(rng, 20), normals(rng, 20)
		const c = 1e7
		a := naiveCovariance(in, m, firsts(20), level, c)
		var inverse mat.Dense
		require.NoError(t, inverse.Inverse(a))
		v := mat.NewVecDense(20, y)
		logDet, _ := mat.LogDet(a)
		want := 0.5*(mat.Inner(v, &inverse, v)+logDet-math.Log(c)) + m.prior(nil)
		require.InDelta(t, want, newEvidence(in, firsts(20), y, level).at(m, nil), 1e-5)
	})
}

// TestPriorIsNormal compares the weights' part with the density by a dense inverse.
func TestPriorIsNormal(t *testing.T) {
	in := NewInputs(features, randomCodes(seeded(1), 3), nil)
	m := NewModel(in, Fixed{})
	require.Zero(t, m.prior(nil))
	n := in.Components
	a, d := mat.NewDense(n, n, nil), normals(seeded(2), n)
	for i := range n {
		for j := range n {
			a.Set(i, j, weightCommonSD*weightCommonSD)
		}
		a.Set(i, i, a.At(i, i)+weightOwnSD*weightOwnSD)
		m.LogWeights[i] += d[i]
	}
	var inverse mat.Dense
	require.NoError(t, inverse.Inverse(a))
	v := mat.NewVecDense(n, d)
	require.InDelta(t, 0.5*mat.Inner(v, &inverse, v), m.prior(nil), 1e-10)
	m.LogSignal, m.Slope = 1, 1
	require.InDelta(t, 0.5*mat.Inner(v, &inverse, v)+0.5*(1+1/(slopeSD*slopeSD)), m.prior(nil), 1e-10)
}
