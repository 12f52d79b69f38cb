package op

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"flexi/core/device"
)

// CrossEntropy is the loss of a linear classifier, the mean of -log softmax(X·Wᵀ + Bias) at the label over the rows with a label >= 0: X M×K, W N×K,
// Bias N or nil, Labels M.
type CrossEntropy struct {
	X, W, Bias, Labels *gorgonia.Node
}

// CrossEntropy adds the loss, a scalar. Its gradients are computed with it while a chunk of logits is at hand, as further parts: dX, dW, [dBias].
// They are those of the loss by itself, so it must be what the graph is differentiated from, and not a term of another loss.
func (g *Graph) CrossEntropy(c CrossEntropy) *gorgonia.Node {
	const name = "linear cross-entropy"
	m, k := g.rowsAndColumns(name, c.X)
	n, _ := g.rowsAndColumns(name, c.W)
	g.expect(name, "weight", c.W, n, k)
	g.expect(name, "bias", c.Bias, n)
	g.expect(name, "labels", c.Labels, m)
	s := kernelSpec{
		name: name, in: []*gorgonia.Node{c.X, c.W, c.Labels}, diff: []bool{true, true, false},
		parts: []Shape{{Need: Always}, matrix(OnDemand, m, k), matrix(OnDemand, n, k)},
	}
	bias := s.optional(c.Bias)
	if bias > 0 {
		s.parts = append(s.parts, vector(OnDemand, n))
	}
	s.run = func(e *Env, in, out []device.Mat) {
		p := device.CrossEntropy{X: in[0], W: in[1], Labels: in[2].T, Loss: out[0].T, DX: out[1], DW: out[2]}
		if bias > 0 {
			p.Bias, p.DBias = in[bias].T, out[3].T
		}
		e.Device.CrossEntropy(p)
	}
	s.grad = func(y, dy *gorgonia.Node) gorgonia.Nodes {
		if !isOne(dy) {
			g.fail(name, fmt.Errorf("it can be differentiated by itself only, not as a term of another loss"))
			return nil
		}
		grads := gorgonia.Nodes{g.rootPart(c.X, y, dy, 1), g.rootPart(c.W, y, dy, 2), nil}
		if bias > 0 {
			grads = append(grads, g.rootPart(c.Bias, y, dy, 3))
		}
		return grads
	}
	return g.kernel(s)
}

// isOne recognises the constant 1, which gorgonia.Grad starts from.
func isOne(n *gorgonia.Node) bool {
	if n.Op() == nil || n.Op().Arity() > 0 {
		return false
	}
	v, err := n.Op().Do()
	return err == nil && v.Data() == any(float32(1))
}

// SquaredError adds the mean of (x - target)² over the rows of x, n×1; targets are a vector of n. The value is a scalar.
func (g *Graph) SquaredError(x, target *gorgonia.Node) *gorgonia.Node {
	rows, _ := g.rowsAndColumns("squared error", x)
	g.expect("squared error", "input", x, rows, 1)
	g.expect("squared error", "target", target, rows)
	return g.kernel(kernelSpec{
		name: "squared error", in: []*gorgonia.Node{x, target}, diff: []bool{true, false}, parts: []Shape{{Need: Always}},
		run: func(e *Env, in, out []device.Mat) {
			e.Device.SquaredErrorForward(device.SquaredError{X: in[0], Target: in[1].T, Loss: out[0].T})
		},
		grad: func(_, dy *gorgonia.Node) gorgonia.Nodes {
			d := g.kernel(kernelSpec{
				name: "squared error gradient", in: []*gorgonia.Node{x, target, dy}, parts: []Shape{matrix(Always, rows, 1)},
				run: func(e *Env, in, out []device.Mat) {
					e.Device.SquaredErrorBackward(device.SquaredErrorGrad{
						SquaredError: device.SquaredError{X: in[0], Target: in[1].T}, DLoss: in[2].T, DX: out[0],
					})
				},
			})
			return gorgonia.Nodes{d, nil}
		},
	})
}
