package search

import (
	"math"
	"testing"
)

func TestMLPParameterGradient(t *testing.T) {
	for _, dropout := range []float64{0, teacherDropout} {
		rng := seeded(9)
		n, x := newMLP(rng, 7, dropout), normals(rng, 7)
		var mask []float64
		if n.maskSize() > 0 {
			mask = make([]float64, n.maskSize())
			drawMask(rng, dropout, mask)
		}
		checkParameterGradient(t, n.params(),
			func(g [][]float64) { n.accumulate(x, 0.9, mask, g) },
			func() float64 { e := n.forward(x, mask) - 0.9; return e * e })
	}
}

func TestDropoutKeepsExpectation(t *testing.T) {
	rng := seeded(2)
	mask := make([]float64, 200000)
	drawMask(rng, teacherDropout, mask)
	var sum float64
	zero := 0
	for _, m := range mask {
		sum += m
		if m == 0 {
			zero++
		}
	}
	if mean := sum / float64(len(mask)); math.Abs(mean-1) > 0.01 {
		t.Errorf("mean of the mask is %g, want 1", mean)
	}
	if share := float64(zero) / float64(len(mask)); math.Abs(share-teacherDropout) > 0.01 {
		t.Errorf("%g of the activations are dropped, want %g", share, teacherDropout)
	}
}

// TestSpread compares the running standard deviation of stochastic passes with the two-pass formula on the same masks.
func TestSpread(t *testing.T) {
	n, x := newMLP(seeded(4), 16, teacherDropout), normals(seeded(5), 16)
	const passes = 10
	got := n.spread(seeded(6), x, passes)
	rng, mask := seeded(6), make([]float64, n.maskSize())
	values := make([]float64, passes)
	var mean float64
	for i := range values {
		drawMask(rng, teacherDropout, mask)
		values[i] = n.forward(x, mask)
		mean += values[i] / passes
	}
	var sum float64
	for _, v := range values {
		sum += (v - mean) * (v - mean)
	}
	if want := math.Sqrt(sum / (passes - 1)); want == 0 || math.Abs(got-want) > 1e-12 {
		t.Errorf("standard deviation %g, want %g", got, want)
	}
}
