package search

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"flexi/core/search/gauss"
)

// boshnasGP is the default policy: BOSHNAS (arXiv 2205.11656, section 3.4) with a heteroscedastic Gaussian process over choices in place of the
// three networks, which with tens of results know neither enough nor what they do not know. Kept are the separate uncertainties, the second-order
// search for the best input, and convergence by idle optimisation steps. docs/search.md measures
// what each part brings.
//
// Pending architectures are conditioned on as if they came out as expected: several proposals on the same results spread out.
//
// It is not safe for concurrent use.
type boshnasGP struct {
	lib *Library
	o   PolicyOptions
	b   gpSettings
	in  *gauss.Inputs

	model     *gauss.Model
	refitAt   int   // number of results that the next fit waits for
	steps     []int // sorted positions that optimisation steps proposed
	posterior *gauss.Posterior
	criteria  *criteriaGP // nil where the score alone counts
	explore   float64     // what widen starts from
	widen     float64     // factor on the epistemic deviation in the search for the best proposal
	ranked    []int       // the best candidates of the last optimisation step
}

// gpPolicy is the default policy's name.
const gpPolicy = "boshnas"

// gpSettings are what the ablation of docs/search.md varies.
type gpSettings struct {
	codes, embedding       bool
	uncertainty, diversity float64 // probabilities of the sampling steps
	fixed                  gauss.Fixed
	stall                  float64 // idle steps that double the epistemic deviation; 0 leaves it
	query                  queryRule
	gobi                   gobi
}

// gpInitial is the size of the initial set: a spread of six is worth more than ten random ones (docs/search.md).
const gpInitial = 6

func standardGP() gpSettings {
	return gpSettings{codes: true, stall: 40, gobi: gobi{restarts: 4, steps: 24, keepBest: true}}
}

func newBoshnasGP(lib *Library, o PolicyOptions, b gpSettings) *boshnasGP {
	features, codes, points := lib.Features, lib.Codes, lib.Embeddings
	switch {
	case len(features) == 0 || !b.codes:
		features, codes = nil, nil
	case !b.embedding:
		points = nil
	}
	p := &boshnasGP{lib: lib, o: o, b: b, explore: 1, in: gauss.NewInputs(features, codes, points)}
	o.Acquisition.over(&p.b.uncertainty, &p.b.diversity, &p.explore)
	p.b.gobi.firstOrder = p.b.gobi.firstOrder || o.FirstOrder
	p.model = gauss.NewModel(p.in, b.fixed)
	p.criteria = newCriteriaGP(p.in, o.Criteria)
	return p
}

func (p *boshnasGP) Name() string { return "boshnas" }

func (p *boshnasGP) Next(ctx context.Context, outcomes []Outcome) (Pick, error) {
	if err := ctx.Err(); err != nil {
		return Pick{}, err
	}
	h, err := readHistory(p.lib.Len(), outcomes)
	if err != nil {
		return Pick{}, fmt.Errorf("boshnas: %w", err)
	}
	if h.unseen == 0 {
		return Pick{}, ErrConverged
	}
	rng := stream(p.o.Seed, streamChoose, len(outcomes))
	initial := min(p.o.Initial, p.lib.Len())
	switch few := max(2, initial/2); {
	case h.informed() < initial:
		return Pick{Index: p.farthest(h, rng), Why: "initial", Transfer: -1}, nil
	case len(h.scored) < few && p.criteria.bounded() && len(h.measured) >= few:
		p.criteria.condition(p.in, h)
		return Pick{Index: p.likeliestInside(h, rng), Why: "bounds", Transfer: -1}, nil
	case len(h.scored) < few: // others are still in training
		return Pick{Index: p.farthest(h, rng), Why: "diversity", Transfer: -1}, nil
	}
	idle := idleSteps(p.steps, h)
	if p.o.Patience > 0 && idle >= 2*p.o.Patience {
		if h.pending > 0 {
			return Pick{}, ErrWait // one of these may still be better
		}
		return Pick{}, ErrConverged
	}
	p.condition(h)
	p.widen = p.explore
	if p.criteria != nil {
		p.criteria.condition(p.in, h)
		p.criteria.weigh(h, p.posterior)
	} else if p.b.stall > 0 {
		p.widen *= 1 + float64(idle)/p.b.stall
	}
	return p.propose(h, p.o.Patience > 0 && idle >= p.o.Patience, rng), nil
}

// spreadDraws is how many random architectures the one farthest from all proposed ones is chosen from.
const spreadDraws = 200

// farthest is the one of some random unseen architectures that is least like any proposed one.
func (p *boshnasGP) farthest(h *history, rng *rand.Rand) int {
	var proposed []int
	for i, seen := range h.proposed {
		if seen {
			proposed = append(proposed, i)
		}
	}
	best, at := math.Inf(-1), -1
	for range spreadDraws {
		i := h.randomUnseen(rng)
		if len(proposed) == 0 {
			return i
		}
		nearest := math.Inf(1)
		for _, j := range proposed {
			nearest = min(nearest, p.difference(i, j))
		}
		if nearest > best {
			best, at = nearest, i
		}
	}
	return at
}

// difference is the number of choices that differ, or the squared distance of embeddings.
func (p *boshnasGP) difference(i, j int) float64 {
	if len(p.lib.Features) == 0 || !p.b.codes {
		return squaredL2(p.lib.Embeddings[i], p.lib.Embeddings[j])
	}
	n := 0
	for f, c := range p.lib.Codes[i] {
		if c != p.lib.Codes[j][f] {
			n++
		}
	}
	return float64(n)
}

// likeliestInside is the one of some random unseen architectures that is likeliest to be within the bounds.
func (p *boshnasGP) likeliestInside(h *history, rng *rand.Rand) int {
	best, at := math.Inf(-1), -1
	for range spreadDraws {
		i := h.randomUnseen(rng)
		if v, _ := p.criteria.inside(i, true); at < 0 || v > best {
			best, at = v, i
		}
	}
	return at
}

// condition makes the posterior on all results, and fits the hyperparameters anew when there are 12% more than at the last fit.
func (p *boshnasGP) condition(h *history) {
	at, scores := make([]int, len(h.scored)), make([]float64, len(h.scored))
	var pending []int
	finished := make(map[int]bool, len(h.scored))
	for i, r := range h.scored {
		at[i], scores[i] = r.index, r.score
		finished[r.index] = true
	}
	for i, running := range h.running {
		if running && !finished[i] {
			pending = append(pending, i)
		}
	}
	if n := len(at); n >= p.refitAt {
		p.posterior = p.model.Fit(p.in, at, scores)
		p.refitAt = n + max(1, n*12/100)
		if len(pending) == 0 {
			return
		}
	}
	p.posterior = p.model.Condition(p.in, at, scores, pending)
}

// propose makes one step: optimisation, uncertainty sampling or diversity sampling.
func (p *boshnasGP) propose(h *history, aleatoric bool, rng *rand.Rand) Pick {
	pick := Pick{Transfer: -1}
	p.ranked = nil
	switch u := rng.Float64(); {
	case u < p.b.diversity:
		pick.Index, pick.Why = p.farthest(h, rng), "diversity"
	case u < p.b.diversity+p.b.uncertainty:
		pick.Index, pick.Why = p.mostUncertain(h, rng), "uncertainty"
	default:
		p.ranked = p.optimise(h, aleatoric, rng)
		pick.Index, pick.Why = p.ranked[0], "optimise"
		if at, known := slices.BinarySearch(p.steps, pick.Index); !known {
			p.steps = slices.Insert(p.steps, at, pick.Index)
		}
	}
	pick.Transfer = p.o.transferSource(pick.Index, h)
	belief := p.belief(p.posterior, pick.Index)
	pick.Predict = &belief
	return pick
}

// mostUncertain has the largest epistemic variance among some random unseen architectures.
func (p *boshnasGP) mostUncertain(h *history, rng *rand.Rand) int {
	best, at := math.Inf(-1), -1
	for range spreadDraws {
		i := h.randomUnseen(rng)
		if _, v := p.posterior.Predict(i); v > best {
			best, at = v, i
		}
	}
	return at
}

// belief is the calibrated posterior at a position; its acquisition is the expected improvement on the best score, in the scores' units.
func (p *boshnasGP) belief(q *gauss.Posterior, i int) Belief {
	var b Belief
	z, v := q.Predict(i)
	b.Mean, b.Epistemic, b.Aleatoric = q.Uncertainty(z, v)
	b.Acquisition = q.Warp.Scale * q.Warp.Spread * math.Exp(LogImprovement(z-q.Best, v))
	return b
}

// Ranked are the best candidates of the last proposal, best first; none if it was no optimisation step.
func (p *boshnasGP) Ranked() []int { return p.ranked }

// Beliefs evaluates the posterior; nil before the first fit and for a position outside the library.
func (p *boshnasGP) Beliefs(indices []int) []Belief {
	if p.posterior == nil {
		return nil
	}
	out := make([]Belief, len(indices))
	for n, i := range indices {
		if i < 0 || i >= p.lib.Len() {
			return nil
		}
		out[n] = p.belief(p.posterior, i)
	}
	return out
}
