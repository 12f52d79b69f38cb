package search

import (
	"math"
	"math/rand/v2"
)

// npnHidden is the width of both hidden layers of the natural-parameter network.
const npnHidden = 32

// npnLayer is a linear layer on Gaussians with Gaussian weights of mean Wm and variance softplus(Ws); matrices are In x Out, row-major.
type npnLayer struct {
	In, Out        int
	Wm, Ws, Bm, Bs []float64

	// Derived from the parameters by refresh: variances and their logistic slopes, and variance plus squared mean.
	ws, wsSlope, wq, bs, bsSlope []float64
}

// newNPNLayer draws Wm from U(-a, a), a = sqrt(6/(in+out)), and weight variances from 0.01 a U(0, 1).
func newNPNLayer(rng *rand.Rand, in, out int) *npnLayer {
	l := &npnLayer{In: in, Out: out}
	for _, p := range []*[]float64{&l.Wm, &l.Ws, &l.ws, &l.wsSlope, &l.wq} {
		*p = make([]float64, in*out)
	}
	for _, p := range []*[]float64{&l.Bm, &l.Bs, &l.bs, &l.bsSlope} {
		*p = make([]float64, out)
	}
	a := math.Sqrt(6 / float64(in+out))
	for i := range l.Wm {
		l.Wm[i] = a * (2*rng.Float64() - 1)
		variance := 0.01 * a * (1 - rng.Float64()) // in (0, 1]: the inverse softplus of 0 is -Inf
		l.Ws[i] = math.Log(math.Expm1(variance))
	}
	for i := range l.Bs {
		l.Bs[i] = -10
	}
	l.refresh()
	return l
}

// refresh recomputes what is derived from the parameters.
func (l *npnLayer) refresh() {
	softplusLayer(l.Ws, l.ws, l.wsSlope)
	softplusLayer(l.Bs, l.bs, l.bsSlope)
	for i, m := range l.Wm {
		l.wq[i] = l.ws[i] + m*m
	}
}

// npnTrace holds one layer's last forward pass: input (m, s), pre-activation (o, v), activation, adjoints and Jacobians (unit-major).
type npnTrace struct {
	m, s   []float64
	o, v   []float64
	am, as []moment
	do, dv []float64
	dm, ds []float64 // adjoints of the input
	jo, jv []float64 // Jacobians of the pre-activation
}

// npn is the natural-parameter network in-32-32-1 with NPN-ReLU twice and NPN-sigmoid: it predicts the target's mean and its own
// (aleatoric) variance.
type npn struct {
	layers [3]*npnLayer
	factor float64 // weight of the squared error in the loss: 1 is the Gaussian likelihood, the original used 10
	t      [3]npnTrace

	rowM, rowS []float64 // scratch: derivatives of one activation by the input
}

func newNPN(rng *rand.Rand, in int, factor float64) *npn {
	n := &npn{factor: factor, rowM: make([]float64, in), rowS: make([]float64, in)}
	widths := [4]int{in, npnHidden, npnHidden, 1}
	for i := range n.layers {
		a, b := widths[i], widths[i+1]
		n.layers[i] = newNPNLayer(rng, a, b)
		t := &n.t[i]
		for _, p := range []*[]float64{&t.m, &t.s, &t.dm, &t.ds} {
			*p = make([]float64, a)
		}
		for _, p := range []*[]float64{&t.o, &t.v, &t.do, &t.dv} {
			*p = make([]float64, b)
		}
		t.am, t.as = make([]moment, b), make([]moment, b)
		t.jo, t.jv = make([]float64, b*in), make([]float64, b*in)
	}
	return n
}

// params are the trainable arrays in a fixed order; after a change refresh must be called.
func (n *npn) params() [][]float64 {
	var out [][]float64
	for _, l := range n.layers {
		out = append(out, l.Wm, l.Ws, l.Bm, l.Bs)
	}
	return out
}

func (n *npn) refresh() {
	for _, l := range n.layers {
		l.refresh()
	}
}

// forward returns mean and variance of the prediction at x.
func (n *npn) forward(x []float64) (mean, variance float64) {
	copy(n.t[0].m, x)
	for i, l := range n.layers {
		t := &n.t[i]
		l.apply(t)
		activation := npnReLU
		if i == 2 {
			activation = npnSigmoid
		}
		for k := range t.o {
			t.am[k], t.as[k] = activation(t.o[k], t.v[k])
			if i < 2 {
				n.t[i+1].m[k], n.t[i+1].s[k] = t.am[k].f, t.as[k].f
			}
		}
	}
	return n.t[2].am[0].f, n.t[2].as[0].f
}

// apply computes o = m Wm + bm and v = s (Ws + Wm²) + m² Ws + bs.
func (l *npnLayer) apply(t *npnTrace) {
	copy(t.o, l.Bm)
	copy(t.v, l.bs)
	for j, m := range t.m {
		at, end := j*l.Out, (j+1)*l.Out
		addScaled(t.o, m, l.Wm[at:end])
		addScaled(t.v, m*m, l.ws[at:end])
		if s := t.s[j]; s != 0 {
			addScaled(t.v, s, l.wq[at:end])
		}
	}
}

// npnLossFloor keeps the division in the loss away from zero.
const npnLossFloor = 1e-8

// loss is ½ [factor (mean-y)²/variance + ln variance].
func (n *npn) loss(x []float64, y float64) float64 {
	mean, variance := n.forward(x)
	variance += npnLossFloor
	e := mean - y
	return 0.5 * (n.factor*e*e/variance + math.Log(variance))
}

// accumulate adds the gradient of the loss at one sample to grads, which has the shape of params, and returns the loss.
func (n *npn) accumulate(x []float64, y float64, _ []float64, grads [][]float64) float64 {
	mean, variance := n.forward(x)
	variance += npnLossFloor
	e := mean - y
	n.backward(n.factor*e/variance, 0.5*(1-n.factor*e*e/variance)/variance, grads)
	return 0.5 * (n.factor*e*e/variance + math.Log(variance))
}

// backward propagates the adjoints of the output mean and variance to all pre-activations, and to the parameters unless grads is nil.
func (n *npn) backward(byMean, byVariance float64, grads [][]float64) {
	for i := 2; i >= 0; i-- {
		l, t := n.layers[i], &n.t[i]
		for k := range t.o {
			dm, ds := byMean, byVariance
			if i < 2 {
				dm, ds = n.t[i+1].dm[k], n.t[i+1].ds[k]
			}
			t.do[k] = dm*t.am[k].o + ds*t.as[k].o
			t.dv[k] = dm*t.am[k].v + ds*t.as[k].v
		}
		for j, m := range t.m {
			at, end := j*l.Out, (j+1)*l.Out
			t.dm[j] = dot(l.Wm[at:end], t.do) + 2*m*dot(l.ws[at:end], t.dv)
			t.ds[j] = dot(l.wq[at:end], t.dv)
		}
		if grads != nil {
			l.accumulate(t, grads[4*i:4*i+4])
		}
	}
}

// accumulate adds the layer's parameter gradients: g is those of Wm, Ws, Bm, Bs.
func (l *npnLayer) accumulate(t *npnTrace, g [][]float64) {
	for j, m := range t.m {
		s, at := t.s[j], j*l.Out
		for k := range t.o {
			i := at + k
			g[0][i] += m*t.do[k] + 2*s*l.Wm[i]*t.dv[k]
			g[1][i] += (s + m*m) * t.dv[k] * l.wsSlope[i]
		}
	}
	for k := range t.o {
		g[2][k] += t.do[k]
		g[3][k] += t.dv[k] * l.bsSlope[k]
	}
}

// expand adds byMean*mean + byVariance*variance to q: value, gradient and Hessian at x.
func (n *npn) expand(x []float64, byMean, byVariance float64, q *quadratic) {
	mean, variance := n.forward(x)
	n.backward(byMean, byVariance, nil)
	q.value += byMean*mean + byVariance*variance
	q.addGrad(1, n.t[0].dm)
	d := len(x)
	n.jacobians(d)
	for i, l := range n.layers {
		t := &n.t[i]
		for k := range t.o {
			dm, ds := byMean, byVariance
			if i < 2 {
				dm, ds = n.t[i+1].dm[k], n.t[i+1].ds[k]
			}
			am, as := &t.am[k], &t.as[k]
			q.addCurvature2(dm*am.oo+ds*as.oo, dm*am.ov+ds*as.ov, dm*am.vv+ds*as.vv, t.jo[k*d:(k+1)*d], t.jv[k*d:(k+1)*d])
		}
		n.linearCurvature(i, l, d, q)
	}
}

// linearCurvature adds the curvature of the m² Ws term of layer i: for input j, 2 Σ_k v̄_k Ws_jk times the outer square of ∂m_j/∂x.
func (n *npn) linearCurvature(i int, l *npnLayer, d int, q *quadratic) {
	t := &n.t[i]
	for j := range t.m {
		c := 2 * dot(l.ws[j*l.Out:(j+1)*l.Out], t.dv)
		if i == 0 {
			q.addSquare(j, c)
			continue
		}
		n.activationRow(i-1, j, d, n.rowM, nil)
		q.addCurvature(c, n.rowM)
	}
}

// activationRow writes the derivatives by the input of unit k's activation mean and, unless nil, variance in layer i.
func (n *npn) activationRow(i, k, d int, mean, variance []float64) {
	t := &n.t[i]
	jo, jv := t.jo[k*d:(k+1)*d], t.jv[k*d:(k+1)*d]
	for c := range mean {
		mean[c] = t.am[k].o*jo[c] + t.am[k].v*jv[c]
	}
	for c := range variance {
		variance[c] = t.as[k].o*jo[c] + t.as[k].v*jv[c]
	}
}

// jacobians fills jo and jv of every layer, after a forward pass.
func (n *npn) jacobians(d int) {
	jm, js := n.rowM, n.rowS
	for i, l := range n.layers {
		t := &n.t[i]
		clear(t.jo)
		clear(t.jv)
		for j, m := range t.m {
			if i > 0 {
				n.activationRow(i-1, j, d, jm, js)
			} else {
				clear(jm)
				jm[j] = 1
			}
			for k := range t.o {
				at := j*l.Out + k
				addScaled(t.jo[k*d:(k+1)*d], l.Wm[at], jm)
				addScaled(t.jv[k*d:(k+1)*d], 2*m*l.ws[at], jm)
				if i > 0 {
					addScaled(t.jv[k*d:(k+1)*d], l.wq[at], js)
				}
			}
		}
	}
}
