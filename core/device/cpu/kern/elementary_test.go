package kern

import (
	"math"
	"math/rand/v2"
	"testing"
)

// lengths cover no elements, less than a vector, whole vectors, and all kinds of tails and groups.
var lengths = []int{0, 1, 2, 3, 5, 7, 8, 13, 16, 17, 31, 33, 63, 64, 65, 127, 129, 257, 1000}

// ulps is the distance of got from want in units in the last place of want's float32 neighbourhood (subnormal steps below 2^-126).
func ulps(got float32, want float64) float64 {
	switch {
	case math.IsNaN(want):
		return wrongUnless(math.IsNaN(float64(got)))
	case math.IsInf(float64(float32(want)), 0):
		return wrongUnless(float64(got) == float64(float32(want)))
	}
	_, exponent := math.Frexp(want)
	return math.Abs(float64(got)-want) / math.Ldexp(1, max(exponent-24, -149))
}

func wrongUnless(ok bool) float64 {
	if ok {
		return 0
	}
	return math.Inf(1)
}

// floatsOver is every step-th float32 between two magnitudes, both signs, with the special values.
func floatsOver(low, high float32, step uint32) []float32 {
	inf := float32(math.Inf(1))
	s := []float32{0, float32(math.Copysign(0, -1)), inf, -inf, float32(math.NaN()), math.MaxFloat32, -math.MaxFloat32, 1e-45, -1e-45}
	for bits := math.Float32bits(low); bits <= math.Float32bits(high); bits += step {
		s = append(s, math.Float32frombits(bits), -math.Float32frombits(bits))
	}
	return s
}

func worstUlps(f func(dst, src []float32), reference func(float64) float64, inputs []float32) (worst float64, at float32) {
	got := make([]float32, len(inputs))
	f(got, inputs)
	for i, x := range inputs {
		if d := ulps(got[i], reference(float64(x))); d > worst {
			worst, at = d, x
		}
	}
	return worst, at
}

func TestElementaryFunctions(t *testing.T) {
	step := uint32(4999)
	forEachLevel(t, func(t *testing.T, table *Table) {
		for _, c := range []struct {
			name      string
			f         func(dst, src []float32)
			reference func(float64) float64
			low, high float32
			bound     float64
		}{
			{"exp", table.Exp, math.Exp, 1e-10, 200, 2},
			{"erf", table.Erf, math.Erf, 1e-30, 10, 2},
			{"tanh", table.Tanh, math.Tanh, 1e-30, 30, 4},
		} {
			worst, at := worstUlps(c.f, c.reference, floatsOver(c.low, c.high, step))
			t.Logf("%s: at most %.2f ulp, at %g", c.name, worst, at)
			if worst > c.bound {
				t.Errorf("%s: %.2f ulp at %g, bound %g", c.name, worst, at, c.bound)
			}
		}
	})
}

// GELU's bound is relative to the exact value wherever that is a normal number.
func TestGELU(t *testing.T) {
	const bound = 0x1p-20
	forEachLevel(t, func(t *testing.T, table *Table) {
		inputs := floatsOver(1e-20, 20, 4999)
		got := make([]float32, len(inputs))
		table.GELU(got, inputs)
		worst := 0.0
		for i, v := range inputs {
			x, y := float64(v), float64(got[i])
			want := x * normalCDF(x)
			switch {
			case math.IsInf(x, 1):
				if y != x {
					t.Fatalf("gelu(%g) = %g", x, y)
				}
			case math.IsInf(x, -1): // the limit is 0, the product Inf·0 is NaN; both are fine
			case math.IsNaN(x):
				if !math.IsNaN(y) {
					t.Fatalf("gelu(%g) = %g", x, y)
				}
			case math.Abs(want) < 0x1p-126:
				if !(math.Abs(y) <= 0x1p-125) {
					t.Fatalf("gelu(%g) = %g, want about %g", x, y, want)
				}
			default:
				worst = max(worst, math.Abs(y/want-1))
			}
		}
		t.Logf("relative error 2^%.1f", math.Log2(worst))
		if !(worst <= bound) {
			t.Errorf("relative error %g, bound %g", worst, bound)
		}
	})
}

// The derivative passes through zero near -0.75, so its bound is absolute; and it must be the derivative of GELU.
func TestGELUGrad(t *testing.T) {
	const bound = 4e-7
	forEachLevel(t, func(t *testing.T, table *Table) {
		inputs := floatsOver(1e-20, 20, 4999)[9:]
		ones, got := make([]float32, len(inputs)), make([]float32, len(inputs))
		for i := range ones {
			ones[i] = 1
		}
		table.GELUGrad(got, inputs, ones)
		gelu := func(x float64) float64 { return x * normalCDF(x) }
		for i, v := range inputs {
			x := float64(v)
			if want := normalCDF(x) + x*normalPDF(x); !(math.Abs(float64(got[i])-want) <= bound) {
				t.Fatalf("gelu'(%g) = %g, want %g", x, got[i], want)
			}
			const h = 1e-5
			if slope := (gelu(x+h) - gelu(x-h)) / (2 * h); !(math.Abs(float64(got[i])-slope) <= 1e-6) {
				t.Fatalf("gelu'(%g) = %g, differences give %g", x, got[i], slope)
			}
		}
		dy := randomFloats(rand.New(rand.NewPCG(3, 4)), len(inputs))
		scaled := make([]float32, len(inputs))
		table.GELUGrad(scaled, inputs, dy)
		for i := range scaled {
			if want := float64(dy[i]) * float64(got[i]); ulps(scaled[i], want) > 1 {
				t.Fatalf("element %d: %g, want %g", i, scaled[i], want)
			}
		}
	})
}

// An element's bits must not depend on where it stands in the slice, and nothing outside of the destination may change.
func TestElementWiseKernelsAreLocal(t *testing.T) {
	const guard = 20
	forEachLevel(t, func(t *testing.T, table *Table) {
		r := rand.New(rand.NewPCG(5, 6))
		x, y, z := randomFloats(r, 1100), randomFloats(r, 1100), randomFloats(r, 1100)
		for name, f := range map[string]func(dst []float32, at int){
			"exp":       func(dst []float32, at int) { table.Exp(dst, x[at:]) },
			"erf":       func(dst []float32, at int) { table.Erf(dst, x[at:]) },
			"tanh":      func(dst []float32, at int) { table.Tanh(dst, x[at:]) },
			"gelu":      func(dst []float32, at int) { table.GELU(dst, x[at:]) },
			"geluGrad":  func(dst []float32, at int) { table.GELUGrad(dst, x[at:], y[at:]) },
			"tanhGrad":  func(dst []float32, at int) { table.TanhGrad(dst, x[at:], y[at:]) },
			"add":       func(dst []float32, at int) { table.Add(dst, x[at:], y[at:]) },
			"mul":       func(dst []float32, at int) { table.Mul(dst, x[at:], y[at:]) },
			"mulAdd":    func(dst []float32, at int) { table.MulAdd(dst, x[at:], y[at:]) },
			"scale":     func(dst []float32, at int) { table.Scale(dst, x[at:], 1.7) },
			"axpy":      func(dst []float32, at int) { table.Axpy(dst, x[at:], 1.7) },
			"normalize": func(dst []float32, at int) { table.Normalize(dst, x[at:], y[at:], z[at:], 0.3, 1.7) },
			"dropout":   func(dst []float32, at int) { table.Dropout(dst, x[at:], 42, uint32(at), 1<<30, 1.5) },
		} {
			whole := append([]float32(nil), z...)
			f(whole[:1080], 0)
			for _, n := range lengths {
				at := r.IntN(50)
				got := append([]float32(nil), z...)
				f(got[at:at+n:at+n], at)
				for i := range got {
					want := z[i]
					if i >= at && i < at+n {
						want = whole[i]
					}
					if math.Float32bits(got[i]) != math.Float32bits(want) {
						t.Fatalf("%s of %d elements at %d: element %d is %g, want %g", name, n, at, i, got[i], want)
					}
				}
			}
		}
	})
}
