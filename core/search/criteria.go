package search

import (
	"fmt"
	"math"

	"flexi/core/run"
)

// Criterion is a number besides the score that a search keeps small, below a bound, or both.
type Criterion struct {
	Name     string
	Minimise bool
	Max      float64 // 0 for no bound
	// Known is its value for every architecture of the library; nil where only training tells.
	Known []float64
}

// value is the criterion of an outcome, false where it is not known.
func (c *Criterion) value(k int, o Outcome) (float64, bool) {
	if c.Known != nil {
		return c.Known[o.Index], true
	}
	if k < len(o.Values) {
		return o.Values[k], true
	}
	return 0, false
}

// gainOf turns a criterion's value into a number that is to be large. Sizes and times differ by factors, so that is what its logarithm counts.
func gainOf(value float64) float64 { return -math.Log(max(value, math.SmallestNonzeroFloat64)) }

// criteriaOf are a run's criteria over a library.
func criteriaOf(goals []run.Criterion, lib *Library) []Criterion {
	out := make([]Criterion, len(goals))
	for k, g := range goals {
		out[k] = Criterion{Name: g.Name, Minimise: g.Minimize, Max: g.Max}
		if g.Name != run.Params {
			continue
		}
		for _, p := range lib.Params {
			out[k].Known = append(out[k].Known, float64(p))
		}
	}
	return out
}

func checkCriteria(criteria []Criterion, size int) error {
	for _, c := range criteria {
		if c.Known != nil && len(c.Known) != size {
			return fmt.Errorf("criterion %s is known for %d architectures of %d", c.Name, len(c.Known), size)
		}
		if !(c.Max >= 0) {
			return fmt.Errorf("criterion %s: bound %v must be positive, or 0 for none", c.Name, c.Max)
		}
	}
	return nil
}
