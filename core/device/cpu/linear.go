package cpu

import (
	"flexi/core/device"
	"flexi/core/device/cpu/kern"
)

// Gemm computes C = op(A)·op(B) or C += op(A)·op(B).
func (d *Device) Gemm(g device.Gemm) {
	if k := g.Check(); k > 0 && g.C.Rows > 0 && g.C.Cols > 0 {
		d.t.Gemm(d.pool, d.operands(g, k))
	} else if !g.Accumulate {
		d.clear(g.C)
	}
}

// operands is a product of linear maps, in the device's precision.
func (d *Device) operands(g device.Gemm, k int) kern.Gemm {
	p := kern.Gemm{
		BF16: d.bf16,
		M:    g.C.Rows, N: g.C.Cols, K: k, TransA: g.TransA, TransB: g.TransB, Accumulate: g.Accumulate,
		A: data(g.A), LDA: g.A.Stride, LDB: g.B.Stride, C: data(g.C), LDC: g.C.Stride,
	}
	if g.B.T.DType == device.BF16 {
		p.HalfB = g.B.T.BF16()
	} else {
		p.B = data(g.B)
	}
	return p
}

// LinearForward is Y = Residual + Drop(act(X·Wᵀ + Bias)), with everything behind the product done block by block.
func (d *Device) LinearForward(l device.Linear) {
	l.Check()
	if l.Y.Rows == 0 {
		return
	}
	d.call.linear, d.call.bias = l, nil
	if !l.Bias.Empty() {
		d.call.bias = l.Bias.F32()
	}
	g := d.operands(device.Gemm{A: l.X, B: l.W, C: l.Y, TransB: true}, l.X.Cols)
	g.Epilogue = d.finishBlock
	d.t.Gemm(d.pool, g)
}

// finish turns a block of the bare product into the result.
func (d *Device) finish(_, row0, row1, col0, col1 int) {
	for i := row0; i < row1; i++ {
		d.finishRow(i, col0, col1)
	}
}

func (d *Device) finishRow(i, lo, hi int) {
	l := &d.call.linear
	y := row(l.Y, i)[lo:hi]
	if bias := d.call.bias; bias != nil {
		d.t.Add(y, y, bias[lo:hi])
	}
	switch l.Act {
	case device.GELU:
		if !l.Pre.Empty() {
			copy(row(l.Pre, i)[lo:hi], y)
		}
		d.t.GELU(y, y)
	case device.Tanh:
		d.t.Tanh(y, y)
	}
	if l.Drop.On() {
		d.drop(l.Drop, y, y, i*l.Y.Cols+lo)
	}
	if !l.Residual.Empty() {
		d.t.Add(y, y, row(l.Residual, i)[lo:hi])
	}
}

// drop applies dropout to elements whose indices start at base.
func (d *Device) drop(p device.Dropout, dst, src []float32, base int) {
	d.t.Dropout(dst, src, p.Seed, uint32(base), p.Threshold(), p.Scale())
}

// LinearBackward is the backward pass of LinearForward.
func (d *Device) LinearBackward(l device.LinearGrad) {
	l.Check()
	grad := d.undo(l)
	if !l.DX.Empty() {
		d.Gemm(device.Gemm{A: grad, B: l.W, C: l.DX})
	}
	if !l.DW.Empty() {
		d.Gemm(device.Gemm{A: grad, B: l.X, C: l.DW, TransA: true})
	}
}

// sumRows is the least number of rows that are summed by themselves before they join the total: a task, whose rounding error stays small.
const sumRows = 64

// sumGroup is how many rows of the given width form a group.
func sumGroup(width int) int { return max(sumRows, rowsPerTask(width)) }

// undo returns the gradient before activation and dropout, and computes the bias gradient: one partial sum per group of rows, while these are in
// the cache.
func (d *Device) undo(l device.LinearGrad) device.Mat {
	c := &d.call
	c.linearGrad, c.grad = l, l.DY
	if l.Act != device.Identity || l.Drop.On() {
		c.grad = l.DPre
	} else if l.DBias.Empty() {
		return c.grad
	}
	rows, n := c.grad.Rows, c.grad.Cols
	group := sumGroup(n)
	groups := (rows + group - 1) / group
	c.parts = d.shared(groups * n)
	d.ranges(rows, group, (*Device).undoRows)
	if !l.DBias.Empty() {
		sumParts(d.t, l.DBias.F32(), c.parts, groups, n, 0)
	}
	return c.grad
}

// undoRows does a group of rows.
func (d *Device) undoRows(_, lo, hi int) {
	l, grad := &d.call.linearGrad, d.call.grad
	part := d.call.parts[lo/sumGroup(grad.Cols)*grad.Cols:][:grad.Cols]
	clear(part)
	for i := lo; i < hi; i++ {
		if l.Act != device.Identity || l.Drop.On() {
			d.undoRow(l, i)
		}
		if !l.DBias.Empty() {
			d.t.Add(part, part, row(grad, i))
		}
	}
}

// undoRow computes row i of the gradient before activation and dropout.
func (d *Device) undoRow(l *device.LinearGrad, i int) {
	dst, src := row(l.DPre, i), row(l.DY, i)
	if l.Drop.On() {
		d.drop(l.Drop, dst, src, i*l.DY.Cols)
		src = dst
	}
	switch l.Act {
	case device.GELU:
		d.t.GELUGrad(dst, row(l.Pre, i), src)
	case device.Tanh:
		d.t.TanhGrad(dst, row(l.Y, i), src)
	}
}
