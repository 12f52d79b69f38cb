package op

import (
	"gorgonia.org/gorgonia"

	"flexi/core/device"
)

// Mul adds the element-wise product of two matrices.
func (g *Graph) Mul(x, y *gorgonia.Node) *gorgonia.Node {
	rows, cols := g.rowsAndColumns("multiply", x)
	g.expect("multiply", "operand", y, rows, cols)
	return g.kernel(kernelSpec{
		name: "multiply", in: []*gorgonia.Node{x, y}, diff: []bool{true, true}, parts: []Shape{matrix(Always, rows, cols)},
		run: func(e *Env, in, out []device.Mat) { e.Device.Mul(out[0], in[0], in[1]) },
		grad: func(_, dz *gorgonia.Node) gorgonia.Nodes {
			grads := make(gorgonia.Nodes, 2)
			if g.trained[x] {
				grads[0] = g.Mul(dz, y)
			}
			if g.trained[y] {
				grads[1] = g.Mul(dz, x)
			}
			return grads
		},
	})
}

// Dropout adds Drop(x); without a probability it is x itself.
func (g *Graph) Dropout(x *gorgonia.Node, p float32) *gorgonia.Node {
	if p == 0 {
		return x
	}
	rows, cols := g.rowsAndColumns("dropout", x)
	site := g.site(p)
	drop := func(x *gorgonia.Node, name string, grad func(_, dy *gorgonia.Node) gorgonia.Nodes) *gorgonia.Node {
		return g.kernel(kernelSpec{
			name: name, in: []*gorgonia.Node{x}, diff: []bool{grad != nil}, parts: []Shape{matrix(Always, rows, cols)},
			run:  func(e *Env, in, out []device.Mat) { e.Device.Dropout(out[0], in[0], e.dropout(p, site)) },
			grad: grad,
		})
	}
	return drop(x, "dropout", func(_, dy *gorgonia.Node) gorgonia.Nodes {
		return gorgonia.Nodes{drop(dy, "dropout gradient", nil)}
	})
}

// Gather adds y[i,:] = x[rows[i],:]; a negative row gives zeros.
func (g *Graph) Gather(x, rows *gorgonia.Node) *gorgonia.Node {
	m, n := g.rowsAndColumns("gather", x)
	if g.err != nil {
		return nil
	}
	return g.kernel(kernelSpec{
		name: "gather", in: []*gorgonia.Node{x, rows}, diff: []bool{true, false}, parts: []Shape{matrix(Always, rows.Shape()[0], n)},
		run: func(e *Env, in, out []device.Mat) { e.Device.Gather(out[0], in[0], in[1].T) },
		grad: func(_, dy *gorgonia.Node) gorgonia.Nodes {
			dx := g.kernel(kernelSpec{
				name: "gather gradient", in: []*gorgonia.Node{dy, rows}, parts: []Shape{matrix(Always, m, n)},
				run: func(e *Env, in, out []device.Mat) { e.Device.Scatter(out[0], in[0], in[1].T) },
			})
			return gorgonia.Nodes{dx, nil}
		},
	})
}
