package op

import (
	"fmt"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"flexi/core/device"
)

// Graph builds an expression graph. The first error sticks: later calls do nothing and return nil, and Err reports it.
type Graph struct {
	expr   *gorgonia.ExprGraph
	dev    device.Device
	salt   uint32
	serial uint32
	sites  uint32
	at     string
	err    error
	// trained are the nodes that depend on a variable made by Float; only they have gradients.
	trained map[*gorgonia.Node]bool
}

// NewGraph starts an empty graph for a device; the sizes of what attention keeps depend on it. The salt enters every op's hash, for a second
// attempt after a hash collision.
func NewGraph(dev device.Device, salt uint32) *Graph {
	return &Graph{expr: gorgonia.NewGraph(), dev: dev, salt: salt, trained: map[*gorgonia.Node]bool{}}
}

// Err is the first error of building.
func (g *Graph) Err() error { return g.err }

// At names the place in the model that the following ops belong to, for error messages.
func (g *Graph) At(label string) { g.at = label }

// Expr is the Gorgonia graph.
func (g *Graph) Expr() *gorgonia.ExprGraph { return g.expr }

// Float adds a float32 variable of one or two dimensions, which can be differentiated by.
func (g *Graph) Float(name string, dims ...int) *gorgonia.Node {
	n := g.variable(tensor.Float32, name, dims)
	g.trained[n] = true
	return n
}

// Frozen adds a float32 variable that nothing is differentiated by: neither its gradient nor those of nodes that depend on nothing else are computed.
func (g *Graph) Frozen(name string, dims ...int) *gorgonia.Node {
	return g.variable(tensor.Float32, name, dims)
}

// Int adds a vector of int32.
func (g *Graph) Int(name string, n int) *gorgonia.Node {
	return g.variable(tensor.Int32, name, []int{n})
}

func (g *Graph) variable(of tensor.Dtype, name string, dims []int) *gorgonia.Node {
	return gorgonia.NewUniqueNode(gorgonia.In(g.expr), gorgonia.WithName(name), gorgonia.WithType(valueType(dims, of)), gorgonia.WithShape(dims...))
}

// Add is Gorgonia's own addition.
func (g *Graph) Add(x, y *gorgonia.Node) *gorgonia.Node {
	if g.err != nil {
		return nil
	}
	z, err := gorgonia.Add(x, y)
	if err != nil {
		g.fail("add", err)
		return nil
	}
	g.trained[z] = g.trained[x] || g.trained[y]
	return z
}

// site numbers the places where values are dropped, in the order the model is built in; 0 where nothing is.
func (g *Graph) site(p float32) uint32 {
	if p == 0 {
		return 0
	}
	g.sites++
	return g.sites
}

func (g *Graph) fail(name string, err error) {
	if g.err == nil {
		g.err = fmt.Errorf("build %s of %s: %w", name, g.at, err)
	}
}

// sign makes the signature of a new op at the current place.
func (g *Graph) sign(name string, out Shape, in []*gorgonia.Node) signature {
	g.serial++
	s := signature{name: name, label: g.at, id: uint64(g.salt)<<32 | uint64(g.serial), out: out, in: make([]hm.Type, len(in))}
	for i, n := range in {
		s.in[i] = n.Type()
	}
	return s
}

func (g *Graph) apply(o gorgonia.Op, in []*gorgonia.Node) *gorgonia.Node {
	n, err := gorgonia.ApplyOp(o, in...)
	if err != nil {
		g.fail(o.String(), err)
		return nil
	}
	if d, ok := o.(gorgonia.SDOp); ok {
		for i, diff := range d.DiffWRT(len(in)) {
			if diff && g.trained[in[i]] {
				g.trained[n] = true
			}
		}
	}
	return n
}

// kernelSpec is everything that differs between kernels.
type kernelSpec struct {
	name  string
	in    []*gorgonia.Node
	diff  []bool
	parts []Shape
	run   func(e *Env, in, out []device.Mat)
	grad  func(y, dy *gorgonia.Node) gorgonia.Nodes
}

// kernel adds an op. It fails if an operand is missing.
func (g *Graph) kernel(s kernelSpec) *gorgonia.Node {
	if g.err != nil {
		return nil
	}
	for i, n := range s.in {
		if n == nil {
			g.fail(s.name, fmt.Errorf("operand %d is missing", i))
			return nil
		}
	}
	if s.diff == nil {
		s.diff = make([]bool, len(s.in))
	}
	for i, n := range s.in {
		s.diff[i] = s.diff[i] && g.trained[n]
	}
	return g.apply(&Kernel{signature: g.sign(s.name, s.parts[0], s.in), parts: s.parts, diff: s.diff, run: s.run, grad: s.grad, g: g}, s.in)
}

// expect checks an operand's shape and reports the first mismatch.
func (g *Graph) expect(op, operand string, n *gorgonia.Node, dims ...int) {
	if g.err != nil || n == nil {
		return
	}
	if !n.Shape().Eq(tensor.Shape(dims)) {
		g.fail(op, fmt.Errorf("%s has shape %v, want %v", operand, n.Shape(), dims))
	}
}

// rowsAndColumns of a matrix node; zeros after an error.
func (g *Graph) rowsAndColumns(op string, n *gorgonia.Node) (rows, cols int) {
	if g.err != nil {
		return 0, 0
	}
	if n == nil || n.Dims() != 2 {
		g.fail(op, fmt.Errorf("an operand is not a matrix"))
		return 0, 0
	}
	return n.Shape()[0], n.Shape()[1]
}

func matrix(need Need, rows, cols int) Shape { return Shape{Dims: []int{rows, cols}, Need: need} }

func vector(need Need, n int) Shape { return Shape{Dims: []int{n}, Need: need} }
