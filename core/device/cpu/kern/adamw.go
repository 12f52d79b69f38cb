package kern

import "math"

// AdamW is the coefficients of one decoupled-weight-decay Adam step (Loshchilov and Hutter 2019, algorithm 2, in PyTorch's form):
//
//	g = GradScale·g;  m = Beta1·m + (1-Beta1)·g;  v = Beta2·v + (1-Beta2)·g²
//	w = Shrink·w - Rate·m / (RootScale·sqrt(v) + Eps)
type AdamW struct {
	GradScale           float32
	Beta1, OneLessBeta1 float32
	Beta2, OneLessBeta2 float32
	Shrink              float32 // 1 - lr·decay
	Rate                float32 // lr / (1 - beta1^step)
	RootScale           float32 // 1 / sqrt(1 - beta2^step)
	Eps                 float32
}

// NewAdamW computes the coefficients of a step, counted from 1.
func NewAdamW(lr, beta1, beta2, eps, decay float64, gradScale float32, step int) AdamW {
	return AdamW{
		GradScale: gradScale,
		Beta1:     float32(beta1), OneLessBeta1: float32(1 - beta1),
		Beta2: float32(beta2), OneLessBeta2: float32(1 - beta2),
		Shrink:    float32(1 - lr*decay),
		Rate:      float32(lr / (1 - math.Pow(beta1, float64(step)))),
		RootScale: float32(1 / math.Sqrt(1-math.Pow(beta2, float64(step)))),
		Eps:       float32(eps),
	}
}
