package op

import (
	"slices"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"

	"flexi/core/device"
	"flexi/core/device/cpu"
)

func newTestGraph(t *testing.T) *Graph {
	t.Helper()
	dev, err := cpu.New(1, device.PrecisionF32)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	return NewGraph(dev, 0)
}

// Shapes are checked when the graph is built; the first error names op, place and operand, and later calls do nothing.
func TestShapeErrors(t *testing.T) {
	tests := []struct {
		name  string
		build func(g *Graph, x *gorgonia.Node)
		want  string
	}{
		{"linear", func(g *Graph, x *gorgonia.Node) { g.Linear(Linear{X: x, W: g.Float("w", 5, 7)}) }, "linear of layer 3: weight has shape (5, 7), want [5 6]"},
		{"bias", func(g *Graph, x *gorgonia.Node) { g.Linear(Linear{X: x, W: g.Float("w", 5, 6), Bias: g.Float("b", 6)}) }, "bias has shape (6), want [5]"},
		{"residual", func(g *Graph, x *gorgonia.Node) {
			g.Linear(Linear{X: x, W: g.Float("w", 5, 6), Residual: x})
		}, "linear residual of layer 3: residual has shape"},
		{"missing operand", func(g *Graph, x *gorgonia.Node) { g.LayerNorm(x, g.Float("gamma", 6), nil, LayerNormEps, 0) }, "operand 2 is missing"},
		{"vector", func(g *Graph, _ *gorgonia.Node) { g.Window(g.Float("v", 6), 0, 1) }, "window of layer 3: an operand is not a matrix"},
		{"window", func(g *Graph, x *gorgonia.Node) { g.Window(x, 4, 3) }, "columns [4:7] of 6"},
		{"join", func(g *Graph, x *gorgonia.Node) { g.Join(x, g.Float("y", 2, 6)) }, "4 and 2 rows"},
		{"product", func(g *Graph, x *gorgonia.Node) { g.Mul(x, g.Float("y", 4, 5)) }, "operand has shape (4, 5), want [4 6]"},
		{"sum", func(g *Graph, x *gorgonia.Node) { g.Add(x, g.Float("y", 4, 5)) }, "build add of layer 3"},
		{"mix", func(g *Graph, x *gorgonia.Node) { g.Mix(Mix{X: x, Base: x, Batch: 2, Seq: 3}) }, "mix dft of layer 3: input has shape (4, 6), want [6 6]"},
		{"depthwise", func(g *Graph, x *gorgonia.Node) { g.Depthwise(x, g.Float("w", 5, 3), 2, 2) }, "filters has shape (5, 3), want [6 3]"},
		{"taps", func(g *Graph, x *gorgonia.Node) {
			g.Taps(Taps{Logits: x, V: x, Batch: 2, Seq: 2, Heads: 2, Dim: 3, K: 5})
		}, "logits has shape (4, 6), want [4 10]"},
		{"cross-entropy", func(g *Graph, x *gorgonia.Node) {
			g.CrossEntropy(CrossEntropy{X: x, W: g.Float("w", 5, 6), Labels: g.Int("labels", 3)})
		}, "labels has shape (3), want [4]"},
		{"squared error", func(g *Graph, x *gorgonia.Node) { g.SquaredError(x, g.Float("y", 4)) }, "input has shape (4, 6), want [4 1]"},
		{"keys", func(g *Graph, x *gorgonia.Node) {
			g.Attention(Attention{Q: x, V: x, Rel: g.Float("r", 15, 3), Lengths: g.Int("l", 2), Batch: 2, Seq: 2, Dim: 3, Scores: make([]device.Score, 2), Bilinear: make([]int, 2)})
		}, "a head that needs keys has none"},
		{"matrices", func(g *Graph, x *gorgonia.Node) {
			g.Attention(Attention{Q: x, K: x, V: x, Rel: g.Float("r", 15, 6), Lengths: g.Int("l", 2), Batch: 2, Seq: 2, Dim: 6, Scores: []device.Score{device.ScoreBilinear}, Bilinear: []int{0}})
		}, "a bilinear head has no matrix"},
		{"positions", func(g *Graph, x *gorgonia.Node) {
			g.Attention(Attention{Q: x, K: x, V: x, Rel: g.Float("r", 5, 6), Lengths: g.Int("l", 1), Batch: 1, Seq: 4, Dim: 6, Scores: make([]device.Score, 1), Bilinear: []int{0}})
		}, "4 positions are more than the 3 of the position table"},
	}
	for _, c := range tests {
		g := newTestGraph(t)
		g.At("layer 3")
		c.build(g, g.Float("x", 4, 6))
		first := g.Err()
		if first == nil || !strings.Contains(first.Error(), c.want) {
			t.Errorf("%s: error %v, want %q in it", c.name, first, c.want)
			continue
		}
		nodes := len(g.Expr().AllNodes())
		x := g.Float("again", 2, 2)
		if g.Mul(x, x) != nil || g.Window(x, 0, 1) != nil || g.Join(x) != nil || g.Add(x, x) != nil || g.Err() != first || len(g.Expr().AllNodes()) != nodes+1 {
			t.Errorf("%s: building went on after the error", c.name)
		}
	}
}

// Equal ops on the same operands are different nodes: hashes are 32 bits, and Gorgonia trusts them.
func TestOpsAreNeverMerged(t *testing.T) {
	g := newTestGraph(t)
	x := g.Float("x", 4, 6)
	a, b := g.Mul(x, x), g.Mul(x, x)
	if a == b || a.Op().Hashcode() == b.Op().Hashcode() {
		t.Error("two products are one node")
	}
	salted := NewGraph(g.dev, 1)
	y := salted.Float("x", 4, 6)
	if salted.Mul(y, y).Op().Hashcode() == a.Op().Hashcode() {
		t.Error("the salt does not enter the hash")
	}
}

// Gradients of gradients are refused, not silently wrong.
func TestSecondDerivativeIsAnError(t *testing.T) {
	g := newTestGraph(t)
	x := g.Float("x", 4, 1)
	loss := g.SquaredError(g.Dropout(x, 0.5), g.Float("target", 4))
	d, err := gorgonia.Grad(loss, x)
	if err != nil {
		t.Fatal(err)
	}
	k := d[0].Op().(*Kernel)
	if _, err := k.SymDiff(nil, d[0], d[0]); err == nil || !strings.Contains(err.Error(), "backward pass") {
		t.Errorf("error %v", err)
	}
	if slices.Contains(k.DiffWRT(1), true) {
		t.Error("an op of the backward pass says it can be differentiated")
	}
}

func TestPartSizes(t *testing.T) {
	tests := []struct {
		dims             []int
		rows, cols, size int
	}{{nil, 1, 1, 1}, {[]int{5}, 1, 5, 5}, {[]int{2, 3}, 2, 3, 6}}
	for _, c := range tests {
		s := Shape{Dims: c.dims}
		if rows, cols := s.Matrix(); rows != c.rows || cols != c.cols || s.Elements() != c.size {
			t.Errorf("%v: %d×%d, %d elements", c.dims, rows, cols, s.Elements())
		}
	}
}

// The gradients of the fused loss are those of the loss by itself, so another use of it is refused.
func TestCrossEntropyIsTheRoot(t *testing.T) {
	for _, doubled := range []bool{false, true} {
		g := newTestGraph(t)
		x := g.Float("x", 4, 6)
		loss := g.CrossEntropy(CrossEntropy{X: x, W: g.Float("w", 5, 6), Labels: g.Int("labels", 4)})
		if doubled {
			var err error
			if loss, err = gorgonia.Mul(loss, gorgonia.NewConstant(float32(2))); err != nil {
				t.Fatal(err)
			}
		}
		_, err := gorgonia.Grad(loss, x)
		if doubled && (err == nil || !strings.Contains(err.Error(), "not as a term of another loss")) {
			t.Errorf("twice the loss: error %v", err)
		}
		if !doubled && err != nil {
			t.Errorf("the loss by itself: error %v", err)
		}
	}
}
