package search

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
)

// PolicyOptions are the settings of a policy that the user or the run decides; zero values take the defaults.
type PolicyOptions struct {
	Seed uint64
	// Initial is the number of architectures that are trained before a surrogate is first asked, or a parent chosen: 10 by default, 6 for boshnas.
	Initial int
	// Patience is the number of optimisation steps without a better score after which BOSHNAS counts aleatoric uncertainty in; after as
	// many again it has converged. 5 by default, negative never converges.
	Patience int
	// Perfect is the score of a faultless model, which the paper's target 1 - score is measured from: 100 by default.
	Perfect float64
	// Overlap is the share of a query's weights that a trained architecture can give it; nil rules weight transfer out.
	Overlap func(query, source int) float64
	// Threshold is the smallest overlap that is used: 0.8 by default.
	Threshold float64
	// Acquisition weighs exploration, where a policy has such weights.
	Acquisition AcquisitionConfig
	// FirstOrder replaces AdaHessian by gradient descent in BOSHNAS, the paper's ablation.
	FirstOrder bool
	// Criteria are what counts beside the score; only boshnas knows them.
	Criteria []Criterion
	// Neighbours lists the architectures one edit away, for evolution; nil takes the nearest in the embedding.
	Neighbours func(index int) []int
	// Population and Tournament size evolution: 30 and 10 by default, as in naszilla (White et al. 2021), whose budgets are as small.
	Population, Tournament int
}

func (o PolicyOptions) withDefaults() PolicyOptions {
	setDefault(&o.Initial, 10)
	setDefault(&o.Patience, 5)
	setDefault(&o.Perfect, 100)
	setDefault(&o.Threshold, 0.8)
	setDefault(&o.Population, 30)
	setDefault(&o.Tournament, 10)
	return o
}

func setDefault[T int | float64](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

var policies = map[string]func(*Library, PolicyOptions) Policy{
	gpPolicy:        func(l *Library, o PolicyOptions) Policy { return newBoshnasGP(l, o, standardGP()) },
	"boshnas-net":   func(l *Library, o PolicyOptions) Policy { return newBoshnas("boshnas-net", l, o, standardBoshnas()) },
	"boshnas-paper": func(l *Library, o PolicyOptions) Policy { return newBoshnas("boshnas-paper", l, o, paperBoshnas()) },
	"random":        func(l *Library, o PolicyOptions) Policy { return &randomSearch{lib: l, seed: o.Seed} },
	"evolution":     func(l *Library, o PolicyOptions) Policy { return &evolution{lib: l, o: o} },
}

// PolicyNames lists what NewPolicy knows, sorted.
func PolicyNames() []string {
	names := make([]string, 0, len(policies))
	for name := range policies {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// NewPolicy makes a policy for a library; an unknown name, an empty library or one with unequal embeddings is an error.
func NewPolicy(name string, lib *Library, o PolicyOptions) (Policy, error) {
	build, ok := policies[name]
	if !ok {
		return nil, fmt.Errorf("there is no search policy %q; policies are %s", name, strings.Join(PolicyNames(), ", "))
	}
	if err := checkLibrary(lib); err != nil {
		return nil, fmt.Errorf("make policy %s: %w", name, err)
	}
	if o.Initial < 0 || o.Population < 0 || o.Tournament < 0 {
		return nil, fmt.Errorf("make policy %s: initial %d, population %d, tournament %d: none may be negative", name, o.Initial, o.Population, o.Tournament)
	}
	if err := checkCriteria(o.Criteria, lib.Len()); err != nil {
		return nil, fmt.Errorf("make policy %s: %w", name, err)
	}
	if name == gpPolicy {
		setDefault(&o.Initial, gpInitial)
	}
	return build(lib, o.withDefaults()), nil
}

func checkLibrary(lib *Library) error {
	if lib == nil || lib.Len() == 0 {
		return errors.New("the library is empty; check the design space")
	}
	if len(lib.Embeddings) != lib.Len() || len(lib.Embeddings[0]) == 0 {
		return fmt.Errorf("the library has %d architectures and %d embeddings; embed it first", lib.Len(), len(lib.Embeddings))
	}
	for i, e := range lib.Embeddings {
		if len(e) != len(lib.Embeddings[0]) {
			return fmt.Errorf("embedding %d has %d dimensions, the first has %d", i, len(e), len(lib.Embeddings[0]))
		}
		for _, v := range e {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return fmt.Errorf("embedding %d is not finite: %v", i, e)
			}
		}
	}
	return nil
}

// Purposes of random streams: each draws from its own, numbered by the proposal, so that what one consumes never shifts another and a
// resumed search needs no stored generator.
const (
	streamWeights uint64 = iota + 1
	streamDesign
	streamFit
	streamChoose
)

func stream(seed, purpose uint64, number int) *rand.Rand {
	return rand.New(rand.NewPCG(seed, purpose<<48|uint64(number)))
}

// transferSource is the scored architecture with the largest overlap that reaches the threshold (the better score among equals), or -1.
func (o PolicyOptions) transferSource(query int, h *history) int {
	if o.Overlap == nil {
		return -1
	}
	source, overlap, score := -1, o.Threshold, 0.0
	for _, r := range h.scored {
		v := o.Overlap(query, r.index)
		if v > overlap || v == overlap && (source < 0 || r.score > score) {
			source, overlap, score = r.index, v, r.score
		}
	}
	return source
}
