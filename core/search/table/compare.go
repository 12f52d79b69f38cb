package table

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// Compared are the query counts at which policies are compared.
var Compared = []int{25, 50, 100, 200}

// Sizes of the bootstrap.
const (
	resamples     = 10_000
	resampleSeed  = 1
	fewestSeeds   = 5 // below, an interval would say nothing
	intervalShare = 0.95
)

// NoDifference is the verdict on what cannot be told from chance, or does not matter beside the noise of a training.
const NoDifference = "no difference above the noise"

// Difference is a mean over seeds of a policy's number less the reference's on the same seed, and its 95% interval by a paired bootstrap of the
// seeds.
type Difference struct {
	Mean float64 `json:"mean"`
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Comparison is a policy against the reference. Queries that a search did not suffice for count as one more than it had, so that their differences
// are smaller than they would be.
type Comparison struct {
	Reference string `json:"reference"`
	// Best maps query counts to differences of the best value so far, in units of the objective.
	Best             map[int]Difference `json:"best"`
	QueriesToOptimum *Difference        `json:"queries_to_optimum"`
	QueriesToTarget  *Difference        `json:"queries_to_target,omitempty"`
	// Verdict says after how many queries the policy's best is ahead or behind: by an interval without 0, and by no less than the noise of a training.
	Verdict string `json:"verdict"`
}

// Compare sets a policy against a reference that was replayed on the same seeds with as many queries. It is nil with fewer than five seeds.
func Compare(t *Table, r, reference Result) *Comparison {
	seeds := len(r.Curves)
	if seeds < fewestSeeds || len(reference.Curves) != seeds {
		return nil
	}
	c := &Comparison{Reference: reference.Policy, Best: map[int]Difference{}}
	draws := newDraws(seeds)
	for n := range r.Best {
		if slices.Contains(Compared, n) {
			c.Best[n] = draws.difference(func(s int) float64 { return t.Value(r.Curves[s][n-1]) - t.Value(reference.Curves[s][n-1]) })
		}
	}
	limit := float64(len(r.Curves[0]) + 1)
	queries := func(a, b []float64) *Difference {
		d := draws.difference(func(s int) float64 { return min(a[s], limit) - min(b[s], limit) })
		return &d
	}
	c.QueriesToOptimum = queries(r.toOptimum, reference.toOptimum)
	if len(r.toTarget) > 0 {
		c.QueriesToTarget = queries(r.toTarget, reference.toTarget)
	}
	c.Verdict = c.verdict(t)
	return c
}

// draws are the seeds of every resample, the same for all numbers.
type draws [][]int

func newDraws(seeds int) draws {
	rng := rand.New(rand.NewPCG(resampleSeed, uint64(seeds)))
	d := make(draws, resamples)
	for i := range d {
		d[i] = make([]int, seeds)
		for k := range d[i] {
			d[i][k] = rng.IntN(seeds)
		}
	}
	return d
}

// difference is the mean of of(seed) with its percentile interval.
func (d draws) difference(of func(seed int) float64) Difference {
	n := len(d[0])
	values := make([]float64, n)
	var out Difference
	for s := range values {
		values[s] = of(s)
		out.Mean += values[s] / float64(n)
	}
	means := make([]float64, len(d))
	for i, seeds := range d {
		for _, s := range seeds {
			means[i] += values[s]
		}
		means[i] /= float64(n)
	}
	out.Low, out.High = quantile(means, (1-intervalShare)/2), quantile(means, (1+intervalShare)/2)
	return out
}

// Clear reports whether a difference is told from chance and no smaller than the noise.
func (d Difference) Clear(noise float64) bool {
	return (d.Low > 0 || d.High < 0) && math.Abs(d.Mean) >= noise
}

func (c *Comparison) verdict(t *Table) string {
	var ahead, behind []string
	for _, n := range Compared {
		d, ok := c.Best[n]
		switch {
		case !ok || !d.Clear(t.NoiseSD):
		case d.Mean > 0 == t.Maximize:
			ahead = append(ahead, strconv.Itoa(n))
		default:
			behind = append(behind, strconv.Itoa(n))
		}
	}
	var parts []string
	if len(ahead) > 0 {
		parts = append(parts, fmt.Sprintf("ahead after %s", strings.Join(ahead, ", ")))
	}
	if len(behind) > 0 {
		parts = append(parts, fmt.Sprintf("behind after %s", strings.Join(behind, ", ")))
	}
	if len(parts) == 0 {
		return NoDifference
	}
	return strings.Join(parts, "; ")
}
