package peer

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/optimize"
	"gonum.org/v1/gonum/stat"

	"flexi/core/search"
)

// hammingGP is a Gaussian process with kernel s² exp(-h/ell) of the number h of choices that differ, a constant mean at the scores' mean, and even
// noise r s². Length ell and noise ratio r maximise the marginal likelihood; s² then has a closed form.
type hammingGP struct {
	codes  [][]int
	at     []int
	apart  []int     // h of every two results, j < i
	y      []float64 // standardised
	kernel []float64 // exp(-h/ell) by h
	noise  float64   // r
	signal float64   // s²
	alpha  []float64 // (K + r)⁻¹ y
	factor blas64.Triangular
}

// newGP proposes the architecture of the largest expected improvement, looking at all unseen ones; of equal ones a random one. Bad scores are
// clipped first: untrainable architectures would otherwise decide the hyperparameters.
func newGP(lib *search.Library, _ uint64) search.Rule {
	return func(r *search.Results, rng *rand.Rand) (int, error) {
		gp, err := fitHamming(lib.Codes, r.At, clipped(r.Scores))
		if err != nil {
			return 0, err
		}
		return gp.mostImproving(r.Unseen(), rng), nil
	}
}

// clipDepth is how far below the median scores still count, in units of the distance from the median to the best.
const clipDepth = 2

func clipped(scores []float64) []float64 {
	sorted := slices.Sorted(slices.Values(scores))
	median, best := sorted[len(sorted)/2], sorted[len(sorted)-1]
	if median == best {
		return scores
	}
	out := make([]float64, len(scores))
	for i, s := range scores {
		out[i] = max(s, median-clipDepth*(best-median))
	}
	return out
}

// standardise shifts and scales to mean 0 and variance 1; equal scores become 0.
func standardise(scores []float64) []float64 {
	mean, sd := stat.PopMeanStdDev(scores, nil)
	y := make([]float64, len(scores))
	for i, s := range scores {
		if sd > 0 {
			y[i] = (s - mean) / sd
		}
	}
	return y
}

// Bounds of the hyperparameters' logarithms.
const (
	logLengthLow, logLengthHigh = -1.5, 4
	logNoiseLow, logNoiseHigh   = -9, 2
)

// fitHamming fits the hyperparameters by Nelder-Mead from a length of a third of the choices and a noise of a hundredth of the signal.
func fitHamming(codes [][]int, at []int, scores []float64) (*hammingGP, error) {
	g := &hammingGP{codes: codes, at: at, y: standardise(scores)}
	for i := range at {
		for j := range i {
			g.apart = append(g.apart, hamming(codes[at[i]], codes[at[j]]))
		}
	}
	start := []float64{math.Log(float64(len(codes[0]))/3 + 0.5), math.Log(0.01)}
	problem := optimize.Problem{Func: func(t []float64) float64 { return g.set(t[0], t[1]) }}
	settings := &optimize.Settings{MajorIterations: 60, Converger: &optimize.FunctionConverge{Absolute: 1e-3, Iterations: 10}}
	best, err := optimize.Minimize(problem, start, settings, &optimize.NelderMead{SimplexSize: 0.7})
	if err != nil {
		return nil, fmt.Errorf("fit the Gaussian process to %d results: %w", len(at), err)
	}
	g.set(best.X[0], best.X[1])
	return g, nil
}

// set conditions on the results with the given hyperparameters and returns the negative log marginal likelihood, less a constant:
//
//	n/2 log s² + 1/2 log |K + r|, s² = yᵀ (K + r)⁻¹ y / n
func (g *hammingGP) set(logLength, logNoise float64) float64 {
	beyond := outside(logLength, logLengthLow, logLengthHigh) + outside(logNoise, logNoiseLow, logNoiseHigh)
	length := math.Exp(min(max(logLength, logLengthLow), logLengthHigh))
	g.noise = math.Exp(min(max(logNoise, logNoiseLow), logNoiseHigh))
	g.kernel = make([]float64, len(g.codes[0])+1)
	for h := range g.kernel {
		g.kernel[h] = math.Exp(-float64(h) / length)
	}
	n := len(g.at)
	a := mat.NewSymDense(n, nil)
	for i := range n {
		for j, h := range g.apart[i*(i-1)/2:][:i] {
			a.SetSym(i, j, g.kernel[h])
		}
		a.SetSym(i, i, 1+g.noise)
	}
	var chol mat.Cholesky
	if !chol.Factorize(a) {
		return math.Inf(1)
	}
	var alpha mat.VecDense
	if err := chol.SolveVecTo(&alpha, mat.NewVecDense(n, g.y)); err != nil {
		return math.Inf(1)
	}
	g.alpha, g.factor = alpha.RawVector().Data, chol.RawU().(mat.RawTriangular).RawTriangular()
	g.signal = max(floats.Dot(g.y, g.alpha)/float64(n), 1e-12)
	return float64(n)/2*math.Log(g.signal) + chol.LogDet()/2 + beyond
}

// outside is how far a number is beyond its bounds.
func outside(x, low, high float64) float64 { return max(0, low-x, x-high) }

// covariances are the kernel with the results, without s²; nearest is the largest.
func (g *hammingGP) covariances(i int) (k []float64, nearest float64) {
	k = make([]float64, len(g.at))
	for j, at := range g.at {
		k[j] = g.kernel[hamming(g.codes[i], g.codes[at])]
		nearest = max(nearest, k[j])
	}
	return k, nearest
}

// predict is the posterior of the latent function at an architecture.
func (g *hammingGP) predict(i int) (mean, variance float64) {
	k, _ := g.covariances(i)
	mean = floats.Dot(k, g.alpha)
	return mean, g.variance(k)
}

// variance is s² (1 - kᵀ (K + r)⁻¹ k); it overwrites k.
func (g *hammingGP) variance(k []float64) float64 {
	v := blas64.Vector{N: len(k), Inc: 1, Data: k}
	blas64.Trsv(blas.Trans, g.factor, v)
	return g.signal * max(1-blas64.Dot(v, v), 1e-9)
}

// mostImproving is the position of the largest expected improvement on the best score. The variance given the nearest result alone bounds the
// variance, so most positions need no solve.
func (g *hammingGP) mostImproving(unseen []int, rng *rand.Rand) int {
	type candidate struct {
		at          int
		k           []float64
		mean, bound float64
	}
	best := slices.Max(g.y)
	candidates := make([]candidate, len(unseen))
	for n, at := range rng.Perm(len(unseen)) {
		k, nearest := g.covariances(unseen[at])
		mean := floats.Dot(k, g.alpha)
		bound := search.LogImprovement(mean-best, g.signal*max(1-nearest*nearest/(1+g.noise), 1e-9))
		candidates[n] = candidate{unseen[at], k, mean, bound}
	}
	slices.SortStableFunc(candidates, func(a, b candidate) int { return cmp.Compare(b.bound, a.bound) })
	at, top := candidates[0].at, math.Inf(-1)
	for _, c := range candidates {
		if c.bound <= top {
			break
		}
		if v := search.LogImprovement(c.mean-best, g.variance(c.k)); v > top {
			at, top = c.at, v
		}
	}
	return at
}
