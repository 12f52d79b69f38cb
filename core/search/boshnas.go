package search

import (
	"context"
	"fmt"
	"math"
	"slices"
)

// boshnas is Bayesian optimisation with second-order gradients and a heteroscedastic surrogate of neural networks (arXiv 2205.11656,
// section 3.4): the paper's preset, and boshnas-net. The default, boshnasGP, has a Gaussian process in their place.
//
// Pending architectures are never proposed again and the surrogates do not see them; restarts and sampling draw anew for every proposal,
// so several proposals on the same results differ.
//
// It repairs the defects of the published code: surrogates are refitted on all finished results before each proposal, the fallback looks
// only at untrained architectures, sampling steps leave the convergence counter alone, and all draws are seeded and in range.
//
// It is not safe for concurrent use: the networks keep the traces of their last pass.
type boshnas struct {
	name string
	lib  *Library
	o    PolicyOptions
	b    boshnasSettings

	points [][]float64 // the embeddings as the surrogates see them
	box    box
	design []int // the initial set
	s      *surrogates

	fitted bool
	seen   uint64 // fingerprint of the results of the last fit
	steps  []int  // sorted positions that optimisation steps proposed
}

// boshnasSettings tell the presets apart.
type boshnasSettings struct {
	uncertainty, diversity float64 // probabilities of the sampling steps
	explore                float64 // weight of the uncertainties
	recipe                 recipe
	query                  gobi
	// spread starts from centres of the embedding space instead of random architectures.
	spread bool
	// wait asks nothing of the surrogates before the whole initial set is scored; otherwise half of it will do while others train.
	wait bool
	// transferOnly prefers queries that can inherit weights and lets sampling steps inherit none.
	transferOnly bool
}

// standardBoshnas is boshnas-net: the paper's networks with exact curvature, scores scaled to their span, minibatches, and a student that also
// learns the uncertainty of architectures that nobody trained.
func standardBoshnas() boshnasSettings {
	plan := func(rate float64) schedule {
		return schedule{batch: 32, epochs: 200, updates: 200, optimizer: newAdamW(rate)}
	}
	return boshnasSettings{
		uncertainty: 0.1, diversity: 0.1, explore: 0.5,
		recipe: recipe{teacher: plan(5e-3), student: plan(5e-3), npn: plan(5e-3), factor: 1, elsewhere: 64, rescale: true},
		query:  gobi{restarts: 10, steps: 200, keepBest: true},
		spread: true,
	}
}

// paperBoshnas follows the published code: one sample per update, one Hessian probe, raw embeddings, random initial set.
func paperBoshnas() boshnasSettings {
	plan := func(o func([][]float64) optimizer) schedule { return schedule{batch: 1, epochs: 200, optimizer: o} }
	return boshnasSettings{
		uncertainty: 0.1, diversity: 0.1, explore: 0.5,
		recipe: recipe{teacher: plan(newAdamW(2e-3)), student: plan(newSGD(2e-3)), npn: plan(newAdamW(5e-5)), factor: 10},
		query:  gobi{restarts: 10, steps: 200, probe: true},
		wait:   true, transferOnly: true,
	}
}

func newBoshnas(name string, lib *Library, o PolicyOptions, b boshnasSettings) *boshnas {
	p := &boshnas{name: name, lib: lib, o: o, b: b, points: lib.Embeddings}
	p.b.query.firstOrder = o.FirstOrder
	o.Acquisition.over(&p.b.uncertainty, &p.b.diversity, &p.b.explore)
	if b.recipe.rescale {
		p.points = rescaled(lib.Embeddings)
	}
	p.box = boxOf(p.points)
	rng := stream(o.Seed, streamDesign, 0)
	if want := min(o.Initial, lib.Len()); b.spread {
		p.design = spreadDesign(p.points, want, rng)
	} else {
		p.design = rng.Perm(lib.Len())[:want]
	}
	p.s = p.freshSurrogates()
	return p
}

func (p *boshnas) freshSurrogates() *surrogates {
	return newSurrogates(p.b.recipe, len(p.points[0]), stream(p.o.Seed, streamWeights, 0))
}

func (p *boshnas) Name() string { return p.name }

func (p *boshnas) Next(ctx context.Context, outcomes []Outcome) (Pick, error) {
	if err := ctx.Err(); err != nil {
		return Pick{}, err
	}
	h, err := readHistory(p.lib.Len(), outcomes)
	if err != nil {
		return Pick{}, fmt.Errorf("%s: %w", p.name, err)
	}
	if h.unseen == 0 {
		return Pick{}, ErrConverged
	}
	if pick, done, err := p.initial(h, len(outcomes)); done || err != nil {
		return pick, err
	}
	idle := p.idleSteps(h)
	if p.o.Patience > 0 && idle >= 2*p.o.Patience {
		if h.pending > 0 {
			return Pick{}, ErrWait // one of these may still be better
		}
		return Pick{}, ErrConverged
	}
	if err := p.refit(ctx, h, len(outcomes)); err != nil {
		return Pick{}, fmt.Errorf("%s: %w", p.name, err)
	}
	a := acquisition{s: p.s, explore: p.b.explore, aleatoric: p.o.Patience > 0 && idle >= p.o.Patience}
	return p.propose(ctx, h, a, len(outcomes))
}

// initial proposes the initial set, and replaces members that failed; done is false when the surrogates' turn has come.
func (p *boshnas) initial(h *history, number int) (pick Pick, done bool, err error) {
	if len(h.scored)+h.pending < len(p.design) {
		for _, i := range p.design {
			if !h.proposed[i] {
				return Pick{Index: i, Why: "initial", Transfer: -1}, true, nil
			}
		}
		return Pick{Index: p.unexplored(h, number), Why: "initial", Transfer: -1}, true, nil
	}
	switch {
	case p.b.wait && len(h.scored) < len(p.design):
		return Pick{}, true, ErrWait
	case len(h.scored) < max(2, len(p.design)/2) && !p.b.wait:
		return Pick{Index: p.unexplored(h, number), Why: "diversity", Transfer: -1}, true, nil
	}
	return Pick{}, false, nil
}

// unexplored is the unseen position farthest from all proposed ones, or a random one under the paper's preset.
func (p *boshnas) unexplored(h *history, number int) int {
	if !p.b.spread {
		return h.randomUnseen(stream(p.o.Seed, streamChoose, number))
	}
	return h.bestUnseen(func(i int) float64 {
		nearest := math.Inf(1)
		for j, seen := range h.proposed {
			if seen {
				nearest = min(nearest, squaredL2(p.points[i], p.points[j]))
			}
		}
		return nearest
	})
}

// idleSteps counts the finished optimisation steps since the best score last rose. Sampling steps and failures leave it alone (B12).
func (p *boshnas) idleSteps(h *history) int { return idleSteps(p.steps, h) }

func idleSteps(steps []int, h *history) int {
	best, idle := math.Inf(-1), 0
	for _, r := range h.scored {
		_, optimised := slices.BinarySearch(steps, r.index)
		switch {
		case r.score > best:
			best, idle = r.score, 0
		case optimised:
			idle++
		}
	}
	return idle
}

// propose makes one step: optimisation, uncertainty sampling or diversity sampling.
func (p *boshnas) propose(ctx context.Context, h *history, a acquisition, number int) (Pick, error) {
	rng := stream(p.o.Seed, streamChoose, number)
	pick := Pick{Transfer: -1}
	switch u := rng.Float64(); {
	case u < p.b.diversity:
		pick.Index, pick.Why = h.randomUnseen(rng), "diversity"
	case u < p.b.diversity+p.b.uncertainty:
		pick.Index, pick.Why = h.bestUnseen(func(i int) float64 { return p.s.student.forward(p.points[i], nil) }), "uncertainty"
	default:
		queries, err := p.b.query.queries(ctx, a.expand, p.points, p.box, rng)
		if err != nil {
			return Pick{}, err
		}
		pick.Index, pick.Transfer = p.choose(queries, h, a)
		pick.Why = "optimise"
		if at, known := slices.BinarySearch(p.steps, pick.Index); !known {
			p.steps = slices.Insert(p.steps, at, pick.Index)
		}
	}
	if !p.b.transferOnly {
		pick.Transfer = p.o.transferSource(pick.Index, h)
	}
	belief := a.belief(p.points[pick.Index])
	pick.Predict = &belief
	return pick, nil
}

// choose takes the query with the best acquisition among those never proposed, under transferOnly first among those that can inherit
// weights. When all queries are known it takes the unseen neighbour of the best one, nearest in the embedding.
func (p *boshnas) choose(queries []int, h *history, a acquisition) (index, source int) {
	slices.SortStableFunc(queries, func(i, j int) int {
		if a.at(p.points[i]) < a.at(p.points[j]) {
			return -1
		} else if a.at(p.points[i]) > a.at(p.points[j]) {
			return 1
		}
		return 0
	})
	unseen := slices.DeleteFunc(slices.Clone(queries), func(i int) bool { return h.proposed[i] })
	if len(unseen) == 0 {
		x := p.points[queries[0]]
		return h.bestUnseen(func(i int) float64 { return -squaredL2(x, p.points[i]) }), -1
	}
	if p.b.transferOnly {
		for _, i := range unseen {
			if source := p.o.transferSource(i, h); source >= 0 {
				return i, source
			}
		}
	}
	return unseen[0], -1
}

// Beliefs evaluates the surrogates; nil before the first fit and for a position outside the library.
func (p *boshnas) Beliefs(indices []int) []Belief {
	if !p.fitted {
		return nil
	}
	a := acquisition{s: p.s, explore: p.b.explore}
	out := make([]Belief, len(indices))
	for n, i := range indices {
		if i < 0 || i >= len(p.points) {
			return nil
		}
		out[n] = a.belief(p.points[i])
	}
	return out
}
