package finetune

import (
	"context"
	"math"
	"math/rand/v2"
)

// referenceNet is a small residual network with LoRA on both linear modules of every layer, differentiated by hand:
//
//	u = tanh(M1 h),  h' = h + M2 u,  M x = W x + s gamma B A x,  loss = 1/(2T) sum over tokens |h_N - target|^2
//
// It computes in float64 and takes adapters of any float type. Theta holds A1 [r, H], B1 [H, r], A2, B2 of layer 0, then of layer 1, ...
type referenceNet[F Float] struct {
	layers, hidden, rank, tokens int
	gamma                        float64
	weights                      [][2][]float64 // [H, H]
	teacher                      [][2][]float64 // what the targets are computed with
	seed                         uint64
	poison                       int // training micro-batch that gives NaN; 0 none
	trained, validated           int // evaluations
}

func newReference[F Float](layers, hidden, rank int, seed uint64, planted ...int) *referenceNet[F] {
	n := &referenceNet[F]{layers: layers, hidden: hidden, rank: rank, tokens: 16, gamma: 2, seed: seed}
	rng := rand.New(rand.NewPCG(seed, 1))
	for range layers {
		var w, t [2][]float64
		for m := range w {
			w[m] = normal(rng, hidden*hidden, 1/math.Sqrt(float64(hidden)))
			t[m] = append([]float64(nil), w[m]...)
		}
		n.weights, n.teacher = append(n.weights, w), append(n.teacher, t)
	}
	for _, l := range planted { // a change of the adapters' rank and of the same size everywhere
		for m := range 2 {
			a, b := normal(rng, rank*hidden, 1), normal(rng, hidden*rank, 1)
			d := make([]float64, hidden*hidden)
			for i := range d {
				for k := range rank {
					d[i] += b[i/hidden*rank+k] * a[k*hidden+i%hidden]
				}
			}
			for i, size := 0, norm(d); i < len(d); i++ {
				n.teacher[l][m][i] += 0.7 * d[i] / size
			}
		}
	}
	return n
}

func normal(rng *rand.Rand, n int, scale float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = scale * rng.NormFloat64()
	}
	return out
}

// start is fresh adapters: A uniform in 1/sqrt(H), B zero or of a given scale.
func (n *referenceNet[F]) start(b float64) []F {
	rng := rand.New(rand.NewPCG(n.seed, 2))
	theta := make([]F, n.Size())
	for i := range theta {
		part := i % (2 * n.rank * n.hidden) / (n.rank * n.hidden)
		if part == 0 {
			theta[i] = F((2*rng.Float64() - 1) / math.Sqrt(float64(n.hidden)))
		} else {
			theta[i] = F(b * rng.NormFloat64())
		}
	}
	return theta
}

func (n *referenceNet[F]) Layers() int { return n.layers }
func (n *referenceNet[F]) Size() int   { return n.layers * 4 * n.rank * n.hidden }

// module is the place of A and B of a layer's module in theta.
func (n *referenceNet[F]) module(layer, m int) (a, b int) {
	a = (layer*2 + m) * 2 * n.rank * n.hidden
	return a, a + n.rank*n.hidden
}

func (n *referenceNet[F]) Train(_ context.Context, batch int, theta []F, s []float64, gradient []F, layers []float64) (float64, error) {
	n.trained++
	loss, err := n.evaluate(uint64(batch)<<1, theta, s, gradient, layers)
	if n.poison > 0 && batch == n.poison {
		loss = math.NaN()
	}
	return loss, err
}

func (n *referenceNet[F]) Validate(_ context.Context, batch int, theta []F, s []float64, gradient []F, layers []float64) (float64, error) {
	n.validated++
	return n.evaluate(uint64(batch)<<1|1, theta, s, gradient, layers)
}

// matVec adds scale M x to out, M [rows, len(x)]; transposed adds scale M^T x, M [len(x), len(out)].
func matVec(out, m, x []float64, scale float64, transposed bool) {
	for i := range out {
		for j := range x {
			at := i*len(x) + j
			if transposed {
				at = j*len(out) + i
			}
			out[i] += scale * m[at] * x[j]
		}
	}
}

// tape is what the way back needs of one module and token.
type tape struct{ x, ax []float64 }

func (n *referenceNet[F]) forward(w [2][]float64, theta []float64, s []float64, layer int, h []float64) (u, out []float64, tapes [2]tape) {
	x := h
	for m := range 2 {
		y := make([]float64, n.hidden)
		matVec(y, w[m], x, 1, false)
		tapes[m] = tape{x, make([]float64, n.rank)}
		if theta != nil {
			a, b := n.module(layer, m)
			matVec(tapes[m].ax, theta[a:b], x, 1, false)
			matVec(y, theta[b:b+n.rank*n.hidden], tapes[m].ax, s[layer]*n.gamma, false)
		}
		if m == 0 {
			for i := range y {
				y[i] = math.Tanh(y[i])
			}
			u, x = y, y
			continue
		}
		out = make([]float64, n.hidden)
		for i := range out {
			out[i] = h[i] + y[i]
		}
	}
	return u, out, tapes
}

func (n *referenceNet[F]) evaluate(seed uint64, theta []F, s []float64, gradient []F, layers []float64) (float64, error) {
	rng := rand.New(rand.NewPCG(n.seed, 1000+seed))
	wide := make([]float64, len(theta))
	for i, v := range theta {
		wide[i] = float64(v)
	}
	grad, lay := make([]float64, len(theta)), make([]float64, n.layers)
	var loss float64
	for range n.tokens {
		h := normal(rng, n.hidden, 1)
		target := h
		tapes, us := make([][2]tape, n.layers), make([][]float64, n.layers)
		for l := range n.layers {
			_, target, _ = n.forward(n.teacher[l], nil, nil, l, target)
			us[l], h, tapes[l] = n.forward(n.weights[l], wide, s, l, h)
		}
		d := make([]float64, n.hidden)
		for i := range d {
			d[i] = (h[i] - target[i]) / float64(n.tokens)
			loss += 0.5 * (h[i] - target[i]) * (h[i] - target[i]) / float64(n.tokens)
		}
		for l := n.layers - 1; l >= 0; l-- {
			du := n.backward(l, 1, wide, s, d, tapes[l][1], grad, lay)
			for i := range du {
				du[i] *= 1 - us[l][i]*us[l][i]
			}
			for i, v := range n.backward(l, 0, wide, s, du, tapes[l][0], grad, lay) {
				d[i] += v
			}
		}
	}
	for i := range gradient {
		gradient[i] = F(grad[i])
	}
	copy(layers, lay)
	return loss, nil
}

// backward takes delta at a module's output to its input, adding to the gradients. The layer's comes from the r-vectors B^T delta and A x.
func (n *referenceNet[F]) backward(layer, m int, theta, s, delta []float64, t tape, grad, layers []float64) []float64 {
	a, b := n.module(layer, m)
	end := b + n.rank*n.hidden
	bd := make([]float64, n.rank)
	matVec(bd, theta[b:end], delta, 1, true)
	g, err := LayerGradient(n.gamma, bd, t.ax)
	if err != nil {
		panic(err)
	}
	layers[layer] += g
	scale := s[layer] * n.gamma
	for k := range n.rank {
		for i := range n.hidden {
			grad[a+k*n.hidden+i] += scale * bd[k] * t.x[i]
			grad[b+i*n.rank+k] += scale * delta[i] * t.ax[k]
		}
	}
	dx := make([]float64, n.hidden)
	matVec(dx, n.weights[layer][m], delta, 1, true)
	matVec(dx, theta[a:b], bd, scale, true)
	return dx
}
