package peer

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"

	"flexi/core/search"
)

// TestHammingGP compares with the formulas by a dense inverse.
func TestHammingGP(t *testing.T) {
	lib := product(3, 4, 2)
	at := []int{0, 5, 7, 11, 20}
	g := &hammingGP{codes: lib.Codes, at: at, y: standardise([]float64{1, 3, 2, 5, 4})}
	for i := range at {
		for j := range i {
			g.apart = append(g.apart, hamming(lib.Codes[at[i]], lib.Codes[at[j]]))
		}
	}
	loss := g.set(math.Log(1.5), math.Log(0.1))
	kernel := func(i, j int) float64 { return math.Exp(-float64(hamming(lib.Codes[i], lib.Codes[j])) / 1.5) }
	a := mat.NewDense(5, 5, nil)
	for i := range 5 {
		for j := range 5 {
			a.Set(i, j, kernel(at[i], at[j]))
		}
		a.Set(i, i, 1.1)
	}
	var inverse mat.Dense
	require.NoError(t, inverse.Inverse(a))
	y := mat.NewVecDense(5, g.y)
	signal := mat.Inner(y, &inverse, y) / 5
	require.InDelta(t, signal, g.signal, 1e-12)
	logDet, _ := mat.LogDet(a)
	require.InDelta(t, 2.5*math.Log(signal)+logDet/2, loss, 1e-10)
	k := mat.NewVecDense(5, nil)
	for j := range 5 {
		k.SetVec(j, kernel(13, at[j]))
	}
	mean, variance := g.predict(13)
	require.InDelta(t, mat.Inner(k, &inverse, y), mean, 1e-12)
	require.InDelta(t, signal*(1-mat.Inner(k, &inverse, k)), variance, 1e-12)
}

// TestMostImprovingIsExact: the search by bounds finds what a scan with the closed form of expected improvement finds.
func TestMostImprovingIsExact(t *testing.T) {
	lib := product(4, 5, 3, 4)
	rng := rand.New(rand.NewPCG(4, 2))
	for range 5 {
		order := rng.Perm(lib.Len())
		at, unseen := order[:25], order[25:]
		scores := make([]float64, len(at))
		for n, i := range at {
			scores[n] = bowl(lib, i) + rng.NormFloat64()
		}
		g, err := fitHamming(lib.Codes, at, scores)
		require.NoError(t, err)
		value := func(i int) float64 {
			mean, variance := g.predict(i)
			sd := math.Sqrt(variance)
			u := (mean - slices.Max(g.y)) / sd
			return sd * (u*below(u) + math.Exp(-u*u/2)/math.Sqrt(2*math.Pi))
		}
		top := 0.0
		for _, i := range unseen {
			top = max(top, value(i))
			mean, variance := g.predict(i)
			require.InDelta(t, value(i), math.Exp(search.LogImprovement(mean-slices.Max(g.y), variance)), 1e-12)
		}
		require.InDelta(t, top, value(g.mostImproving(unseen, rng)), 1e-12)
	}
}

// TestFitHammingFindsTheLength: results drawn from the process itself are best explained by about its length and noise.
func TestFitHammingFindsTheLength(t *testing.T) {
	lib := product(4, 5, 3, 4)
	rng := rand.New(rand.NewPCG(9, 9))
	const n, length, noise = 150, 4.0, 0.05
	at := rng.Perm(lib.Len())[:n]
	a := mat.NewSymDense(n, nil)
	for i := range n {
		for j := range i {
			a.SetSym(i, j, math.Exp(-float64(hamming(lib.Codes[at[i]], lib.Codes[at[j]]))/length))
		}
		a.SetSym(i, i, 1+noise)
	}
	var chol mat.Cholesky
	require.True(t, chol.Factorize(a))
	z := mat.NewVecDense(n, nil)
	for i := range n {
		z.SetVec(i, rng.NormFloat64())
	}
	var y mat.VecDense
	y.MulVec(chol.RawU().T(), z)
	g, err := fitHamming(lib.Codes, at, y.RawVector().Data)
	require.NoError(t, err)
	fitted := -1 / math.Log(g.kernel[1])
	require.Greater(t, fitted, length/2.5)
	require.Less(t, fitted, length*2.5)
	require.Less(t, g.noise, 4*noise)
}

func TestClipped(t *testing.T) {
	require.Equal(t, []float64{10, 9, 8, 4, 4}, clipped([]float64{10, 9, 8, 1, -50}), "median 8, best 10")
	require.Equal(t, []float64{5, 5, 1}, clipped([]float64{5, 5, 1}), "the median is the best")
}
