package cpu

import (
	"flexi/core/device"
)

// each calls f for every row of z, in parallel.
func (d *Device) each(z device.Mat, f func(worker, i int, z []float32)) {
	if z.Cols == 0 {
		return
	}
	d.ranges(z.Rows, rowsPerTask(z.Cols), func(worker, lo, hi int) {
		for i := lo; i < hi; i++ {
			f(worker, i, row(z, i))
		}
	})
}

// Mul is z = x ∘ y.
func (d *Device) Mul(z, x, y device.Mat) {
	need(sameShape(z, x) && sameShape(z, y), "product of unequal shapes")
	d.each(z, func(_, i int, out []float32) { d.t.Mul(out, row(x, i), row(y, i)) })
}

// Add is z = x + y.
func (d *Device) Add(z, x, y device.Mat) {
	need(sameShape(z, x) && sameShape(z, y), "sum of unequal shapes")
	d.each(z, func(_, i int, out []float32) { d.t.Add(out, row(x, i), row(y, i)) })
}

// Dropout is z = Drop(x).
func (d *Device) Dropout(z, x device.Mat, p device.Dropout) {
	need(sameShape(z, x), "dropout between unequal shapes")
	d.each(z, func(_, i int, out []float32) {
		if p.On() {
			d.drop(p, out, row(x, i), i*z.Cols)
		} else {
			copy(out, row(x, i))
		}
	})
}

// Copy is z = x.
func (d *Device) Copy(z, x device.Mat) {
	need(sameShape(z, x), "copy between unequal shapes")
	d.each(z, func(_, i int, out []float32) { copy(out, row(x, i)) })
}

// clear zeroes the elements of a matrix and leaves those between its rows.
func (d *Device) clear(m device.Mat) {
	d.each(m, func(_, _ int, z []float32) { clear(z) })
}

// flatPiece is the task size of kernels over flat memory.
const flatPiece = 1 << 15

// Zero clears a view.
func (d *Device) Zero(t device.Tensor) {
	x := t.F32()
	d.ranges(len(x), flatPiece, func(_, lo, hi int) { clear(x[lo:hi]) })
}

// Gather copies rows; a negative row gives zeros.
func (d *Device) Gather(y, x device.Mat, rows device.Tensor) {
	from := rows.I32()
	need(len(from) >= y.Rows && y.Cols == x.Cols, "gather of %d rows by %d indices", y.Rows, len(from))
	d.each(y, func(_, i int, out []float32) {
		if r := int(from[i]); r >= 0 {
			copy(out, row(x, r))
		} else {
			clear(out)
		}
	})
}

// sumColumns is how many columns a task of Scatter has.
const sumColumns = 64

// Scatter is the adjoint of Gather. Tasks are columns, so rows are added in their order.
func (d *Device) Scatter(y, x device.Mat, rows device.Tensor) {
	to := rows.I32()
	need(len(to) >= x.Rows && y.Cols == x.Cols, "scatter of %d rows by %d indices", x.Rows, len(to))
	d.clear(y)
	d.ranges(y.Cols, sumColumns, func(_, lo, hi int) {
		for i := range x.Rows {
			if r := int(to[i]); r >= 0 {
				z := row(y, r)[lo:hi]
				d.t.Add(z, z, row(x, i)[lo:hi])
			}
		}
	})
}

// EmbeddingForward is Y[r] = Token[IDs[r]] + Segment[Segments[r]].
func (d *Device) EmbeddingForward(e device.Embedding) {
	checkEmbedding(e)
	ids := e.IDs.I32()
	var segments []int32
	if !e.Segment.Empty() {
		segments = e.Segments.I32()
	}
	d.each(e.Y, func(_, i int, out []float32) {
		token := row(e.Token, int(ids[i]))
		if segments == nil {
			copy(out, token)
			return
		}
		d.t.Add(out, token, row(e.Segment, int(segments[i])))
	})
}

// EmbeddingBackward scatters DY into the two tables.
func (d *Device) EmbeddingBackward(e device.EmbeddingGrad) {
	if !e.DToken.Empty() {
		d.Scatter(e.DToken, e.DY, e.IDs)
	}
	if !e.DSegment.Empty() {
		d.Scatter(e.DSegment, e.DY, e.Segments)
	}
}

// SumSquares adds pieces in float64, in order.
func (d *Device) SumSquares(out, x device.Tensor) {
	v := x.F32()
	parts := make([]float64, (len(v)+flatPiece-1)/flatPiece)
	d.ranges(len(v), flatPiece, func(_, lo, hi int) { parts[lo/flatPiece] = d.t.SumSquares(v[lo:hi]) })
	var sum float64
	for _, p := range parts {
		sum += p
	}
	out.F32()[0] = float32(sum)
}

// FirstNonFinite is the index of the first NaN or infinity, -1 if there is none.
func (d *Device) FirstNonFinite(x device.Tensor) int { return d.t.FirstNonFinite(x.F32()) }
