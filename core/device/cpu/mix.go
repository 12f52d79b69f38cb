package cpu

import (
	"math"

	"flexi/core/device"
)

// wave is the matrix of a one-dimensional transform.
type wave uint8

const (
	cosines     wave = iota // cos(2π k m / n) for k, m <= n/2, symmetric
	sines                   // sin(2π k m / n) for 0 < k, m < n/2, symmetric
	cosineTwo               // 2 cos(π k (2m+1) / (2n)): row k of the DCT-II
	orthoFactor = math.Sqrt2
)

type waveKey struct {
	kind  wave
	n     int
	ortho bool
}

// size is the rows and columns of the matrix.
func (w waveKey) size() int {
	switch w.kind {
	case cosines:
		return w.n/2 + 1
	case sines:
		return (w.n - 1) / 2
	}
	return w.n
}

// wave returns the matrix of a transform, made once. Arguments are reduced as integers, so the values are exact to float32.
func (d *Device) wave(kind wave, n int, ortho bool) dense {
	key := waveKey{kind, n, ortho}
	size := key.size()
	m, ok := d.waves[key]
	if !ok {
		m = make([]float32, size*size)
		for k := range size {
			for j := range size {
				m[k*size+j] = float32(key.at(k, j))
			}
		}
		d.waves[key] = m
	}
	return matrix(m, size, size)
}

func (w waveKey) at(k, j int) float64 {
	scale := 1.0
	if w.ortho {
		scale = 1 / math.Sqrt(float64(w.n))
	}
	switch w.kind {
	case cosines:
		return scale * math.Cos(2*math.Pi*float64(k*j%w.n)/float64(w.n))
	case sines:
		return scale * math.Sin(2*math.Pi*float64((k+1)*(j+1)%w.n)/float64(w.n))
	}
	if w.ortho && k > 0 {
		scale *= orthoFactor
	}
	if !w.ortho {
		scale = 2
	}
	return scale * math.Cos(math.Pi*float64(k*(2*j+1)%(4*w.n))/float64(2*w.n))
}

// Mix transforms each Seq×Cols block: the DFT on a quarter of its size (see dft), the DCT by matrix products, first along the channels of all rows
// at once, then along the positions of each block. For lengths up to 512 that is faster than a fast transform, because products run near the peak.
func (d *Device) Mix(m device.Mix) {
	m.Check()
	if m.Y.Rows == 0 || m.Y.Cols == 0 {
		return
	}
	if m.Kind == device.MixDFT {
		d.dft(m)
		return
	}
	z := d.shared(m.X.Rows * m.X.Cols)
	d.along(z, m.X, d.wave(cosineTwo, m.X.Cols, m.Ortho), !m.Adjoint)
	d.across(m, z, d.wave(cosineTwo, m.Seq, m.Ortho))
}

// along is Z = X·W or X·Wᵀ over all rows.
func (d *Device) along(z []float32, x device.Mat, w dense, transposed bool) {
	g := d.operands(device.Gemm{A: x, C: x, TransB: transposed}, x.Cols)
	g.BF16 = false
	g.B, g.LDB, g.C, g.LDC = w.x, w.ld, z, x.Cols
	d.t.Gemm(d.pool, g)
}

// across is Y_b = W·Z_b or Wᵀ·Z_b for each block of rows.
func (d *Device) across(m device.Mix, z []float32, w dense) {
	d.call.mix, d.call.values, d.call.waves[0] = m, z, w
	d.ranges(m.Batch, 1, (*Device).mixBlocks)
}

func (d *Device) mixBlocks(worker, lo, hi int) {
	m := &d.call.mix
	for b := lo; b < hi; b++ {
		y := of(m.Y.RowsView(b*m.Seq, m.Seq))
		z := matrix(d.call.values[b*m.Seq*m.X.Cols:], m.Seq, m.X.Cols)
		d.multiply(worker, y, d.call.waves[0], z, m.Adjoint, false, m.Accumulate)
	}
}
