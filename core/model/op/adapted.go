package op

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"flexi/core/device"
)

// Adapter is LoRA on the columns [Column, Column+n) of a linear map's output, with A r×K and B n×r:
//
//	y = W x + s·Scale·B A x                                          LoRA
//	y = Magnitude/|W + s·Scale·B A|row ∘ (W x + s·Scale·B A x)       DoRA, the norm held fixed in the backward pass
type Adapter struct {
	A, B      *gorgonia.Node
	Magnitude *gorgonia.Node // n, DoRA only; all adapters of a map have one, or none has
	Column    int
	Scale     float32 // gamma
}

// Adapted is Y = Residual + Bias + the adapted product of X (M×K) with a frozen W (N×K). Bias, Residual and the layer's multiplier S, of one element,
// may be nil. Adapters are in the order of their columns; Dropout is that of their input.
type Adapted struct {
	X, W, Bias, Residual, S *gorgonia.Node
	Adapters                []Adapter
	Dropout                 float32
}

// adapted is an Adapted on its way into the graph: where its operands and parts are.
type adapted struct {
	Adapted
	g       *Graph
	site    uint32
	m, n    int // rows and columns of Y
	inputs  int // columns of X
	in      []*gorgonia.Node
	bias    int // places in in; 0 for none
	residue int
	s       int
	dora    bool
}

// Adapted adds a linear map with adapters. Parts: Y; per adapter A·x of every row; with DoRA the unscaled product, and the norms of all rows of the
// adapted weight.
func (g *Graph) Adapted(a Adapted) *gorgonia.Node {
	const name = "adapted linear"
	t := &adapted{Adapted: a, g: g, site: g.site(a.Dropout)}
	t.m, t.inputs = g.rowsAndColumns(name, a.X)
	t.n, _ = g.rowsAndColumns(name, a.W)
	t.check(name)
	if g.err != nil {
		return nil
	}
	spec := kernelSpec{name: name, in: []*gorgonia.Node{a.X, a.W}, diff: []bool{true, false}, run: t.forward, grad: t.grad}
	for _, d := range a.Adapters {
		spec.optional(d.A)
		spec.optional(d.B)
		spec.optional(d.Magnitude)
	}
	t.bias, t.residue, t.s = spec.optional(a.Bias), spec.optional(a.Residual), spec.optional(a.S)
	t.in = spec.in
	spec.parts = []Shape{matrix(Always, t.m, t.n)}
	for _, d := range a.Adapters {
		spec.parts = append(spec.parts, matrix(Always, t.m, d.A.Shape()[0]))
	}
	if t.dora {
		spec.parts = append(spec.parts, matrix(Always, t.m, t.n), vector(Always, t.n))
	}
	for _, d := range a.Adapters {
		spec.parts = append(spec.parts, matrix(Scratch, t.m, d.A.Shape()[0]))
	}
	if a.Dropout > 0 {
		spec.parts = append(spec.parts, matrix(Scratch, t.m, t.inputs))
	}
	return g.kernel(spec)
}

// AdaptedInner is A·x of adapter i of a node that Adapted made, one row per row of X.
func (g *Graph) AdaptedInner(y *gorgonia.Node, i int) *gorgonia.Node { return g.part(y, 1+i) }

func (t *adapted) check(name string) {
	g := t.g
	g.expect(name, "weight", t.W, t.n, t.inputs)
	g.expect(name, "bias", t.Bias, t.n)
	g.expect(name, "residual", t.Residual, t.m, t.n)
	g.expect(name, "multiplier", t.S, 1)
	if g.err == nil && (g.trained[t.W] || g.trained[t.Bias]) {
		g.fail(name, fmt.Errorf("weight and bias under an adapter must be frozen"))
	}
	at := 0
	for i, d := range t.Adapters {
		rank, _ := g.rowsAndColumns(name, d.A)
		n, _ := g.rowsAndColumns(name, d.B)
		g.expect(name, "A", d.A, rank, t.inputs)
		g.expect(name, "B", d.B, n, rank)
		g.expect(name, "magnitude", d.Magnitude, n)
		if g.err == nil && (d.Column < at || d.Column+n > t.n || i > 0 && (d.Magnitude != nil) != t.dora) {
			g.fail(name, fmt.Errorf("adapter %d of columns [%d:%d] of %d: it overlaps another, or only one of them is DoRA", i, d.Column, d.Column+n, t.n))
		}
		at, t.dora = d.Column+n, d.Magnitude != nil
	}
}

// factors are the matrices of adapter i among operands.
func (t *adapted) factors(in []device.Mat, i int) (a, b device.Mat, magnitude device.Tensor) {
	if t.dora {
		return in[2+3*i], in[3+3*i], in[4+3*i].T
	}
	return in[2+2*i], in[3+2*i], device.Tensor{}
}

func (t *adapted) multiplier(in []device.Mat) device.Tensor {
	if t.s == 0 {
		return device.Tensor{}
	}
	return in[t.s].T
}

func (t *adapted) forward(e *Env, in, out []device.Mat) {
	n := len(t.Adapters)
	y := out[0]
	p := device.Linear{X: in[0], W: in[1], Y: y}
	if t.bias > 0 {
		p.Bias = in[t.bias].T
	}
	if t.residue > 0 {
		p.Residual = in[t.residue]
	}
	scratch := out[1+n:]
	if t.dora {
		scratch = out[3+n:]
		p = device.Linear{X: in[0], W: in[1], Y: out[1+n]}
	}
	e.Device.LinearForward(p)
	x := in[0]
	if t.Dropout > 0 {
		x = scratch[n]
		e.Device.Dropout(x, in[0], e.dropout(t.Dropout, t.site))
	}
	for i, d := range t.Adapters {
		a, b, _ := t.factors(in, i)
		e.Device.Gemm(device.Gemm{A: x, B: a, C: out[1+i], TransB: true})
		e.Device.Scale(scratch[i], out[1+i], d.Scale, t.multiplier(in))
		e.Device.Gemm(device.Gemm{A: scratch[i], B: b, C: p.Y.Columns(d.Column, b.Rows), TransB: true, Accumulate: true})
	}
	if t.dora {
		t.magnitudes(e, in, out[1+n], y, out[2+n].T)
	}
}

// magnitudes rescales the columns of the adapters, and adds bias and residual to all.
func (t *adapted) magnitudes(e *Env, in []device.Mat, x, y device.Mat, norms device.Tensor) {
	at := 0
	columns := func(lo, hi int, magnitude, norm device.Tensor) {
		if lo == hi {
			return
		}
		m := device.Magnitude{X: x.Columns(lo, hi-lo), Mag: magnitude, Norm: norm, Y: y.Columns(lo, hi-lo)}
		if t.bias > 0 {
			m.Bias = in[t.bias].T.Slice(lo, hi-lo)
		}
		if t.residue > 0 {
			m.Residual = in[t.residue].Columns(lo, hi-lo)
		}
		e.Device.MagnitudeForward(m)
	}
	for i, d := range t.Adapters {
		a, b, magnitude := t.factors(in, i)
		norm := norms.Slice(d.Column, b.Rows)
		e.Device.AdaptedNorms(device.AdaptedNorms{
			W: in[1].RowsView(d.Column, b.Rows), A: a, B: b, Factor: d.Scale, By: t.multiplier(in), Norms: norm,
		})
		columns(at, d.Column, device.Tensor{}, device.Tensor{})
		columns(d.Column, d.Column+b.Rows, magnitude, norm)
		at = d.Column + b.Rows
	}
	columns(at, t.n, device.Tensor{}, device.Tensor{})
}
