package op

import (
	"gorgonia.org/gorgonia"

	"flexi/core/device"
)

// Linear is Y = Residual + Drop(act(X·Wᵀ + Bias)), with X M×K, W N×K and Y M×N. Bias (N) and Residual (M×N) may be nil.
// Tanh goes with neither dropout nor residual, since its backward pass works from Y.
type Linear struct {
	X, W, Bias, Residual *gorgonia.Node
	Act                  device.Activation
	Dropout              float32
}

// name tells apart what differs in cost.
func (l Linear) name() string {
	switch l.Act {
	case device.GELU:
		return "linear gelu"
	case device.Tanh:
		return "linear tanh"
	}
	if l.Residual != nil {
		return "linear residual"
	}
	return "linear"
}

// Linear adds a linear map. Parts: Y; X·Wᵀ+Bias if the activation is GELU.
func (g *Graph) Linear(l Linear) *gorgonia.Node {
	m, k := g.rowsAndColumns(l.name(), l.X)
	n, _ := g.rowsAndColumns(l.name(), l.W)
	g.expect(l.name(), "weight", l.W, n, k)
	g.expect(l.name(), "bias", l.Bias, n)
	g.expect(l.name(), "residual", l.Residual, m, n)
	site := g.site(l.Dropout)
	s := kernelSpec{name: l.name(), in: []*gorgonia.Node{l.X, l.W}, diff: []bool{true, true}, parts: []Shape{matrix(Always, m, n)}}
	bias, residual := s.optional(l.Bias), s.optional(l.Residual)
	if l.Act == device.GELU {
		s.parts = append(s.parts, matrix(OnDemand, m, n))
	}
	s.run = func(e *Env, in, out []device.Mat) {
		p := device.Linear{X: in[0], W: in[1], Act: l.Act, Drop: e.dropout(l.Dropout, site), Y: out[0]}
		if bias > 0 {
			p.Bias = in[bias].T
		}
		if residual > 0 {
			p.Residual = in[residual]
		}
		if l.Act == device.GELU {
			p.Pre = out[1]
		}
		e.Device.LinearForward(p)
	}
	s.grad = func(y, dy *gorgonia.Node) gorgonia.Nodes {
		var dx *gorgonia.Node
		if g.trained[l.X] || g.trained[l.W] || bias > 0 && g.trained[l.Bias] {
			dx = g.linearGrad(l, y, dy, site)
		}
		grads := gorgonia.Nodes{g.gradient(l.X, dx, 0), g.gradient(l.W, dx, 1)}
		if bias > 0 {
			grads = append(grads, g.gradient(l.Bias, dx, 2))
		}
		if residual > 0 {
			grads = append(grads, dy)
		}
		return grads
	}
	return g.kernel(s)
}

// linearGrad has the parts dX, dW, [dBias], [scratch for the gradient before the activation].
func (g *Graph) linearGrad(l Linear, y, dy *gorgonia.Node, site uint32) *gorgonia.Node {
	x, w := l.X.Shape(), l.W.Shape()
	m, k, n := x[0], x[1], w[0]
	s := kernelSpec{
		name: l.name() + " gradient", in: []*gorgonia.Node{l.W, dy}, parts: []Shape{matrix(OnDemand, m, k), matrix(OnDemand, n, k)},
	}
	switch l.Act {
	case device.GELU:
		s.in = append(s.in, g.part(y, 1))
	case device.Tanh:
		s.in = append(s.in, y)
	}
	weight := g.trained[l.W]
	if weight { // else X need not be kept
		s.in = append(s.in, l.X)
	}
	bias := l.Bias != nil
	if bias {
		s.parts = append(s.parts, vector(OnDemand, n))
	}
	scratch := l.Act != device.Identity || l.Dropout > 0
	if scratch {
		s.parts = append(s.parts, matrix(Scratch, m, n))
	}
	s.run = func(e *Env, in, out []device.Mat) {
		p := device.LinearGrad{W: in[0], DY: in[1], Act: l.Act, Drop: e.dropout(l.Dropout, site), DX: out[0], DW: out[1]}
		switch l.Act {
		case device.GELU:
			p.Pre = in[2]
		case device.Tanh:
			p.Y = in[2]
		}
		if weight {
			p.X = in[len(in)-1]
		}
		if bias {
			p.DBias = out[2].T
		}
		if scratch {
			p.DPre = out[len(out)-1]
		}
		e.Device.LinearBackward(p)
	}
	return g.kernel(s)
}

// optional appends a differentiable operand unless it is nil, and returns its index, 0 if there is none (no optional operand comes first).
func (s *kernelSpec) optional(n *gorgonia.Node) int {
	if n == nil {
		return 0
	}
	s.in, s.diff = append(s.in, n), append(s.diff, true)
	return len(s.in) - 1
}
