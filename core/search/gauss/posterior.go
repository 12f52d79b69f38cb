package gauss

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

// Posterior is a model conditioned on scores.
type Posterior struct {
	Warp Warp
	// Best is the largest warped score.
	Best float64

	in    *Inputs
	model *Model
	at    []int
	k     *kernel
	rows  []row     // one per conditioning point
	pairs []float64 // kernel of every two of them, j < i
	mean  float64
	alpha []float64 // A⁻¹ (y - mean)
	ones  []float64 // A⁻¹ 1
	// precision is 1ᵀ A⁻¹ 1, of the constant mean.
	precision float64
	factor    blas64.Triangular // lower Cholesky factor of A
	level     []float64         // what the noise of the conditioning points depends on: a posterior mean at them
	latent    []float64         // the posterior mean at them, clipped
}

// Condition returns the posterior given scores at points, of which there must be one or more. Points in pending have no score yet: they are taken to
// come out as expected, which leaves the means and reduces the variance around them.
func (m *Model) Condition(in *Inputs, at []int, scores []float64, pending []int) *Posterior {
	p := &Posterior{in: in, model: m, k: newKernel(in, m), Warp: newWarp(scores, m.Bend), Best: math.Inf(-1)}
	y := make([]float64, len(at), len(at)+len(pending))
	for i, s := range scores {
		y[i] = p.Warp.Of(s)
		p.Best = max(p.Best, y[i])
	}
	p.extend(at)
	p.level = make([]float64, len(at))
	p.solve(y)
	if m.Slope != 0 {
		p.level = p.levels(y)
		p.solve(y)
	}
	p.latent = p.levels(y)
	if len(pending) > 0 {
		for _, i := range pending {
			z := p.Mean(i)
			y = append(y, z)
			p.level = append(p.level, clip(z))
		}
		p.extend(pending)
		p.solve(y)
	}
	return p
}

func (p *Posterior) extend(at []int) {
	p.at = append(p.at[:len(p.at):len(p.at)], at...)
	for _, i := range at {
		p.rows = append(p.rows, p.k.row(i))
	}
	for i := len(p.at) - len(at); i < len(p.at); i++ {
		for j := range i {
			p.pairs = append(p.pairs, p.kernel(p.at[i], j))
		}
	}
}

// levels are the posterior means of the latent function at the conditioning points: y - noise * alpha.
func (p *Posterior) levels(y []float64) []float64 {
	out := make([]float64, len(y))
	for i := range y {
		out[i] = clip(y[i] - p.model.noise(p.level[i])*p.alpha[i])
	}
	return out
}

// solve factorises A = K + noise and solves for the weights of the data.
func (p *Posterior) solve(y []float64) {
	n := len(y)
	a := mat.NewSymDense(n, nil)
	for i := range n {
		for j, k := range p.pairs[i*(i-1)/2:][:i] {
			a.SetSym(i, j, k)
		}
		a.SetSym(i, i, p.k.signal*(1+jitter)+p.model.noise(p.level[i]))
	}
	var chol mat.Cholesky
	for extra := 1e-6; !chol.Factorize(a); extra *= 10 {
		for i := range n {
			a.SetSym(i, i, a.At(i, i)+extra*p.k.signal)
		}
	}
	var lower mat.TriDense
	chol.LTo(&lower)
	p.factor = lower.RawTriangular()
	ones := onesOf(n)
	var a1, ay mat.VecDense
	_ = chol.SolveVecTo(&a1, ones)
	_ = chol.SolveVecTo(&ay, mat.NewVecDense(n, y))
	p.precision = mat.Dot(ones, &a1)
	p.mean = mat.Dot(ones, &ay) / p.precision
	ay.AddScaledVec(&ay, -p.mean, &a1)
	p.alpha, p.ones = ay.RawVector().Data, a1.RawVector().Data
}

// kernel is k between point i and the j-th conditioning point.
func (p *Posterior) kernel(i, j int) float64 {
	return p.k.between(i, p.at[j], p.rows[j])
}

// Mean is the posterior mean of the latent function at point i, in warped units.
func (p *Posterior) Mean(i int) float64 {
	mean, _ := p.Bound(i)
	return mean
}

// Bound is the posterior mean at point i, and an upper bound of the variance: what is left when only the most similar conditioning point is known,
// which takes no solve.
func (p *Posterior) Bound(i int) (mean, variance float64) {
	mean = p.mean
	nearest, at := 0.0, 0
	for j, a := range p.alpha {
		k := p.kernel(i, j)
		mean += a * k
		if k > nearest {
			nearest, at = k, j
		}
	}
	noise := p.k.signal*jitter + p.model.noise(p.level[at])
	return mean, p.k.signal - nearest*nearest/(p.k.signal+noise) + 1/p.precision
}

// Predict is the posterior mean and variance of the latent function at point i, in warped units.
func (p *Posterior) Predict(i int) (mean, variance float64) {
	k := make([]float64, len(p.alpha))
	mean = p.mean
	left := 1.0 // of the mean's uncertainty: 1 - 1ᵀ A⁻¹ k
	for j := range k {
		k[j] = p.kernel(i, j)
		mean += p.alpha[j] * k[j]
		left -= p.ones[j] * k[j]
	}
	return mean, p.variance(k) + left*left/p.precision
}

func (p *Posterior) variance(k []float64) float64 {
	v := blas64.Vector{N: len(k), Inc: 1, Data: k}
	blas64.Trsv(blas.NoTrans, p.factor, v)
	return max(p.k.signal-blas64.Dot(v, v), 1e-9*p.k.signal)
}

// Noise is the variance of a score around the latent function where the mean is z, in warped units.
func (p *Posterior) Noise(z float64) float64 { return p.model.noise(z) }

// Uncertainty turns a prediction into the calibrated belief in the scores' units: the expected score, and the deviations of the latent function
// (epistemic) and of one score around it (aleatoric).
func (p *Posterior) Uncertainty(z, v float64) (mean, epistemic, aleatoric float64) {
	f := p.model.Inflation
	return p.Warp.Score(z), p.Warp.Size(z, math.Sqrt(f*v)), p.Warp.Size(z, math.Sqrt(f*p.Noise(z)))
}

// Interval is the central interval of deviations sd in which one score at point i is expected; it is not symmetric where scores are warped.
func (p *Posterior) Interval(i int, sd float64) (low, high float64) {
	z, v := p.Predict(i)
	sd *= math.Sqrt(p.model.Inflation * (v + p.Noise(z)))
	return p.Warp.Score(z - sd), p.Warp.Score(z + sd)
}

// LogDensity is the calibrated log density of a score at point i, in the scores' units.
func (p *Posterior) LogDensity(i int, score float64) float64 {
	z, v := p.Predict(i)
	v = p.model.Inflation * (v + p.Noise(z))
	d := p.Warp.Of(score) - z
	return p.Warp.logSlope(score) - 0.5*(d*d/v+math.Log(2*math.Pi*v))
}
