package devicetest

import (
	"math"
	"math/rand/v2"
	"testing"

	"flexi/core/device"
)

// checkGradients compares gradients with central differences of <dy, forward()> in every element of the inputs, which forward reads.
func checkGradients(t *testing.T, forward func() matrix, dy matrix, inputs, grads []matrix) {
	t.Helper()
	const h, bound = 1e-5, 1e-7
	for n, in := range inputs {
		limit := bound * max(1, grads[n].largest())
		for i, v := range in.x {
			in.x[i] = v + h
			up := dot(dy.x, forward().x)
			in.x[i] = v - h
			down := dot(dy.x, forward().x)
			in.x[i] = v
			if slope := (up - down) / (2 * h); !(math.Abs(slope-grads[n].x[i]) <= limit) {
				t.Fatalf("input %d, element %d: gradient %v, finite difference %v", n, i, grads[n].x[i], slope)
			}
		}
	}
}

func newRandom() *rand.Rand { return rand.New(rand.NewPCG(3, 5)) }

func TestLinearReference(t *testing.T) {
	rng := newRandom()
	for _, act := range []device.Activation{device.Identity, device.GELU, device.Tanh} {
		l := linearReference{
			normal(rng, 5, 3), normal(rng, 7, 3), normal(rng, 1, 7), normal(rng, 5, 7), act, device.Dropout{P: 0.25, Seed: 9},
		}
		dy := normal(rng, 5, 7)
		checkGradients(t, l.forward, dy, []matrix{l.x, l.w, l.bias}, l.backward(dy))
		checkGradients(t, l.forward, dy, []matrix{l.residual}, []matrix{dy})
	}
}

func TestLayerNormReference(t *testing.T) {
	rng := newRandom()
	l := layerNormReference{normal(rng, 5, 7), normal(rng, 1, 7), normal(rng, 1, 7), 1e-3, device.Dropout{P: 0.2, Seed: 4}}
	dy := normal(rng, 5, 7)
	checkGradients(t, l.forward, dy, []matrix{l.x, l.gamma, l.beta}, l.backward(dy))
}

func TestAttentionReference(t *testing.T) {
	rng := newRandom()
	const batch, seq, dim, positions, heads = 2, 5, 3, 6, 4
	a := attentionReference{
		AttentionShape: device.AttentionShape{
			Batch: batch, Seq: seq, Dim: dim, Bilinear: []int{0, 1, 0, 1},
			Scores: []device.Score{device.ScoreDot, device.ScoreBilinear, device.ScorePosition, device.ScoreBilinear},
		},
		q: normal(rng, batch*seq, heads*dim), k: normal(rng, batch*seq, heads*dim), v: normal(rng, batch*seq, heads*dim),
		rel: normal(rng, 2*positions-1, dim), w: normal(rng, 2*dim, dim), lengths: []int32{5, 3}, drop: device.Dropout{P: 0.2, Seed: 8},
	}
	dy := normal(rng, batch*seq, heads*dim)
	checkGradients(t, a.forward, dy, []matrix{a.q, a.k, a.v, a.rel, a.w}, a.backward(dy))
}

func TestConvolutionReferences(t *testing.T) {
	rng := newRandom()
	for _, k := range []int{1, 3, 4, 7} {
		d := depthwiseReference{2, 5, normal(rng, 10, 3), normal(rng, 3, k)}
		dy := normal(rng, 10, 3)
		checkGradients(t, d.forward, dy, []matrix{d.x, d.w}, d.backward(dy))

		p := tapsReference{2, 5, 2, 3, k, normal(rng, 10, 2*k), normal(rng, 10, 6)}
		dy = normal(rng, 10, 6)
		checkGradients(t, p.forward, dy, []matrix{p.logits, p.v}, p.backward(dy))
	}
}

func TestLossReferences(t *testing.T) {
	rng := newRandom()
	const dLoss = 0.5
	for _, labels := range [][]int32{{0, 4, 2}, {-1, 3, -100}, {-1, -1, -1}} {
		c := crossEntropyReference{normal(rng, 3, 4), normal(rng, 5, 4), normal(rng, 1, 5), labels}
		checkGradients(t, c.forward, scalar(1), []matrix{c.x, c.w, c.bias}, c.backward())
	}
	s := squaredErrorReference{normal(rng, 7, 1), normal(rng, 1, 7)}
	checkGradients(t, s.forward, scalar(dLoss), []matrix{s.x}, []matrix{s.backward(dLoss)})
}

func TestRowReferences(t *testing.T) {
	rng := newRandom()
	rows := []int32{2, -1, 0, 2, 1}
	x, dy := normal(rng, 4, 3), normal(rng, 5, 3)
	checkGradients(t, func() matrix { return gathered(x, rows) }, dy, []matrix{x}, []matrix{scattered(dy, rows, 4)})
}

// The orthonormal transforms are checked by what makes them so: M·Mᵀ = 1. The real part of the DFT is symmetric instead.
func TestTransformReference(t *testing.T) {
	const seq, cols = 3, 5
	m := transform(device.MixDCT, true, seq, cols)
	square := product(m, m.transposed())
	for i := range square.rows {
		for j := range square.cols {
			want := 0.0
			if i == j {
				want = 1
			}
			if math.Abs(square.at(i, j)-want) > 1e-12 {
				t.Errorf("M·Mᵀ[%d,%d] = %v", i, j, square.at(i, j))
			}
		}
	}
	dft := transform(device.MixDFT, false, seq, cols)
	turned := dft.transposed()
	for i, v := range dft.x {
		if math.Abs(v-turned.x[i]) > 1e-12 {
			t.Errorf("real part of the DFT is not symmetric at %d", i)
		}
	}
}

// The adjoint of a transform is its backward pass.
func TestTransformAdjoint(t *testing.T) {
	rng := newRandom()
	for _, kind := range []device.MixKind{device.MixDFT, device.MixDCT} {
		w := transform(kind, false, 3, 5)
		x, dy := normal(rng, 6, 5), normal(rng, 6, 5)
		checkGradients(t, func() matrix { return transformed(w, x, 2) }, dy, []matrix{x}, []matrix{transformed(w.transposed(), dy, 2)})
	}
}
