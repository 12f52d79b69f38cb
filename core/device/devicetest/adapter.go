package devicetest

import (
	"fmt"
	"math"

	"flexi/core/device"
)

// adapterBound allows for sums of a few hundred products.
const adapterBound = 4e-6

func adapterCases() []kernelCase {
	cases := []kernelCase{scaleCase(3, 7, false), scaleCase(1, 1, true), scaleCase(301, 67, true)}
	for _, s := range [][3]int{{1, 1, 1}, {3, 5, 2}, {37, 13, 4}, {131, 301, 8}} {
		cases = append(cases, innerCase(s[0], s[1]), adaptedNormsCase(s[0], s[1], s[2]))
		for flags := range 8 {
			cases = append(cases, magnitudeCase(s[0], s[1], flags))
		}
	}
	return append(cases, magnitudeCase(521, 67, 7))
}

func scaleCase(rows, cols int, by bool) kernelCase {
	return kernelCase{fmt.Sprintf("scale %dx%d by=%v", rows, cols, by), func(r *rig) {
		x, z := r.normal(rows, cols), r.output(rows, cols)
		factor, t := 0.5, device.Tensor{}
		if by {
			t, factor = r.vector(scalar(1.75)), 0.5*1.75
		}
		over := r.inPlace(x)
		r.d.Scale(z, r.input(x), 0.5, t)
		r.d.Scale(over, over, 0.5, t)
		r.compare(func() []matrix {
			want := x.clone()
			for i := range want.x {
				want.x[i] *= factor
			}
			return []matrix{want, want}
		}, result{"Z", z, elementBound}, result{"Z over X", over, elementBound})
	}, false}
}

func innerCase(rows, cols int) kernelCase {
	return kernelCase{fmt.Sprintf("inner %dx%d", rows, cols), func(r *rig) {
		x, y, out := r.normal(rows, cols), r.normal(rows, cols), r.vectorOutput(1)
		more := r.vectorInPlace(scalar(3))
		r.d.Inner(out, r.input(x), r.input(y), 0.25, false)
		r.d.Inner(more, r.input(x), r.input(y), 0.25, true)
		r.compare(func() []matrix {
			sum := 0.25 * dot(x.x, y.x)
			return []matrix{scalar(sum), scalar(3 + sum)}
		}, result{"out", flat(out), adapterBound}, result{"sum", flat(more), adapterBound})
	}, false}
}

func adaptedNormsCase(rows, cols, rank int) kernelCase {
	return kernelCase{fmt.Sprintf("norms %dx%d rank %d", rows, cols, rank), func(r *rig) {
		w, a, b, out := r.normal(rows, cols), r.normal(rank, cols), r.normal(rows, rank), r.vectorOutput(rows)
		r.d.AdaptedNorms(device.AdaptedNorms{
			W: r.input(w), A: r.input(a), B: r.input(b), Factor: 0.5, By: r.vector(scalar(1.5)), Norms: out,
		})
		r.compare(func() []matrix {
			want, ba := zeros(1, rows), product(b, a)
			for i := range rows {
				line := append([]float64(nil), w.row(i)...)
				axpy(line, ba.row(i), 0.75)
				want.x[i] = math.Sqrt(dot(line, line))
			}
			return []matrix{want}
		}, result{"Norms", flat(out), adapterBound})
	}, false}
}

// magnitudeReference is x∘(mag/norm) + bias + residual; absent operands count as they do in device.Magnitude.
type magnitudeReference struct{ x, mag, norm, bias, residual matrix }

func (m magnitudeReference) factor(j int) float64 {
	if m.mag.absent() {
		return 1
	}
	return m.mag.x[j] / m.norm.x[j]
}

func (m magnitudeReference) forward() matrix {
	y := zerosLike(m.x)
	for i := range y.rows {
		for j, v := range m.x.row(i) {
			y.add(i, j, v*m.factor(j))
			if !m.bias.absent() {
				y.add(i, j, m.bias.x[j])
			}
			if !m.residual.absent() {
				y.add(i, j, m.residual.at(i, j))
			}
		}
	}
	return y
}

// backward gives DX and DMag.
func (m magnitudeReference) backward(dy matrix) []matrix {
	dx, dMag := zerosLike(m.x), zeros(1, m.x.cols)
	for i := range dx.rows {
		for j, v := range m.x.row(i) {
			dx.add(i, j, dy.at(i, j)*m.factor(j))
			if !m.mag.absent() {
				dMag.x[j] += dy.at(i, j) * v / m.norm.x[j]
			}
		}
	}
	return []matrix{dx, dMag}
}

func magnitudeCase(rows, cols, flags int) kernelCase {
	mag, bias, residual := flags&1 != 0, flags&2 != 0, flags&4 != 0
	return kernelCase{fmt.Sprintf("magnitude %dx%d mag=%v bias=%v residual=%v", rows, cols, mag, bias, residual), func(r *rig) {
		ref := magnitudeReference{x: r.normal(rows, cols)}
		m := device.Magnitude{X: r.input(ref.x), Y: r.output(rows, cols)}
		if mag {
			ref.mag, ref.norm = r.normal(1, cols), r.normal(1, cols)
			for j, v := range ref.norm.x {
				ref.norm.x[j] = float64(float32(math.Abs(v) + 0.5))
			}
			m.Mag, m.Norm = r.vector(ref.mag), r.vector(ref.norm)
		}
		if bias {
			ref.bias = r.normal(1, cols)
			m.Bias = r.vector(ref.bias)
		}
		if residual {
			ref.residual = r.normal(rows, cols)
			m.Residual = r.input(ref.residual)
		}
		r.d.MagnitudeForward(m)
		dy := r.normal(rows, cols)
		g := device.MagnitudeGrad{X: m.X, Mag: m.Mag, Norm: m.Norm, DY: r.input(dy), DX: r.output(rows, cols)}
		if mag {
			g.DMag = r.vectorOutput(cols)
		}
		r.d.MagnitudeBackward(g)
		r.compare(func() []matrix { return append([]matrix{ref.forward()}, ref.backward(dy)...) },
			result{"Y", m.Y, adapterBound}, result{"DX", g.DX, adapterBound}, result{"DMag", flat(g.DMag), adapterBound})
	}, rows > 500}
}
