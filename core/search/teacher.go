package search

import (
	"math"
	"math/rand/v2"
)

// Widths of the hidden layers of teacher and student (5.1 of the design notes; arXiv 2205.11656, section 3.4).
const (
	mlpHidden1 = 64
	mlpHidden2 = 32
)

// teacherDropout is the share of hidden activations that the teacher drops, in training and in its stochastic passes.
const teacherDropout = 0.3

// affine is a dense layer; W is In x Out, row-major.
type affine struct {
	In, Out int
	W, B    []float64
}

// newAffine draws weights and bias from U(-1/sqrt(in), 1/sqrt(in)), PyTorch's default for a linear layer.
func newAffine(rng *rand.Rand, in, out int) affine {
	a := affine{In: in, Out: out, W: make([]float64, in*out), B: make([]float64, out)}
	bound := 1 / math.Sqrt(float64(in))
	for _, s := range [][]float64{a.W, a.B} {
		for i := range s {
			s[i] = bound * (2*rng.Float64() - 1)
		}
	}
	return a
}

// apply writes x*W + B to out.
func (a affine) apply(x, out []float64) {
	copy(out, a.B)
	for j, xj := range x {
		addScaled(out, xj, a.W[j*a.Out:(j+1)*a.Out])
	}
}

// addScaled adds c*u to out.
func addScaled(out []float64, c float64, u []float64) {
	u = u[:len(out)]
	for i := range out {
		out[i] += c * u[i]
	}
}

// mlp is the network of teacher and student: in-64-32-1, softplus, softplus, sigmoid. The teacher drops hidden activations, the student none.
type mlp struct {
	l1, l2, l3 affine
	dropout    float64
	t          mlpTrace
}

// mlpTrace holds what the last forward pass left for the backward pass.
type mlpTrace struct {
	a1, h1, s1 []float64 // pre-activation, activation, its slope (mask included)
	a2, h2, s2 []float64
	d1, d2     []float64 // adjoints of the activations
	j1, j2, j3 []float64 // Jacobians of the pre-activations, unit-major
	out        [1]float64
}

func newMLP(rng *rand.Rand, in int, dropout float64) *mlp {
	n := &mlp{l1: newAffine(rng, in, mlpHidden1), l2: newAffine(rng, mlpHidden1, mlpHidden2), l3: newAffine(rng, mlpHidden2, 1), dropout: dropout}
	one, two := func() []float64 { return make([]float64, mlpHidden1) }, func() []float64 { return make([]float64, mlpHidden2) }
	n.t = mlpTrace{
		a1: one(), h1: one(), s1: one(), d1: one(), a2: two(), h2: two(), s2: two(), d2: two(),
		j1: make([]float64, mlpHidden1*in), j2: make([]float64, mlpHidden2*in), j3: make([]float64, in),
	}
	return n
}

// params are the trainable arrays in a fixed order; they are the network's own memory.
func (n *mlp) params() [][]float64 {
	return [][]float64{n.l1.W, n.l1.B, n.l2.W, n.l2.B, n.l3.W, n.l3.B}
}

// maskSize is the number of hidden activations that dropout may drop.
func (n *mlp) maskSize() int {
	if n.dropout == 0 {
		return 0
	}
	return mlpHidden1 + mlpHidden2
}

// drawMask fills a dropout mask: 0, or 1/(1-p) so that the expectation is kept.
func drawMask(rng *rand.Rand, p float64, mask []float64) {
	for i := range mask {
		mask[i] = 0
		if rng.Float64() >= p {
			mask[i] = 1 / (1 - p)
		}
	}
}

// forward evaluates the network; a nil mask drops nothing.
func (n *mlp) forward(x, mask []float64) float64 {
	t := &n.t
	n.l1.apply(x, t.a1)
	softplusLayer(t.a1, t.h1, t.s1)
	if mask != nil {
		maskLayer(mask[:mlpHidden1], t.h1, t.s1)
	}
	n.l2.apply(t.h1, t.a2)
	softplusLayer(t.a2, t.h2, t.s2)
	if mask != nil {
		maskLayer(mask[mlpHidden1:], t.h2, t.s2)
	}
	n.l3.apply(t.h2, t.out[:])
	return logistic(t.out[0])
}

// softplusLayer computes h = ln(1+e^a) and its slope s = 1/(1+e^-a).
func softplusLayer(a, h, s []float64) {
	for i, ai := range a {
		e := math.Exp(-math.Abs(ai))
		h[i] = max(ai, 0) + math.Log1p(e)
		if ai >= 0 {
			s[i] = 1 / (1 + e)
		} else {
			s[i] = e / (1 + e)
		}
	}
}

func maskLayer(mask, h, s []float64) {
	for i, m := range mask {
		h[i] *= m
		s[i] *= m
	}
}

func logistic(x float64) float64 {
	if x >= 0 {
		return 1 / (1 + math.Exp(-x))
	}
	e := math.Exp(x)
	return e / (1 + e)
}

// loss is the squared error without dropout (B14: the original validated its teacher with dropout on).
func (n *mlp) loss(x []float64, y float64) float64 {
	e := n.forward(x, nil) - y
	return e * e
}

// accumulate adds the gradient of the squared error at one sample to grads, which has the shape of params, and returns the error.
func (n *mlp) accumulate(x []float64, y float64, mask []float64, grads [][]float64) float64 {
	t := &n.t
	out := n.forward(x, mask)
	e := out - y
	d3 := 2 * e * out * (1 - out)
	addScaled(grads[4], d3, t.h2)
	grads[5][0] += d3
	for k, w := range n.l3.W {
		t.d2[k] = d3 * w * t.s2[k]
	}
	backAffine(n.l2, t.h1, t.d2, grads[2], grads[3], t.d1)
	for j := range t.d1 {
		t.d1[j] *= t.s1[j]
	}
	backAffine(n.l1, x, t.d1, grads[0], grads[1], nil)
	return e * e
}

// backAffine adds the gradients of weights and bias and writes the adjoint of the input to dx unless it is nil.
func backAffine(a affine, x, dout, gw, gb, dx []float64) {
	addScaled(gb, 1, dout)
	for j, xj := range x {
		addScaled(gw[j*a.Out:(j+1)*a.Out], xj, dout)
		if dx != nil {
			dx[j] = dot(a.W[j*a.Out:(j+1)*a.Out], dout)
		}
	}
}

func dot(a, b []float64) float64 {
	b = b[:len(a)]
	var sum float64
	for i, ai := range a {
		sum += ai * b[i]
	}
	return sum
}

// expand adds c times the network's value, gradient and Hessian at x to q.
func (n *mlp) expand(x []float64, c float64, q *quadratic) {
	t, d := &n.t, len(x)
	out := n.forward(x, nil)
	slope := out * (1 - out)
	n.jacobians(d)
	q.value += c * out
	q.addGrad(c*slope, t.j3)
	q.addCurvature(c*slope*(1-2*out), t.j3)
	for k, w := range n.l3.W {
		// softplus'' = s(1-s)
		q.addCurvature(c*slope*w*t.s2[k]*(1-t.s2[k]), t.j2[k*d:(k+1)*d])
		t.d2[k] = c * slope * w * t.s2[k]
	}
	for j := range t.d1 {
		adjoint := dot(n.l2.W[j*mlpHidden2:(j+1)*mlpHidden2], t.d2)
		q.addCurvature(adjoint*t.s1[j]*(1-t.s1[j]), t.j1[j*d:(j+1)*d])
	}
}

// jacobians fills j1, j2, j3 with the derivatives of the pre-activations by the input, after a forward pass.
func (n *mlp) jacobians(d int) {
	t := &n.t
	for j := range mlpHidden1 {
		for i := range d {
			t.j1[j*d+i] = n.l1.W[i*mlpHidden1+j]
		}
	}
	clear(t.j2)
	clear(t.j3)
	for j := range mlpHidden1 {
		row := t.j1[j*d : (j+1)*d]
		for k := range mlpHidden2 {
			addScaled(t.j2[k*d:(k+1)*d], n.l2.W[j*mlpHidden2+k]*t.s1[j], row)
		}
	}
	for k := range mlpHidden2 {
		addScaled(t.j3, n.l3.W[k]*t.s2[k], t.j2[k*d:(k+1)*d])
	}
}

// spread is the standard deviation (n-1) of passes stochastic evaluations of the teacher at x.
func (n *mlp) spread(rng *rand.Rand, x []float64, passes int) float64 {
	mask := make([]float64, mlpHidden1+mlpHidden2)
	var mean, m2 float64
	for i := range passes {
		drawMask(rng, n.dropout, mask)
		v := n.forward(x, mask)
		delta := v - mean
		mean += delta / float64(i+1)
		m2 += delta * (v - mean)
	}
	return math.Sqrt(m2 / float64(passes-1))
}
