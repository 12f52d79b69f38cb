package cuda

import (
	"math"
	"unsafe"

	"flexi/core/device"
)

// wave is the matrix of a one-dimensional transform.
type wave uint8

const (
	cosine    wave = iota // cos(2π k m / n), symmetric
	sine                  // sin(2π k m / n), symmetric
	cosineTwo             // 2 cos(π k (2m+1) / (2n)): row k of the DCT-II
)

type waveKey struct {
	kind  wave
	n     int
	ortho bool
	sign  float64
}

// at is an element; arguments are reduced as integers, so the values are exact to float32.
func (w waveKey) at(k, j int) float64 {
	scale, turns := w.sign, 2*math.Pi*float64(k*j%w.n)/float64(w.n)
	if w.ortho {
		scale /= math.Sqrt(float64(w.n))
	}
	switch w.kind {
	case cosine:
		return scale * math.Cos(turns)
	case sine:
		return scale * math.Sin(turns)
	}
	if !w.ortho {
		scale *= 2
	} else if k > 0 {
		scale *= math.Sqrt2
	}
	return scale * math.Cos(math.Pi*float64(k*(2*j+1)%(4*w.n))/float64(2*w.n))
}

// wave is the n×n matrix of a transform in the GPU's memory, made once.
func (d *Device) wave(key waveKey) uintptr {
	if at, ok := d.waves[key]; ok {
		return at
	}
	host := make([]float32, key.n*key.n)
	for k := range key.n {
		for j := range key.n {
			host[k*key.n+j] = float32(key.at(k, j))
		}
	}
	at := d.take(4 * len(host))
	if d.ready() {
		d.fail(d.stage.upload(at, unsafe.Slice((*byte)(unsafe.Pointer(&host[0])), 4*len(host))))
		d.waves[key] = at
	}
	return at
}

// Mix transforms each Seq×Cols block by matrix products in float32, along the channels of all rows at once and along the positions of all blocks in
// one batch.
func (d *Device) Mix(m device.Mix) {
	m.Check()
	d.begin("mix", m.Batch, m.Seq, m.X.Cols)
	rows, cols := m.X.Rows, m.X.Cols
	if rows == 0 || cols == 0 {
		return
	}
	z := d.take(4 * rows * cols)
	if m.Kind == device.MixDCT {
		d.along(z, m.X, waveKey{cosineTwo, cols, m.Ortho, 1}, !m.Adjoint)
		d.across(m, z, waveKey{cosineTwo, m.Seq, m.Ortho, 1}, m.Adjoint, m.Accumulate)
	} else {
		// Re(F_T X F_H) = C X C - S X S; both matrices are symmetric, so the transform is its own adjoint.
		d.along(z, m.X, waveKey{cosine, cols, m.Ortho, 1}, false)
		d.across(m, z, waveKey{cosine, m.Seq, m.Ortho, 1}, false, m.Accumulate)
		d.along(z, m.X, waveKey{sine, cols, m.Ortho, 1}, false)
		d.across(m, z, waveKey{sine, m.Seq, m.Ortho, -1}, false, true)
	}
	d.give(z)
}

// along is Z = X·W or X·Wᵀ over all rows.
func (d *Device) along(z uintptr, x device.Mat, key waveKey, transposed bool) {
	v, n := in(x), x.Cols
	d.multiply(product{
		m: n, n: x.Rows, k: n, transA: transposed, a: d.wave(key), lda: n, b: v.at, ldb: int(v.ld), c: z, ldc: n, d: z, ldd: n, batch: 1,
	})
}

// across is Y_b = W·Z_b or Wᵀ·Z_b for each block of rows.
func (d *Device) across(m device.Mix, z uintptr, key waveKey, transposed, accumulate bool) {
	y, n := d.out(m.Y), m.X.Cols
	p := product{
		m: n, n: m.Seq, k: m.Seq, transB: transposed, a: z, lda: n, b: d.wave(key), ldb: m.Seq, c: y.at, ldc: int(y.ld), d: y.at, ldd: int(y.ld),
		batch: m.Batch, strideA: m.Seq * n, strideD: m.Seq * int(y.ld),
	}
	if accumulate {
		p.beta = 1
	}
	d.multiply(p)
}
