package devicetest

import (
	"fmt"
	"math"

	"flexi/core/device"
)

// Bounds of the kernels of decoders, relative to the largest element.
const (
	rmsNormBound     = 2e-6
	rmsNormGradBound = 5e-6
	swigluBound      = 2e-6
)

// rmsNormReference is Y = Gamma ∘ X·rstd.
type rmsNormReference struct {
	x, gamma matrix
	eps      float64
}

func (l rmsNormReference) rstd() matrix {
	out := zeros(1, l.x.rows)
	for i := range l.x.rows {
		x := l.x.row(i)
		out.x[i] = 1 / math.Sqrt(dot(x, x)/float64(len(x))+l.eps)
	}
	return out
}

func (l rmsNormReference) forward() matrix {
	y, rstd := zerosLike(l.x), l.rstd()
	for i := range y.rows {
		for j, v := range l.x.row(i) {
			y.add(i, j, v*rstd.x[i]*l.gamma.x[j])
		}
	}
	return y
}

// backward gives DX and DGamma. The terms of DX cancel, so its scale is that of the first.
func (l rmsNormReference) backward(dy matrix) []matrix {
	dx, dGamma, rstd := zerosLike(l.x), zerosLike(l.gamma), l.rstd()
	for i := range l.x.rows {
		x, r := l.x.row(i), rstd.x[i]
		var along float64
		for j, v := range x {
			along += dy.at(i, j) * l.gamma.x[j] * v / float64(len(x))
			dGamma.x[j] += dy.at(i, j) * v * r
		}
		for j, v := range x {
			u := dy.at(i, j) * l.gamma.x[j]
			dx.add(i, j, r*u-v*r*r*r*along)
			dx.scale = max(dx.scale, math.Abs(r*u))
		}
	}
	return []matrix{dx, dGamma}
}

func rmsNormCases() []kernelCase {
	var cases []kernelCase
	for _, s := range [][2]int{{1, 1}, {1, 37}, {5, 2}, {3, 13}, {13, 67}, {301, 71}} {
		cases = append(cases, rmsNormCase(s[0], s[1], false))
	}
	return append(cases, rmsNormCase(521, 131, true))
}

func rmsNormCase(rows, cols int, large bool) kernelCase {
	return kernelCase{fmt.Sprintf("%dx%d", rows, cols), func(r *rig) {
		const eps = 1e-3
		ref := rmsNormReference{r.normal(rows, cols), r.normal(1, cols), float64(float32(eps))}
		l := device.RMSNorm{X: r.input(ref.x), Gamma: r.vector(ref.gamma), Eps: eps, Y: r.output(rows, cols), RStd: r.vectorOutput(rows)}
		r.d.RMSNormForward(l)
		r.compare(func() []matrix { return []matrix{ref.forward(), ref.rstd()} },
			result{"Y", l.Y, rmsNormBound}, result{"RStd", flat(l.RStd), rmsNormBound})

		dy := r.normal(rows, cols)
		g := device.RMSNormGrad{X: l.X, Gamma: l.Gamma, RStd: l.RStd, DY: r.input(dy)}
		both, weight, input := g, g, g
		both.DX, both.DGamma = r.output(rows, cols), r.vectorOutput(cols)
		weight.DGamma = r.vectorOutput(cols)
		input.DX = r.output(rows, cols)
		for _, g := range []device.RMSNormGrad{both, weight, input} {
			r.d.RMSNormBackward(g)
		}
		r.compare(func() []matrix {
			want := ref.backward(dy)
			return []matrix{want[0], want[1], want[1], want[0]}
		}, result{"DX", both.DX, rmsNormGradBound}, result{"DGamma", flat(both.DGamma), rmsNormGradBound},
			result{"DGamma alone", flat(weight.DGamma), rmsNormGradBound}, result{"DX alone", input.DX, rmsNormGradBound})
	}, large}
}

// swigluReference is silu(gate)∘up; x holds the columns of both.
type swigluReference struct{ x matrix }

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func (s swigluReference) forward() matrix {
	f := s.x.cols / 2
	y := zeros(s.x.rows, f)
	for i := range y.rows {
		for j := range f {
			gate := s.x.at(i, j)
			y.add(i, j, gate*sigmoid(gate)*s.x.at(i, f+j))
		}
	}
	return y
}

func (s swigluReference) backward(dy matrix) matrix {
	f := s.x.cols / 2
	dx := zerosLike(s.x)
	for i := range dx.rows {
		for j := range f {
			gate, up, sigma := s.x.at(i, j), s.x.at(i, f+j), sigmoid(s.x.at(i, j))
			dx.add(i, j, dy.at(i, j)*up*sigma*(1+gate*(1-sigma)))
			dx.add(i, f+j, dy.at(i, j)*gate*sigma)
		}
	}
	return dx
}

func swigluCases() []kernelCase {
	var cases []kernelCase
	for _, s := range [][2]int{{1, 1}, {2, 3}, {5, 37}, {13, 7}, {523, 67}} {
		cases = append(cases, kernelCase{fmt.Sprintf("%dx%d", s[0], s[1]), func(r *rig) {
			ref := swigluReference{r.normal(s[0], 2*s[1])}
			for i := range ref.x.x {
				ref.x.x[i] = float64(float32(4 * ref.x.x[i])) // far enough for silu to be flat
			}
			ref.x.x[0] = -200 // whose exponential is infinite
			dy := r.normal(s[0], s[1])
			x, y, dx := r.input(ref.x), r.output(s[0], s[1]), r.output(s[0], 2*s[1])
			r.d.SwiGLUForward(device.SwiGLU{X: x, Y: y})
			r.d.SwiGLUBackward(device.SwiGLUGrad{X: x, DY: r.input(dy), DX: dx})
			r.compare(func() []matrix { return []matrix{ref.forward(), ref.backward(dy)} },
				result{"Y", y, swigluBound}, result{"DX", dx, swigluBound})
		}, s[0] > 100})
	}
	return cases
}
