package search

import (
	"context"
	"fmt"
	"math/rand/v2"
)

// Results are what a Rule decides from.
type Results struct {
	// At are the library positions of the scored outcomes in the order of proposal, Scores their scores: higher is better.
	At     []int
	Scores []float64

	history *history
}

// Proposed reports whether position i is among the outcomes, whatever became of it.
func (r *Results) Proposed(i int) bool { return r.history.proposed[i] }

// Unseen lists the positions never proposed; there is at least one.
func (r *Results) Unseen() []int { return r.history.allUnseen() }

// RandomUnseen draws uniformly from the positions never proposed.
func (r *Results) RandomUnseen(rng *rand.Rand) int { return r.history.randomUnseen(rng) }

// Best are the positions of the n best results, best first, of equal ones the earlier.
func (r *Results) Best(n int) []int {
	out := make([]int, 0, n)
	for _, b := range r.history.bestScored(n) {
		out = append(out, b.index)
	}
	return out
}

// Rule chooses an unseen position from results, of which there are as many as the initial set has. It must depend on nothing else but the generator
// and what it can work out from them again.
type Rule func(r *Results, rng *rand.Rand) (index int, err error)

// rulePolicy is a random initial set followed by a rule. It depends on the outcomes alone and carries no state.
type rulePolicy struct {
	name    string
	lib     *Library
	seed    uint64
	initial int
	rule    Rule
}

// NewRulePolicy makes a policy that proposes initial random architectures and then follows a rule; a library that no policy can use is an error.
func NewRulePolicy(name string, lib *Library, seed uint64, initial int, rule Rule) (Policy, error) {
	if err := checkLibrary(lib); err != nil {
		return nil, fmt.Errorf("make policy %s: %w", name, err)
	}
	return &rulePolicy{name, lib, seed, initial, rule}, nil
}

func (p *rulePolicy) Name() string { return p.name }

func (p *rulePolicy) Next(ctx context.Context, outcomes []Outcome) (Pick, error) {
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
	rng := stream(p.seed, streamChoose, len(outcomes))
	if len(h.scored)+h.pending < p.initial || len(h.scored) == 0 {
		return Pick{Index: h.randomUnseen(rng), Why: "initial", Transfer: -1}, nil
	}
	r := &Results{history: h}
	for _, s := range h.scored {
		r.At, r.Scores = append(r.At, s.index), append(r.Scores, s.score)
	}
	index, err := p.rule(r, rng)
	if err != nil {
		return Pick{}, fmt.Errorf("%s: %w", p.name, err)
	}
	return Pick{Index: index, Why: "optimise", Transfer: -1}, nil
}

func (p *rulePolicy) State() ([]byte, error) { return nil, nil }
func (p *rulePolicy) Restore([]byte) error   { return nil }
func (p *rulePolicy) Beliefs([]int) []Belief { return nil }
