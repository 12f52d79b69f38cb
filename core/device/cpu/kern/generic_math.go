package kern

import "math"

func genericExp(dst, src []float32) {
	src = src[:len(dst)]
	for i, x := range src {
		dst[i] = float32(math.Exp(float64(x)))
	}
}

func genericErf(dst, src []float32) {
	src = src[:len(dst)]
	for i, x := range src {
		dst[i] = float32(math.Erf(float64(x)))
	}
}

func genericTanh(dst, src []float32) {
	src = src[:len(dst)]
	for i, x := range src {
		dst[i] = float32(math.Tanh(float64(x)))
	}
}

// normalCDF is Φ(x) = erfc(-x/√2)/2, which is exact also where it is tiny.
func normalCDF(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }

// normalPDF is φ(x) = exp(-x²/2)/√(2π).
func normalPDF(x float64) float64 { return math.Exp(-x*x/2) / math.Sqrt(2*math.Pi) }

func genericGELU(dst, src []float32) {
	src = src[:len(dst)]
	for i, v := range src {
		x := float64(v)
		dst[i] = float32(x * normalCDF(x))
	}
}

func genericGELUGrad(dx, x, dy []float32) {
	x, dy = x[:len(dx)], dy[:len(dx)]
	for i := range dx {
		v := float64(x[i])
		dx[i] = dy[i] * float32(normalCDF(v)+v*normalPDF(v))
	}
}

func genericTanhGrad(dx, y, dy []float32) {
	y, dy = y[:len(dx)], dy[:len(dx)]
	for i := range dx {
		dx[i] = dy[i] * (1 - y[i]*y[i])
	}
}

func genericAdd(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] + b[i]
	}
}

func genericMul(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] * b[i]
	}
}

func genericMulAdd(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] += a[i] * b[i]
	}
}

func genericReverse(dst, src []float32) {
	for i := range dst {
		dst[i] = src[len(dst)-1-i]
	}
}

func genericScale(dst, src []float32, by float32) {
	src = src[:len(dst)]
	for i, x := range src {
		dst[i] = by * x
	}
}

func genericAxpy(dst, x []float32, by float32) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] += by * v
	}
}

func genericDropout(dst, src []float32, seed uint64, base, threshold uint32, scale float32) {
	src = src[:len(dst)]
	for i, x := range src {
		if dropoutHash(seed, base+uint32(i)) >= threshold {
			dst[i] = x * scale
		} else {
			dst[i] = 0
		}
	}
}

// dropoutHash must stay equal to device.Hash; a test compares them.
func dropoutHash(seed uint64, i uint32) uint32 {
	return mix32(mix32(i^uint32(seed)) ^ uint32(seed>>32))
}

func mix32(x uint32) uint32 {
	x = (x ^ x>>16) * 0x7feb352d
	x = (x ^ x>>15) * 0x846ca68b
	return x ^ x>>16
}

func genericAdamW(w, g, m, v []float32, c *AdamW) {
	g, m, v = g[:len(w)], m[:len(w)], v[:len(w)]
	for i := range w {
		grad := c.GradScale * g[i]
		m[i] = c.Beta1*m[i] + c.OneLessBeta1*grad
		v[i] = c.Beta2*v[i] + c.OneLessBeta2*grad*grad
		root := float32(math.Sqrt(float64(v[i])))
		w[i] = c.Shrink*w[i] - c.Rate*m[i]/(c.RootScale*root+c.Eps)
	}
}
