package kern

import "math"

// The portable reductions add up in float64, from the first element to the last.

func genericSum(x []float32) float32 { return float32(sum64(x)) }

func sum64(x []float32) float64 {
	var sum float64
	for _, v := range x {
		sum += float64(v)
	}
	return sum
}

func genericDot(a, b []float32) float32 {
	b = b[:len(a)]
	var sum float64
	for i, v := range a {
		sum += float64(v) * float64(b[i])
	}
	return float32(sum)
}

func genericMax(x []float32) float32 {
	largest := float32(math.Inf(-1))
	for _, v := range x {
		if v > largest {
			largest = v
		}
	}
	return largest
}

func genericSumSquares(x []float32) float64 {
	var sum float64
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return sum
}

func genericExpSum(dst, src []float32, shift float32) float32 {
	src = src[:len(dst)]
	var sum float64
	for i, v := range src {
		e := math.Exp(float64(v - shift))
		dst[i] = float32(e)
		sum += e
	}
	return float32(sum)
}

func genericFirstNonFinite(x []float32) int {
	const exponent = 0x7f800000
	for i, v := range x {
		if math.Float32bits(v)&exponent == exponent {
			return i
		}
	}
	return -1
}

func genericSoftmax(dst, src []float32, scale float32) {
	src = src[:len(dst)]
	largest := genericMax(src)
	var sum float64
	for i, v := range src {
		e := math.Exp(float64(scale * (v - largest)))
		dst[i] = float32(e)
		sum += e
	}
	genericScale(dst, dst, float32(1/sum))
}

func genericSoftmaxGrad(ds, p, dp []float32, scale float32) {
	p, dp = p[:len(ds)], dp[:len(ds)]
	mean := genericDot(p, dp)
	for i := range ds {
		ds[i] = scale * p[i] * (dp[i] - mean)
	}
}

func genericMeanVar(x []float32) (mean, variance float32) {
	if len(x) == 0 {
		return 0, 0
	}
	m := sum64(x) / float64(len(x))
	var sum float64
	for _, v := range x {
		d := float64(v) - m
		sum += d * d
	}
	return float32(m), float32(sum / float64(len(x)))
}

func genericNormalize(dst, x, gamma, beta []float32, mean, rstd float32) {
	x, gamma, beta = x[:len(dst)], gamma[:len(dst)], beta[:len(dst)]
	for i := range dst {
		dst[i] = gamma[i]*((x[i]-mean)*rstd) + beta[i]
	}
}

func genericNormGrad(dx, dy, x, gamma []float32, mean, rstd float32) {
	dy, x, gamma = dy[:len(dx)], x[:len(dx)], gamma[:len(dx)]
	if len(dx) == 0 {
		return
	}
	var sumU, sumUX float64
	for i := range dx {
		u := float64(dy[i]) * float64(gamma[i])
		sumU += u
		sumUX += u * float64((x[i]-mean)*rstd)
	}
	n := float64(len(dx))
	meanU, meanUX := float32(sumU/n), float32(sumUX/n)
	for i := range dx {
		dx[i] = rstd * (dy[i]*gamma[i] - meanU - (x[i]-mean)*rstd*meanUX)
	}
}

func genericNormParamGrad(dgamma, dbeta, dy, x []float32, mean, rstd float32) {
	dbeta, dy, x = dbeta[:len(dgamma)], dy[:len(dgamma)], x[:len(dgamma)]
	for i := range dgamma {
		dgamma[i] += dy[i] * ((x[i] - mean) * rstd)
		dbeta[i] += dy[i]
	}
}
