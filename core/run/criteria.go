package run

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"

	"flexi/core/run/pareto"
)

// Criterion is a number besides the objective that a run keeps small, below a bound, or both.
type Criterion struct {
	Name     string
	Minimize bool
	Max      float64 // 0 for no bound
}

// Comparer is a Kind whose runs are compared by more than the objective. Criteria reads by what from a configuration.
type Comparer interface {
	Criteria(config json.RawMessage) []Criterion
}

// criteria are what a kind's configuration asks for.
func (c *Controller) criteria(kind string, config json.RawMessage) []Criterion {
	if k, ok := c.kinds[kind].(Comparer); ok {
		return k.Criteria(config)
	}
	return nil
}

// Names of criteria.
const (
	Params      = "params"       // of encoder and pooler
	StepSeconds = "step_seconds" // median of a training step
	MemoryMB    = "memory_mb"    // that a training step takes on the device, in million bytes
)

// Measure is the value of a criterion, false where it is not known.
func (t *Trial) Measure(name string) (float64, bool) {
	if name == Params {
		return float64(t.Params), true
	}
	v, ok := t.Measures[name]
	return v, ok
}

// Allows reports whether a value is within the bound.
func (c Criterion) Allows(v float64) bool { return c.Max == 0 || v <= c.Max }

// goals are what a run's trials are compared by.
type goals struct {
	objective Objective
	criteria  []Criterion
}

func (r *Run) goals() goals { return goals{r.Objective, r.Criteria} }

// minimized are the criteria that trade off with the objective: the parameters where none is named.
func (g goals) minimized() []Criterion {
	var out []Criterion
	for _, c := range g.criteria {
		if c.Minimize {
			out = append(out, c)
		}
	}
	if len(out) == 0 {
		out = []Criterion{{Name: Params, Minimize: true}}
	}
	return out
}

// feasible reports whether a trial is within all bounds; what was not measured counts as being.
func (g goals) feasible(t *Trial) bool {
	for _, c := range g.criteria {
		if v, known := t.Measure(c.Name); known && !c.Allows(v) {
			return false
		}
	}
	return true
}

// gains appends a scored trial's numbers, all of which are to be large; false if one was not measured. minimized are those of the goals.
func (g goals) gains(dst []float64, minimized []Criterion, t *Trial) ([]float64, bool) {
	dst = append(dst, g.objective.gain(*t.Score, 0))
	for _, c := range minimized {
		v, known := t.Measure(c.Name)
		if !known {
			return nil, false
		}
		dst = append(dst, -v)
	}
	return dst, true
}

// extend adds a trial to a frontier unless another is as good in everything, and drops those that it makes superfluous. The order is that of the first
// minimised criterion, ascending. Of equals the first to finish stays. The frontier given is left as it is.
func (g goals) extend(frontier []*Trial, t *Trial) []*Trial {
	minimized := g.minimized()
	mine, ok := g.gains(make([]float64, 0, 4), minimized, t)
	if !ok {
		return frontier
	}
	buffer := make([]float64, 0, 4)
	gains := func(f *Trial) []float64 {
		theirs, _ := g.gains(buffer[:0], minimized, f)
		return theirs
	}
	if slices.ContainsFunc(frontier, func(f *Trial) bool {
		theirs := gains(f)
		return slices.Equal(theirs, mine) || pareto.Dominates(theirs, mine)
	}) {
		return frontier
	}
	keep := make([]*Trial, 0, len(frontier)+1)
	for _, f := range frontier {
		if !pareto.Dominates(mine, gains(f)) {
			keep = append(keep, f)
		}
	}
	at, _ := slices.BinarySearchFunc(keep, mine, func(f *Trial, mine []float64) int {
		theirs := gains(f)
		return cmp.Or(cmp.Compare(-theirs[1], -mine[1]), cmp.Compare(theirs[0], mine[0]))
	})
	return slices.Insert(keep, at, t)
}

// Tradeoff sums up a frontier in one number.
type Tradeoff struct {
	Names []string // the objective, and the criteria that are minimised
	// Worst and Best are the corners of the box of all results within the bounds.
	Worst, Best []float64
	// Hypervolume is the share of the box that the frontier dominates, with logarithms of the criteria: 1 where one trial is best in everything. It compares
	// frontiers in the same box only.
	Hypervolume float64
}

// TradeoffOf is nil unless the run minimises a criterion and has at least two results that differ in everything.
func TradeoffOf(v *RunView) *Tradeoff {
	g := v.goals()
	if !slices.ContainsFunc(v.Criteria, func(c Criterion) bool { return c.Minimize }) {
		return nil
	}
	out := &Tradeoff{Names: []string{v.Objective.Name}}
	minimized := g.minimized()
	for _, c := range minimized {
		out.Names = append(out.Names, c.Name)
	}
	var points [][]float64
	for _, t := range v.Trials {
		if !t.Found() || !g.feasible(t) {
			continue
		}
		if p, ok := g.gains(nil, minimized, t); ok {
			points = append(points, p)
		}
	}
	if len(points) < 2 {
		return nil
	}
	worst, best := slices.Clone(points[0]), slices.Clone(points[0])
	for _, p := range points {
		for k, x := range p {
			worst[k], best[k] = min(worst[k], x), max(best[k], x)
		}
	}
	scaled := make([][]float64, len(points))
	for i, p := range points {
		for k, x := range p {
			if worst[k] == best[k] {
				return nil
			}
			scaled[i] = append(scaled[i], (level(k, x)-level(k, worst[k]))/(level(k, best[k])-level(k, worst[k])))
		}
	}
	out.Hypervolume = pareto.Hypervolume(scaled, make([]float64, len(out.Names)))
	for k := range worst {
		if k == 0 {
			out.Worst, out.Best = append(out.Worst, v.Objective.gain(worst[k], 0)), append(out.Best, v.Objective.gain(best[k], 0))
			continue
		}
		out.Worst, out.Best = append(out.Worst, -worst[k]), append(out.Best, -best[k])
	}
	return out
}

// level is the scale of a gain: that of the objective is its own, those of criteria, negated values, are logarithmic.
func level(k int, gain float64) float64 {
	if k == 0 {
		return gain
	}
	return -math.Log(max(-gain, math.SmallestNonzeroFloat64))
}
