package gauss

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"
)

// features has every kind: a group of three categorical choices that may be absent, a group of two ranks, and one choice alone.
var features = []Feature{
	{Name: "op 1", Values: 3, Group: 1},
	{Name: "op 2", Values: 3, Group: 1},
	{Name: "op 3", Values: 3, Group: 1},
	{Name: "width 1", Values: 4, Ordinal: true, Group: 2},
	{Name: "width 2", Values: 4, Ordinal: true, Group: 2},
	{Name: "layers", Values: 2, Ordinal: true, Group: 3},
}

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

func randomCodes(rng *rand.Rand, n int) [][]int {
	codes := make([][]int, n)
	for i := range codes {
		for _, f := range features {
			codes[i] = append(codes[i], rng.IntN(f.Values+1))
		}
	}
	return codes
}

func randomPoints(rng *rand.Rand, n, d int) [][]float64 {
	points := make([][]float64, n)
	for i := range points {
		for range d {
			points[i] = append(points[i], 3*rng.NormFloat64())
		}
	}
	return points
}

// eachInputs runs a test on codes, on an embedding, and on both.
func eachInputs(t *testing.T, n int, run func(t *testing.T, in *Inputs, m *Model, rng *rand.Rand)) {
	for name, parts := range map[string][2]bool{"codes": {true, false}, "embedding": {false, true}, "both": {true, true}} {
		t.Run(name, func(t *testing.T) {
			rng := seeded(3)
			codes, points := randomCodes(rng, n), randomPoints(rng, n, 4)
			var in *Inputs
			switch parts {
			case [2]bool{true, false}:
				in = NewInputs(features, codes, nil)
			case [2]bool{false, true}:
				in = NewInputs(nil, nil, points)
			default:
				in = NewInputs(features, codes, points)
			}
			m := NewModel(in, Fixed{})
			v := m.vector()
			for i := range v {
				v[i] += 0.4 * rng.NormFloat64()
			}
			m, _ = m.with(v)
			run(t, in, m, rng)
		})
	}
}

// naiveKernel is the formula of the package comment, term by term from the features' definitions.
func naiveKernel(in *Inputs, m *Model, codes [][]int, points [][]float64, i, j int) float64 {
	component, exponent, alone := 0, 0.0, 0.0
	values := map[int]int{}
	count := 0
	for f, x := range features {
		if _, ok := values[x.Group]; !ok {
			values[x.Group] = count
			count += x.Values + 1
		}
		u, v := codes[i][f], codes[j][f]
		d := 0.0
		if u != v {
			d = (math.Exp(m.LogValues[values[x.Group]+u]) + math.Exp(m.LogValues[values[x.Group]+v])) / 2
			switch {
			case x.Ordinal && u < x.Values && v < x.Values:
				d = 0.5*d + 0.5*math.Abs(float64(u-v))/float64(x.Values-1)
			case x.Ordinal:
				d = 0.5*d + 0.5
			}
		}
		w := math.Exp(m.LogWeights[component])
		component++
		exponent += w * d
		alone += math.Exp(-float64(in.Components)*w*d) / float64(len(features))
	}
	for _, members := range [][]int{{0, 1, 2}, {3, 4}} {
		for v := range features[members[0]].Values {
			difference := 0.0
			for _, f := range members {
				if codes[i][f] == v {
					difference++
				}
				if codes[j][f] == v {
					difference--
				}
			}
			exponent += math.Exp(m.LogWeights[component]) * math.Abs(difference) / float64(2*len(members))
		}
		component++
	}
	if points != nil {
		for q := range points[i] {
			exponent += math.Exp(m.LogWeights[component]) * in.scale * math.Pow(points[i][q]-points[j][q], 2)
		}
	}
	p := 1 / (1 + math.Exp(-m.Additive))
	return math.Exp(m.LogSignal) * ((1-p)*math.Exp(-exponent) + p*alone)
}

func TestKernelIsTheFormula(t *testing.T) {
	rng := seeded(5)
	codes, points := randomCodes(rng, 30), randomPoints(rng, 30, 4)
	for _, points := range [][][]float64{nil, points} {
		in := NewInputs(features, codes, points)
		m := NewModel(in, Fixed{})
		v := m.vector()
		for i := range v {
			v[i] += rng.NormFloat64()
		}
		m, _ = m.with(v)
		k := newKernel(in, m)
		for j := range 30 {
			r := k.row(j)
			for i := range 30 {
				require.InDelta(t, naiveKernel(in, m, codes, points, i, j), k.between(i, j, r), 1e-12)
			}
			require.InDelta(t, k.signal, k.between(j, j, r), 1e-12)
		}
	}
}

// TestKernelIsPositiveDefinite at extreme hyperparameters, on all architectures of two choices at once.
func TestKernelIsPositiveDefinite(t *testing.T) {
	few := []Feature{{Values: 5, Ordinal: true, Group: 1}, {Values: 5, Ordinal: true, Group: 1}, {Values: 2, Group: 2}}
	var codes [][]int
	for i := range 6 * 6 * 3 {
		codes = append(codes, []int{i % 6, i / 6 % 6, i / 36})
	}
	in, rng := NewInputs(few, codes, nil), seeded(6)
	for range 50 {
		m := NewModel(in, Fixed{})
		v := m.vector()
		for i := range v {
			v[i] += 2 * rng.NormFloat64()
		}
		m, _ = m.with(v)
		k := newKernel(in, m)
		a := mat.NewSymDense(len(codes), nil)
		for i := range codes {
			r := k.row(i)
			for j := range i + 1 {
				a.SetSym(i, j, k.between(j, i, r))
			}
		}
		var e mat.EigenSym
		require.True(t, e.Factorize(a, false))
		require.Greater(t, e.Values(nil)[0], -1e-9*k.signal)
	}
}
