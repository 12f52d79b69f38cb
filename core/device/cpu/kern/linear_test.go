package kern

import (
	"math"
	"math/rand/v2"
	"testing"

	"flexi/core/device"
)

// near fails unless |got-want| <= bound·scale, where scale is the sum of the magnitudes that went into want.
func near(t *testing.T, what string, got float32, want, scale, bound float64) {
	t.Helper()
	if !(math.Abs(float64(got)-want) <= bound*scale) {
		t.Fatalf("%s = %g, want %g (error %.3g of %.3g allowed)", what, got, want, math.Abs(float64(got)-want), bound*scale)
	}
}

// A kernel of a few rounded operations errs by a few units of 2^-24 of the magnitudes it adds.
const fewRoundings = 4 * 0x1p-24

func TestMaps(t *testing.T) {
	forEachLevel(t, func(t *testing.T, table *Table) {
		r := rand.New(rand.NewPCG(7, 8))
		for _, n := range lengths {
			a, b, old := randomFloats(r, n), randomFloats(r, n), randomFloats(r, n)
			by := float32(r.NormFloat64())
			for name, c := range map[string]struct {
				run  func(dst []float32)
				want func(a, b, old float64) (value, scale float64)
			}{
				"add": {func(d []float32) { table.Add(d, a, b) }, func(a, b, _ float64) (float64, float64) { return a + b, math.Abs(a) + math.Abs(b) }},
				"mul": {func(d []float32) { table.Mul(d, a, b) }, func(a, b, _ float64) (float64, float64) { return a * b, math.Abs(a * b) }},
				"mulAdd": {func(d []float32) { table.MulAdd(d, a, b) }, func(a, b, old float64) (float64, float64) {
					return old + a*b, math.Abs(old) + math.Abs(a*b)
				}},
				"scale": {func(d []float32) { table.Scale(d, a, by) }, func(a, _, _ float64) (float64, float64) {
					return float64(by) * a, math.Abs(float64(by) * a)
				}},
				"axpy": {func(d []float32) { table.Axpy(d, a, by) }, func(a, _, old float64) (float64, float64) {
					return old + float64(by)*a, math.Abs(old) + math.Abs(float64(by)*a)
				}},
				"tanhGrad": {func(d []float32) { table.TanhGrad(d, a, b) }, func(a, b, _ float64) (float64, float64) {
					return b * (1 - a*a), math.Abs(b) * (1 + a*a)
				}},
			} {
				got := append([]float32(nil), old...)
				c.run(got)
				for i := range got {
					want, scale := c.want(float64(a[i]), float64(b[i]), float64(old[i]))
					near(t, name, got[i], want, scale, fewRoundings)
				}
			}
		}
	})
}

func TestReverse(t *testing.T) {
	forEachLevel(t, func(t *testing.T, table *Table) {
		r := rand.New(rand.NewPCG(11, 12))
		for _, n := range lengths {
			src := randomFloats(r, n)
			got := make([]float32, n+1)
			got[n] = 42
			table.Reverse(got[:n], src)
			for i, want := range src {
				if got[n-1-i] != want {
					t.Fatalf("%d elements: element %d is %g, want %g", n, n-1-i, got[n-1-i], want)
				}
			}
			if got[n] != 42 {
				t.Fatalf("%d elements: wrote behind the end", n)
			}
		}
	})
}

func TestReductions(t *testing.T) {
	forEachLevel(t, func(t *testing.T, table *Table) {
		r := rand.New(rand.NewPCG(9, 10))
		for _, n := range append(lengths, 40_000) {
			a, b := randomFloats(r, n), randomFloats(r, n)
			var sum, size, dot, dotSize, squares, exps float64
			largest := math.Inf(-1)
			for i := range a {
				x, y := float64(a[i]), float64(b[i])
				sum, size = sum+x, size+math.Abs(x)
				dot, dotSize = dot+x*y, dotSize+math.Abs(x*y)
				squares += x * x
				exps += math.Exp(x - 0.5)
				largest = max(largest, x)
			}
			bound := float64(n/32+16) * 0x1p-24 // at least 32 partial sums, or 8 for the exponentials
			near(t, "sum", table.Sum(a), sum, size, bound)
			near(t, "dot", table.Dot(a, b), dot, dotSize, bound)
			powers := make([]float32, n)
			near(t, "expSum", table.ExpSum(powers, a, 0.5), exps, exps, 4*bound)
			for i, x := range a {
				want := math.Exp(float64(x) - 0.5)
				near(t, "power", powers[i], want, want*(1+math.Abs(float64(x))), fewRoundings)
			}
			if got := table.SumSquares(a); math.Abs(got-squares) > 1e-13*squares {
				t.Fatalf("sum of %d squares = %g, want %g", n, got, squares)
			}
			if got := table.Max(a); float64(got) != largest {
				t.Fatalf("largest of %d = %g, want %g", n, got, largest)
			}
		}
	})
}

func TestMaxFindsEveryPosition(t *testing.T) {
	forEachLevel(t, func(t *testing.T, table *Table) {
		for n := 1; n < 150; n++ {
			x := make([]float32, n)
			for at := range x {
				for i := range x {
					x[i] = -9
				}
				x[at] = -3
				if got := table.Max(x); got != -3 {
					t.Fatalf("largest of %d with -3 at %d is %g", n, at, got)
				}
			}
		}
	})
}

func TestFirstNonFinite(t *testing.T) {
	forEachLevel(t, func(t *testing.T, table *Table) {
		r := rand.New(rand.NewPCG(11, 12))
		bad := []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))}
		for _, n := range lengths {
			x := append(randomFloats(r, n), bad...)
			if got := table.FirstNonFinite(x[:n]); got != -1 {
				t.Fatalf("%d finite elements: found %d", n, got)
			}
			for at := range n {
				old := x[at]
				x[at] = bad[at%3]
				if got := table.FirstNonFinite(x); got != at {
					t.Fatalf("%g at %d of %d: found %d", x[at], at, n, got)
				}
				x[at] = old
			}
		}
	})
}

func TestSoftmax(t *testing.T) {
	forEachLevel(t, func(t *testing.T, table *Table) {
		r := rand.New(rand.NewPCG(13, 14))
		for _, n := range lengths[1:] {
			x, dp := randomFloats(r, n), randomFloats(r, n)
			x[r.IntN(n)] += 30
			if n > 2 {
				x[r.IntN(n)] -= 10000 // a masked key
			}
			const scale = 0.125
			p, ds := make([]float32, n), make([]float32, n)
			table.Softmax(p, x, scale)
			largest, sum := float64(table.Max(x)), 0.0
			for _, v := range x {
				sum += math.Exp(scale * (float64(v) - largest))
			}
			for i, v := range x {
				want := math.Exp(scale*(float64(v)-largest)) / sum
				near(t, "softmax", p[i], want, want+0x1p-126, 1e-6)
			}
			table.SoftmaxGrad(ds, p, dp, scale)
			var mean, size float64
			for i := range p {
				mean += float64(p[i]) * float64(dp[i])
				size += math.Abs(float64(p[i]) * float64(dp[i]))
			}
			for i := range ds {
				pi := float64(p[i])
				near(t, "softmaxGrad", ds[i], scale*pi*(float64(dp[i])-mean), scale*pi*(math.Abs(float64(dp[i]))+size), float64(n/32+16)*0x1p-24)
			}
			table.Softmax(x, x, scale)
			for i := range x {
				if x[i] != p[i] {
					t.Fatalf("in place, element %d of %d is %g, want %g", i, n, x[i], p[i])
				}
			}
		}
	})
}

func TestSoftmaxPassesNaN(t *testing.T) {
	forEachLevel(t, func(t *testing.T, table *Table) {
		x := make([]float32, 40)
		x[7] = float32(math.NaN())
		table.Softmax(x, x, 1)
		if table.FirstNonFinite(x) < 0 {
			t.Error("a NaN in the row is gone after softmax")
		}
	})
}

func TestLayerNormRows(t *testing.T) {
	forEachLevel(t, func(t *testing.T, table *Table) {
		r := rand.New(rand.NewPCG(15, 16))
		for _, n := range lengths[1:] {
			x, gamma, beta, dy := randomFloats(r, n), randomFloats(r, n), randomFloats(r, n), randomFloats(r, n)
			for i := range x {
				x[i] += 3
			}
			mean, variance := table.MeanVar(x)
			wantMean, wantVar := moments(x)
			near(t, "mean", mean, wantMean, 4, 20*0x1p-24)
			near(t, "variance", variance, wantVar, wantVar+0x1p-40, 60*0x1p-24)
			rstd := float32(1 / math.Sqrt(float64(variance)+1e-5))
			y, dx := make([]float32, n), make([]float32, n)
			table.Normalize(y, x, gamma, beta, mean, rstd)
			table.NormGrad(dx, dy, x, gamma, mean, rstd)
			dgamma, dbeta := randomFloats(r, n), randomFloats(r, n)
			oldGamma, oldBeta := append([]float32(nil), dgamma...), append([]float32(nil), dbeta...)
			table.NormParamGrad(dgamma, dbeta, dy, x, mean, rstd)
			var sumU, sumUX, size float64
			for i := range x {
				u, hat := float64(dy[i])*float64(gamma[i]), (float64(x[i])-float64(mean))*float64(rstd)
				sumU, sumUX, size = sumU+u, sumUX+u*hat, size+math.Abs(u)*(1+math.Abs(hat))
			}
			for i := range x {
				hat, g := (float64(x[i])-float64(mean))*float64(rstd), float64(dy[i])
				near(t, "normalize", y[i], hat*float64(gamma[i])+float64(beta[i]), math.Abs(hat*float64(gamma[i]))+math.Abs(float64(beta[i])), fewRoundings)
				near(t, "dgamma", dgamma[i], float64(oldGamma[i])+g*hat, math.Abs(float64(oldGamma[i]))+math.Abs(g*hat), fewRoundings)
				near(t, "dbeta", dbeta[i], float64(oldBeta[i])+g, math.Abs(float64(oldBeta[i]))+math.Abs(g), fewRoundings)
				want := float64(rstd) * (g*float64(gamma[i]) - sumU/float64(n) - hat*sumUX/float64(n))
				scale := float64(rstd) * (math.Abs(g*float64(gamma[i])) + size/float64(n)*(1+math.Abs(hat)))
				near(t, "dx", dx[i], want, scale, float64(n/8+16)*0x1p-24)
			}
		}
	})
}

func moments(x []float32) (mean, variance float64) {
	for _, v := range x {
		mean += float64(v) / float64(len(x))
	}
	for _, v := range x {
		variance += (float64(v) - mean) * (float64(v) - mean) / float64(len(x))
	}
	return mean, variance
}

func TestDropoutFollowsTheDeviceRule(t *testing.T) {
	forEachLevel(t, func(t *testing.T, table *Table) {
		r := rand.New(rand.NewPCG(17, 18))
		for _, n := range lengths {
			for _, p := range []float32{0, 0.1, 0.5, 0.9} {
				d := device.Dropout{P: p, Seed: r.Uint64()}
				base := math.MaxUint32 - uint32(n/2) // wraps in the middle
				x, got := randomFloats(r, n), make([]float32, n)
				table.Dropout(got, x, d.Seed, base, d.Threshold(), d.Scale())
				for i := range x {
					want := float32(0)
					if d.Keep(base + uint32(i)) {
						want = x[i] * d.Scale()
					}
					if got[i] != want {
						t.Fatalf("element %d of %d, p = %g: %g, want %g", i, n, p, got[i], want)
					}
				}
			}
		}
	})
}

func TestAdamW(t *testing.T) {
	const lr, beta1, beta2, eps, decay, gradScale = 3e-3, 0.9, 0.98, 1e-6, 0.01, 0.7
	forEachLevel(t, func(t *testing.T, table *Table) {
		r := rand.New(rand.NewPCG(19, 20))
		for _, n := range lengths {
			w, m, v := randomFloats(r, n), make([]float32, n), make([]float32, n)
			w64, m64, v64 := make([]float64, n), make([]float64, n), make([]float64, n)
			for i := range w {
				w64[i] = float64(w[i])
			}
			for step := 1; step <= 5; step++ {
				g := randomFloats(r, n)
				c := NewAdamW(lr, beta1, beta2, eps, decay, gradScale, step)
				table.AdamW(w, g, m, v, &c)
				for i := range w {
					grad := gradScale * float64(g[i])
					m64[i] = beta1*m64[i] + (1-beta1)*grad
					v64[i] = beta2*v64[i] + (1-beta2)*grad*grad
					mHat, vHat := m64[i]/(1-math.Pow(beta1, float64(step))), v64[i]/(1-math.Pow(beta2, float64(step)))
					w64[i] = w64[i]*(1-lr*decay) - lr*mHat/(math.Sqrt(vHat)+eps)
					near(t, "w", w[i], w64[i], math.Abs(w64[i])+lr, 2e-6)
					near(t, "m", m[i], m64[i], 1, 1e-6)
					near(t, "v", v[i], v64[i], 1, 1e-6)
				}
			}
		}
	})
}

func TestShortSourcesPanic(t *testing.T) {
	forEachLevel(t, func(t *testing.T, table *Table) {
		long, short := make([]float32, 40), make([]float32, 39, 64)[:39:39]
		for name, f := range map[string]func(){
			"exp":     func() { table.Exp(long, short) },
			"add":     func() { table.Add(long, long, short) },
			"dot":     func() { table.Dot(long, short) },
			"softmax": func() { table.Softmax(long, short, 1) },
			"adamw":   func() { table.AdamW(long, long, short, long, &AdamW{}) },
		} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s read past the end of a source", name)
					}
				}()
				f()
			}()
		}
	})
}
