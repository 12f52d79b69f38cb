package cuda

import "flexi/core/device"

// RMSNormForward is Y = Gamma ∘ X·rstd, a warp per row.
func (d *Device) RMSNormForward(l device.RMSNorm) {
	l.Check()
	d.begin("rms norm", l.X.Rows, l.X.Cols)
	if l.X.Rows == 0 {
		return
	}
	a := rmsArgs{x: in(l.X), y: d.out(l.Y), gamma: address(l.Gamma), rstd: d.outTensor(l.RStd), eps: l.Eps}
	a.half = d.halfOf(a.y)
	start(d, rmsNorm, ceil(l.X.Rows, threads/32), 1, &a)
}

// RMSNormBackward is the backward pass of RMSNormForward.
func (d *Device) RMSNormBackward(l device.RMSNormGrad) {
	l.Check()
	rows, n := l.X.Rows, l.X.Cols
	d.begin("rms norm gradient", rows, n)
	if !l.DX.Empty() && rows > 0 {
		start(d, rmsNormGrad, ceil(rows, threads/32), 1, &rmsGradArgs{
			x: in(l.X), dy: in(l.DY), dx: d.out(l.DX), gamma: address(l.Gamma), rstd: address(l.RStd),
		})
	}
	if l.DGamma.Empty() {
		return
	}
	groups := ceil(rows, groupRows)
	parts := d.take(4 * max(groups, 1) * n)
	if rows > 0 {
		start(d, normParams, ceil(n, 32), groups, &normParamsArgs{x: in(l.X), dy: in(l.DY), rstd: address(l.RStd), gammaParts: parts})
	}
	d.addParts(l.DGamma, parts, n, groups, false)
	d.give(parts)
}

// SwiGLUForward is Y = silu(gate)∘up.
func (d *Device) SwiGLUForward(s device.SwiGLU) {
	s.Check()
	d.begin("swiglu", s.Y.Rows, s.Y.Cols)
	a := gateArgs{x: in(s.X), z: d.out(s.Y)}
	a.half = d.halfOf(a.z)
	each(d, swiglu, s.Y.Rows*s.Y.Cols, &a)
}

// SwiGLUBackward is the backward pass of SwiGLUForward.
func (d *Device) SwiGLUBackward(s device.SwiGLUGrad) {
	s.Check()
	d.begin("swiglu gradient", s.DY.Rows, s.DY.Cols)
	each(d, swigluGrad, s.DY.Rows*s.DY.Cols, &gateArgs{x: in(s.X), dy: in(s.DY), z: d.out(s.DX)})
}

// GELU is z = x·Φ(x).
func (d *Device) GELU(z, x device.Mat) {
	device.CheckEqual(z, x)
	d.begin("gelu", z.Rows, z.Cols)
	each(d, geluRows, z.Rows*z.Cols, &binaryArgs{z: d.out(z), x: in(x)})
}

// GELUGrad is dx = dy·gelu'(x).
func (d *Device) GELUGrad(dx, x, dy device.Mat) { d.binary(geluGrad, "gelu gradient", dx, x, dy) }

// Scale is z = factor·by[0]·x.
func (d *Device) Scale(z, x device.Mat, factor float32, by device.Tensor) {
	device.CheckEqual(z, x)
	d.begin("scale", z.Rows, z.Cols)
	each(d, scale, z.Rows*z.Cols, &scaleArgs{z: d.out(z), x: in(x), by: address(by), factor: factor})
}

// Inner is factor·sum(x∘y), of pieces in float64 that are added in order.
func (d *Device) Inner(out device.Tensor, x, y device.Mat, factor float32, accumulate bool) {
	device.CheckEqual(x, y)
	d.begin("inner product", x.Rows, x.Cols)
	pieces := ceil(x.Rows*x.Cols, innerPiece)
	a := innerArgs{x: in(x), y: in(y), parts: d.take(8 * max(pieces, 1)), out: d.outTensor(out), factor: factor, pieces: int32(pieces)}
	if accumulate {
		a.accumulate = 1
	}
	if pieces > 0 {
		start(d, innerPieces, pieces, 1, &a)
	}
	start(d, addInner, 1, 1, &a)
	d.give(a.parts)
}

// AdaptedNorms computes the lengths of the rows of an adapted weight, a warp per row.
func (d *Device) AdaptedNorms(a device.AdaptedNorms) {
	a.Check()
	d.begin("adapted norms", a.W.Rows, a.W.Cols, a.A.Rows)
	if a.W.Rows == 0 {
		return
	}
	k := adaptedArgs{w: in(a.W), down: in(a.A), b: in(a.B), by: address(a.By), norms: d.outTensor(a.Norms), factor: a.Factor}
	if a.W.T.DType == device.BF16 {
		k.half = 1
	}
	start(d, adaptedNorms, ceil(a.W.Rows, threads/32), 1, &k)
}

// MagnitudeForward is Y = X∘(Mag/Norm) + Bias + Residual.
func (d *Device) MagnitudeForward(m device.Magnitude) {
	m.Check()
	d.begin("magnitude", m.Y.Rows, m.Y.Cols)
	each(d, magnitude, m.Y.Rows*m.Y.Cols, &magnitudeArgs{
		x: in(m.X), residual: in(m.Residual), y: d.out(m.Y), mag: address(m.Mag), norm: address(m.Norm), bias: address(m.Bias),
	})
}

// MagnitudeBackward is the backward pass of MagnitudeForward.
func (d *Device) MagnitudeBackward(m device.MagnitudeGrad) {
	m.Check()
	rows, n := m.X.Rows, m.X.Cols
	d.begin("magnitude gradient", rows, n)
	groups := ceil(rows, groupRows)
	a := magnitudeGradArgs{x: in(m.X), dy: in(m.DY), dx: d.out(m.DX), mag: address(m.Mag), norm: address(m.Norm)}
	if !m.DMag.Empty() {
		a.parts = d.take(4 * max(groups, 1) * n)
	}
	if rows > 0 {
		start(d, magnitudeGrad, ceil(n, 32), groups, &a)
	}
	if a.parts != 0 {
		d.addParts(m.DMag, a.parts, n, groups, false)
		d.give(a.parts)
	}
}
