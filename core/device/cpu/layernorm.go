package cpu

import (
	"math"

	"flexi/core/device"
	"flexi/core/device/cpu/kern"
)

// LayerNormForward is Y = Drop(Gamma ∘ (X - mean)·rstd + Beta), row by row.
func (d *Device) LayerNormForward(l device.LayerNorm) {
	checkLayerNorm(l)
	gamma, beta, means, rstds := l.Gamma.F32(), l.Beta.F32(), l.Mean.F32(), l.RStd.F32()
	d.each(l.Y, func(_, i int, y []float32) {
		x := row(l.X, i)
		mean, variance := d.t.MeanVar(x)
		rstd := float32(1 / math.Sqrt(float64(variance)+float64(l.Eps)))
		means[i], rstds[i] = mean, rstd
		d.t.Normalize(y, x, gamma, beta, mean, rstd)
		if l.Drop.On() {
			d.drop(l.Drop, y, y, i*l.Y.Cols)
		}
	})
}

// LayerNormBackward is the backward pass; parameter gradients are summed over fixed groups of rows, then over groups.
func (d *Device) LayerNormBackward(l device.LayerNormGrad) {
	checkLayerNormGrad(l)
	n, groups := l.X.Cols, (l.X.Rows+sumRows-1)/sumRows
	parts := d.shared(groups * 2 * n)
	gamma, means, rstds := l.Gamma.F32(), l.Mean.F32(), l.RStd.F32()
	params := !l.DGamma.Empty() || !l.DBeta.Empty()
	d.ranges(l.X.Rows, sumRows, func(worker, lo, hi int) {
		part := parts[lo/sumRows*2*n:][:2*n]
		clear(part)
		for i := lo; i < hi; i++ {
			dy := row(l.DY, i)
			if l.Drop.On() {
				kept := d.scratch(worker, n)
				d.drop(l.Drop, kept, dy, i*n)
				dy = kept
			}
			x := row(l.X, i)
			if params {
				d.t.NormParamGrad(part[:n], part[n:], dy, x, means[i], rstds[i])
			}
			if !l.DX.Empty() {
				d.t.NormGrad(row(l.DX, i), dy, x, gamma, means[i], rstds[i])
			}
		}
	})
	if !l.DGamma.Empty() {
		sumParts(d.t, l.DGamma.F32(), parts, groups, 2*n, 0)
	}
	if !l.DBeta.Empty() {
		sumParts(d.t, l.DBeta.F32(), parts, groups, 2*n, n)
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
	w, g, m, v := a.W.F32(), a.G.F32(), a.M.F32(), a.V.F32()
	need(len(w) == len(g) && len(w) == len(m) && len(w) == len(v), "AdamW over unequal lengths")
	c := kern.NewAdamW(a.LR, a.Beta1, a.Beta2, a.Eps, a.Decay, a.GradScale, a.Step)
	d.ranges(len(w), flatPiece, func(_, lo, hi int) { d.t.AdamW(w[lo:hi], g[lo:hi], m[lo:hi], v[lo:hi], &c) })
}
