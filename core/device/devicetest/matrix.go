package devicetest

import (
	"math"
	"math/rand/v2"

	"flexi/core/device"
)

// matrix is a dense float64 matrix, the form of all references. The zero value is an absent operand.
type matrix struct {
	rows, cols int
	x          []float64
	// scale is the magnitude that errors are relative to where it is larger than the largest element: that of the values that cancelled or
	// were squashed on the way.
	scale float64
}

func zeros(rows, cols int) matrix {
	return matrix{rows: rows, cols: cols, x: make([]float64, rows*cols)}
}

// zerosLike is a zero matrix of m's shape.
func zerosLike(m matrix) matrix { return zeros(m.rows, m.cols) }

// normal is a matrix of normally distributed values that float32 holds exactly.
func normal(rng *rand.Rand, rows, cols int) matrix {
	m := zeros(rows, cols)
	for i := range m.x {
		m.x[i] = float64(float32(rng.NormFloat64()))
	}
	return m
}

func scalar(v float64) matrix { return matrix{rows: 1, cols: 1, x: []float64{v}} }

func (m matrix) row(i int) []float64      { return m.x[i*m.cols:][:m.cols] }
func (m matrix) at(i, j int) float64      { return m.x[i*m.cols+j] }
func (m matrix) add(i, j int, by float64) { m.x[i*m.cols+j] += by }
func (m matrix) absent() bool             { return m.x == nil }

func (m matrix) clone() matrix {
	return matrix{rows: m.rows, cols: m.cols, x: append([]float64(nil), m.x...)}
}

func (m matrix) largest() float64 {
	var top float64
	for _, v := range m.x {
		top = max(top, math.Abs(v))
	}
	return top
}

func (m matrix) transposed() matrix {
	out := zeros(m.cols, m.rows)
	for i := range m.rows {
		for j := range m.cols {
			out.x[j*m.rows+i] = m.at(i, j)
		}
	}
	return out
}

func dot(a, b []float64) float64 {
	var sum float64
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}

// product is A·B.
func product(a, b matrix) matrix {
	c, bt := zeros(a.rows, b.cols), b.transposed()
	for i := range c.rows {
		for j := range c.cols {
			c.x[i*c.cols+j] = dot(a.row(i), bt.row(j))
		}
	}
	return c
}

// plus is A + B.
func plus(a, b matrix) matrix {
	c := a.clone()
	for i, v := range b.x {
		c.x[i] += v
	}
	return c
}

// factor is what dropout multiplies element i by.
func factor(d device.Dropout, i int) float64 {
	switch {
	case !d.On():
		return 1
	case d.Keep(uint32(i)):
		return 1 / (1 - float64(d.P))
	}
	return 0
}

// dropped is Drop(X), with element (i, j) at index i·cols + j.
func dropped(m matrix, d device.Dropout) matrix {
	out := m.clone()
	for i := range out.x {
		out.x[i] *= factor(d, i)
	}
	return out
}

// softmax is in place.
func softmax(x []float64) {
	top := math.Inf(-1)
	for _, v := range x {
		top = max(top, v)
	}
	var sum float64
	for i, v := range x {
		x[i] = math.Exp(v - top)
		sum += x[i]
	}
	for i := range x {
		x[i] /= sum
	}
}

// softmaxGrad is the gradient of the input of a softmax from its output p and that output's gradient.
func softmaxGrad(p, dp []float64) []float64 {
	inner, out := dot(p, dp), make([]float64, len(p))
	for i, v := range p {
		out[i] = v * (dp[i] - inner)
	}
	return out
}
