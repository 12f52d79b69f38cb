package gauss

import (
	"math"
	"slices"
)

// Warp maps scores to the units of the process: z = (g(u) - Shift) / Scale with u = (score - Centre) / Spread, where g is the identity above the
// centre and -log(1 - Bend u) / Bend below it. Centre and spread are median and normalised interquartile range of the scores. The more it bends, the
// less it matters how bad the bad ones are.
type Warp struct {
	Centre, Spread, Bend, Shift, Scale float64
}

// bends are the warps that are tried; the marginal likelihood chooses.
var bends = []float64{0, 0.3, 1}

// newWarp centres and scales the warped scores to mean 0 and variance 1.
func newWarp(scores []float64, bend float64) Warp {
	s := slices.Sorted(slices.Values(scores))
	w := Warp{Centre: quantile(s, 0.5), Spread: (quantile(s, 0.75) - quantile(s, 0.25)) / 1.349, Bend: bend, Scale: 1}
	if w.Spread <= 0 {
		w.Spread = max(s[len(s)-1]-s[0], 1e-9)
	}
	var sum, squares float64
	for _, v := range scores {
		sum += w.Of(v)
	}
	w.Shift = sum / float64(len(scores))
	for _, v := range scores {
		squares += w.Of(v) * w.Of(v)
	}
	if squares > 0 {
		w.Scale = math.Sqrt(squares / float64(len(scores)))
	}
	return w
}

// Of is the warped score.
func (w Warp) Of(score float64) float64 {
	u := (score - w.Centre) / w.Spread
	if u < 0 && w.Bend > 0 {
		u = -math.Log1p(-w.Bend*u) / w.Bend
	}
	return (u - w.Shift) / w.Scale
}

// Score undoes Of.
func (w Warp) Score(z float64) float64 {
	u := z*w.Scale + w.Shift
	if u < 0 && w.Bend > 0 {
		u = -math.Expm1(-w.Bend*u) / w.Bend
	}
	return w.Centre + w.Spread*u
}

// Size is the spread in scores of sd around z: half the distance between what lies one sd above and one below.
func (w Warp) Size(z, sd float64) float64 { return (w.Score(z+sd) - w.Score(z-sd)) / 2 }

// logSlope is the logarithm of dz/dscore.
func (w Warp) logSlope(score float64) float64 {
	slope := -math.Log(w.Spread * w.Scale)
	if u := (score - w.Centre) / w.Spread; u < 0 && w.Bend > 0 {
		slope -= math.Log1p(-w.Bend * u)
	}
	return slope
}

// quantile interpolates between sorted values.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	low := int(at)
	if low+1 >= len(sorted) {
		return sorted[low]
	}
	return sorted[low] + (at-float64(low))*(sorted[low+1]-sorted[low])
}
