package devicetest

import (
	"fmt"
	"math"

	"flexi/core/device"
)

// elementBound allows the rounding of one operation.
const elementBound = 1.2e-7

func elementwiseCases() []kernelCase {
	var cases []kernelCase
	for _, s := range [][2]int{{1, 1}, {2, 3}, {5, 37}, {13, 7}, {523, 67}} {
		cases = append(cases,
			binaryCase("mul", s[0], s[1], func(d device.Device, z, x, y device.Mat) { d.Mul(z, x, y) }, func(x, y float64) float64 { return x * y }),
			binaryCase("add", s[0], s[1], func(d device.Device, z, x, y device.Mat) { d.Add(z, x, y) }, func(x, y float64) float64 { return x + y }),
			addInPlaceCase(s[0], s[1]), copyCase(s[0], s[1]), zeroCase(s[0]*s[1]))
		for _, p := range []float32{0, 0.1, 0.9} {
			cases = append(cases, dropoutCase(s[0], s[1], device.Dropout{P: p, Seed: 0xabcdef0123456789}))
		}
	}
	return cases
}

func binaryCase(name string, rows, cols int, call func(d device.Device, z, x, y device.Mat), f func(x, y float64) float64) kernelCase {
	return kernelCase{fmt.Sprintf("%s %dx%d", name, rows, cols), func(r *rig) {
		x, y, z := r.normal(rows, cols), r.normal(rows, cols), r.output(rows, cols)
		call(r.d, z, r.input(x), r.input(y))
		r.compare(func() []matrix {
			want := zerosLike(x)
			for i := range want.x {
				want.x[i] = f(x.x[i], y.x[i])
			}
			return []matrix{want}
		}, result{"Z", z, elementBound})
	}, false}
}

func addInPlaceCase(rows, cols int) kernelCase {
	return kernelCase{fmt.Sprintf("add in place %dx%d", rows, cols), func(r *rig) {
		x, y := r.normal(rows, cols), r.normal(rows, cols)
		first, second := r.inPlace(x), r.inPlace(x)
		r.d.Add(first, first, r.input(y))
		r.d.Add(second, r.input(y), second)
		r.compare(func() []matrix { return []matrix{plus(x, y), plus(x, y)} }, result{"Z over X", first, elementBound}, result{"Z over Y", second, elementBound})
	}, false}
}

func copyCase(rows, cols int) kernelCase {
	return kernelCase{fmt.Sprintf("copy %dx%d", rows, cols), func(r *rig) {
		x, z := r.normal(rows, cols), r.output(rows, cols)
		r.d.Copy(z, r.input(x))
		r.compare(func() []matrix { return []matrix{x} }, result{"Z", z, 0})
	}, false}
}

func zeroCase(n int) kernelCase {
	return kernelCase{fmt.Sprintf("zero %d", n), func(r *rig) {
		x := r.vectorInPlace(r.normal(1, n))
		r.d.Zero(x)
		r.compare(func() []matrix { return []matrix{zeros(1, n)} }, result{"X", flat(x), 0})
	}, false}
}

func dropoutCase(rows, cols int, p device.Dropout) kernelCase {
	return kernelCase{fmt.Sprintf("dropout %dx%d p=%v", rows, cols, p.P), func(r *rig) {
		x, z := r.normal(rows, cols), r.output(rows, cols)
		over := r.inPlace(x)
		r.d.Dropout(z, r.input(x), p)
		r.d.Dropout(over, over, p)
		r.compare(func() []matrix { return []matrix{dropped(x, p), dropped(x, p)} },
			result{"Z", z, 3 * elementBound}, result{"Z over X", over, 3 * elementBound})
	}, false}
}

// memoryCases are about allocation and copies between host and device.
func memoryCases() []kernelCase {
	return []kernelCase{
		{"fresh memory is zero", func(r *rig) {
			for _, n := range []int{1, 37, 4099} {
				mem, err := r.d.Alloc(4 * n)
				if err != nil {
					r.t.Fatal(err)
				}
				if mem.Bytes < 4*n {
					r.t.Errorf("asked for %d bytes, got %d", 4*n, mem.Bytes)
				}
				now := make([]float32, n)
				r.d.DownloadF32(now, device.NewTensor(mem, 0, n, device.F32))
				for i, v := range now {
					if math.Float32bits(v) != 0 {
						r.t.Errorf("element %d of %d is %v", i, n, v)
					}
				}
				r.d.Free(mem)
			}
		}, false},
		{"part of a view", func(r *rig) {
			whole := r.inPlace(r.normal(1, 37)).T
			before := r.read(flat(whole))
			part := []float32{1, -2, float32(math.Inf(1))}
			r.d.UploadF32(whole.Slice(5, 3), part)
			copy(before[5:], part)
			for i, v := range r.read(flat(whole)) {
				if math.Float32bits(v) != math.Float32bits(before[i]) {
					r.t.Errorf("element %d is %v, want %v", i, v, before[i])
				}
			}
		}, false},
	}
}
