package search

import (
	"errors"
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// batchGraph is a surrogate's loss over a fixed number of rows as a Gorgonia expression graph, with the gradients of all parameters.
// Rows that a smaller batch leaves over carry weight 0.
//
// The parameters are the network's own memory, so an optimiser step between two runs needs no copying.
type batchGraph struct {
	graph *gorgonia.ExprGraph
	vm    gorgonia.VM
	rows  int
	in    int

	x, y, weight []float64
	masks        [][]float64 // one per hidden layer with dropout, rows x width
	nodes        gorgonia.Nodes
	loss         gorgonia.Value
	ones         *gorgonia.Node
	constants    map[float64]*gorgonia.Node
	err          error // the first that building met
}

func newBatchGraph(rows, in int) *batchGraph {
	return &batchGraph{graph: gorgonia.NewGraph(), rows: rows, in: in, constants: map[float64]*gorgonia.Node{}}
}

// must keeps building readable: the first error stays in b.err and a nil node propagates.
func (b *batchGraph) must(n *gorgonia.Node, err error) *gorgonia.Node {
	if err != nil && b.err == nil {
		b.err = err
	}
	return n
}

// apply builds op(args), or nothing once an error has occurred.
func (b *batchGraph) apply(op func(...*gorgonia.Node) (*gorgonia.Node, error), args ...*gorgonia.Node) *gorgonia.Node {
	if b.err != nil {
		return nil
	}
	return b.must(op(args...))
}

func unaryOp(op func(*gorgonia.Node) (*gorgonia.Node, error)) func(...*gorgonia.Node) (*gorgonia.Node, error) {
	return func(a ...*gorgonia.Node) (*gorgonia.Node, error) { return op(a[0]) }
}

func binaryOp(op func(a, b *gorgonia.Node) (*gorgonia.Node, error)) func(...*gorgonia.Node) (*gorgonia.Node, error) {
	return func(a ...*gorgonia.Node) (*gorgonia.Node, error) { return op(a[0], a[1]) }
}

func (b *batchGraph) add(x, y *gorgonia.Node) *gorgonia.Node {
	return b.apply(binaryOp(gorgonia.Add), x, y)
}

func (b *batchGraph) sub(x, y *gorgonia.Node) *gorgonia.Node {
	return b.apply(binaryOp(gorgonia.Sub), x, y)
}

func (b *batchGraph) times(x, y *gorgonia.Node) *gorgonia.Node {
	return b.apply(binaryOp(gorgonia.HadamardProd), x, y)
}

func (b *batchGraph) div(x, y *gorgonia.Node) *gorgonia.Node {
	return b.apply(binaryOp(gorgonia.HadamardDiv), x, y)
}

func (b *batchGraph) matmul(x, y *gorgonia.Node) *gorgonia.Node {
	return b.apply(binaryOp(gorgonia.Mul), x, y)
}

func (b *batchGraph) square(x *gorgonia.Node) *gorgonia.Node {
	return b.apply(unaryOp(gorgonia.Square), x)
}

func (b *batchGraph) sqrt(x *gorgonia.Node) *gorgonia.Node { return b.apply(unaryOp(gorgonia.Sqrt), x) }

func (b *batchGraph) exp(x *gorgonia.Node) *gorgonia.Node { return b.apply(unaryOp(gorgonia.Exp), x) }

func (b *batchGraph) log(x *gorgonia.Node) *gorgonia.Node { return b.apply(unaryOp(gorgonia.Log), x) }

func (b *batchGraph) sigmoid(x *gorgonia.Node) *gorgonia.Node {
	return b.apply(unaryOp(gorgonia.Sigmoid), x)
}

func (b *batchGraph) softplus(x *gorgonia.Node) *gorgonia.Node {
	return b.apply(unaryOp(gorgonia.Softplus), x)
}

// scale is c*x and shift is x + c, element by element.
func (b *batchGraph) scale(c float64, x *gorgonia.Node) *gorgonia.Node {
	return b.times(x, b.constant(c))
}

func (b *batchGraph) shift(x *gorgonia.Node, c float64) *gorgonia.Node {
	return b.add(x, b.constant(c))
}

func (b *batchGraph) constant(c float64) *gorgonia.Node {
	if b.constants[c] == nil {
		b.constants[c] = gorgonia.NewConstant(c)
	}
	return b.constants[c]
}

// atLeast is max(x, floor), flat where it is cut.
func (b *batchGraph) atLeast(x *gorgonia.Node, floor float64) *gorgonia.Node {
	return b.shift(b.apply(unaryOp(gorgonia.Rectify), b.shift(x, -floor)), floor)
}

// matrix is a leaf whose values are data.
func (b *batchGraph) matrix(name string, data []float64, rows, cols int) *gorgonia.Node {
	value := tensor.New(tensor.WithShape(rows, cols), tensor.WithBacking(data))
	return gorgonia.NewMatrix(b.graph, tensor.Float64, gorgonia.WithShape(rows, cols), gorgonia.WithName(name), gorgonia.WithValue(value))
}

// parameter is a leaf that gets a gradient.
func (b *batchGraph) parameter(name string, data []float64, rows, cols int) *gorgonia.Node {
	n := b.matrix(name, data, rows, cols)
	b.nodes = append(b.nodes, n)
	return n
}

// inputs makes the leaves x (rows x in), y and weight (rows x 1), and the column of ones that spreads biases over the rows.
func (b *batchGraph) inputs() (x, y, weight *gorgonia.Node) {
	b.x, b.y, b.weight = make([]float64, b.rows*b.in), make([]float64, b.rows), make([]float64, b.rows)
	ones := make([]float64, b.rows)
	for i := range ones {
		ones[i] = 1
	}
	b.ones = b.matrix("ones", ones, b.rows, 1)
	return b.matrix("x", b.x, b.rows, b.in), b.matrix("y", b.y, b.rows, 1), b.matrix("weight", b.weight, b.rows, 1)
}

// spread repeats a bias (1 x width) over the rows.
func (b *batchGraph) spread(bias *gorgonia.Node) *gorgonia.Node { return b.matmul(b.ones, bias) }

// mask makes the leaf of a hidden layer's dropout mask.
func (b *batchGraph) mask(width int) *gorgonia.Node {
	m := make([]float64, b.rows*width)
	b.masks = append(b.masks, m)
	return b.matrix(fmt.Sprintf("mask%d", len(b.masks)), m, b.rows, width)
}

// finish sums the weighted loss column, derives the gradients and compiles the graph.
func (b *batchGraph) finish(lossColumn, weight *gorgonia.Node) (*batchGraph, error) {
	total := b.apply(func(a ...*gorgonia.Node) (*gorgonia.Node, error) { return gorgonia.Sum(a[0]) }, b.times(lossColumn, weight))
	if b.err != nil {
		return nil, fmt.Errorf("build surrogate graph: %w", b.err)
	}
	if _, err := gorgonia.Grad(total, b.nodes...); err != nil {
		return nil, fmt.Errorf("differentiate surrogate graph: %w", err)
	}
	gorgonia.Read(total, &b.loss)
	b.vm = gorgonia.NewTapeMachine(b.graph, gorgonia.BindDualValues(b.nodes...))
	return b, nil
}

// run evaluates the batch in x, y, weight and masks; it adds the parameters' gradients to grads and returns the loss.
func (b *batchGraph) run(grads [][]float64) (float64, error) {
	defer b.vm.Reset()
	if err := b.vm.RunAll(); err != nil {
		return 0, fmt.Errorf("run surrogate graph: %w", err)
	}
	for i, n := range b.nodes {
		value, err := n.Grad()
		if err != nil {
			return 0, fmt.Errorf("gradient of %s: %w", n.Name(), err)
		}
		g, ok := value.Data().([]float64)
		if !ok { // a 1 x 1 matrix is a scalar to Gorgonia
			return 0, fmt.Errorf("gradient of %s is a %T", n.Name(), value.Data())
		}
		addScaled(grads[i], 1, g)
		clear(g) // Gorgonia adds to the gradients of the last run
	}
	loss, ok := b.loss.Data().(float64)
	if !ok {
		return 0, errors.New("the surrogate's loss is not a scalar")
	}
	return loss, nil
}

func (b *batchGraph) close() error { return b.vm.Close() }

// graph builds the squared error of the network over a batch.
func (n *mlp) graph(rows int) (*batchGraph, error) {
	b := newBatchGraph(rows, n.l1.In)
	h, y, weight := b.inputs()
	for i, l := range []affine{n.l1, n.l2, n.l3} {
		w := b.parameter(fmt.Sprintf("W%d", i+1), l.W, l.In, l.Out)
		bias := b.parameter(fmt.Sprintf("b%d", i+1), l.B, 1, l.Out)
		h = b.add(b.matmul(h, w), b.spread(bias))
		if i == 2 {
			h = b.sigmoid(h)
			break
		}
		h = b.softplus(h)
		if n.dropout > 0 {
			h = b.times(h, b.mask(l.Out))
		}
	}
	return b.finish(b.square(b.sub(h, y)), weight)
}
