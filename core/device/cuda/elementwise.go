package cuda

import "flexi/core/device"

// Mul is z = x ∘ y.
func (d *Device) Mul(z, x, y device.Mat) { d.binary(mul, "mul", z, x, y) }

// Add is z = x + y.
func (d *Device) Add(z, x, y device.Mat) { d.binary(add, "add", z, x, y) }

func (d *Device) binary(k kernel, name string, z, x, y device.Mat) {
	device.CheckEqual(z, x)
	device.CheckEqual(z, y)
	d.begin(name, z.Rows, z.Cols)
	each(d, k, z.Rows*z.Cols, &binaryArgs{z: d.out(z), x: in(x), y: in(y)})
}

// Dropout is z = Drop(x).
func (d *Device) Dropout(z, x device.Mat, p device.Dropout) {
	device.CheckEqual(z, x)
	d.begin("dropout", z.Rows, z.Cols)
	each(d, dropout, z.Rows*z.Cols, &binaryArgs{z: d.out(z), x: in(x), drop: dropOf(p)})
}

// Copy is z = x.
func (d *Device) Copy(z, x device.Mat) {
	device.CheckEqual(z, x)
	d.begin("copy", z.Rows, z.Cols)
	each(d, copyRows, z.Rows*z.Cols, &binaryArgs{z: d.out(z), x: in(x)})
}

// clear zeroes the elements of a matrix and leaves those between its rows.
func (d *Device) clear(m device.Mat) {
	if m.Empty() || m.Rows == 0 {
		return
	}
	if m.Stride == m.Cols {
		d.fill(d.out(m).at, 0, 4*m.Rows*m.Cols)
		return
	}
	each(d, clearRows, m.Rows*m.Cols, &binaryArgs{z: d.out(m)})
}

// Zero clears a view.
func (d *Device) Zero(t device.Tensor) {
	d.begin("zero", t.Len)
	d.fill(d.outTensor(t), 0, t.DType.Size()*t.Len)
}

// Gather copies rows; a negative row gives zeros.
func (d *Device) Gather(y, x device.Mat, rows device.Tensor) {
	device.CheckRows(y, x, y, rows)
	d.begin("gather", y.Rows, y.Cols)
	each(d, gather, y.Rows*y.Cols, &gatherArgs{y: d.out(y), x: in(x), rows: address(rows)})
}

// EmbeddingForward is Y[r] = Token[IDs[r]] + Segment[Segments[r]].
func (d *Device) EmbeddingForward(e device.Embedding) {
	e.Check()
	d.begin("embedding", e.Y.Rows, e.Token.Rows, e.Y.Cols)
	each(d, gather, e.Y.Rows*e.Y.Cols, &gatherArgs{
		y: d.out(e.Y), x: in(e.Token), segment: in(e.Segment), rows: address(e.IDs), segments: address(e.Segments),
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

// Scatter is the adjoint of Gather.
func (d *Device) Scatter(y, x device.Mat, rows device.Tensor) {
	device.CheckRows(y, x, x, rows)
	d.begin("scatter", x.Rows, y.Rows, y.Cols)
	d.clear(y)
	n := x.Rows
	if n == 0 || y.Cols == 0 {
		return
	}
	ints, pieces := d.take(12*n), ceil(n, runRows)
	sums := d.take(8 * pieces * y.Cols)
	rank, order, sorted := ints, ints+uintptr(4*n), ints+uintptr(8*n)
	d.fill(rank, 0, 4*n)
	const part = 4096
	start(d, rankRows, ceil(n, threads), ceil(n, part), &rankArgs{rows: address(rows), rank: rank, n: int32(n), part: part})
	start(d, orderRows, ceil(n, threads), 1, &orderArgs{rows: address(rows), rank: rank, order: order, sorted: sorted, n: int32(n)})
	a := scatterArgs{
		y: d.out(y), x: in(x), order: order, sorted: sorted, head: sums, tail: sums + uintptr(4*pieces*y.Cols), n: int32(n),
	}
	start(d, scatterPieces, ceil(y.Cols, threads), pieces, &a)
	start(d, scatterRuns, ceil(y.Cols, threads), pieces, &a)
	d.give(ints, sums)
}
