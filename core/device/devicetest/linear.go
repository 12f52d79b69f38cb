package devicetest

import (
	"fmt"

	"flexi/core/device"
)

// Bounds of matrix products, relative to the largest element: sums of up to a few hundred products of order one.
const (
	gemmBound       = 2e-6
	linearBound     = 2e-6
	linearGradBound = 4e-6
)

func gemmCases() []kernelCase {
	shapes := [][3]int{{1, 1, 1}, {1, 37, 5}, {3, 2, 1}, {5, 7, 13}, {37, 1, 29}, {13, 53, 67}, {131, 37, 301}}
	var cases []kernelCase
	for flags := range 8 {
		for _, s := range shapes {
			cases = append(cases, gemmCase(s[0], s[1], s[2], flags, false))
		}
		cases = append(cases, gemmCase(157, 131, 301, flags, true))
	}
	return cases
}

func gemmCase(m, n, k, flags int, large bool) kernelCase {
	transA, transB, accumulate := flags&1 != 0, flags&2 != 0, flags&4 != 0
	name := fmt.Sprintf("%dx%dx%d transA=%v transB=%v accumulate=%v", m, n, k, transA, transB, accumulate)
	return kernelCase{name, func(r *rig) {
		a, b, c := r.normal(m, k), r.normal(k, n), r.normal(m, n)
		g := device.Gemm{TransA: transA, TransB: transB, Accumulate: accumulate}
		g.A, g.B = r.input(turned(a, transA)), r.input(turned(b, transB))
		if accumulate {
			g.C = r.inPlace(c)
		} else {
			g.C = r.output(m, n)
		}
		r.d.Gemm(g)
		r.compare(func() []matrix {
			want := product(a, b)
			if accumulate {
				want = plus(want, c)
			}
			return []matrix{want}
		}, result{"C", g.C, gemmBound})
	}, large}
}

func turned(m matrix, transposed bool) matrix {
	if transposed {
		return m.transposed()
	}
	return m
}

func linearCases() []kernelCase {
	var cases []kernelCase
	for _, act := range []device.Activation{device.Identity, device.GELU, device.Tanh} {
		for flags := range 8 {
			for _, s := range [][3]int{{1, 1, 1}, {2, 3, 5}, {13, 7, 37}, {37, 53, 13}} {
				cases = append(cases, linearCase(s[0], s[1], s[2], act, flags, false))
			}
		}
		cases = append(cases, linearCase(301, 37, 67, act, 7, false), linearCase(307, 101, 131, act, 7, true))
	}
	return cases
}

// linearCase is a forward and a backward pass. Tanh has no backward pass through dropout or a residual (see device.LinearGrad).
func linearCase(rows, in, out int, act device.Activation, flags int, large bool) kernelCase {
	bias, residual, drop := flags&1 != 0, flags&2 != 0, flags&4 != 0
	name := fmt.Sprintf("%dx%d to %d act=%d bias=%v residual=%v drop=%v", rows, in, out, act, bias, residual, drop)
	return kernelCase{name, func(r *rig) {
		ref := linearReference{x: r.normal(rows, in), w: r.normal(out, in), act: act}
		l := device.Linear{X: r.input(ref.x), W: r.input(ref.w), Act: act, Y: r.output(rows, out)}
		if bias {
			ref.bias = r.normal(1, out)
			l.Bias = r.vector(ref.bias)
		}
		if residual {
			ref.residual = r.normal(rows, out)
			l.Residual = r.input(ref.residual)
		}
		if drop {
			ref.drop = device.Dropout{P: 0.25, Seed: 0x123456789abcdef}
			l.Drop = ref.drop
		}
		if act == device.GELU {
			l.Pre = r.output(rows, out)
		}
		r.d.LinearForward(l)
		r.compare(func() []matrix { return []matrix{ref.forward(), ref.pre()} }, result{"Y", l.Y, linearBound}, result{"Pre", l.Pre, linearBound})
		if act != device.Tanh || !residual && !drop {
			r.linearBackward(l, ref)
		}
		if act == device.GELU {
			l.Pre = device.Mat{}
			r.fill(l.Y, zeros(rows, out))
			r.d.LinearForward(l)
			r.compare(func() []matrix { return []matrix{ref.forward()} }, result{"Y of inference", l.Y, linearBound})
		}
	}, large}
}

func (r *rig) linearBackward(l device.Linear, ref linearReference) {
	r.t.Helper()
	dy := r.normal(l.Y.Rows, l.Y.Cols)
	g := device.LinearGrad{X: l.X, W: l.W, Act: l.Act, Pre: l.Pre, Drop: l.Drop, DY: r.input(dy)}
	if l.Act == device.Tanh {
		g.Y = l.Y
	}
	if l.Act != device.Identity || l.Drop.On() {
		g.DPre = r.output(l.Y.Rows, l.Y.Cols)
	}
	all := g
	all.DX, all.DW, all.DBias = r.output(l.X.Rows, l.X.Cols), r.output(l.W.Rows, l.W.Cols), r.vectorOutput(l.W.Rows)
	r.d.LinearBackward(all)
	r.compare(func() []matrix { return ref.backward(dy) },
		result{"DX", all.DX, linearGradBound}, result{"DW", all.DW, linearGradBound}, result{"DBias", flat(all.DBias), linearGradBound})
	// Empty outputs are not computed, and the others do not change for it.
	g.DW = r.output(l.W.Rows, l.W.Cols)
	r.d.LinearBackward(g)
	r.compare(func() []matrix { return ref.backward(dy)[1:2] }, result{"DW alone", g.DW, linearGradBound})
}
