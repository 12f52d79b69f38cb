package devicetest

import (
	"fmt"
	"math"

	"flexi/core/device"
)

// Bounds of the optimiser's kernels, relative to the largest element. The sum of squares is exact but for the final rounding.
const (
	sumSquaresBound = 1.2e-7
	adamBound       = 2e-6
)

// lengths of flat memory, the last one over several of any device's tasks.
var lengths = []int{1, 2, 7, 37, 1009, 70001}

func optimizerCases() []kernelCase {
	var cases []kernelCase
	for _, n := range lengths {
		cases = append(cases, sumSquaresCase(n), adamCase(n), nonFiniteCase(n))
	}
	return cases
}

func sumSquaresCase(n int) kernelCase {
	return kernelCase{fmt.Sprintf("sum of squares %d", n), func(r *rig) {
		x, out := r.normal(1, n), r.vectorOutput(1)
		r.d.SumSquares(out, r.vector(x))
		r.compare(func() []matrix { return []matrix{scalar(dot(x.x, x.x))} }, result{"sum", flat(out), sumSquaresBound})
	}, false}
}

// adamReference is the state of AdamW in float64.
type adamReference struct{ w, m, v matrix }

func (s adamReference) step(a device.AdamW, g matrix) {
	for i := range s.w.x {
		grad := g.x[i] * float64(a.GradScale)
		s.m.x[i] = a.Beta1*s.m.x[i] + (1-a.Beta1)*grad
		s.v.x[i] = a.Beta2*s.v.x[i] + (1-a.Beta2)*grad*grad
		m := s.m.x[i] / (1 - math.Pow(a.Beta1, float64(a.Step)))
		v := s.v.x[i] / (1 - math.Pow(a.Beta2, float64(a.Step)))
		s.w.x[i] = s.w.x[i]*(1-a.LR*a.Decay) - a.LR*m/(math.Sqrt(v)+a.Eps)
	}
}

// adamCase takes several steps with different gradients, rates and scales, and checks weights and moments after each.
func adamCase(n int) kernelCase {
	return kernelCase{fmt.Sprintf("adamw %d", n), func(r *rig) {
		ref := adamReference{r.normal(1, n), zeros(1, n), zeros(1, n)}
		a := device.AdamW{
			W: r.vectorInPlace(ref.w), M: r.vectorInPlace(ref.m), V: r.vectorInPlace(ref.v),
			Beta1: 0.9, Beta2: 0.98, Eps: 1e-6, Decay: 0.1,
		}
		for step := 1; step <= 4; step++ {
			g := r.normal(1, n)
			a.G, a.Step, a.LR, a.GradScale = r.vector(g), step, 0.01*float64(step), 1/float32(step)
			r.d.AdamW(a)
			ref.step(a, g)
			r.compare(func() []matrix { return []matrix{ref.w, ref.m, ref.v} },
				result{fmt.Sprintf("W of step %d", step), flat(a.W), adamBound}, result{fmt.Sprintf("M of step %d", step), flat(a.M), adamBound},
				result{fmt.Sprintf("V of step %d", step), flat(a.V), adamBound})
		}
	}, false}
}

// nonFiniteCase looks for NaN and infinities at the first, a middle and the last element.
func nonFiniteCase(n int) kernelCase {
	return kernelCase{fmt.Sprintf("first non-finite %d", n), func(r *rig) {
		clean := r.normal(1, n)
		clean.x[n-1] = math.MaxFloat32
		x := r.vector(clean)
		if at := r.d.FirstNonFinite(x); at != -1 {
			r.t.Errorf("finite values: index %d", at)
		}
		for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			for _, at := range []int{0, n / 2, n - 1} {
				dirty := clean.clone()
				dirty.x[at], dirty.x[n-1] = bad, bad
				r.fill(flat(x), dirty)
				if got := r.d.FirstNonFinite(x); got != at {
					r.t.Errorf("%v at %d and %d: index %d", bad, at, n-1, got)
				}
			}
		}
	}, false}
}
