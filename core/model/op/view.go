package op

import (
	"fmt"

	"gorgonia.org/gorgonia"
)

// Part views part Index of the op behind its first operand, which must be a Kernel.
type Part struct {
	signature
	Index int
}

// part views part i of the kernel node y.
func (g *Graph) part(y *gorgonia.Node, i int) *gorgonia.Node {
	if g.err != nil {
		return nil
	}
	if i == 0 {
		return y
	}
	return g.view(i, y)
}

// gradient is part i of the gradient kernel y, for an operand; nil if the operand does not depend on anything trained.
func (g *Graph) gradient(operand, y *gorgonia.Node, i int) *gorgonia.Node {
	if !g.trained[operand] {
		return nil
	}
	return g.part(y, i)
}

// rootPart views a gradient that the kernel of the loss y computed beside it. The loss's own gradient dy, 1, is an operand that is not read: every
// node of a graph has a reader. It is nil for an operand that does not depend on anything trained.
func (g *Graph) rootPart(operand, y, dy *gorgonia.Node, i int) *gorgonia.Node {
	if !g.trained[operand] {
		return nil
	}
	return g.view(i, y, dy)
}

func (g *Graph) view(i int, in ...*gorgonia.Node) *gorgonia.Node {
	return g.apply(&Part{signature: g.sign(fmt.Sprintf("part %d", i), in[0].Op().(*Kernel).parts[i], in), Index: i}, in)
}

// Window views columns [Column, Column+Width) of a matrix.
type Window struct {
	signature
	Column, Width int
	g             *Graph
	diff          bool
}

// Window adds a view of n columns from column c.
func (g *Graph) Window(x *gorgonia.Node, c, n int) *gorgonia.Node {
	rows, cols := g.rowsAndColumns("window", x)
	if g.err == nil && (c < 0 || n < 1 || c+n > cols) {
		g.fail("window", fmt.Errorf("columns [%d:%d] of %d", c, c+n, cols))
	}
	if g.err != nil {
		return nil
	}
	in := []*gorgonia.Node{x}
	return g.apply(&Window{signature: g.sign("window", matrix(Always, rows, n), in), Column: c, Width: n, g: g, diff: g.trained[x]}, in)
}

// DiffWRT says whether the window is of something that depends on something trained.
func (w *Window) DiffWRT(int) []bool { return []bool{w.diff} }

// SymDiff places the gradient into a matrix that is zero elsewhere.
func (w *Window) SymDiff(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	w.g.at = w.label
	return gorgonia.Nodes{w.g.place(dy, w.Column, in[0].Shape()[1])}, w.g.err
}

// Place is its operand in columns [Column, Column+width) of a wider matrix of zeros.
type Place struct {
	signature
	Column int
}

func (g *Graph) place(x *gorgonia.Node, c, total int) *gorgonia.Node {
	if g.err != nil {
		return nil
	}
	in := []*gorgonia.Node{x}
	return g.apply(&Place{signature: g.sign("place", matrix(Always, x.Shape()[0], total), in), Column: c}, in)
}

// Join puts matrices side by side.
type Join struct {
	signature
	diff []bool
	g    *Graph
}

// Join adds the matrix of all columns of its operands, in order.
func (g *Graph) Join(xs ...*gorgonia.Node) *gorgonia.Node {
	total, height := 0, 0
	diff := make([]bool, len(xs))
	for i, x := range xs {
		diff[i] = g.trained[x]
		rows, cols := g.rowsAndColumns("join", x)
		if g.err == nil && height != 0 && rows != height {
			g.fail("join", fmt.Errorf("%d and %d rows", height, rows))
		}
		height, total = rows, total+cols
	}
	if g.err != nil {
		return nil
	}
	return g.apply(&Join{signature: g.sign("join", matrix(Always, height, total), xs), diff: diff, g: g}, xs)
}

// DiffWRT says that a join is differentiable by every operand that depends on something trained.
func (j *Join) DiffWRT(int) []bool { return j.diff }

// SymDiff gives every operand its columns of the gradient.
func (j *Join) SymDiff(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	j.g.at = j.label
	out := make(gorgonia.Nodes, len(in))
	c := 0
	for i, x := range in {
		n := x.Shape()[1]
		if j.diff[i] {
			out[i] = j.g.Window(dy, c, n)
		}
		c += n
	}
	return out, j.g.err
}
