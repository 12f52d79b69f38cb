package cpu

import (
	"math"

	"flexi/core/device"
	"flexi/core/device/cpu/kern"
)

// LayerNormForward is Y = Drop(Gamma ∘ (X - mean)·rstd + Beta), row by row.
func (d *Device) LayerNormForward(l device.LayerNorm) {
	l.Check()
	d.call.norm = l
	d.rows(l.Y, (*Device).normRow)
}

func (d *Device) normRow(_, i int, y []float32) {
	l := &d.call.norm
	x := row(l.X, i)
	mean, variance := d.t.MeanVar(x)
	rstd := float32(1 / math.Sqrt(float64(variance)+float64(l.Eps)))
	l.Mean.F32()[i], l.RStd.F32()[i] = mean, rstd
	d.t.Normalize(y, x, l.Gamma.F32(), l.Beta.F32(), mean, rstd)
	if l.Drop.On() {
		d.drop(l.Drop, y, y, i*l.Y.Cols)
	}
}

// normRows is the rows whose parameter gradients are summed by themselves first.
const normRows = 128

// LayerNormBackward is the backward pass; parameter gradients are summed over fixed groups of rows, then over groups.
func (d *Device) LayerNormBackward(l device.LayerNormGrad) {
	l.Check()
	n, groups := l.X.Cols, (l.X.Rows+normRows-1)/normRows
	parts := d.shared(groups * 2 * n)
	d.call.normGrad, d.call.parts = l, parts
	d.ranges(l.X.Rows, normRows, (*Device).normGradRows)
	if !l.DGamma.Empty() {
		sumParts(d.t, l.DGamma.F32(), parts, groups, 2*n, 0)
	}
	if !l.DBeta.Empty() {
		sumParts(d.t, l.DBeta.F32(), parts, groups, 2*n, n)
	}
}

// normGradRows does a group of rows.
func (d *Device) normGradRows(worker, lo, hi int) {
	l, n := &d.call.normGrad, d.call.normGrad.X.Cols
	means, rstds := l.Mean.F32(), l.RStd.F32()
	part := d.call.parts[lo/normRows*2*n:][:2*n]
	clear(part)
	for i := lo; i < hi; i++ {
		dy := row(l.DY, i)
		if l.Drop.On() {
			kept := d.scratch(worker, n)
			d.drop(l.Drop, kept, dy, i*n)
			dy = kept
		}
		x := row(l.X, i)
		if !l.DGamma.Empty() || !l.DBeta.Empty() {
			d.t.NormParamGrad(part[:n], part[n:], dy, x, means[i], rstds[i])
		}
		if !l.DX.Empty() {
			d.t.NormGrad(row(l.DX, i), dy, x, l.Gamma.F32(), means[i], rstds[i])
		}
	}
}

// sumParts adds, in order, the slices of dst's length at off in every one of count parts of the given size.
func sumParts(t *kern.Table, dst, parts []float32, count, size, off int) {
	clear(dst)
	addParts(t, dst, parts, count, size, off)
}

// addParts is sumParts without clearing dst first.
func addParts(t *kern.Table, dst, parts []float32, count, size, off int) {
	for p := range count {
		t.Add(dst, dst, parts[p*size+off:][:len(dst)])
	}
}

// AdamW is one optimiser step over flat views.
func (d *Device) AdamW(a device.AdamW) {
	a.Check()
	c := &d.call
	c.values, c.grads, c.first, c.second = a.W.F32(), a.G.F32(), a.M.F32(), a.V.F32()
	c.adamW = kern.NewAdamW(a.LR, a.Beta1, a.Beta2, a.Eps, a.Decay, a.GradScale, a.Step)
	d.ranges(a.W.Len, flatPiece, (*Device).update)
}

func (d *Device) update(_, lo, hi int) {
	c := &d.call
	d.t.AdamW(c.values[lo:hi], c.grads[lo:hi], c.first[lo:hi], c.second[lo:hi], &c.adamW)
}
