package table

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"time"

	"flexi/core/search"
	"flexi/core/search/peer"
)

// Checkpoints are the query counts at which the best value is reported.
var Checkpoints = []int{10, 25, 50, 100, 150, 200}

// Result is one policy over all seeds.
type Result struct {
	Policy string `json:"policy"`
	// Best maps a query count to the quartiles of the best value so far over the seeds.
	Best map[int][3]float64 `json:"best"`
	// QueriesToOptimum is the median over seeds, null if fewer than half hit it; Hits counts seeds that did.
	QueriesToOptimum *float64 `json:"queries_to_optimum"`
	Hits             int      `json:"hits"`
	QueriesToTarget  *float64 `json:"queries_to_target,omitempty"`
	Seeds            int      `json:"seeds"`
	Seconds          float64  `json:"seconds"` // median per seed
	// Curves are the best so far after every query, per seed.
	Curves [][]float64 `json:"-"`
}

// Replay runs a policy on the table for seeds 1 to seeds, with the given number of distinct queries each.
// Target, if not NaN, is a value whose first reaching is counted too.
func Replay(ctx context.Context, t *Table, policy string, queries, seeds int, target float64) (Result, error) {
	r := Result{Policy: policy, Seeds: seeds, Best: map[int][3]float64{}}
	queries = min(queries, len(t.Scores))
	lib := t.library()
	var toOptimum, toTarget, seconds []float64
	for seed := 1; seed <= seeds; seed++ {
		start := time.Now()
		curve, err := replayOne(ctx, t, lib, policy, queries, uint64(seed))
		if err != nil {
			return r, fmt.Errorf("policy %s, seed %d: %w", policy, seed, err)
		}
		seconds = append(seconds, time.Since(start).Seconds())
		r.Curves = append(r.Curves, curve)
		toOptimum = append(toOptimum, reached(curve, t.Best()))
		if !math.IsInf(toOptimum[len(toOptimum)-1], 1) {
			r.Hits++
		}
		if !math.IsNaN(target) {
			oriented := target
			if !t.Maximize {
				oriented = -target
			}
			toTarget = append(toTarget, reached(curve, oriented))
		}
	}
	r.Seconds = quantile(seconds, 0.5)
	r.QueriesToOptimum, r.QueriesToTarget = medianReached(toOptimum), medianReached(toTarget)
	for _, n := range Checkpoints {
		if n > queries {
			continue
		}
		at := make([]float64, seeds)
		for i, c := range r.Curves {
			at[i] = t.Value(c[n-1])
		}
		r.Best[n] = [3]float64{quantile(at, 0.25), quantile(at, 0.5), quantile(at, 0.75)}
	}
	return r, nil
}

// library presents the table to a policy as it sees a design space.
func (t *Table) library() *search.Library {
	l := &search.Library{
		Hashes: t.IDs, Embeddings: components(t.Encodings), Index: make(map[string]int, len(t.IDs)), Features: t.Features, Codes: t.Codes,
	}
	for i, id := range t.IDs {
		l.Index[id] = i
	}
	return l
}

// Policies lists the names that Replay knows, sorted: the policies of a search and their peers.
func Policies() []string {
	return slices.Sorted(slices.Values(append(search.PolicyNames(), peer.Names()...)))
}

// newPolicy makes a policy or a peer. Evolution mutates choices where the table describes them.
func newPolicy(name string, lib *search.Library, seed uint64) (search.Policy, error) {
	if slices.Contains(peer.Names(), name) {
		return peer.New(name, lib, seed)
	}
	o := search.PolicyOptions{Seed: seed, Patience: -1}
	if len(lib.Codes) > 0 {
		o.Neighbours = peer.NewChanges(lib).Of
	}
	return search.NewPolicy(name, lib, o)
}

func replayOne(ctx context.Context, t *Table, lib *search.Library, policy string, queries int, seed uint64) ([]float64, error) {
	p, err := newPolicy(policy, lib, seed)
	if err != nil {
		return nil, err
	}
	var outcomes []search.Outcome
	curve := make([]float64, 0, queries)
	best := math.Inf(-1)
	for len(curve) < queries {
		pick, err := p.Next(ctx, outcomes)
		if errors.Is(err, search.ErrConverged) {
			break
		}
		if err != nil {
			return nil, err
		}
		score := t.Scores[pick.Index]
		best = math.Max(best, score)
		curve = append(curve, best)
		outcomes = append(outcomes, search.Outcome{Index: pick.Index, Score: &score})
	}
	for len(curve) < queries {
		curve = append(curve, best)
	}
	return curve, nil
}

// reached is the number of queries after which a curve first reaches v, +Inf if it never does.
func reached(curve []float64, v float64) float64 {
	i := sort.SearchFloat64s(curve, v)
	if i == len(curve) {
		return math.Inf(1)
	}
	return float64(i + 1)
}

// medianReached is the median of counts, nil if it is infinite or there are none.
func medianReached(counts []float64) *float64 {
	if len(counts) == 0 {
		return nil
	}
	m := quantile(counts, 0.5)
	if math.IsInf(m, 1) || math.IsNaN(m) {
		return nil
	}
	return &m
}

// quantile interpolates linearly between order statistics (type 7).
func quantile(x []float64, q float64) float64 {
	s := slices.Sorted(slices.Values(x))
	at := q * float64(len(s)-1)
	low := int(at)
	if low+1 >= len(s) || at == float64(low) {
		return s[low]
	}
	return s[low] + (at-float64(low))*(s[low+1]-s[low])
}
