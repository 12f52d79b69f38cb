package cpu

import (
	"math"

	"flexi/core/device"
)

// wave is the matrix of a one-dimensional transform.
type wave uint8

const (
	cosine      wave = iota // cos(2π k m / n), symmetric
	sine                    // sin(2π k m / n), symmetric
	cosineTwo               // 2 cos(π k (2m+1) / (2n)): row k of the DCT-II
	minusSine               // -sin(2π k m / n)
	orthoFactor = math.Sqrt2
)

type waveKey struct {
	kind  wave
	n     int
	ortho bool
}

// wave returns the n×n matrix of a transform, made once. Arguments are reduced as integers, so the values are exact to float32.
func (d *Device) wave(kind wave, n int, ortho bool) []float32 {
	key := waveKey{kind, n, ortho}
	if m, ok := d.waves[key]; ok {
		return m
	}
	m := make([]float32, n*n)
	for k := range n {
		for j := range n {
			m[k*n+j] = float32(key.at(k, j))
		}
	}
	d.waves[key] = m
	return m
}

func (w waveKey) at(k, j int) float64 {
	turns := 2 * math.Pi * float64(k*j%w.n) / float64(w.n)
	scale := 1.0
	if w.ortho {
		scale = 1 / math.Sqrt(float64(w.n))
	}
	switch w.kind {
	case cosine:
		return scale * math.Cos(turns)
	case sine:
		return scale * math.Sin(turns)
	case minusSine:
		return -scale * math.Sin(turns)
	}
	if w.ortho && k > 0 {
		scale *= orthoFactor
	}
	if !w.ortho {
		scale = 2
	}
	return scale * math.Cos(math.Pi*float64(k*(2*j+1)%(4*w.n))/float64(2*w.n))
}

// Mix transforms each Seq×Cols block by matrix products, first along the channels of all rows at once, then along the positions of each block:
// for lengths up to 512 that is faster than a fast transform, because products run near the peak.
func (d *Device) Mix(m device.Mix) {
	shaped("X", m.X, m.Batch*m.Seq, m.X.Cols)
	shaped("Y", m.Y, m.X.Rows, m.X.Cols)
	if m.Y.Rows == 0 || m.Y.Cols == 0 {
		return
	}
	rows, cols := m.X.Rows, m.X.Cols
	if m.Kind == device.MixDCT {
		z := d.shared(rows * cols)
		d.along(z, m.X, d.wave(cosineTwo, cols, m.Ortho), !m.Adjoint)
		d.across(m, z, d.wave(cosineTwo, m.Seq, m.Ortho), m.Adjoint, m.Accumulate)
		return
	}
	// Re(F_T X F_H) = C X C - S X S; both matrices are symmetric, so the transform is its own adjoint.
	z := d.shared(2 * rows * cols)
	even, odd := z[:rows*cols], z[rows*cols:]
	d.along(even, m.X, d.wave(cosine, cols, m.Ortho), false)
	d.along(odd, m.X, d.wave(sine, cols, m.Ortho), false)
	d.across(m, even, d.wave(cosine, m.Seq, m.Ortho), false, m.Accumulate)
	d.across(m, odd, d.wave(minusSine, m.Seq, m.Ortho), false, true)
}

// along is Z = X·W or X·Wᵀ over all rows.
func (d *Device) along(z []float32, x device.Mat, w []float32, transposed bool) {
	g := d.operands(device.Gemm{A: x, C: x, TransB: transposed}, x.Cols)
	g.BF16 = false
	g.B, g.LDB, g.C, g.LDC = w, x.Cols, z, x.Cols
	d.t.Gemm(d.pool, g)
}

// across is Y_b = W·Z_b or Wᵀ·Z_b for each block of rows.
func (d *Device) across(m device.Mix, z, w []float32, transposed, accumulate bool) {
	m.Adjoint, m.Accumulate = transposed, accumulate // of this product now
	d.call.mix, d.call.values, d.call.weights = m, z, w
	d.ranges(m.Batch, 1, (*Device).mixBlocks)
}

func (d *Device) mixBlocks(worker, lo, hi int) {
	m := &d.call.mix
	for b := lo; b < hi; b++ {
		y := of(m.Y.RowsView(b*m.Seq, m.Seq))
		z := matrix(d.call.values[b*m.Seq*m.X.Cols:], m.Seq, m.X.Cols)
		d.multiply(worker, y, matrix(d.call.weights, m.Seq, m.Seq), z, m.Adjoint, false, m.Accumulate)
	}
}
