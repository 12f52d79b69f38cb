package chart

import (
	"math"
	"strings"
)

var (
	eighths = []rune(" ▏▎▍▌▋▊▉█")
	levels  = []rune("▁▂▃▄▅▆▇█")
	asciis  = []rune("_.-=+*%#")
)

// Bar is a progress bar of w cells filled to fraction (0 to 1; outside it is cut).
func Bar(fraction float64, w int, g Glyphs) string {
	if w < 1 {
		return ""
	}
	if math.IsNaN(fraction) {
		fraction = 0
	}
	fraction = min(max(fraction, 0), 1)
	if g == ASCII {
		full := int(fraction * float64(w))
		return strings.Repeat("#", full) + strings.Repeat(".", w-full)
	}
	parts := int(fraction * float64(w*8))
	full, rest := parts/8, parts%8
	s := strings.Repeat("█", full)
	if full < w {
		s += string(eighths[rest]) + strings.Repeat(" ", w-full-1)
	}
	return s
}

// Sparkline draws values in at most w cells of one row, averaging neighbours where there are more values than cells. Values that are not
// finite are left out.
func Sparkline(values []float64, w int, g Glyphs) string {
	var finite []float64
	for _, v := range values {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			finite = append(finite, v)
		}
	}
	if w < 1 || len(finite) == 0 {
		return ""
	}
	bins := average(finite, min(w, len(finite)))
	lo, hi := bins[0], bins[0]
	for _, v := range bins {
		lo, hi = min(lo, v), max(hi, v)
	}
	scale := levels
	if g == ASCII {
		scale = asciis
	}
	out := make([]rune, len(bins))
	for i, v := range bins {
		k := 0
		if hi > lo {
			k = int((v - lo) / (hi - lo) * float64(len(scale)-1))
		}
		out[i] = scale[k]
	}
	return string(out)
}

// average divides values into n runs of nearly equal length and returns their means.
func average(values []float64, n int) []float64 {
	out := make([]float64, n)
	for i := range n {
		from, to := i*len(values)/n, (i+1)*len(values)/n
		for _, v := range values[from:to] {
			out[i] += v / float64(to-from)
		}
	}
	return out
}
