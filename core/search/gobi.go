package search

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
)

// gobi is gradient-based optimisation of the inputs with second-order information: several restarts of AdaHessian descend an acquisition
// function inside the library's box (arXiv 2205.11656, section 3.4).
type gobi struct {
	restarts int
	steps    int // at most, per restart
	// probe estimates the Hessian's diagonal from one random sign vector, as the original does; it mixes off-diagonal terms in. Otherwise
	// the exact diagonal is used.
	probe bool
	// firstOrder replaces AdaHessian by gradient descent, the ablation.
	firstOrder bool
	// keepBest returns the best point of a restart instead of its last.
	keepBest bool
}

const (
	adaHessianRate               = 0.5
	firstOrderRate               = 10
	hessianBeta1, hessianBeta2   = 0.9, 0.999
	hessianEpsilon               = 1e-4
	gobiHalfPeriod               = 2 // of the cosine schedule, in steps
	gobiTolerance, gobiStillness = 1e-5, 6
)

// box is the smallest axis-parallel box around a set of points.
type box struct{ lo, hi []float64 }

func boxOf(points [][]float64) box {
	b := box{slices.Clone(points[0]), slices.Clone(points[0])}
	for _, p := range points[1:] {
		for i, v := range p {
			b.lo[i], b.hi[i] = min(b.lo[i], v), max(b.hi[i], v)
		}
	}
	return b
}

func (b box) clip(x []float64) {
	for i := range x {
		x[i] = min(max(x[i], b.lo[i]), b.hi[i])
	}
}

// cosineRate is rate at step 0, falls to 0 at the half period and rises again: with half-period 2, rate times 1, 1/2, 0, 1/2, 1, ...
func cosineRate(rate float64, step int) float64 {
	return rate * (1 + math.Cos(math.Pi*float64(step)/gobiHalfPeriod)) / 2
}

// minimise descends from start and returns where it ended and the value there. It stops when the value has changed by less than
// gobiTolerance on gobiStillness consecutive steps.
func (g gobi) minimise(expand func(x []float64, q *quadratic), start []float64, b box, rng *rand.Rand) (x []float64, value float64) {
	x = slices.Clone(start)
	b.clip(x)
	q := newQuadratic(len(x))
	if g.probe && !g.firstOrder {
		q = newFullQuadratic(len(x))
	}
	expand(x, q)
	best, bestValue := slices.Clone(x), q.value
	move, still := g.mover(len(x), rng), 0
	for t := 0; t < g.steps && still < gobiStillness; t++ {
		before := q.value
		move(t, x, q)
		b.clip(x)
		expand(x, q)
		if q.value < bestValue {
			bestValue = q.value
			copy(best, x)
		}
		still++
		if math.Abs(q.value-before) >= gobiTolerance {
			still = 0
		}
	}
	if g.keepBest {
		return best, bestValue
	}
	return x, q.value
}

// mover returns the function that makes step t (from 0) on x, given the expansion there.
func (g gobi) mover(d int, rng *rand.Rand) func(t int, x []float64, q *quadratic) {
	if g.firstOrder {
		return func(t int, x []float64, q *quadratic) { addScaled(x, -cosineRate(firstOrderRate, t), q.grad) }
	}
	a := adaHessian{m: make([]float64, d), q: make([]float64, d), curvature: make([]float64, d), signs: make([]float64, d)}
	return func(t int, x []float64, q *quadratic) {
		if g.probe {
			for i := range a.signs {
				a.signs[i] = float64(2*rng.IntN(2) - 1)
			}
			q.product(a.signs, a.curvature)
		} else {
			copy(a.curvature, q.diag)
		}
		a.step(t, x, q.grad)
	}
}

// adaHessian is Adam with the Hessian's diagonal in place of the gradient in the second moment (Yao et al. 2021), Hessian power 1.
type adaHessian struct {
	m, q      []float64
	curvature []float64 // of the present point; its sign does not matter
	signs     []float64
}

func (a *adaHessian) step(t int, x, grad []float64) {
	rate := cosineRate(adaHessianRate, t)
	bias1 := 1 - math.Pow(hessianBeta1, float64(t+1))
	bias2 := math.Sqrt(1 - math.Pow(hessianBeta2, float64(t+1)))
	for i := range x {
		a.m[i] = hessianBeta1*a.m[i] + (1-hessianBeta1)*grad[i]
		a.q[i] = hessianBeta2*a.q[i] + (1-hessianBeta2)*a.curvature[i]*a.curvature[i]
		x[i] -= rate * a.m[i] / bias1 / (math.Sqrt(a.q[i])/bias2 + hessianEpsilon)
	}
}

// queries runs the restarts from library points drawn with replacement and returns the library positions nearest (L1) to where they
// ended, without duplicates, in the order found.
func (g gobi) queries(ctx context.Context, expand func(x []float64, q *quadratic), library [][]float64, b box, rng *rand.Rand) ([]int, error) {
	var found []int
	for range g.restarts {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		x, _ := g.minimise(expand, library[rng.IntN(len(library))], b, rng)
		if i := nearestL1(library, x); !slices.Contains(found, i) {
			found = append(found, i)
		}
	}
	return found, nil
}

// nearestL1 is the position of the library point with the smallest mean absolute difference to x.
func nearestL1(library [][]float64, x []float64) int {
	best, at := math.Inf(1), 0
	for i, p := range library {
		var sum float64
		for j, v := range p {
			sum += math.Abs(v - x[j])
		}
		if sum < best {
			best, at = sum, i
		}
	}
	return at
}
