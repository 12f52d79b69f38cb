package search

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"
)

// graph builds the network's loss over a batch; the formulas are those of npnReLU, npnSigmoid and loss.
func (n *npn) graph(rows int) (*batchGraph, error) {
	b := newBatchGraph(rows, n.layers[0].In)
	m, y, weight := b.inputs()
	var s *gorgonia.Node // the input has no variance
	for i, l := range n.layers {
		o, v := b.npnLinear(i, l, m, s)
		if i < 2 {
			m, s = b.npnReLU(o, v)
		} else {
			m, s = b.npnSigmoid(o, v)
		}
	}
	s = b.shift(s, npnLossFloor)
	squared := b.scale(n.factor, b.square(b.sub(m, y)))
	loss := b.scale(0.5, b.add(b.div(squared, s), b.log(s)))
	return b.finish(loss, weight)
}

func (b *batchGraph) npnLinear(i int, l *npnLayer, m, s *gorgonia.Node) (o, v *gorgonia.Node) {
	wm := b.parameter(fmt.Sprintf("Wm%d", i+1), l.Wm, l.In, l.Out)
	ws := b.softplus(b.parameter(fmt.Sprintf("Ws%d", i+1), l.Ws, l.In, l.Out))
	bm := b.parameter(fmt.Sprintf("bm%d", i+1), l.Bm, 1, l.Out)
	bs := b.softplus(b.parameter(fmt.Sprintf("bs%d", i+1), l.Bs, 1, l.Out))
	o = b.add(b.matmul(m, wm), b.spread(bm))
	v = b.add(b.matmul(b.square(m), ws), b.spread(bs))
	if s != nil {
		v = b.add(v, b.matmul(s, b.add(ws, b.square(wm))))
	}
	return o, v
}

func (b *batchGraph) npnReLU(o, v *gorgonia.Node) (m, s *gorgonia.Node) {
	kappa := b.sigmoid(b.scale(math.Sqrt(8/math.Pi), b.div(o, b.sqrt(v))))
	square := b.square(o)
	phi := b.times(b.sqrt(b.scale(1/(2*math.Pi), v)), b.exp(b.scale(-0.5, b.div(square, v))))
	m = b.add(b.times(kappa, o), phi)
	second := b.add(b.times(kappa, b.add(square, v)), b.times(o, phi))
	return m, b.atLeast(b.sub(second, b.square(m)), npnMinVariance)
}

func (b *batchGraph) npnSigmoid(o, v *gorgonia.Node) (m, s *gorgonia.Node) {
	attenuated := func(a float64, o *gorgonia.Node, c float64) *gorgonia.Node {
		return b.sigmoid(b.div(b.scale(a, o), b.sqrt(b.shift(b.scale(c, v), 1))))
	}
	m = attenuated(1, o, math.Pi/8)
	square := attenuated(npnAlpha, b.shift(o, npnBeta), math.Pi/8*npnAlpha*npnAlpha)
	return m, b.atLeast(b.sub(square, b.square(m)), npnMinVariance)
}
