package finetune

import (
	"fmt"
	"math"
)

// InnerMethod is how the adapters are updated.
type InnerMethod string

const (
	// AdamW is Adam with decoupled weight decay (Loshchilov and Hutter 2019).
	AdamW InnerMethod = "adamw"
	// SGD is gradient descent without momentum.
	SGD InnerMethod = "sgd"
	// Sign is Adam's first step again and again, which the released code makes of AdamW by emptying its state.
	Sign InnerMethod = "sign"
)

// InnerOptimizer updates the adapters. The betas are AdamW's alone, and Epsilon AdamW's and Sign's.
type InnerOptimizer struct {
	Method  InnerMethod `json:"method"`
	Rate    float64     `json:"rate"` // at the start; it falls to zero along a cosine
	Beta1   float64     `json:"beta1"`
	Beta2   float64     `json:"beta2"`
	Epsilon float64     `json:"epsilon"`
	Decay   float64     `json:"decay"` // weight decay, decoupled
	Clip    float64     `json:"clip"`  // largest global gradient norm; 0 switches clipping off
}

func (o InnerOptimizer) check() error {
	switch {
	case o.Method != AdamW && o.Method != SGD && o.Method != Sign:
		return fmt.Errorf("there is no inner optimiser %q; there are adamw and sgd", o.Method)
	case !(o.Rate > 0) || o.Decay < 0 || o.Clip < 0:
		return fmt.Errorf("inner optimiser with rate %v, decay %v and clip %v: the rate must be above 0, the others at least 0",
			o.Rate, o.Decay, o.Clip)
	case o.Method == AdamW && (o.Beta1 < 0 || o.Beta1 >= 1 || o.Beta2 < 0 || o.Beta2 >= 1 || !(o.Epsilon > 0)):
		return fmt.Errorf("AdamW with betas %v, %v and epsilon %v: betas must be in [0, 1), epsilon above 0", o.Beta1, o.Beta2, o.Epsilon)
	}
	return nil
}

// innerStep is what the way back needs of one update.
type innerStep[F Float] struct {
	theta    []F // before the update
	gradient []F // after clipping
	m, v     []F // after the update
	scale    float64
	rate     float64
	count    int // updates made with this one
	batch    int // first micro-batch
}

// clip scales a gradient to a global norm of at most limit, as PyTorch does, and returns the scale; a limit of 0 changes nothing.
func clip[F Float](g []F, norm, limit float64) float64 {
	scale := limit / (norm + 1e-6)
	if limit == 0 || scale >= 1 {
		return 1
	}
	for i := range g {
		g[i] = F(float64(g[i]) * scale)
	}
	return scale
}

// update makes update number count (from 1) of the adapters.
func update[F Float](o InnerOptimizer, s *BilevelState[F], g []F, rate float64, count int) {
	c1, c2 := 1-math.Pow(o.Beta1, float64(count)), 1-math.Pow(o.Beta2, float64(count))
	keep := 1 - rate*o.Decay
	for i, gi := range g {
		x, theta := float64(gi), keep*float64(s.Theta[i])
		switch o.Method {
		case SGD:
			theta -= rate * x
		case Sign:
			theta -= rate * x / (math.Abs(x) + o.Epsilon)
		case AdamW:
			s.M[i] = F(o.Beta1*float64(s.M[i]) + (1-o.Beta1)*x)
			s.V[i] = F(o.Beta2*float64(s.V[i]) + (1-o.Beta2)*x*x)
			theta -= rate * (float64(s.M[i]) / c1) / (math.Sqrt(float64(s.V[i])/c2) + o.Epsilon)
		}
		s.Theta[i] = F(theta)
	}
}

func norm[F Float](x []F) float64 {
	var sum float64
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum)
}
