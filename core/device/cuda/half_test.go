package cuda

import (
	"math"
	"testing"

	"flexi/core/device"
)

// placed is a matrix of given numbers: dense and aligned, or from an odd element on with a gap between rows.
func placed(t *testing.T, d *Device, rows, cols, seed int, aligned bool) device.Mat {
	t.Helper()
	return placedAs(t, d, device.F32, rows, cols, seed, aligned)
}

func placedAs(t *testing.T, d *Device, as device.DType, rows, cols, seed int, aligned bool) device.Mat {
	t.Helper()
	lead, ld := 5, cols+3
	if aligned {
		lead, ld = 0, cols
	}
	m, err := d.Alloc(as.Size() * (lead + rows*ld))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Free(m) })
	mat := device.Mat{T: device.NewTensor(m, lead, (rows-1)*ld+cols, as), Rows: rows, Cols: cols, Stride: ld}
	for i := range rows {
		line := make([]float32, cols)
		for j := range line {
			line[j] = float32(math.Sin(float64(seed*1000 + i*cols + j)))
		}
		d.UploadF32(mat.T.Slice(i*ld, cols), line)
	}
	return mat
}

func rowsOf(d *Device, m device.Mat) []float32 {
	var out []float32
	for i := range m.Rows {
		out = append(out, values(d, m.RowsView(i, 1).T)...)
	}
	return out
}

// chain runs the kernels that write a result together with its copy in bfloat16, each followed by a product that takes the copy.
func chain(t *testing.T, p device.Precision, aligned bool) [][]float32 {
	const rows, n = 37, 24
	d := openOn(t, newHost(t), p)
	mat := func(seed int) device.Mat { return placed(t, d, rows, n, seed, aligned) }
	square := func(seed int) device.Mat { return placed(t, d, n, n, seed, aligned) }
	vector := func(seed, n int) device.Tensor { return placed(t, d, 1, n, seed, aligned).T }
	x, w, pre, y, z, dPre := mat(1), square(2), mat(3), mat(4), mat(5), mat(6)
	drop := device.Dropout{P: 0.3, Seed: 17}
	var out [][]float32
	keep := func(ms ...device.Mat) {
		for _, m := range ms {
			out = append(out, rowsOf(d, m))
		}
	}
	for _, residual := range []device.Mat{{}, mat(7)} {
		d.LinearForward(device.Linear{X: x, W: w, Bias: vector(8, n), Act: device.GELU, Pre: pre, Drop: drop, Residual: residual, Y: y})
		d.Gemm(device.Gemm{A: y, B: w, C: z})
		keep(pre, y, z)
	}
	dx, dw := mat(9), square(10)
	d.LinearBackward(device.LinearGrad{X: x, W: w, Act: device.GELU, Pre: pre, Drop: drop, DY: z, DPre: dPre, DX: dx, DW: dw, DBias: vector(11, n)})
	keep(dPre, dx, dw)
	d.LayerNormForward(device.LayerNorm{
		X: x, Gamma: vector(12, n), Beta: vector(13, n), Eps: 1e-5, Drop: drop, Y: y, Mean: vector(14, rows), RStd: vector(15, rows),
	})
	d.Gemm(device.Gemm{A: y, B: w, C: z})
	keep(y, z)
	// The same product of a copy that was rounded on its own.
	d.Copy(dx, y)
	d.Gemm(device.Gemm{A: dx, B: w, C: dPre})
	keep(dPre)
	same(t, "product of what was rounded by its maker", out[len(out)-2], out[len(out)-1])
	return out
}

// Aligned operands go through kernels that take four elements at a time.
func TestAlignedOperandsGiveTheSameBits(t *testing.T) {
	for _, p := range []device.Precision{device.PrecisionF32, device.PrecisionBF16} {
		aligned, odd := chain(t, p, true), chain(t, p, false)
		for i := range aligned {
			same(t, string(p), odd[i], aligned[i])
		}
	}
}

// What is written after it was rounded is rounded again.
func TestCopiesInBFloat16FollowTheirOperands(t *testing.T) {
	d := openOn(t, newHost(t), device.PrecisionBF16)
	x, w, y := placed(t, d, 8, 8, 1, true), placed(t, d, 8, 8, 2, true), placed(t, d, 8, 8, 3, true)
	writes := map[string]func(){
		"upload":   func() { d.UploadF32(x.T.Slice(63, 1), []float32{100}) },
		"zero":     func() { d.Zero(x.T.Slice(0, 8)) },
		"in place": func() { d.Add(x, x, x) },
		"part":     func() { d.Copy(x.Columns(2, 3), w.Columns(0, 3)) },
		"adamw": func() {
			d.AdamW(device.AdamW{W: x.T, G: w.T, M: y.T, V: y.T, LR: 0.1, Step: 1, Beta1: 0.9, Beta2: 0.9, Eps: 1, GradScale: 1})
		},
		"product": func() { d.Gemm(device.Gemm{A: w, B: w, C: x}) },
		"gather":  func() { d.Gather(x.RowsView(1, 1), w.RowsView(0, 1), rowNumbers(t, d)) },
		"layer norm": func() {
			d.LayerNormForward(device.LayerNorm{X: w, Gamma: w.T.Slice(0, 8), Beta: w.T.Slice(0, 8), Eps: 1, Y: x, Mean: y.T.Slice(0, 8), RStd: y.T.Slice(8, 8)})
		},
	}
	for name, write := range writes {
		d.Gemm(device.Gemm{A: x, B: w, C: y})
		write()
		d.Gemm(device.Gemm{A: x, B: w, C: y})
		got := rowsOf(d, y)
		fresh := placed(t, d, 8, 8, 9, true)
		d.Copy(fresh, x)
		d.Gemm(device.Gemm{A: fresh, B: w, C: y})
		same(t, name, rowsOf(d, y), got)
	}
}

func rowNumbers(t *testing.T, d *Device) device.Tensor {
	t.Helper()
	m, err := d.Alloc(4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Free(m) })
	return device.NewTensor(m, 0, 1, device.I32)
}
