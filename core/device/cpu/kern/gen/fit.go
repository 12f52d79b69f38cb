//go:build ignore

package main

import "math"

// The polynomials of the vector kernels are interpolated at Chebyshev nodes, which comes within a small factor of the minimax error, from
// float64 references. Interpolating here instead of quoting tables keeps every coefficient reproducible.

// chebyshev interpolates f on [lo, hi] and returns the coefficients of 1, x, x², ...
func chebyshev(f func(float64) float64, lo, hi float64, degree int) []float64 {
	n := degree + 1
	coefficient := make([]float64, n) // of T_k
	for k := range n {
		for i := range n {
			angle := math.Pi * (float64(i) + 0.5) / float64(n)
			x := (hi+lo)/2 + (hi-lo)/2*math.Cos(angle)
			coefficient[k] += 2 / float64(n) * f(x) * math.Cos(float64(k)*angle)
		}
	}
	coefficient[0] /= 2
	// T_0 = 1, T_1 = z, T_{k+1} = 2z·T_k - T_{k-1} with z = slope·x + shift.
	slope, shift := 2/(hi-lo), -(hi+lo)/(hi-lo)
	sum := make([]float64, n)
	older, old := make([]float64, n), make([]float64, n)
	old[0] = 1
	for k := range n {
		for i, c := range old {
			sum[i] += coefficient[k] * c
		}
		next := make([]float64, n)
		factor := 2.0
		if k == 0 {
			factor = 1
		}
		for i := range n {
			next[i] = factor * shift * old[i]
			if i > 0 {
				next[i] += factor * slope * old[i-1]
			}
			if k > 0 {
				next[i] -= older[i]
			}
		}
		older, old = old, next
	}
	return sum
}

// expRest is (e^r - 1 - r)/r², by its series, which has no cancellation.
func expRest(r float64) float64 {
	sum, term := 0.0, 0.5
	for k := 3; k < 20; k++ {
		sum += term
		term *= r / float64(k)
	}
	return sum
}

// erfRatio is erf(√s)/√s.
func erfRatio(s float64) float64 {
	if s < 1e-12 {
		return 2 / math.SqrtPi
	}
	x := math.Sqrt(s)
	return math.Erf(x) / x
}

// tailRatio is, for u = 1/(1+p·t), the ratio of the scaled normal tail Φ(-t)·e^(t²/2) to u. It is smooth in u up to t = infinity, where u
// is 0 and the ratio is p/√(2π).
func tailRatio(p float64) func(u float64) float64 {
	return func(u float64) float64 {
		t := (1/u - 1) / p
		return math.Erfc(t/math.Sqrt2) / 2 * math.Exp(t*t/2) / u
	}
}
