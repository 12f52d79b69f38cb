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
	FirstSeed        uint64   `json:"first_seed"`
	// Seconds is the median of a whole search, SecondsPerProposal that divided by its queries.
	Seconds            float64 `json:"seconds"`
	SecondsPerProposal float64 `json:"seconds_per_proposal"`
	// Against compares with another policy of the same run, nil if there is none or too few seeds.
	Against *Comparison `json:"against,omitempty"`
	// Curves are the best so far after every query, per seed, oriented like a table's scores.
	Curves [][]float64 `json:"-"`

	toOptimum, toTarget []float64 // queries per seed, +Inf where they did not suffice
}

// Options say how policies are replayed.
type Options struct {
	Queries   int    // distinct architectures per search
	Seeds     int    // searches, one per seed
	FirstSeed uint64 // the others follow it
	// Target is a value whose first reaching is counted too; NaN for none.
	Target float64
	// Progress, if not nil, is called after each search with the number of those done.
	Progress func(done int)
}

// Replay runs a policy on the table, once per seed.
func Replay(ctx context.Context, t *Table, policy string, o Options) (Result, error) {
	r := Result{Policy: policy, Seeds: o.Seeds, FirstSeed: o.FirstSeed, Best: map[int][3]float64{}}
	queries := min(o.Queries, len(t.Scores))
	lib := t.library()
	var seconds []float64
	for n := range o.Seeds {
		start, seed := time.Now(), o.FirstSeed+uint64(n)
		curve, err := replayOne(ctx, t, lib, policy, queries, seed)
		if err != nil {
			return r, fmt.Errorf("policy %s, seed %d: %w", policy, seed, err)
		}
		seconds = append(seconds, time.Since(start).Seconds())
		r.Curves = append(r.Curves, curve)
		r.toOptimum = append(r.toOptimum, reached(curve, t.Best()))
		if !math.IsInf(r.toOptimum[n], 1) {
			r.Hits++
		}
		if !math.IsNaN(o.Target) {
			r.toTarget = append(r.toTarget, reached(curve, t.Value(o.Target)))
		}
		if o.Progress != nil {
			o.Progress(n + 1)
		}
	}
	r.Seconds = quantile(seconds, 0.5)
	r.SecondsPerProposal = r.Seconds / float64(queries)
	r.QueriesToOptimum, r.QueriesToTarget = medianReached(r.toOptimum), medianReached(r.toTarget)
	for _, n := range Checkpoints {
		if n <= queries {
			r.Best[n] = r.Quartiles(t, n)
		}
	}
	return r, nil
}

// Quartiles are those of the best value after n queries over the seeds, lowest first.
func (r *Result) Quartiles(t *Table, n int) [3]float64 {
	at := make([]float64, len(r.Curves))
	for i, c := range r.Curves {
		at[i] = t.Value(c[n-1])
	}
	return [3]float64{quantile(at, 0.25), quantile(at, 0.5), quantile(at, 0.75)}
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

// Reference is the policy that others are compared with.
const Reference = "boshnas"

// DefaultPolicies are those that take minutes at most: all but the networks of BOSHNAS. The reference comes first.
func DefaultPolicies() []string {
	return append([]string{Reference, "evolution", "random"}, peer.Names()...)
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
