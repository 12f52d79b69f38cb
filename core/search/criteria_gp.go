package search

import (
	"math"
	"slices"

	"flexi/core/run/pareto"
	"flexi/core/search/gauss"
)

// criteriaGP is what the default policy believes about its criteria: a Gaussian process each for the gains of those that training tells.
type criteriaGP struct {
	list    []Criterion
	models  []*gauss.Model // nil where the criterion is known
	refitAt int
	gains   [][]float64 // known ones, by library position

	posteriors []*gauss.Posterior // nil where known, and before a first measurement
	front      []int              // positions of the results that no other within the bounds dominates
	improving  *improvement       // nil with one objective, and before a first result within the bounds
	best       float64            // the best warped score within the bounds, -Inf for none
}

// newCriteriaGP is nil where the score alone counts.
func newCriteriaGP(in *gauss.Inputs, list []Criterion) *criteriaGP {
	if len(list) == 0 {
		return nil
	}
	n := len(list)
	c := &criteriaGP{list: list, models: make([]*gauss.Model, n), posteriors: make([]*gauss.Posterior, n), gains: make([][]float64, n)}
	for k, l := range list {
		if l.Known == nil {
			c.models[k] = gauss.NewModel(in, gauss.Fixed{})
		}
		for _, v := range l.Known {
			c.gains[k] = append(c.gains[k], gainOf(v))
		}
	}
	return c
}

// condition makes the posteriors of what was measured, with the running trials as expected, and fits them anew when there are 12% more.
func (c *criteriaGP) condition(in *gauss.Inputs, h *history) {
	n := len(h.measured)
	if n == 0 {
		return
	}
	fit := n >= c.refitAt
	if fit {
		c.refitAt = n + max(1, n*12/100)
	}
	var pending []int
	for i, running := range h.running {
		if running {
			pending = append(pending, i)
		}
	}
	for k, model := range c.models {
		if model == nil {
			continue
		}
		at, gains := make([]int, n), make([]float64, n)
		for i, o := range h.measured {
			at[i], gains[i] = o.Index, gainOf(o.Values[k])
		}
		if fit {
			model.Fit(in, at, gains)
		}
		c.posteriors[k] = model.Condition(in, at, gains, pending)
	}
}

// weigh finds what the results within the bounds have reached; running trials count as if they came out as expected.
func (c *criteriaGP) weigh(h *history, score *gauss.Posterior) {
	values := make(map[int]Outcome, len(h.measured))
	for _, o := range h.measured {
		values[o.Index] = o
	}
	c.improving, c.best, c.front = nil, math.Inf(-1), nil
	var points [][]float64
	var at []int
	for _, r := range h.scored {
		o := values[r.index]
		o.Index = r.index
		if p, feasible := c.point(o, score.Warp.Of(r.score)); feasible {
			points, at = append(points, p), append(at, r.index)
			c.best = max(c.best, p[0])
		}
	}
	for _, i := range pareto.Front(points) {
		c.front = append(c.front, at[i])
	}
	if len(points) == 0 || len(points[0]) == 1 {
		return
	}
	for i, running := range h.running {
		if running {
			points = append(points, c.expected(i, score.Mean(i)))
		}
	}
	c.improving = newImprovement(points)
}

// point are the warped gains of a result; false if it is out of bounds, or not all were measured.
func (c *criteriaGP) point(o Outcome, score float64) ([]float64, bool) {
	p := []float64{score}
	for k, l := range c.list {
		v, known := l.value(k, o)
		if !known || l.Max > 0 && v > l.Max {
			return nil, false
		}
		if l.Minimise {
			p = append(p, c.warped(k, gainOf(v)))
		}
	}
	return p, true
}

func (c *criteriaGP) expected(i int, score float64) []float64 {
	p := []float64{score}
	for k, l := range c.list {
		if l.Minimise {
			p = append(p, c.belief(k, i, false).mean)
		}
	}
	return p
}

// warped is a gain in the units of its posterior.
func (c *criteriaGP) warped(k int, gain float64) float64 {
	if c.posteriors[k] == nil {
		return gain
	}
	return c.posteriors[k].Warp.Of(gain)
}

// belief is that in criterion k of an architecture.
func (c *criteriaGP) belief(k, i int, exact bool) normal {
	if c.list[k].Known != nil {
		return normal{mean: c.gains[k][i]}
	}
	z, v := predict(c.posteriors[k], i, exact)
	return normal{z, math.Sqrt(v)}
}

// acquisition is the logarithm of the expected improvement, of the hypervolume where there are several objectives, times the probability of being within the
// bounds; before a first result within them, mostly that probability.
func (c *criteriaGP) acquisition(i int, score normal, exact bool) float64 {
	inside, measured := c.inside(i, exact)
	switch {
	case c.improving != nil && measured:
		beliefs := []normal{score}
		for k, l := range c.list {
			if l.Minimise {
				beliefs = append(beliefs, c.belief(k, i, exact))
			}
		}
		return inside + c.improving.log(beliefs)
	case math.IsInf(c.best, -1):
		return inside + searchingWeight*LogImprovement(score.mean, score.sd*score.sd)
	}
	return inside + LogImprovement(score.mean-c.best, score.sd*score.sd)
}

// inside is the logarithm of the probability of being within the bounds; false while nothing is measured that should be.
func (c *criteriaGP) inside(i int, exact bool) (log float64, measured bool) {
	measured = true
	for k, l := range c.list {
		if l.Known == nil && c.posteriors[k] == nil {
			measured = false
			continue
		}
		if l.Max > 0 {
			log += c.belief(k, i, exact).logAbove(c.warped(k, gainOf(l.Max)))
		}
	}
	return log, measured
}

// bounded reports whether there is a bound that only training tells about.
func (c *criteriaGP) bounded() bool {
	return c != nil && slices.ContainsFunc(c.list, func(l Criterion) bool { return l.Max > 0 && l.Known == nil })
}

// searchingWeight is what the score counts while no result within the bounds is known.
const searchingWeight = 0.01
