package devicetest

import (
	"fmt"
	"math"

	"flexi/core/device"
)

// mixBound is relative to the largest element, for sums over up to 500 values.
const mixBound = 4e-6

// transform is the matrix of a transform of a t×h block, with element (n, m) of a block at index n·h + m.
func transform(kind device.MixKind, ortho bool, t, h int) matrix {
	m := zeros(t*h, t*h)
	for to := range t * h {
		for from := range t * h {
			m.add(to, from, coefficient(kind, ortho, t, h, to, from))
		}
	}
	return m
}

func coefficient(kind device.MixKind, ortho bool, t, h, to, from int) float64 {
	n, m := to/h, to%h
	n1, m1 := from/h, from%h
	if kind == device.MixDFT {
		v := math.Cos(2 * math.Pi * (float64(n*n1%t)/float64(t) + float64(m*m1%h)/float64(h)))
		if ortho {
			v /= math.Sqrt(float64(t * h))
		}
		return v
	}
	v := 4 * math.Cos(math.Pi*float64(n*(2*n1+1))/float64(2*t)) * math.Cos(math.Pi*float64(m*(2*m1+1))/float64(2*h))
	if ortho {
		v *= orthonormal(n, t) * orthonormal(m, h)
	}
	return v
}

// orthonormal is scipy's factor of row k of a DCT-II of length n with norm="ortho".
func orthonormal(k, n int) float64 {
	if k == 0 {
		return math.Sqrt(1 / float64(4*n))
	}
	return math.Sqrt(1 / float64(2*n))
}

// transformed applies a transform to every block of x.
func transformed(w, x matrix, batch int) matrix {
	y := zerosLike(x)
	for b := range batch {
		block := x.x[b*w.rows:][:w.rows]
		for i := range w.rows {
			y.x[b*w.rows+i] = dot(w.row(i), block)
		}
	}
	return y
}

func mixCases() []kernelCase {
	var cases []kernelCase
	for _, kind := range []device.MixKind{device.MixDFT, device.MixDCT} {
		for flags := range 8 {
			m := device.Mix{Kind: kind, Ortho: flags&1 != 0, Adjoint: flags&2 != 0, Accumulate: flags&4 != 0}
			for _, s := range [][3]int{{1, 1, 1}, {2, 1, 5}, {3, 5, 1}, {2, 3, 7}, {1, 7, 13}, {3, 13, 17}} {
				cases = append(cases, mixCase(m, s[0], s[1], s[2], false))
			}
			cases = append(cases, mixCase(m, 5, 67, 71, true))
		}
		for _, ortho := range []bool{false, true} {
			cases = append(cases, adjointCase(kind, ortho))
		}
	}
	return cases
}

func mixCase(m device.Mix, batch, seq, cols int, large bool) kernelCase {
	name := fmt.Sprintf("%d %dx%dx%d ortho=%v adjoint=%v accumulate=%v", m.Kind, batch, seq, cols, m.Ortho, m.Adjoint, m.Accumulate)
	return kernelCase{name, func(r *rig) {
		x, before := r.normal(batch*seq, cols), r.normal(batch*seq, cols)
		m.Batch, m.Seq, m.X = batch, seq, r.input(x)
		m.Y = r.output(batch*seq, cols)
		if m.Accumulate {
			r.fill(m.Y, before)
		}
		r.d.Mix(m)
		r.compare(func() []matrix {
			w := transform(m.Kind, m.Ortho, seq, cols)
			want := transformed(turned(w, m.Adjoint), x, batch)
			if m.Accumulate {
				want = plus(want, before)
			}
			return []matrix{want}
		}, result{"Y", m.Y, mixBound})
	}, large}
}

// adjointCase checks <Mx, y> = <x, M'y> on the device's own results, at a size beyond the reference's.
func adjointCase(kind device.MixKind, ortho bool) kernelCase {
	return kernelCase{fmt.Sprintf("%d adjoint identity ortho=%v", kind, ortho), func(r *rig) {
		const batch, seq, cols = 3, 53, 67
		x, y := r.normal(batch*seq, cols), r.normal(batch*seq, cols)
		m := device.Mix{Kind: kind, Ortho: ortho, Batch: batch, Seq: seq, X: r.input(x), Y: r.output(batch*seq, cols)}
		back := m
		back.X, back.Y, back.Adjoint = r.input(y), r.output(batch*seq, cols), true
		r.d.Mix(m)
		r.d.Mix(back)
		mx, my := wide(r.read(m.Y)), wide(r.read(back.Y))
		size := math.Sqrt(dot(mx, mx) * dot(y.x, y.x))
		if left, right := dot(mx, y.x), dot(x.x, my); !(math.Abs(left-right) <= mixBound*size) {
			r.t.Errorf("<Mx, y> = %v, <x, M'y> = %v, bound %.3g", left, right, mixBound*size)
		}
	}, false}
}

func wide(x []float32) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}
