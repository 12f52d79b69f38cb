package cpu

import (
	"math"

	"flexi/core/device"
)

// RMSNormForward is Y = Gamma ∘ X·rstd, row by row.
func (d *Device) RMSNormForward(l device.RMSNorm) {
	l.Check()
	d.call.rms = l
	d.rows(l.Y, (*Device).rmsRow)
}

func (d *Device) rmsRow(_, i int, y []float32) {
	l := &d.call.rms
	x := row(l.X, i)
	rstd := float32(1 / math.Sqrt(d.t.SumSquares(x)/float64(len(x))+float64(l.Eps)))
	l.RStd.F32()[i] = rstd
	d.t.Scale(y, x, rstd)
	d.t.Mul(y, y, l.Gamma.F32())
}

// RMSNormBackward is the backward pass; the gradient of Gamma is summed over fixed groups of rows, then over groups.
func (d *Device) RMSNormBackward(l device.RMSNormGrad) {
	l.Check()
	n, groups := l.X.Cols, (l.X.Rows+normRows-1)/normRows
	d.call.rmsGrad = l
	if !l.DGamma.Empty() {
		d.call.parts = d.shared(groups * n)
	}
	d.ranges(l.X.Rows, normRows, (*Device).rmsGradRows)
	if !l.DGamma.Empty() {
		sumParts(d.t, l.DGamma.F32(), d.call.parts, groups, n, 0)
	}
}

// rmsGradRows does a group of rows.
func (d *Device) rmsGradRows(worker, lo, hi int) {
	l, n := &d.call.rmsGrad, d.call.rmsGrad.X.Cols
	var part []float32
	if !l.DGamma.Empty() {
		part = d.call.parts[lo/normRows*n:][:n]
		clear(part)
	}
	u := d.scratch(worker, n)
	for i := lo; i < hi; i++ {
		x, dy, rstd := row(l.X, i), row(l.DY, i), l.RStd.F32()[i]
		if part != nil {
			d.t.Scale(u, x, rstd)
			d.t.MulAdd(part, u, dy)
		}
		if !l.DX.Empty() {
			d.t.Mul(u, dy, l.Gamma.F32())
			along := d.t.Dot(u, x) * rstd * rstd / float32(n)
			d.t.Axpy(u, x, -along)
			d.t.Scale(row(l.DX, i), u, rstd)
		}
	}
}

// SwiGLUForward is Y = silu(gate)∘up.
func (d *Device) SwiGLUForward(s device.SwiGLU) {
	s.Check()
	d.call.x = s.X
	d.rows(s.Y, (*Device).swigluRow)
}

func (d *Device) swigluRow(_, i int, y []float32) {
	f := len(y)
	x := row(d.call.x, i)
	gate, up := x[:f], x[f:]
	d.sigmoid(y, gate)
	d.t.Mul(y, y, gate)
	d.t.Mul(y, y, up)
}

// sigmoid is 1/(1+exp(-x)).
func (d *Device) sigmoid(dst, x []float32) {
	d.t.Scale(dst, x, -1)
	d.t.Exp(dst, dst)
	for i, e := range dst {
		dst[i] = 1 / (1 + e)
	}
}

// SwiGLUBackward is the backward pass: with σ the sigmoid of the gate, silu' = σ·(1 + gate·(1-σ)).
func (d *Device) SwiGLUBackward(s device.SwiGLUGrad) {
	s.Check()
	d.call.x, d.call.y = s.X, s.DY
	d.rows(s.DX, (*Device).swigluGradRow)
}

func (d *Device) swigluGradRow(_, i int, dx []float32) {
	f := len(dx) / 2
	x, dy := row(d.call.x, i), row(d.call.y, i)
	gate, up := x[:f], x[f:]
	dGate, dUp := dx[:f], dx[f:]
	d.sigmoid(dGate, gate)
	for j, s := range dGate {
		silu := gate[j] * s
		dUp[j] = dy[j] * silu
		dGate[j] = dy[j] * up[j] * (s + silu*(1-s))
	}
}
