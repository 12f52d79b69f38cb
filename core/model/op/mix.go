package op

import (
	"gorgonia.org/gorgonia"

	"flexi/core/device"
)

// Mix is a 2-D transform over the Seq positions and the columns of every batch row, added to a base.
type Mix struct {
	X, Base    *gorgonia.Node // (Batch·Seq)×columns
	Kind       device.MixKind
	Ortho      bool
	Batch, Seq int
}

func (m Mix) params(x, y device.Mat) device.Mix {
	return device.Mix{Kind: m.Kind, Batch: m.Batch, Seq: m.Seq, Ortho: m.Ortho, X: x, Y: y}
}

func (m Mix) name() string {
	if m.Kind == device.MixDCT {
		return "mix dct"
	}
	return "mix dft"
}

// Mix adds Base + transform(X).
func (g *Graph) Mix(m Mix) *gorgonia.Node {
	rows, cols := g.rowsAndColumns(m.name(), m.X)
	g.expect(m.name(), "input", m.X, m.Batch*m.Seq, cols)
	g.expect(m.name(), "base", m.Base, rows, cols)
	return g.kernel(kernelSpec{
		name: m.name(), in: []*gorgonia.Node{m.X, m.Base}, diff: []bool{true, true}, parts: []Shape{matrix(Always, rows, cols)},
		run: func(e *Env, in, out []device.Mat) {
			e.Device.Copy(out[0], in[1])
			p := m.params(in[0], out[0])
			p.Accumulate = true
			e.Device.Mix(p)
		},
		grad: func(_, dy *gorgonia.Node) gorgonia.Nodes {
			if !g.trained[m.X] {
				return gorgonia.Nodes{nil, dy}
			}
			dx := g.kernel(kernelSpec{
				name: m.name() + " gradient", in: []*gorgonia.Node{dy}, parts: []Shape{matrix(Always, rows, cols)},
				run: func(e *Env, in, out []device.Mat) {
					p := m.params(in[0], out[0])
					p.Adjoint = true
					e.Device.Mix(p)
				},
			})
			return gorgonia.Nodes{dx, dy}
		},
	})
}
