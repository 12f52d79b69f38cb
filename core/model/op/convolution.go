package op

import (
	"gorgonia.org/gorgonia"

	"flexi/core/device"
)

// Depthwise adds a convolution over the seq positions of every batch row, with one filter per channel: x (batch·seq)×C, w C×K.
func (g *Graph) Depthwise(x, w *gorgonia.Node, batch, seq int) *gorgonia.Node {
	const name = "depthwise"
	rows, c := g.rowsAndColumns(name, x)
	_, k := g.rowsAndColumns(name, w)
	g.expect(name, "input", x, batch*seq, c)
	g.expect(name, "filters", w, c, k)
	params := func(x, w device.Mat) device.Depthwise { return device.Depthwise{Batch: batch, Seq: seq, X: x, W: w} }
	return g.kernel(kernelSpec{
		name: name, in: []*gorgonia.Node{x, w}, diff: []bool{true, true}, parts: []Shape{matrix(Always, rows, c)},
		run: func(e *Env, in, out []device.Mat) {
			p := params(in[0], in[1])
			p.Y = out[0]
			e.Device.DepthwiseForward(p)
		},
		grad: func(_, dy *gorgonia.Node) gorgonia.Nodes {
			dx := g.kernel(kernelSpec{
				name: name + " gradient", in: []*gorgonia.Node{x, w, dy}, parts: []Shape{matrix(Always, rows, c), matrix(Always, c, k)},
				run: func(e *Env, in, out []device.Mat) {
					e.Device.DepthwiseBackward(device.DepthwiseGrad{Depthwise: params(in[0], in[1]), DY: in[2], DX: out[0], DW: out[1]})
				},
			})
			return gorgonia.Nodes{g.gradient(x, dx, 0), g.gradient(w, dx, 1)}
		},
	})
}

// Taps is the last part of span-based dynamic convolution: for every token and head, a softmax over K logits weighs the K values around the token.
type Taps struct {
	Logits, V                 *gorgonia.Node // (Batch·Seq)×(Heads·K) and (Batch·Seq)×(Heads·Dim)
	Batch, Seq, Heads, Dim, K int
}

func (t Taps) params(logits, v, saved device.Mat) device.Taps {
	return device.Taps{Batch: t.Batch, Seq: t.Seq, Heads: t.Heads, Dim: t.Dim, K: t.K, Logits: logits, V: v, Saved: saved}
}

// Taps adds the weighted values. Parts: (Batch·Seq)×(Heads·Dim) values; the weights.
func (g *Graph) Taps(t Taps) *gorgonia.Node {
	const name = "taps"
	rows := t.Batch * t.Seq
	g.expect(name, "logits", t.Logits, rows, t.Heads*t.K)
	g.expect(name, "values", t.V, rows, t.Heads*t.Dim)
	return g.kernel(kernelSpec{
		name: name, in: []*gorgonia.Node{t.Logits, t.V}, diff: []bool{true, true},
		parts: []Shape{matrix(Always, rows, t.Heads*t.Dim), matrix(Always, rows, t.Heads*t.K)},
		run: func(e *Env, in, out []device.Mat) {
			p := t.params(in[0], in[1], out[1])
			p.Y = out[0]
			e.Device.TapsForward(p)
		},
		grad: func(y, dy *gorgonia.Node) gorgonia.Nodes {
			dLogits := g.kernel(kernelSpec{
				name: name + " gradient", in: []*gorgonia.Node{t.Logits, t.V, g.part(y, 1), dy},
				parts: []Shape{matrix(Always, rows, t.Heads*t.K), matrix(Always, rows, t.Heads*t.Dim)},
				run: func(e *Env, in, out []device.Mat) {
					e.Device.TapsBackward(device.TapsGrad{Taps: t.params(in[0], in[1], in[2]), DY: in[3], DLogits: out[0], DV: out[1]})
				},
			})
			return gorgonia.Nodes{g.gradient(t.Logits, dLogits, 0), g.gradient(t.V, dLogits, 1)}
		},
	})
}
