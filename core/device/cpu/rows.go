package cpu

import "flexi/core/device"

// Gather copies rows; a negative row gives zeros.
func (d *Device) Gather(y, x device.Mat, rows device.Tensor) {
	device.CheckRows(y, x, y, rows)
	d.call.x, d.call.indices = x, rows.I32()
	d.rows(y, (*Device).gatherRow)
}

func (d *Device) gatherRow(_, i int, y []float32) {
	if r := int(d.call.indices[i]); r >= 0 {
		copy(y, row(d.call.x, r))
	} else {
		clear(y)
	}
}

// sumColumns is how many columns a task of Scatter has.
const sumColumns = 64

// Scatter is the adjoint of Gather. Tasks are columns, so rows are added in their order.
func (d *Device) Scatter(y, x device.Mat, rows device.Tensor) {
	device.CheckRows(y, x, x, rows)
	d.clear(y)
	d.call.y, d.call.x, d.call.indices = y, x, rows.I32()
	d.ranges(y.Cols, sumColumns, (*Device).scatterColumns)
}

func (d *Device) scatterColumns(_, lo, hi int) {
	c := &d.call
	for i := range c.x.Rows {
		if r := int(c.indices[i]); r >= 0 {
			z := row(c.y, r)[lo:hi]
			d.t.Add(z, z, row(c.x, i)[lo:hi])
		}
	}
}

// EmbeddingForward is Y[r] = Token[IDs[r]] + Segment[Segments[r]].
func (d *Device) EmbeddingForward(e device.Embedding) {
	e.Check()
	c := &d.call
	c.embedding, c.indices, c.segments = e, e.IDs.I32(), nil
	if !e.Segment.Empty() {
		c.segments = e.Segments.I32()
	}
	d.rows(e.Y, (*Device).embedRow)
}

func (d *Device) embedRow(_, i int, y []float32) {
	c := &d.call
	token := row(c.embedding.Token, int(c.indices[i]))
	if c.segments == nil {
		copy(y, token)
		return
	}
	d.t.Add(y, token, row(c.embedding.Segment, int(c.segments[i])))
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
