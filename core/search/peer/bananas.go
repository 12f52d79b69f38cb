package peer

import (
	"math"
	"math/rand/v2"

	"flexi/core/search"
)

// Settings of BANANAS.
const (
	bananasNets       = 5
	bananasCandidates = 100
	bananasBatch      = 10 // proposals per ensemble
)

// newBananas is like BANANAS (White et al. 2021, arXiv 1910.11858): an ensemble of five networks on the choices, fitted anew after every ten
// results, rates a hundred mutations of the best architectures, and one normal draw per candidate with the ensemble's mean and deviation
// (independent Thompson sampling) chooses. Networks have three hidden layers of 20 instead of ten, choices are one-hot instead of paths.
func newBananas(lib *search.Library, seed uint64) search.Rule {
	changes, coding := NewChanges(lib), newOneHot(lib)
	var ensemble []*network
	fitted := 0
	return func(r *search.Results, rng *rand.Rand) (int, error) {
		if n := max(len(r.At)-len(r.At)%bananasBatch, min(len(r.At), bananasBatch)); n != fitted {
			ensemble, fitted = fitEnsemble(coding, r.At[:n], r.Scores[:n], fitStream(seed, n)), n
		}
		return argmax(mutations(r, changes, rng), rng, func(i int) float64 {
			y := make([]float64, len(ensemble))
			for k, net := range ensemble {
				y[k] = net.predict(coding.of(i))
			}
			mean, variance := moments(y)
			n := float64(len(y))
			return mean + rng.NormFloat64()*math.Sqrt(variance*n/(n-1))
		}), nil
	}
}

// mutations are unseen neighbours of the best results, best first, until there are a hundred; where there are none, any unseen architecture.
func mutations(r *search.Results, changes *Changes, rng *rand.Rand) []int {
	var out []int
	taken := map[int]bool{}
	for _, parent := range r.Best(len(r.At)) {
		near := unproposed(r, changes.Of(parent))
		for _, k := range rng.Perm(len(near)) {
			if i := near[k]; !taken[i] {
				taken[i] = true
				if out = append(out, i); len(out) == bananasCandidates {
					return out
				}
			}
		}
	}
	if len(out) == 0 {
		return r.Unseen()
	}
	return out
}

// fitEnsemble trains networks that differ in their first weights and the order of the results, on standardised scores.
func fitEnsemble(coding oneHot, at []int, scores []float64, rng *rand.Rand) []*network {
	x := make([][]int, len(at))
	for k, i := range at {
		x[k] = coding.of(i)
	}
	y := standardise(scores)
	nets := make([]*network, bananasNets)
	for k := range nets {
		nets[k] = newNetwork(coding.width, rng)
		nets[k].train(x, y, rng)
	}
	return nets
}

// oneHot numbers the values of all choices, absence included.
type oneHot struct {
	codes  [][]int
	offset []int
	width  int
}

func newOneHot(lib *search.Library) oneHot {
	o := oneHot{codes: lib.Codes}
	for _, f := range lib.Features {
		o.offset = append(o.offset, o.width)
		o.width += f.Values + 1
	}
	return o
}

// of lists the inputs that are 1.
func (o oneHot) of(i int) []int {
	on := make([]int, len(o.offset))
	for f, c := range o.codes[i] {
		on[f] = o.offset[f] + c
	}
	return on
}
