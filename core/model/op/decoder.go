package op

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"flexi/core/device"
)

// RMSNorm adds gamma ∘ x/sqrt(mean(x²) + eps) over rows. Parts: Y, the reciprocal root.
func (g *Graph) RMSNorm(x, gamma *gorgonia.Node, eps float32) *gorgonia.Node {
	const name = "rms norm"
	m, n := g.rowsAndColumns(name, x)
	g.expect(name, "gamma", gamma, n)
	return g.kernel(kernelSpec{
		name: name, in: []*gorgonia.Node{x, gamma}, diff: []bool{true, true}, parts: []Shape{matrix(Always, m, n), vector(Always, m)},
		run: func(e *Env, in, out []device.Mat) {
			e.Device.RMSNormForward(device.RMSNorm{X: in[0], Gamma: in[1].T, Eps: eps, Y: out[0], RStd: out[1].T})
		},
		grad: func(y, dy *gorgonia.Node) gorgonia.Nodes {
			dx := g.kernel(kernelSpec{
				name: name + " gradient", in: []*gorgonia.Node{x, gamma, g.part(y, 1), dy},
				parts: []Shape{matrix(OnDemand, m, n), vector(OnDemand, n)},
				run: func(e *Env, in, out []device.Mat) {
					e.Device.RMSNormBackward(device.RMSNormGrad{X: in[0], Gamma: in[1].T, RStd: in[2].T, DY: in[3], DX: out[0], DGamma: out[1].T})
				},
			})
			return gorgonia.Nodes{g.gradient(x, dx, 0), g.gradient(gamma, dx, 1)}
		},
	})
}

// SwiGLU adds silu(gate)∘up; x holds the columns of gate, then those of up.
func (g *Graph) SwiGLU(x *gorgonia.Node) *gorgonia.Node {
	const name = "swiglu"
	m, n := g.rowsAndColumns(name, x)
	if g.err == nil && n%2 != 0 {
		g.fail(name, fmt.Errorf("%d columns are not two halves", n))
	}
	return g.kernel(kernelSpec{
		name: name, in: []*gorgonia.Node{x}, diff: []bool{true}, parts: []Shape{matrix(Always, m, n/2)},
		run: func(e *Env, in, out []device.Mat) { e.Device.SwiGLUForward(device.SwiGLU{X: in[0], Y: out[0]}) },
		grad: func(_, dy *gorgonia.Node) gorgonia.Nodes {
			return gorgonia.Nodes{g.kernel(kernelSpec{
				name: name + " gradient", in: []*gorgonia.Node{x, dy}, parts: []Shape{matrix(Always, m, n)},
				run: func(e *Env, in, out []device.Mat) {
					e.Device.SwiGLUBackward(device.SwiGLUGrad{X: in[0], DY: in[1], DX: out[0]})
				},
			})}
		},
	})
}

// Activate adds an activation by itself, for maps behind which it cannot be fused.
func (g *Graph) Activate(x *gorgonia.Node, act device.Activation) *gorgonia.Node {
	const name = "gelu"
	if act == device.Identity {
		return x
	}
	m, n := g.rowsAndColumns(name, x)
	if g.err == nil && act != device.GELU {
		g.fail(name, fmt.Errorf("activation %d has no kernel of its own", act))
	}
	return g.kernel(kernelSpec{
		name: name, in: []*gorgonia.Node{x}, diff: []bool{true}, parts: []Shape{matrix(Always, m, n)},
		run: func(e *Env, in, out []device.Mat) { e.Device.GELU(out[0], in[0]) },
		grad: func(_, dy *gorgonia.Node) gorgonia.Nodes {
			return gorgonia.Nodes{g.kernel(kernelSpec{
				name: name + " gradient", in: []*gorgonia.Node{x, dy}, parts: []Shape{matrix(Always, m, n)},
				run: func(e *Env, in, out []device.Mat) { e.Device.GELUGrad(out[0], in[0], in[1]) },
			})}
		},
	})
}

// GroupedAttention is attention with fewer heads of keys and values than of queries, turned by their positions.
//
//	Q        (Batch·Seq)×(Heads·Dim);  K, V  (Batch·Seq)×(KVHeads·Dim)
//	Rotary   positions×Dim, nil for none
//	Lengths  int32, one per batch row
type GroupedAttention struct {
	Q, K, V, Rotary, Lengths *gorgonia.Node
	Shape                    device.GroupedShape
	Dropout                  float32
}

func (a GroupedAttention) params(e *Env, in []device.Mat, site uint32) device.GroupedAttention {
	p := device.GroupedAttention{
		GroupedShape: a.Shape, Q: in[0], K: in[1], V: in[2], Lengths: in[3].T, Drop: e.dropout(a.Dropout, site),
	}
	if a.Rotary != nil {
		p.Rotary = in[4]
	}
	return p
}

// GroupedAttention adds the context. Nothing is kept for the backward pass, which computes the probabilities again.
func (g *Graph) GroupedAttention(a GroupedAttention) *gorgonia.Node {
	const name = "grouped attention"
	s := a.Shape
	rows, queries, keys := s.Batch*s.Seq, s.Heads*s.Dim, s.KVHeads*s.Dim
	g.expect(name, "query", a.Q, rows, queries)
	g.expect(name, "key", a.K, rows, keys)
	g.expect(name, "value", a.V, rows, keys)
	g.expect(name, "lengths", a.Lengths, s.Batch)
	if g.err == nil && (s.KVHeads < 1 || s.Heads%s.KVHeads != 0) {
		g.fail(name, fmt.Errorf("%d heads of queries and %d of keys: these must divide those", s.Heads, s.KVHeads))
	}
	in := []*gorgonia.Node{a.Q, a.K, a.V, a.Lengths}
	if a.Rotary != nil {
		positions, _ := g.rowsAndColumns(name, a.Rotary)
		g.expect(name, "rotary table", a.Rotary, positions, s.Dim)
		if g.err == nil && (positions < s.Seq || s.Dim%2 != 0) {
			g.fail(name, fmt.Errorf("%d positions of width %d: the table has %d", s.Seq, s.Dim, positions))
		}
		in = append(in, a.Rotary)
	}
	site := g.site(a.Dropout)
	diff := make([]bool, len(in))
	diff[0], diff[1], diff[2] = true, true, true
	return g.kernel(kernelSpec{
		name: name, in: in, diff: diff, parts: []Shape{matrix(Always, rows, queries)},
		run: func(e *Env, in, out []device.Mat) {
			p := a.params(e, in, site)
			p.Out = out[0]
			e.Device.GroupedAttentionForward(p)
		},
		grad: func(_, dy *gorgonia.Node) gorgonia.Nodes {
			dq := g.kernel(kernelSpec{
				name: name + " gradient", in: append(in[:len(in):len(in)], dy),
				parts: []Shape{matrix(Always, rows, queries), matrix(Always, rows, keys), matrix(Always, rows, keys)},
				run: func(e *Env, in, out []device.Mat) {
					e.Device.GroupedAttentionBackward(device.GroupedAttentionGrad{
						GroupedAttention: a.params(e, in, site), DOut: in[len(in)-1], DQ: out[0], DK: out[1], DV: out[2],
					})
				},
			})
			grads := make(gorgonia.Nodes, len(in))
			for i, n := range in[:3] {
				grads[i] = g.gradient(n, dq, i)
			}
			return grads
		},
	})
}
