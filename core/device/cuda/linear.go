package cuda

import "flexi/core/device"

// Gemm computes C = op(A)·op(B) or C += op(A)·op(B).
func (d *Device) Gemm(g device.Gemm) {
	k := g.Check()
	d.begin("gemm", g.C.Rows, g.C.Cols, k)
	d.gemm(g)
}

// gemm is Gemm in the device's precision, as part of another operation.
func (d *Device) gemm(g device.Gemm) {
	k := g.Check()
	if g.C.Rows == 0 || g.C.Cols == 0 {
		return
	}
	if k == 0 {
		if !g.Accumulate {
			d.clear(g.C)
		}
		return
	}
	d.multiply(d.productOf(g, k))
}

// productOf turns a row-major product into cuBLASLt's column-major one: C = A·B is Cᵀ = Bᵀ·Aᵀ, and a row-major matrix is the transpose of a
// column-major one in the same memory.
func (d *Device) productOf(g device.Gemm, k int) product {
	c := d.out(g.C)
	p := product{
		m: g.C.Cols, n: g.C.Rows, k: k, transA: g.TransB, transB: g.TransA,
		half: d.precision == device.PrecisionBF16, c: c.at, ldc: int(c.ld), d: c.at, ldd: int(c.ld), batch: 1,
	}
	p.a, p.lda = d.operand(g.B)
	p.b, p.ldb = d.operand(g.A)
	if g.Accumulate {
		p.beta = 1
	}
	return p
}

// operand is a matrix as products take it: itself, or its copy in bfloat16. Tensor cores want rows in whole groups of 16 bytes; of bfloat16 that is not
// so laid out there is a copy too.
func (d *Device) operand(m device.Mat) (at uintptr, ld int) {
	v, half := in(m), m.T.DType == device.BF16
	if d.precision != device.PrecisionBF16 || half && v.at%16 == 0 && v.ld%8 == 0 {
		return v.at, int(v.ld)
	}
	return d.half(v, half)
}

// LinearForward is Y = Residual + Drop(act(X·Wᵀ + Bias)). Bias and residual are cuBLASLt's business where nothing stands between; its GELU is an
// approximation, so the exact one is a pass of ours.
func (d *Device) LinearForward(l device.Linear) {
	l.Check()
	d.begin("linear", l.Y.Rows, l.X.Cols, l.Y.Cols)
	if l.Y.Rows == 0 {
		return
	}
	p := d.productOf(device.Gemm{A: l.X, B: l.W, C: l.Y, TransB: true}, l.X.Cols)
	if l.Act == device.Identity && !l.Drop.On() {
		p.bias = address(l.Bias)
		if r := in(l.Residual); r.at != 0 {
			p.beta, p.c, p.ldc = 1, r.at, int(r.ld)
		}
		d.multiply(p)
		return
	}
	d.multiply(p)
	a := finishArgs{y: in(l.Y), residual: in(l.Residual), bias: address(l.Bias), drop: dropOf(l.Drop), act: int32(l.Act)}
	if l.Act == device.GELU {
		a.pre = d.out(l.Pre)
	}
	a.half, a.vector = d.halfOf(a.y), whole(a.y.cols, a.y, a.pre, a.residual, view{at: a.bias})
	n := l.Y.Rows * l.Y.Cols
	if a.vector == 1 {
		n /= 4
	}
	each(d, finishLinear, n, &a)
}

// LinearBackward is the backward pass of LinearForward.
func (d *Device) LinearBackward(l device.LinearGrad) {
	l.Check()
	d.begin("linear gradient", l.DY.Rows, l.W.Cols, l.DY.Cols)
	grad := d.undo(l)
	if !l.DX.Empty() {
		d.gemm(device.Gemm{A: grad, B: l.W, C: l.DX})
	}
	if !l.DW.Empty() {
		d.gemm(device.Gemm{A: grad, B: l.X, C: l.DW, TransA: true})
	}
}

// undo returns the gradient before activation and dropout, and computes the bias gradient on the way.
func (d *Device) undo(l device.LinearGrad) device.Mat {
	a := undoArgs{dy: in(l.DY), pre: in(l.Pre), drop: dropOf(l.Drop), act: int32(l.Act)}
	grad := l.DY
	if l.Act != device.Identity || l.Drop.On() {
		grad, a.grad = l.DPre, d.out(l.DPre)
		a.half = d.halfOf(a.grad)
	} else if l.DBias.Empty() {
		return grad
	}
	if l.Act == device.Tanh {
		a.pre = in(l.Y)
	}
	rows, n := grad.Rows, grad.Cols
	if rows == 0 {
		if !l.DBias.Empty() {
			d.fill(d.outTensor(l.DBias), 0, 4*n)
		}
		return grad
	}
	groups := ceil(rows, groupRows)
	if !l.DBias.Empty() {
		a.parts = d.take(4 * groups * n)
	}
	start(d, undoLinear, ceil(n, 32), groups, &a)
	if a.parts != 0 {
		d.addParts(l.DBias, a.parts, n, groups, false)
		d.give(a.parts)
	}
	return grad
}

// addParts sums groups of n values each, in order.
func (d *Device) addParts(out device.Tensor, parts uintptr, n, groups int, accumulate bool) {
	a := addPartsArgs{out: d.outTensor(out), parts: parts, n: int64(n), stride: int64(n), groups: int32(groups)}
	if accumulate {
		a.accumulate = 1
	}
	each(d, addParts, n, &a)
}

// LayerNormForward is Y = Drop(Gamma ∘ (X - mean)·rstd + Beta), a warp per row.
func (d *Device) LayerNormForward(l device.LayerNorm) {
	l.Check()
	d.begin("layernorm", l.X.Rows, l.X.Cols)
	if l.X.Rows == 0 {
		return
	}
	a := normArgs{
		x: in(l.X), y: d.out(l.Y), gamma: address(l.Gamma), beta: address(l.Beta), mean: d.outTensor(l.Mean), rstd: d.outTensor(l.RStd),
		drop: dropOf(l.Drop), eps: l.Eps,
	}
	a.half = d.halfOf(a.y)
	start(d, layerNorm, ceil(l.X.Rows, threads/32), 1, &a)
}

// LayerNormBackward is the backward pass of LayerNormForward.
func (d *Device) LayerNormBackward(l device.LayerNormGrad) {
	l.Check()
	rows, n := l.X.Rows, l.X.Cols
	d.begin("layernorm gradient", rows, n)
	if !l.DX.Empty() && rows > 0 {
		start(d, layerNormGrad, ceil(rows, threads/32), 1, &normGradArgs{
			x: in(l.X), dy: in(l.DY), dx: d.out(l.DX), gamma: address(l.Gamma), mean: address(l.Mean), rstd: address(l.RStd), drop: dropOf(l.Drop),
		})
	}
	if l.DGamma.Empty() && l.DBeta.Empty() {
		return
	}
	groups := ceil(rows, groupRows)
	parts := d.take(8 * max(groups, 1) * n)
	a := normParamsArgs{
		x: in(l.X), dy: in(l.DY), mean: address(l.Mean), rstd: address(l.RStd), gammaParts: parts, betaParts: parts + uintptr(4*groups*n),
		drop: dropOf(l.Drop),
	}
	if rows > 0 {
		start(d, normParams, ceil(n, 32), groups, &a)
	}
	if !l.DGamma.Empty() {
		d.addParts(l.DGamma, a.gammaParts, n, groups, false)
	}
	if !l.DBeta.Empty() {
		d.addParts(l.DBeta, a.betaParts, n, groups, false)
	}
	d.give(parts)
}
