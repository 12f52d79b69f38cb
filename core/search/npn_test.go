package search

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7)) }

// sample mean and variance of f(X) for X normal with mean o and variance v.
func monteCarlo(f func(float64) float64, o, v float64) (mean, variance float64) {
	rng := seeded(11)
	const n = 100000
	var sum, square float64
	for range n {
		y := f(o + math.Sqrt(v)*rng.NormFloat64())
		sum += y
		square += y * y
	}
	mean = sum / n
	return mean, square/n - mean*mean
}

func TestNPNMomentsMatchMonteCarlo(t *testing.T) {
	relu := func(x float64) float64 { return max(0, x) }
	for _, v := range []float64{0.01, 0.3, 1, 4} {
		for _, z := range []float64{-2, -1, -0.3, 0, 0.5, 1, 2, 4} {
			o := z * math.Sqrt(v)
			mean, variance := monteCarlo(relu, o, v)
			m, s := npnReLU(o, v)
			// In units of the input's scale. The logistic that stands for the normal distribution function has thick tails, which is where
			// the published form is coarse; about the kink it is within 2%.
			meanBound, varianceBound := 0.02*math.Sqrt(v), 0.025*v
			if math.Abs(z) > 1 {
				meanBound, varianceBound = 0.04*math.Sqrt(v), 0.09*v
			}
			if math.Abs(m.f-mean) > meanBound || math.Abs(s.f-variance) > varianceBound {
				t.Errorf("relu(%g, %g): moments %g %g, sampled %g %g", o, v, m.f, s.f, mean, variance)
			}
			// The published variance of the sigmoid does not vanish with v: at o = 0 it keeps 0.013.
			mean, variance = monteCarlo(logistic, o, v)
			m, s = npnSigmoid(o, v)
			if math.Abs(m.f-mean) > 0.01 || math.Abs(s.f-variance) > 0.026 {
				t.Errorf("sigmoid(%g, %g): moments %g %g, sampled %g %g", o, v, m.f, s.f, mean, variance)
			}
		}
	}
}

func TestNPNVarianceStaysPositive(t *testing.T) {
	for _, o := range []float64{-300, -20, -3, 0, 3, 20, 300} {
		for _, v := range []float64{1e-6, 1e-3, 1, 1e3} {
			for name, f := range map[string]func(o, v float64) (m, s moment){"relu": npnReLU, "sigmoid": npnSigmoid} {
				m, s := f(o, v)
				for _, x := range []float64{m.f, m.o, m.v, m.oo, m.ov, m.vv, s.f, s.o, s.v, s.oo, s.ov, s.vv} {
					if math.IsNaN(x) || math.IsInf(x, 0) {
						t.Fatalf("%s(%g, %g) is not finite: %+v %+v", name, o, v, m, s)
					}
				}
				if s.f < npnMinVariance {
					t.Errorf("%s(%g, %g): variance %g", name, o, v, s.f)
				}
			}
		}
	}
}

// TestNPNDerivatives compares the closed forms with central differences of the lower order.
func TestNPNDerivatives(t *testing.T) {
	const h = 1e-5
	for name, f := range map[string]func(o, v float64) (m, s moment){"relu": npnReLU, "sigmoid": npnSigmoid} {
		for _, at := range [][2]float64{{0.3, 0.5}, {-0.7, 1.1}, {1.5, 0.4}, {0.01, 2}, {-1.2, 0.7}} {
			o, v := at[0], at[1]
			pick := func(second bool, o, v float64) moment {
				m, s := f(o, v)
				if second {
					return s
				}
				return m
			}
			for _, second := range []bool{false, true} {
				up, down := pick(second, o+h, v), pick(second, o-h, v)
				right, left := pick(second, o, v+h), pick(second, o, v-h)
				got := pick(second, o, v)
				for what, pair := range map[string][2]float64{
					"o": {got.o, (up.f - down.f) / (2 * h)}, "v": {got.v, (right.f - left.f) / (2 * h)},
					"oo": {got.oo, (up.o - down.o) / (2 * h)}, "ov": {got.ov, (up.v - down.v) / (2 * h)}, "vv": {got.vv, (right.v - left.v) / (2 * h)},
				} {
					if math.Abs(pair[0]-pair[1]) > 1e-7*(1+math.Abs(pair[1])) {
						t.Errorf("%s at %v, variance %v, by %s: %g, differences %g", name, at, second, what, pair[0], pair[1])
					}
				}
			}
		}
	}
}

// roughNPN has weight variances large enough that they matter to every derivative.
func roughNPN(in int) *npn {
	rng := seeded(3)
	n := newNPN(rng, in, 3)
	for _, l := range n.layers {
		for i := range l.Ws {
			l.Ws[i] = -3 + rng.Float64()
		}
		for i := range l.Bs {
			l.Bs[i], l.Bm[i] = -2, 0.2*rng.NormFloat64()
		}
	}
	n.refresh()
	return n
}

func normals(rng *rand.Rand, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = rng.NormFloat64()
	}
	return x
}

func zerosLike(params [][]float64) [][]float64 {
	out := make([][]float64, len(params))
	for i, p := range params {
		out[i] = make([]float64, len(p))
	}
	return out
}

// checkParameterGradient compares accumulate with central differences of the loss at a sample of the parameters.
func checkParameterGradient(t *testing.T, params [][]float64, gradient func([][]float64), loss func() float64) {
	t.Helper()
	grads := zerosLike(params)
	gradient(grads)
	const h = 1e-6
	for p, values := range params {
		for i := 0; i < len(values); i += 1 + len(values)/40 {
			keep := values[i]
			values[i] = keep + h
			up := loss()
			values[i] = keep - h
			down := loss()
			values[i] = keep
			want := (up - down) / (2 * h)
			if math.Abs(grads[p][i]-want) > 1e-6*(1+math.Abs(want)) {
				t.Fatalf("parameter %d[%d]: gradient %g, differences %g", p, i, grads[p][i], want)
			}
		}
	}
	loss()
}

func TestNPNParameterGradient(t *testing.T) {
	for _, in := range []int{1, 5, 16} {
		t.Run(fmt.Sprint(in), func(t *testing.T) {
			n, x := roughNPN(in), normals(seeded(5), in)
			checkParameterGradient(t, n.params(),
				func(g [][]float64) { n.accumulate(x, 0.2, nil, g) },
				func() float64 { n.refresh(); return n.loss(x, 0.2) })
		})
	}
}
