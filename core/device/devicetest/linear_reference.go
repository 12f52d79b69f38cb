package devicetest

import (
	"math"

	"flexi/core/device"
)

// linearReference is Y = Residual + Drop(act(X·Wᵀ + Bias)).
type linearReference struct {
	x, w, bias, residual matrix // bias and residual may be absent
	act                  device.Activation
	drop                 device.Dropout
}

func (l linearReference) pre() matrix {
	pre := product(l.x, l.w.transposed())
	if !l.bias.absent() {
		for i := range pre.x {
			pre.x[i] += l.bias.x[i%pre.cols]
		}
	}
	return pre
}

// forward gives Y. Its scale is that of the sums in front of the activation, which may squash them but not their rounding errors.
func (l linearReference) forward() matrix {
	y := l.pre()
	scale := y.largest()
	for i, v := range y.x {
		y.x[i] = activate(l.act, v)
	}
	y = dropped(y, l.drop)
	if !l.residual.absent() {
		y = plus(y, l.residual)
	}
	y.scale = scale
	return y
}

// backward gives DX, DW and DBias.
func (l linearReference) backward(dy matrix) []matrix {
	pre, dPre := l.pre(), dropped(dy, l.drop)
	for i, v := range pre.x {
		dPre.x[i] *= slope(l.act, v)
	}
	dBias := zeros(1, dPre.cols)
	for i, v := range dPre.x {
		dBias.x[i%dPre.cols] += v
	}
	return []matrix{product(dPre, l.w), product(dPre.transposed(), l.x), dBias}
}

func activate(a device.Activation, x float64) float64 {
	switch a {
	case device.GELU:
		return x / 2 * (1 + math.Erf(x/math.Sqrt2))
	case device.Tanh:
		return math.Tanh(x)
	}
	return x
}

// slope is the derivative of activate.
func slope(a device.Activation, x float64) float64 {
	switch a {
	case device.GELU:
		return (1+math.Erf(x/math.Sqrt2))/2 + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi)
	case device.Tanh:
		y := math.Tanh(x)
		return 1 - y*y
	}
	return 1
}
