package kern

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

// The assembly takes pointers and a count. These adapters check lengths, spare empty slices, and put multi-pass operations together.

// vectorSet is the assembly functions of one level.
type vectorSet struct {
	exp, erf, tanh, gelu, reverse        func(dst, src *float32, n int)
	add, mul, mulAdd, geluGrad, tanhGrad func(dst, a, b *float32, n int)
	scale, axpy                          func(dst, src *float32, n int, by float32)
	dropout                              func(dst, src *float32, n int, low, high, base, threshold uint32, by float32)
	sum, largest                         func(x *float32, n int) float32
	dot                                  func(a, b *float32, n int) float32
	sumSquares                           func(x *float32, n int) float64
	deviation                            func(x *float32, n int, by float32) float32
	firstNonFinite                       func(x *float32, n int) int
	softmaxExp                           func(dst, src *float32, n int, largest, scale float32) float32
	softmaxGrad                          func(ds, p, dp *float32, n int, mean, scale float32)
	normalize                            func(dst, x, gamma, beta *float32, n int, mean, rstd float32)
	normSums                             func(dy, x, gamma *float32, n int, mean, rstd float32) (sumU, sumUX float32)
	normGrad                             func(dx, dy, x, gamma *float32, n int, mean, rstd, meanU, meanUX float32)
	normParamGrad                        func(dgamma, dbeta, dy, x *float32, n int, mean, rstd float32)
	adamW                                func(w, g, m, v *float32, c *AdamW, n int)
}

func avx512Vectors() *vectorSet {
	return &vectorSet{
		exp: expAVX512, erf: erfAVX512, tanh: tanhAVX512, gelu: geluAVX512, reverse: reverseAVX512,
		add: addAVX512, mul: mulAVX512, mulAdd: mulAddAVX512, geluGrad: geluGradAVX512, tanhGrad: tanhGradAVX512,
		scale: scaleAVX512, axpy: axpyAVX512, dropout: dropoutAVX512,
		sum: sumAVX512, largest: largestAVX512, dot: dotAVX512, sumSquares: sumSquaresAVX512,
		deviation: deviationAVX512, firstNonFinite: firstNonFiniteAVX512,
		softmaxExp: softmaxExpAVX512, softmaxGrad: softmaxGradAVX512,
		normalize: normalizeAVX512, normSums: normSumsAVX512, normGrad: normGradAVX512, normParamGrad: normParamGradAVX512,
		adamW: adamWAVX512,
	}
}

func avx2Vectors() *vectorSet {
	return &vectorSet{
		exp: expAVX2, erf: erfAVX2, tanh: tanhAVX2, gelu: geluAVX2, reverse: reverseAVX2,
		add: addAVX2, mul: mulAVX2, mulAdd: mulAddAVX2, geluGrad: geluGradAVX2, tanhGrad: tanhGradAVX2,
		scale: scaleAVX2, axpy: axpyAVX2, dropout: dropoutAVX2,
		sum: sumAVX2, largest: largestAVX2, dot: dotAVX2, sumSquares: sumSquaresAVX2,
		deviation: deviationAVX2, firstNonFinite: firstNonFiniteAVX2,
		softmaxExp: softmaxExpAVX2, softmaxGrad: softmaxGradAVX2,
		normalize: normalizeAVX2, normSums: normSumsAVX2, normGrad: normGradAVX2, normParamGrad: normParamGradAVX2,
		adamW: adamWAVX2,
	}
}

func newTable(l Level) *Table {
	switch l {
	case AVX512:
		t := vectorTable(l, avx512Tiles(), avx512Vectors())
		if cpu.X86.HasAVX512BF16 {
			t.pairs = bf16Tiles()
		}
		return t
	case AVX2:
		return vectorTable(l, avx2Tiles(), avx2Vectors())
	default:
		return genericTable()
	}
}

func vectorTable(l Level, tiles *tileSet, v *vectorSet) *Table {
	return &Table{
		Level: l, tiles: tiles,
		Exp: unary(v.exp), Erf: unary(v.erf), Tanh: unary(v.tanh), GELU: unary(v.gelu),
		GELUGrad: binary(v.geluGrad), TanhGrad: binary(v.tanhGrad), Add: binary(v.add), Mul: binary(v.mul), MulAdd: binary(v.mulAdd),
		Reverse: unary(v.reverse), Scale: scaled(v.scale), Axpy: scaled(v.axpy), Dropout: v.dropoutSlices,
		Sum: v.sumSlice, Dot: v.dotSlices, Max: v.maxSlice, SumSquares: v.sumSquaresSlice,
		FirstNonFinite: v.firstNonFiniteSlice,
		ExpSum:         v.expSumSlices, Softmax: v.softmaxSlices, SoftmaxGrad: v.softmaxGradSlices,
		MeanVar: v.meanVar, Normalize: v.normalizeSlices, NormGrad: v.normGradSlices, NormParamGrad: v.normParamGradSlices,
		AdamW: v.adamWSlices,
	}
}

func unary(f func(dst, src *float32, n int)) func(dst, src []float32) {
	return func(dst, src []float32) {
		if n := len(dst); n > 0 {
			f(&dst[0], first(src, n), n)
		}
	}
}

func binary(f func(dst, a, b *float32, n int)) func(dst, a, b []float32) {
	return func(dst, a, b []float32) {
		if n := len(dst); n > 0 {
			f(&dst[0], first(a, n), first(b, n), n)
		}
	}
}

func scaled(f func(dst, src *float32, n int, by float32)) func(dst, src []float32, by float32) {
	return func(dst, src []float32, by float32) {
		if n := len(dst); n > 0 {
			f(&dst[0], first(src, n), n, by)
		}
	}
}

// first is the start of a slice that must hold n > 0 elements.
func first(s []float32, n int) *float32 { return &s[:n][0] }

// start is the start of a slice that may be empty: reductions read nothing then.
func start(s []float32) *float32 { return unsafe.SliceData(s) }

func (v *vectorSet) dropoutSlices(dst, src []float32, seed uint64, base, threshold uint32, scale float32) {
	if n := len(dst); n > 0 {
		v.dropout(&dst[0], first(src, n), n, uint32(seed), uint32(seed>>32), base, threshold, scale)
	}
}

func (v *vectorSet) sumSlice(x []float32) float32 { return v.sum(start(x), len(x)) }

func (v *vectorSet) dotSlices(a, b []float32) float32 {
	return v.dot(start(a), start(b[:len(a)]), len(a))
}

func (v *vectorSet) maxSlice(x []float32) float32 { return v.largest(start(x), len(x)) }

func (v *vectorSet) sumSquaresSlice(x []float32) float64 { return v.sumSquares(start(x), len(x)) }

func (v *vectorSet) firstNonFiniteSlice(x []float32) int { return v.firstNonFinite(start(x), len(x)) }

func (v *vectorSet) expSumSlices(dst, src []float32, shift float32) float32 {
	n := len(dst)
	if n == 0 {
		return 0
	}
	return v.softmaxExp(&dst[0], first(src, n), n, shift, 1)
}

func (v *vectorSet) softmaxSlices(dst, src []float32, scale float32) {
	n := len(dst)
	if n == 0 {
		return
	}
	x := first(src, n)
	sum := v.softmaxExp(&dst[0], x, n, v.largest(x, n), scale)
	v.scale(&dst[0], &dst[0], n, 1/sum)
}

func (v *vectorSet) softmaxGradSlices(ds, p, dp []float32, scale float32) {
	if n := len(ds); n > 0 {
		mean := v.dot(first(p, n), first(dp, n), n)
		v.softmaxGrad(&ds[0], &p[0], &dp[0], n, mean, scale)
	}
}

func (v *vectorSet) meanVar(x []float32) (mean, variance float32) {
	if len(x) == 0 {
		return 0, 0
	}
	n := float32(len(x))
	mean = v.sum(&x[0], len(x)) / n
	return mean, v.deviation(&x[0], len(x), mean) / n
}

func (v *vectorSet) normalizeSlices(dst, x, gamma, beta []float32, mean, rstd float32) {
	if n := len(dst); n > 0 {
		v.normalize(&dst[0], first(x, n), first(gamma, n), first(beta, n), n, mean, rstd)
	}
}

func (v *vectorSet) normGradSlices(dx, dy, x, gamma []float32, mean, rstd float32) {
	n := len(dx)
	if n == 0 {
		return
	}
	dy0, x0, gamma0 := first(dy, n), first(x, n), first(gamma, n)
	sumU, sumUX := v.normSums(dy0, x0, gamma0, n, mean, rstd)
	v.normGrad(&dx[0], dy0, x0, gamma0, n, mean, rstd, sumU/float32(n), sumUX/float32(n))
}

func (v *vectorSet) normParamGradSlices(dgamma, dbeta, dy, x []float32, mean, rstd float32) {
	if n := len(dgamma); n > 0 {
		v.normParamGrad(&dgamma[0], first(dbeta, n), first(dy, n), first(x, n), n, mean, rstd)
	}
}

func (v *vectorSet) adamWSlices(w, g, m, mv []float32, c *AdamW) {
	if n := len(w); n > 0 {
		v.adamW(&w[0], first(g, n), first(m, n), first(mv, n), c, n)
	}
}
