//go:build ignore

package main

import (
	"fmt"
	"math"
)

// The elementary functions. Each follows one formula without branches on the data:
//
//	e^x     = 2^n·e^r, n = round(x/ln 2), |r| <= ln(2)/2, e^r = 1 + r + r²·P(r)
//	tanh x  = m/(m+2), m = e^(2|x|)-1 = 2^n·(e^r-1) + (2^n-1), with the sign of x
//	Φ(-t)   = e^(-t²/2)·u·P(u), u = 1/(1+p·t), for t >= 0 (see tailRatio)
//	gelu(x) = max(x, 0) - |x|·Φ(-|x|)
//	erf x   = x + x·P(x²) up to |x| = 0.9, and 1 - 2Φ(-√2·|x|) with the sign of x beyond

const (
	absMask  = 0x7fffffff
	signMask = 0x80000000
	// tailSlope is p. A tail polynomial of degree 9 then has a relative error of 2^-27.
	tailSlope = float64(float32(0.3))
	// tailLimit is where arguments of Φ are cut: e^(-16²/2) is 0 in float32.
	tailLimit = 16.0
	erfBorder = 0.9
	erfLimit  = 4.0 // erf(4) rounds to 1
	tanhLimit = 10.0
)

var (
	expPolynomial  = chebyshev(expRest, -math.Ln2/2, math.Ln2/2, 4)
	erfPolynomial  = chebyshev(func(s float64) float64 { return erfRatio(s) - 1 }, 0, erfBorder*erfBorder, 6)
	tailPolynomial = chebyshev(tailRatio(tailSlope), 1/(1+tailSlope*tailLimit), 1, 9)
)

// polynomial evaluates by Horner's rule: result = c[0] + c[1]·x + ...
func (v *vec) polynomial(c []float64, x, result int) {
	v.set(c[len(c)-1], result)
	for i := len(c) - 2; i >= 0; i-- {
		v.opc("VFMADD213PS", c[i], x, result)
	}
}

// reduce splits x = n·ln(2) + r and leaves r in x. The two parts of ln(2) carry 48 bits.
func (v *vec) reduce(x, n int) {
	high := float64(float32(math.Ln2))
	v.opc("VMULPS", math.Log2E, x, n)
	if v.z() {
		v.op("VRNDSCALEPS", "$8", n, n)
	} else {
		v.op("VROUNDPS", "$8", n, n)
	}
	v.opc("VFNMADD231PS", high, n, x)
	v.opc("VFNMADD231PS", math.Ln2-high, n, x)
}

// expm1 is e^r - 1 for a reduced argument.
func (v *vec) expm1(r, result, temp int) {
	v.polynomial(expPolynomial, r, result)
	v.op("VMULPS", r, r, temp)
	v.op("VFMADD213PS", r, temp, result)
}

// power turns whole n, -126 to 127, into 2^n by building the exponent field.
func (v *vec) power(n int) {
	v.op("VCVTPS2DQ", n, n)
	v.powerOfInt(n)
}

func (v *vec) powerOfInt(n int) {
	v.opBits("VPADDD", 127, n, n)
	v.op("VPSLLD", "$23", n, n)
}

// scale is p·2^n for any n that an exponential can have; AVX2 does it in two steps, so that results may be subnormal.
func (v *vec) scale(p, n, temp int) {
	if v.z() {
		v.op("VSCALEFPS", n, p, p)
		return
	}
	v.op("VCVTPS2DQ", n, n)
	v.op("VPSRAD", "$1", n, temp)
	v.op("VPSUBD", temp, n, n)
	v.powerOfInt(temp)
	v.powerOfInt(n)
	v.op("VMULPS", temp, p, p)
	v.op("VMULPS", n, p, p)
}

// exp is e^x in result; x, n and temp are lost.
func (v *vec) exp(x, n, result, temp int) {
	v.reduce(x, n)
	v.expm1(x, result, temp)
	v.opc("VADDPS", 1, result, result)
	v.scale(result, n, temp)
}

// Limits of exp's argument: below, the result is 0; above, infinity. A NaN passes, because it is the second source of MAX and MIN.
func (v *vec) setExpLimits(low, high int) {
	v.set(-104.5, low)
	v.set(89, high)
}

func (v *vec) clamp(x, low, high int) {
	v.op("VMAXPS", x, low, x)
	v.op("VMINPS", x, high, x)
}

func (v *vec) abs(x, result int) { v.opBits("VANDPS", absMask, x, result) }
func (v *vec) copySign(from, to int) {
	v.opBits("VANDPS", signMask, from, from)
	v.op("VORPS", from, to, to)
}
func (v *vec) divide(a, b, result int) { v.op("VDIVPS", b, a, result) }

// normalTail computes Φ(-t) into q and e^(-t²/2) into e, for 0 <= t <= tailLimit; t is kept, work is five registers. The rounding
// error of t² is carried into the exponential, so the relative error stays small where Φ is tiny.
func (v *vec) normalTail(t, q, e int, work [5]int) {
	square, rest, n, u, temp := work[0], work[1], work[2], work[3], work[4]
	v.op("VMULPS", t, t, square)
	v.op("VMOVAPS", t, rest)
	v.op("VFMSUB213PS", square, t, rest)
	v.opc("VMULPS", -0.5, square, square)
	v.reduce(square, n)
	v.opc("VFMADD231PS", -0.5, rest, square)
	v.expm1(square, e, temp)
	v.opc("VADDPS", 1, e, e)
	v.scale(e, n, temp)
	v.scaledTail(t, tailSlope, 1, q, u)
	v.op("VMULPS", e, q, q)
}

// scaledTail is factor·u·P(u), u = 1/(1+slope·t).
func (v *vec) scaledTail(t int, slope, factor float64, q, u int) {
	v.set(slope, u)
	v.opc("VFMADD213PS", 1, t, u)
	v.set(1, q)
	v.divide(q, u, u)
	c := make([]float64, len(tailPolynomial))
	for i := range c {
		c[i] = factor * tailPolynomial[i]
	}
	v.polynomial(c, u, q)
	v.op("VMULPS", u, q, q)
}

func (v *vec) erf() {
	v.function("erf", "is the error function.", unary, nil, func() {
		v.set(erfLimit, 14)
		v.set(erfBorder, 13)
		v.loop(nil, func() {
			v.load("SI", 0)
			v.abs(0, 1)
			v.op("VMINPS", 1, 14, 1)
			v.op("VMULPS", 1, 1, 2)
			v.polynomial(erfPolynomial, 2, 3)
			v.op("VFMADD213PS", 1, 1, 3)
			v.scaledTail(1, tailSlope*math.Sqrt2, 2, 5, 4)
			v.opBits("VXORPS", signMask, 2, 2)
			v.exp(2, 6, 7, 8)
			v.opc("VFNMADD213PS", 1, 7, 5)
			v.chooseLess(1, 13, 3, 5, 6)
			v.copySign(0, 5)
			v.store(5, "DI")
		})
		v.ret()
	})
}

// chooseLess puts yes into no where x < border.
func (v *vec) chooseLess(x, border, yes, no, temp int) {
	if v.z() {
		v.op("VCMPPS", "$1", border, x, "K2")
		v.op("VMOVAPS", yes, "K2", no)
		return
	}
	v.op("VCMPPS", "$1", border, x, temp)
	v.op("VBLENDVPS", temp, yes, no, no)
}

// chooseNegative puts yes into no where the sign bit of x is set.
func (v *vec) chooseNegative(x, yes, no int) {
	if v.z() {
		v.op("VPMOVD2M", x, "K2")
		v.op("VMOVAPS", yes, "K2", no)
		return
	}
	v.op("VBLENDVPS", x, yes, no, no)
}

func (v *vec) expKernel() {
	v.function("exp", "is e^x.", unary, nil, func() {
		v.setExpLimits(14, 13)
		v.loop(nil, func() {
			v.load("SI", 0)
			v.clamp(0, 14, 13)
			v.exp(0, 1, 2, 3)
			v.store(2, "DI")
		})
		v.ret()
	})
}

func (v *vec) tanh() {
	v.function("tanh", "is the hyperbolic tangent.", unary, nil, func() {
		v.set(tanhLimit, 14)
		v.loop(nil, func() {
			v.load("SI", 0)
			v.abs(0, 1)
			v.op("VMINPS", 1, 14, 1)
			v.op("VADDPS", 1, 1, 1)
			v.reduce(1, 2)
			v.expm1(1, 3, 4)
			v.power(2)
			v.opc("VADDPS", -1, 2, 4)
			v.op("VFMADD213PS", 4, 2, 3)
			v.opc("VADDPS", 2, 3, 4)
			v.divide(3, 4, 3)
			v.copySign(0, 3)
			v.store(3, "DI")
		})
		v.ret()
	})
}

func (v *vec) gelu() {
	v.function("gelu", "is x·Φ(x).", unary, nil, func() {
		v.set(tailLimit, 14)
		v.zero(13)
		v.loop(nil, func() {
			v.load("SI", 0)
			v.abs(0, 1)
			v.op("VMINPS", 1, 14, 1)
			v.normalTail(1, 2, 3, [5]int{4, 5, 6, 7, 8})
			v.op("VMAXPS", 0, 13, 0)
			v.op("VFNMADD231PS", 2, 1, 0)
			v.store(0, "DI")
		})
		v.ret()
	})
}

func (v *vec) geluGrad() {
	v.function("geluGrad", "is b·(Φ(a) + a·φ(a)).", binary, nil, func() {
		v.set(-tailLimit, 14)
		v.set(tailLimit, 13)
		v.loop(nil, func() {
			v.load("SI", 0)
			v.clamp(0, 14, 13)
			v.abs(0, 1)
			v.normalTail(1, 2, 3, [5]int{4, 5, 6, 7, 8})
			v.set(1, 4)
			v.op("VSUBPS", 2, 4, 4)
			v.chooseNegative(0, 2, 4)
			v.opc("VMULPS", 1/math.Sqrt(2*math.Pi), 3, 3)
			v.op("VFMADD231PS", 3, 0, 4)
			v.load("DX", 5)
			v.op("VMULPS", 5, 4, 4)
			v.store(4, "DI")
		})
		v.ret()
	})
}

// dropout hashes the counters base, base+1, ... as device.Hash does, and keeps elements whose hash is at least the threshold.
func (v *vec) dropout() {
	args := []arg{
		{"dst", "*float32"},
		{"src", "*float32"},
		{"n", "int"},
		{"low", "uint32"},
		{"high", "uint32"},
		{"base", "uint32"},
		{"threshold", "uint32"},
		{"by", "float32"},
	}
	v.function("dropout", "is by·x where the hash of (high, low, base+i) is at least threshold, and 0 elsewhere.", args, nil, func() {
		v.broadcast("base", 8)
		v.op("VPADDD", "·laneNumbers(SB)", 8, 8)
		for reg, param := range []string{"low", "high", "threshold", "by"} {
			v.broadcast(param, 9+reg)
		}
		v.loop(func() { v.opBits("VPADDD", uint32(v.width), 8, 8) }, func() {
			v.xor(9, 8, 0)
			v.mix(0, 1)
			v.xor(10, 0, 0)
			v.mix(0, 1)
			v.load("SI", 2)
			v.keepAtLeast(0, 11, 2, 12, 1)
			v.store(2, "DI")
		})
		v.ret()
	})
}

// keepAtLeast is x = hash >= threshold ? x·by : 0, unsigned.
func (v *vec) keepAtLeast(hash, threshold, x, by, temp int) {
	if v.z() {
		v.op("VPCMPUD", "$5", threshold, hash, "K2")
		v.op("VMULPS.Z", by, x, "K2", x)
		return
	}
	v.op("VPMAXUD", threshold, hash, temp)
	v.op("VPCMPEQD", temp, hash, temp)
	v.op("VMULPS", by, x, x)
	v.op("VANDPS", temp, x, x)
}

func (v *vec) xor(a, b, result int) {
	if v.z() {
		v.op("VPXORD", a, b, result)
		return
	}
	v.op("VPXOR", a, b, result)
}

func (v *vec) mix(x, temp int) {
	for _, round := range []struct {
		shift    int
		multiply uint32
	}{{16, 0x7feb352d}, {15, 0x846ca68b}, {16, 0}} {
		v.op("VPSRLD", fmt.Sprintf("$%d", round.shift), x, temp)
		v.xor(temp, x, x)
		if round.multiply != 0 {
			v.opBits("VPMULLD", round.multiply, x, x)
		}
	}
}
