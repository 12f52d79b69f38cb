package search

import (
	"context"
	"math"
	"slices"
	"testing"
)

// bowl is Σ c_i (x_i - m_i)²/2 + coupling * x_0 x_1.
func bowl(c, m []float64, coupling float64) func([]float64, *quadratic) {
	return func(x []float64, q *quadratic) {
		q.reset()
		for i := range x {
			q.value += c[i] * (x[i] - m[i]) * (x[i] - m[i]) / 2
			q.grad[i] = c[i] * (x[i] - m[i])
			q.addSquare(i, c[i])
		}
		q.value += coupling * x[0] * x[1]
		q.grad[0] += coupling * x[1]
		q.grad[1] += coupling * x[0]
		if q.hess != nil {
			q.hess[1] = coupling
		}
		q.mirror()
	}
}

func TestCosineRate(t *testing.T) {
	for step, want := range []float64{0.5, 0.25, 0, 0.25, 0.5, 0.25, 0} {
		if got := cosineRate(0.5, step); math.Abs(got-want) > 1e-15 {
			t.Errorf("step %d: rate %g, want %g", step, got, want)
		}
	}
}

// TestAdaHessianSteps follows the recurrence by hand for two steps with gradient 2 and curvature -4, then 1 and 3.
func TestAdaHessianSteps(t *testing.T) {
	a := adaHessian{m: make([]float64, 1), q: make([]float64, 1), curvature: []float64{-4}}
	x := []float64{1}
	a.step(0, x, []float64{2})
	want := 1 - 0.5*(0.2/0.1)/(math.Sqrt(0.016)/math.Sqrt(0.001)+1e-4)
	if math.Abs(x[0]-want) > 1e-12 {
		t.Fatalf("first step to %g, want %g", x[0], want)
	}
	a.curvature[0] = 3
	a.step(1, x, []float64{1})
	want -= 0.25 * (0.28 / (1 - 0.81)) / (math.Sqrt(0.999*0.016+0.001*9)/math.Sqrt(1-0.999*0.999) + 1e-4)
	if math.Abs(x[0]-want) > 1e-12 {
		t.Errorf("second step to %g, want %g", x[0], want)
	}
}

func TestGOBIOnABowl(t *testing.T) {
	c, centre := []float64{1, 30, 0.2, 5}, []float64{0.5, -0.3, 0.1, 4}
	b := box{[]float64{-1, -1, -1, -1}, []float64{1, 1, 1, 1}}
	for name, g := range map[string]gobi{
		"exact": {steps: 200, keepBest: true}, "last": {steps: 200}, "probe": {steps: 200, probe: true, keepBest: true},
		"first order": {steps: 200, firstOrder: true, keepBest: true},
	} {
		for seed := range uint64(6) {
			rng := seeded(seed)
			start := normals(rng, 4)
			f := bowl(c, centre, 0.05)
			inside := func(x []float64, q *quadratic) {
				for i, v := range x {
					if v < b.lo[i] || v > b.hi[i] {
						t.Fatalf("%s left the box: %v", name, x)
					}
				}
				f(x, q)
			}
			q := newQuadratic(4)
			clipped := slices.Clone(start)
			b.clip(clipped)
			f(clipped, q)
			before := q.value
			x, value := g.minimise(inside, start, b, rng)
			f(x, q)
			if q.value != value || value > before {
				t.Errorf("%s: ended at %g (evaluates to %g), started at %g", name, value, q.value, before)
			}
			// The coordinate outside the box must stick to its border; second order must find the rest of the minimum.
			if name == "exact" || name == "last" {
				for i, want := range []float64{0.515, -0.301, 0.1, 1} {
					if math.Abs(x[i]-want) > 0.02 {
						t.Errorf("%s, seed %d: coordinate %d ended at %g, want %g", name, seed, i, x[i], want)
					}
				}
			}
		}
	}
}

func TestGOBIStops(t *testing.T) {
	for name, c := range map[string]struct {
		f    func(x []float64, q *quadratic)
		want int
	}{
		"flat":    {func(x []float64, q *quadratic) { q.reset(); q.value = 1 }, 1 + gobiStillness},
		"steep":   {func(x []float64, q *quadratic) { q.reset(); q.value = -x[0]; q.grad[0] = -1; q.addSquare(0, 1e3) }, 0},
		"at rest": {bowl([]float64{1, 1}, []float64{0, 0}, 0), 1 + gobiStillness},
	} {
		calls := 0
		g := gobi{steps: 50}
		g.minimise(func(x []float64, q *quadratic) { calls++; c.f(x, q) }, []float64{0, 0}, box{[]float64{-9, -9}, []float64{9, 9}}, seeded(1))
		if c.want == 0 && calls != g.steps+1 || c.want > 0 && calls != c.want {
			t.Errorf("%s: %d evaluations", name, calls)
		}
	}
}

func TestProbeIsTheProduct(t *testing.T) {
	g := gobi{probe: true}
	x := []float64{0.3, -0.2}
	q := newFullQuadratic(2)
	bowl([]float64{2, 3}, []float64{0, 0}, 0.5)(x, q)
	rng, same := seeded(5), seeded(5)
	got := slices.Clone(x)
	g.mover(2, rng)(0, got, q)
	signs := []float64{float64(2*same.IntN(2) - 1), float64(2*same.IntN(2) - 1)}
	for i, d := range []float64{2*signs[0] + 0.5*signs[1], 0.5*signs[0] + 3*signs[1]} {
		want := x[i] - 0.5*q.grad[i]/(math.Abs(d)+hessianEpsilon)
		if math.Abs(got[i]-want) > 1e-12 {
			t.Errorf("coordinate %d moved to %g, want %g", i, got[i], want)
		}
	}
}

func TestNearestL1AndQueries(t *testing.T) {
	library := [][]float64{{0, 0}, {3, 0}, {2, 2}}
	// (1.7, 0.9): distances 2.6, 2.2, 1.4.
	if got := nearestL1(library, []float64{1.7, 0.9}); got != 2 {
		t.Errorf("nearest is %d", got)
	}
	// Every restart ends at the same minimum: one query is left.
	g := gobi{restarts: 10, steps: 200, keepBest: true}
	found, err := g.queries(context.Background(), bowl([]float64{1, 1}, []float64{2.9, 0.1}, 0), library, boxOf(library), seeded(1))
	if err != nil || !slices.Equal(found, []int{1}) {
		t.Errorf("queries %v, %v", found, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := g.queries(ctx, bowl([]float64{1, 1}, []float64{0, 0}, 0), library, boxOf(library), seeded(1)); err == nil {
		t.Error("a cancelled search went on")
	}
}

// TestGOBIOnFixedSurrogates: on untrained nets, which are wavy enough, it never leaves the box and z falls in the median.
func TestGOBIOnFixedSurrogates(t *testing.T) {
	lib := syntheticLibrary(300, 16)
	s := newSurrogates(standardBoshnas().recipe, 16, seeded(4))
	s.npn = roughNPN(16)
	b := boxOf(lib.Embeddings)
	for name, g := range map[string]gobi{"exact": {steps: 30}, "probe": {steps: 60, probe: true}, "first order": {steps: 60, firstOrder: true}} {
		a := acquisition{s: s, explore: 0.5, aleatoric: name == "probe"}
		var falls []float64
		for i := range 15 {
			x, z := g.minimise(a.expand, lib.Embeddings[i], b, seeded(uint64(i)))
			inside := slices.Clone(x)
			b.clip(inside)
			if !slices.Equal(inside, x) {
				t.Errorf("%s: restart %d left the box", name, i)
			}
			if math.Abs(z-a.at(x)) > 1e-12 {
				t.Errorf("%s: value %g, evaluated %g", name, z, a.at(x))
			}
			falls = append(falls, a.at(lib.Embeddings[i])-z)
		}
		slices.Sort(falls)
		if median := falls[len(falls)/2]; median < 0.005 {
			t.Errorf("%s: z fell by %g in the median", name, median)
		}
	}
}
