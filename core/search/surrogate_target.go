package search

import (
	"math"
	"slices"
)

// target is the linear map from scores, where higher is better, to what the surrogates learn, where lower is better and the sigmoid outputs
// can reach it: y = Offset + Slope*max(score, Floor), Slope < 0.
type target struct {
	Offset, Slope, Floor float64
}

// spanTarget maps the best score to 0.1 and the worst to 0.9. Scores far below the others count as the lower fence of a box plot, so that
// one failure does not squeeze the rest together.
func spanTarget(scores []float64) target {
	sorted := slices.Clone(scores)
	slices.Sort(sorted)
	best, floor := sorted[len(sorted)-1], sorted[0]
	q1, q3 := quantile(sorted, 0.25), quantile(sorted, 0.75)
	if fence := q1 - 1.5*(q3-q1); fence > floor && fence < best {
		floor = fence
	}
	span := best - floor
	if span <= 0 {
		span = 1 // all scores are equal
	}
	return target{Offset: 0.1 + 0.8*best/span, Slope: -0.8 / span, Floor: floor}
}

// paperTarget is (1 - score)/M for scores out of perfect, with M the largest 1 - score among the given ones.
func paperTarget(scores []float64, perfect float64) target {
	m := perfect - slices.Min(scores)
	if m <= 0 {
		m = 1 // nothing is worse than perfect
	}
	return target{Offset: perfect / m, Slope: -1 / m, Floor: math.Inf(-1)}
}

// quantile of sorted values, interpolated linearly.
func quantile(sorted []float64, p float64) float64 {
	at := p * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[i]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

// of is the target of a score.
func (t target) of(score float64) float64 { return t.Offset + t.Slope*max(score, t.Floor) }

// score is the score that a prediction of the target means.
func (t target) score(y float64) float64 { return (y - t.Offset) / t.Slope }

// size is a standard deviation of the target in the scores' units.
func (t target) size(sd float64) float64 { return sd / math.Abs(t.Slope) }
