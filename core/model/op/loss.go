package op

import (
	"gorgonia.org/gorgonia"

	"flexi/core/device"
)

// CrossEntropy adds the mean of -log softmax(logits)[label] over the rows with a label >= 0. Parts: the loss, a scalar; log(sum(exp)) per row.
func (g *Graph) CrossEntropy(logits, labels *gorgonia.Node) *gorgonia.Node {
	rows, classes := g.rowsAndColumns("cross-entropy", logits)
	g.expect("cross-entropy", "labels", labels, rows)
	return g.kernel(kernelSpec{
		name: "cross-entropy", in: []*gorgonia.Node{logits, labels}, diff: []bool{true, false},
		parts: []Shape{{Need: Always}, vector(Always, rows)},
		run: func(e *Env, in, out []device.Mat) {
			e.Device.CrossEntropyForward(device.CrossEntropy{Logits: in[0], Labels: in[1].T, Loss: out[0].T, LogSum: out[1].T})
		},
		grad: func(y, dy *gorgonia.Node) gorgonia.Nodes {
			d := g.kernel(kernelSpec{
				name: "cross-entropy gradient", in: []*gorgonia.Node{logits, labels, g.part(y, 1), dy},
				parts: []Shape{matrix(Always, rows, classes)},
				run: func(e *Env, in, out []device.Mat) {
					e.Device.CrossEntropyBackward(device.CrossEntropyGrad{
						CrossEntropy: device.CrossEntropy{Logits: in[0], Labels: in[1].T, LogSum: in[2].T}, DLoss: in[3].T, DLogits: out[0],
					})
				},
			})
			return gorgonia.Nodes{d, nil}
		},
	})
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
