package kern

// Table is every kernel in the form of one Level. The length of the first slice is the number of elements; the other slices must be at
// least as long (a shorter one panics). A destination may be the same slice as a source, but must not overlap one otherwise.
// The ulp bounds hold for results that are normal numbers; NaN gives NaN.
type Table struct {
	Level Level
	tiles *tileSet
	pairs *tileSet // of bfloat16 products; nil where the processor has none

	// Element-wise functions.

	Exp  func(dst, src []float32) // e^x, 2 ulp
	Erf  func(dst, src []float32) // the error function, 2 ulp
	Tanh func(dst, src []float32) // 4 ulp
	GELU func(dst, src []float32) // x·Φ(x), Φ the normal distribution function; relative error 2^-20 also where Φ is tiny
	// GELUGrad is dx = dy·(Φ(x) + x·φ(x)); the error is at most 4e-7·|dy|, as the derivative passes through zero.
	GELUGrad func(dx, x, dy []float32)
	// TanhGrad is dx = dy·(1 - y²), y = tanh(x).
	TanhGrad func(dx, y, dy []float32)
	Add      func(dst, a, b []float32)            // a + b
	Mul      func(dst, a, b []float32)            // a·b
	MulAdd   func(dst, a, b []float32)            // dst + a·b
	Scale    func(dst, src []float32, by float32) // by·x
	Axpy     func(dst, x []float32, by float32)   // dst + by·x
	Reverse  func(dst, src []float32)             // src from its last element to its first; dst is another slice
	// Dropout is dst[i] = keep ? src[i]·scale : 0, where i is kept if the hash of (seed, base+i) is at least threshold. It is the rule
	// of device.Dropout; the index wraps at 2^32.
	Dropout func(dst, src []float32, seed uint64, base, threshold uint32, scale float32)

	// Reductions, in an order that the length fixes.

	Sum        func(x []float32) float32
	Dot        func(a, b []float32) float32
	Max        func(x []float32) float32 // -Inf for no elements; a NaN may be lost
	SumSquares func(x []float32) float64 // accumulated in float64
	// FirstNonFinite is the index of the first NaN or infinity, or -1.
	FirstNonFinite func(x []float32) int

	// Row operations.

	// ExpSum is dst = e^(src-shift), and returns the sum of dst.
	ExpSum func(dst, src []float32, shift float32) float32
	// Softmax is dst = softmax(scale·src), with the maximum subtracted; scale must be positive.
	Softmax func(dst, src []float32, scale float32)
	// SoftmaxGrad is ds = scale·p∘(dp - p·dp), the gradient of the Softmax input from its output p and that output's gradient dp.
	SoftmaxGrad func(ds, p, dp []float32, scale float32)
	// MeanVar is the mean and the biased variance of a row, in two passes; zeros for no elements.
	MeanVar func(x []float32) (mean, variance float32)
	// Normalize is dst = gamma∘x̂ + beta with x̂ = (x-mean)·rstd.
	Normalize func(dst, x, gamma, beta []float32, mean, rstd float32)
	// NormGrad is the gradient of a normalised row's input: with u = dy∘gamma, dx = rstd·(u - mean(u) - x̂·mean(u∘x̂)).
	NormGrad func(dx, dy, x, gamma []float32, mean, rstd float32)
	// NormParamGrad adds a row's share to the parameters' gradients: dgamma += dy∘x̂, dbeta += dy.
	NormParamGrad func(dgamma, dbeta, dy, x []float32, mean, rstd float32)

	// AdamW updates weights w and moments m, v by gradient g.
	AdamW func(w, g, m, v []float32, c *AdamW)
}

// HasBF16 reports whether products in bfloat16 can be computed: AVX-512 with AVX512_BF16.
func (t *Table) HasBF16() bool { return t.pairs != nil }

// tileSet is the tiles of products in float32 or bfloat16.
func (t *Table) tileSet(bf16 bool) *tileSet {
	if !bf16 {
		return t.tiles
	}
	if t.pairs == nil {
		panic("kern: product in bfloat16 without AVX512_BF16")
	}
	return t.pairs
}

// For returns the kernels of a level. It reports a level that this machine cannot run.
func For(l Level) (*Table, error) {
	if err := supported(l); err != nil {
		return nil, err
	}
	return newTable(l), nil
}
