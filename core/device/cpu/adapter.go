package cpu

import (
	"math"

	"flexi/core/device"
	"flexi/core/device/cpu/kern"
)

// GELU is z = x·Φ(x).
func (d *Device) GELU(z, x device.Mat) {
	device.CheckEqual(z, x)
	d.call.x = x
	d.rows(z, func(d *Device, _, i int, z []float32) { d.t.GELU(z, row(d.call.x, i)) })
}

// GELUGrad is dx = dy·gelu'(x).
func (d *Device) GELUGrad(dx, x, dy device.Mat) {
	device.CheckEqual(dx, x)
	device.CheckEqual(dx, dy)
	d.call.x, d.call.y = x, dy
	d.rows(dx, func(d *Device, _, i int, z []float32) { d.t.GELUGrad(z, row(d.call.x, i), row(d.call.y, i)) })
}

// Scale is z = factor·by[0]·x.
func (d *Device) Scale(z, x device.Mat, factor float32, by device.Tensor) {
	device.CheckEqual(z, x)
	d.call.x, d.call.factor = x, scaled(factor, by)
	d.rows(z, (*Device).scaleRow)
}

// scaled is factor·by[0], or factor alone.
func scaled(factor float32, by device.Tensor) float32 {
	if by.Empty() {
		return factor
	}
	return factor * by.F32()[0]
}

func (d *Device) scaleRow(_, i int, z []float32) { d.t.Scale(z, row(d.call.x, i), d.call.factor) }

// Inner is factor·sum(x∘y). Operands are a few columns wide, so one thread adds the rows.
func (d *Device) Inner(out device.Tensor, x, y device.Mat, factor float32, accumulate bool) {
	device.CheckEqual(x, y)
	var sum float64
	for i := range x.Rows {
		a, b := row(x, i), row(y, i)
		for j, v := range a {
			sum += float64(v) * float64(b[j])
		}
	}
	sum *= float64(factor)
	if accumulate {
		sum += float64(out.F32()[0])
	}
	out.F32()[0] = float32(sum)
}

// AdaptedNorms makes one row of the adapted weight at a time.
func (d *Device) AdaptedNorms(a device.AdaptedNorms) {
	a.Check()
	d.call.adapted, d.call.factor = a, scaled(a.Factor, a.By)
	d.ranges(a.W.Rows, rowsPerTask(a.W.Cols*(a.A.Rows+1)), (*Device).adaptedNorms)
}

func (d *Device) adaptedNorms(worker, lo, hi int) {
	a := &d.call.adapted
	buf := d.scratch(worker, a.W.Cols)
	for i := lo; i < hi; i++ {
		if a.W.T.DType == device.BF16 {
			kern.Widen(buf, a.W.T.BF16()[i*a.W.Stride:][:a.W.Cols])
		} else {
			copy(buf, row(a.W, i))
		}
		for k, b := range row(a.B, i) {
			d.t.Axpy(buf, row(a.A, k), d.call.factor*b)
		}
		a.Norms.F32()[i] = float32(math.Sqrt(d.t.SumSquares(buf)))
	}
}

// MagnitudeForward is Y = X∘(Mag/Norm) + Bias + Residual.
func (d *Device) MagnitudeForward(m device.Magnitude) {
	m.Check()
	d.call.magnitude = m
	d.rows(m.Y, (*Device).magnitudeRow)
}

func (d *Device) magnitudeRow(_, i int, y []float32) {
	m := &d.call.magnitude
	rescale(y, row(m.X, i), m.Mag, m.Norm)
	if !m.Bias.Empty() {
		d.t.Add(y, y, m.Bias.F32())
	}
	if !m.Residual.Empty() {
		d.t.Add(y, y, row(m.Residual, i))
	}
}

// rescale is dst = x∘(mag/norm), or x where these are empty.
func rescale(dst, x []float32, mag, norm device.Tensor) {
	if mag.Empty() {
		copy(dst, x)
		return
	}
	m, n := mag.F32(), norm.F32()
	for j, v := range x {
		dst[j] = v * (m[j] / n[j])
	}
}

// MagnitudeBackward is the backward pass; the gradient of Mag is summed over fixed groups of rows, then over groups.
func (d *Device) MagnitudeBackward(m device.MagnitudeGrad) {
	m.Check()
	n := m.X.Cols
	group := sumGroup(n)
	groups := (m.X.Rows + group - 1) / group
	d.call.magnitudeGrad, d.call.parts = m, d.shared(groups*n)
	d.ranges(m.X.Rows, group, (*Device).magnitudeGradRows)
	if m.DMag.Empty() {
		return
	}
	out := m.DMag.F32()
	sumParts(d.t, out, d.call.parts, groups, n, 0)
	for j, v := range m.Norm.F32() {
		out[j] /= v
	}
}

// magnitudeGradRows does a group of rows.
func (d *Device) magnitudeGradRows(_, lo, hi int) {
	m := &d.call.magnitudeGrad
	part := d.call.parts[lo/sumGroup(m.X.Cols)*m.X.Cols:][:m.X.Cols]
	clear(part)
	for i := lo; i < hi; i++ {
		dy := row(m.DY, i)
		if !m.DMag.Empty() {
			d.t.MulAdd(part, dy, row(m.X, i))
		}
		rescale(row(m.DX, i), dy, m.Mag, m.Norm)
	}
}
