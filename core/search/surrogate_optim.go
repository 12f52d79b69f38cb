package search

import "math"

// optimizer changes parameters by their gradients.
type optimizer interface {
	step(params, grads [][]float64)
}

// adamW is Adam with decoupled weight decay at PyTorch's defaults (Loshchilov and Hutter 2019).
type adamW struct {
	rate float64
	m, v [][]float64
	t    int
}

const (
	adamWBeta1, adamWBeta2 = 0.9, 0.999
	adamWEpsilon           = 1e-8
	adamWDecay             = 0.01
)

func newAdamW(rate float64) func([][]float64) optimizer {
	return func(shape [][]float64) optimizer {
		a := &adamW{rate: rate}
		for _, p := range shape {
			a.m, a.v = append(a.m, make([]float64, len(p))), append(a.v, make([]float64, len(p)))
		}
		return a
	}
}

func (a *adamW) step(params, grads [][]float64) {
	a.t++
	rate := a.rate / (1 - math.Pow(adamWBeta1, float64(a.t)))
	unbias := 1 / math.Sqrt(1-math.Pow(adamWBeta2, float64(a.t)))
	for p, values := range params {
		m, v, g := a.m[p], a.v[p], grads[p]
		for i := range values {
			m[i] = adamWBeta1*m[i] + (1-adamWBeta1)*g[i]
			v[i] = adamWBeta2*v[i] + (1-adamWBeta2)*g[i]*g[i]
			values[i] -= a.rate*adamWDecay*values[i] + rate*m[i]/(math.Sqrt(v[i])*unbias+adamWEpsilon)
		}
	}
}

// sgd is plain gradient descent.
type sgd struct{ rate float64 }

func newSGD(rate float64) func([][]float64) optimizer {
	return func([][]float64) optimizer { return sgd{rate} }
}

func (s sgd) step(params, grads [][]float64) {
	for p := range params {
		addScaled(params[p], -s.rate, grads[p])
	}
}
