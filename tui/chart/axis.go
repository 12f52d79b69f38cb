package chart

import (
	"math"
	"strconv"
)

// Axis is one side of a chart.
type Axis struct {
	Title string
	// Log spaces values by their logarithm; values that are not positive are left out.
	Log bool
	// Whole allows ticks at whole numbers only, for counts.
	Whole bool
	// Tight ends the axis at the first and last value instead of at round numbers around them.
	Tight bool
	// Format writes tick labels; nil takes as many decimals as the ticks need.
	Format func(float64) string
}

// scale maps values of an axis to 0..1.
type scale struct {
	lo, hi float64 // in axis units: logarithms on a logarithmic axis
	log    bool
}

// magnitude bounds what is drawn, so that no difference or quotient of two values overflows.
const magnitude = 1e150

func (a Axis) usable(v float64) bool {
	return math.Abs(v) <= magnitude && (!a.Log || v >= 1/magnitude) // false for NaN, too
}

// fit returns the scale over the usable values between lo and hi, with about n ticks.
func (a Axis) fit(lo, hi float64, n int) (scale, []float64) {
	if lo > hi { // no usable value at all
		lo, hi = 0, 1
		if a.Log {
			lo, hi = 1, 10
		}
	}
	lo, hi = a.widen(lo, hi)
	if a.Log {
		return scale{math.Log10(lo), math.Log10(hi), true}, logTicks(lo, hi, n)
	}
	ticks := linearTicks(lo, hi, n, a.Whole)
	if !a.Tight && len(ticks) > 1 {
		step := ticks[1] - ticks[0]
		lo, hi = math.Floor(lo/step+1e-9)*step, math.Ceil(hi/step-1e-9)*step
		ticks = linearTicks(lo, hi, n+1, a.Whole)
	}
	return scale{lo: lo, hi: hi}, ticks
}

// widen gives a range without extent some.
func (a Axis) widen(lo, hi float64) (float64, float64) {
	switch {
	case a.Log && hi/lo < 1.01:
		return lo / 1.5, hi * 1.5
	case a.Whole && hi-lo < 1:
		return lo, lo + 1
	case hi-lo <= 1e-9*math.Max(math.Abs(lo), math.Abs(hi)) || hi == lo:
		pad := math.Max(math.Abs(lo)*0.05, 1e-3)
		return lo - pad, hi + pad
	}
	return lo, hi
}

// at maps a usable value to 0..1 (outside the range beyond it).
func (s scale) at(v float64) float64 {
	if s.log {
		v = math.Log10(v)
	}
	return (v - s.lo) / (s.hi - s.lo)
}

// value is the inverse of at.
func (s scale) value(t float64) float64 {
	v := s.lo + t*(s.hi-s.lo)
	if s.log {
		return math.Pow(10, v)
	}
	return v
}

// linearTicks returns at most n+1 round values (1, 2, 2.5 or 5 times a power of ten apart) within lo..hi.
func linearTicks(lo, hi float64, n int, whole bool) []float64 {
	n = max(n, 1)
	rough := (hi - lo) / float64(n)
	power := math.Pow(10, math.Floor(math.Log10(rough)))
	step := 10 * power
	for _, m := range []float64{1, 2, 2.5, 5} {
		if m*power >= rough*(1-1e-9) {
			step = m * power
			break
		}
	}
	if whole {
		step = math.Max(1, math.Ceil(step))
	}
	if step <= 0 || math.IsNaN(step) || math.IsInf(step, 0) {
		return nil
	}
	var ticks []float64
	for k := math.Ceil(lo/step - 1e-9); k*step <= hi+step*1e-9 && len(ticks) <= n+1; k++ {
		ticks = append(ticks, k*step)
	}
	return ticks
}

// logTicks returns at most about n values of the form 1, 2 or 5 times a power of ten within lo..hi; over a narrow range, round linear ones.
func logTicks(lo, hi float64, n int) []float64 {
	n = max(n, 2)
	fine := decades(lo, hi, 1, 2, 5)
	if len(fine) < 2 {
		return linearTicks(lo, hi, n, false)
	}
	if len(fine) <= n {
		return fine
	}
	if coarse := decades(lo, hi, 1); len(coarse) >= 2 {
		return thin(coarse, n)
	}
	return thin(fine, n)
}

// decades returns the multiples of all powers of ten within lo..hi, ascending.
func decades(lo, hi float64, multiples ...float64) []float64 {
	var ticks []float64
	for e := math.Floor(math.Log10(lo)); e <= math.Ceil(math.Log10(hi)); e++ {
		for _, m := range multiples {
			if v := m * math.Pow(10, e); v >= lo*(1-1e-9) && v <= hi*(1+1e-9) {
				ticks = append(ticks, v)
			}
		}
	}
	return ticks
}

// thin keeps every k-th tick so that at most n stay.
func thin(ticks []float64, n int) []float64 {
	k := (len(ticks) + n - 1) / n
	var kept []float64
	for i := 0; i < len(ticks); i += k {
		kept = append(kept, ticks[i])
	}
	return kept
}

// labels writes ticks with the decimals their distance needs.
func (a Axis) labels(ticks []float64) []string {
	out := make([]string, len(ticks))
	decimals := 0
	if len(ticks) > 1 {
		step := math.Abs(ticks[1] - ticks[0])
		for decimals < 8 && math.Abs(step*math.Pow(10, float64(decimals))-math.Round(step*math.Pow(10, float64(decimals)))) > 1e-6*step*math.Pow(10, float64(decimals)) {
			decimals++
		}
	}
	for i, v := range ticks {
		if a.Format != nil {
			out[i] = a.Format(v)
			continue
		}
		out[i] = strconv.FormatFloat(v+0, 'f', decimals, 64) // +0 turns -0 into 0
	}
	return out
}
