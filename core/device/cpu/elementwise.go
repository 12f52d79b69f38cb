package cpu

import "flexi/core/device"

// Mul is z = x ∘ y.
func (d *Device) Mul(z, x, y device.Mat) {
	device.CheckEqual(z, x)
	device.CheckEqual(z, y)
	d.call.x, d.call.y = x, y
	d.rows(z, (*Device).mulRow)
}

func (d *Device) mulRow(_, i int, z []float32) { d.t.Mul(z, row(d.call.x, i), row(d.call.y, i)) }

// Add is z = x + y.
func (d *Device) Add(z, x, y device.Mat) {
	device.CheckEqual(z, x)
	device.CheckEqual(z, y)
	d.call.x, d.call.y = x, y
	d.rows(z, (*Device).addRow)
}

func (d *Device) addRow(_, i int, z []float32) { d.t.Add(z, row(d.call.x, i), row(d.call.y, i)) }

// Dropout is z = Drop(x).
func (d *Device) Dropout(z, x device.Mat, p device.Dropout) {
	device.CheckEqual(z, x)
	if !p.On() {
		d.Copy(z, x)
		return
	}
	d.call.x, d.call.drop = x, p
	d.rows(z, (*Device).dropRow)
}

func (d *Device) dropRow(_, i int, z []float32) { d.drop(d.call.drop, z, row(d.call.x, i), i*len(z)) }

// Copy is z = x.
func (d *Device) Copy(z, x device.Mat) {
	device.CheckEqual(z, x)
	d.call.x = x
	d.rows(z, (*Device).copyRow)
}

func (d *Device) copyRow(_, i int, z []float32) { copy(z, row(d.call.x, i)) }

// clear zeroes the elements of a matrix and leaves those between its rows.
func (d *Device) clear(m device.Mat) { d.rows(m, (*Device).clearRow) }

func (d *Device) clearRow(_, _ int, z []float32) { clear(z) }

// flatPiece is the task size of kernels over flat memory.
const flatPiece = 1 << 15

// Zero clears a view.
func (d *Device) Zero(t device.Tensor) {
	d.call.values = t.F32()
	d.ranges(t.Len, flatPiece, (*Device).clearRange)
}

func (d *Device) clearRange(_, lo, hi int) { clear(d.call.values[lo:hi]) }

// SumSquares adds pieces in float64, in order.
func (d *Device) SumSquares(out, x device.Tensor) {
	c, pieces := &d.call, (x.Len+flatPiece-1)/flatPiece
	c.values = x.F32()
	if len(c.sums) < pieces {
		c.sums = make([]float64, pieces)
	}
	d.ranges(x.Len, flatPiece, (*Device).sumSquares)
	var sum float64
	for _, p := range c.sums[:pieces] {
		sum += p
	}
	out.F32()[0] = float32(sum)
}

func (d *Device) sumSquares(_, lo, hi int) {
	d.call.sums[lo/flatPiece] = d.t.SumSquares(d.call.values[lo:hi])
}

// FirstNonFinite is the index of the first NaN or infinity, -1 if there is none.
func (d *Device) FirstNonFinite(x device.Tensor) int { return d.t.FirstNonFinite(x.F32()) }
