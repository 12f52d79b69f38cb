package peer

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"flexi/core/search"
)

// Defaults of TPESampler in Optuna 4.
const (
	tpeCandidates  = 24
	tpeBelowShare  = 0.1
	tpeBelowLimit  = 25
	tpePriorWeight = 1
	tpeRecent      = 25 // results of full weight
)

// newTPE is the tree-structured Parzen estimator (Bergstra et al. 2011) with the defaults of TPESampler in Optuna 4, independent per choice: of 24
// values drawn from the density l of the best tenth of the results, the one with the largest l/g, g being the density of the others. Ordinal
// choices that every architecture has are integers, the others categories, to which absence belongs.
//
// What it asks for may be known, or not be in the library: the unseen architecture that differs least takes its place, of equal ones a random one.
func newTPE(lib *search.Library, _ uint64) search.Rule {
	sizes := make([]int, len(lib.Features))
	integer := make([]bool, len(lib.Features))
	for f, feature := range lib.Features {
		absent := slices.ContainsFunc(lib.Codes, func(codes []int) bool { return codes[f] == feature.Values })
		integer[f] = feature.Ordinal && !absent
		if sizes[f] = feature.Values; absent {
			sizes[f]++
		}
	}
	return func(r *search.Results, rng *rand.Rand) (int, error) {
		below, above := split(r)
		want := make([]int, len(sizes))
		for f := range want {
			good := parzen(observed(lib, below, f), sizes[f], integer[f])
			bad := parzen(observed(lib, above, f), sizes[f], integer[f])
			want[f] = bestRatio(good, bad, rng)
		}
		return argmax(r.Unseen(), rng, func(i int) float64 { return -float64(hamming(want, lib.Codes[i])) }), nil
	}
}

// split parts the results into the best min(ceil(0.1 n), 25) and the others, both in the order of proposal.
func split(r *search.Results) (below, above []int) {
	n := len(r.At)
	order := make([]int, n)
	for k := range order {
		order[k] = k
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(r.Scores[b], r.Scores[a]) })
	good := order[:min(int(math.Ceil(tpeBelowShare*float64(n))), tpeBelowLimit)]
	for k, at := range r.At {
		if slices.Contains(good, k) {
			below = append(below, at)
		} else {
			above = append(above, at)
		}
	}
	return below, above
}

func observed(lib *search.Library, at []int, f int) []int {
	values := make([]int, len(at))
	for k, i := range at {
		values[k] = lib.Codes[i][f]
	}
	return values
}

// bestRatio draws values from l and returns the one with the largest l/g, of equal ones the first.
func bestRatio(l, g []float64, rng *rand.Rand) int {
	best := -1
	for range tpeCandidates {
		v, left := 0, rng.Float64()-l[0]
		for left >= 0 && v < len(l)-1 {
			v++
			left -= l[v]
		}
		if best < 0 || l[v]*g[best] > l[best]*g[v] {
			best = v
		}
	}
	return best
}

// parzen is the probability of every value of a choice given observations, the prior counting as one more of weight 1.
func parzen(observations []int, size int, integer bool) []float64 {
	weights := append(ageWeights(len(observations)), tpePriorWeight)
	var total float64
	for _, w := range weights {
		total += w
	}
	p := make([]float64, size)
	add := func(k int, kernel []float64) {
		for v, q := range kernel {
			p[v] += weights[k] / total * q
		}
	}
	var means, sigmas []float64
	if integer {
		means, sigmas = kernels(observations, size)
	}
	for k := range weights {
		switch {
		case integer:
			add(k, truncatedNormal(means[k], sigmas[k], size))
		case k < len(observations):
			add(k, category(observations[k], len(weights), size))
		default:
			add(k, category(-1, len(weights), size))
		}
	}
	return p
}

// ageWeights are 1 for the 25 latest observations and rise from 1/n to 1 for those before.
func ageWeights(n int) []float64 {
	w := make([]float64, n)
	ramp := n - tpeRecent
	for k := range w {
		w[k] = 1
		if k < ramp && ramp > 1 {
			first := 1 / float64(n)
			w[k] = first + (1-first)*float64(k)/float64(ramp-1)
		} else if k < ramp {
			w[k] = 1 / float64(n)
		}
	}
	return w
}

// category is the smoothed indicator of a value among kernels of a mixture; -1 is the prior.
func category(value, kernels, size int) []float64 {
	share := tpePriorWeight / float64(kernels)
	total := share * float64(size)
	if value >= 0 {
		total++
	}
	p := make([]float64, size)
	for v := range p {
		p[v] = share / total
	}
	if value >= 0 {
		p[value] += 1 / total
	}
	return p
}

// kernels are means and deviations of the observations' normal kernels and, last, of the prior's, on values 0 to size-1: a deviation is the larger
// of the distances to the neighbours, at least the range's min(100, kernels + 1)-th part. The ends of the range are no neighbours.
func kernels(observations []int, size int) (means, sigmas []float64) {
	low, high := -0.5, float64(size)-0.5
	width := high - low
	for _, v := range observations {
		means = append(means, float64(v))
	}
	means = append(means, (low+high)/2)
	n := len(means)
	order := make([]int, n)
	for k := range order {
		order[k] = k
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(means[a], means[b]) })
	sigmas = make([]float64, n)
	smallest := width / math.Min(100, float64(1+n))
	for s, k := range order {
		var left, right float64
		switch {
		case n == 1:
			left = width
		case s == 0:
			right = means[order[1]] - means[k]
		case s == n-1:
			left = means[k] - means[order[s-1]]
		default:
			left, right = means[k]-means[order[s-1]], means[order[s+1]]-means[k]
		}
		sigmas[k] = min(max(left, right, smallest), width)
	}
	sigmas[n-1] = width
	return means, sigmas
}

// truncatedNormal is the probability of 0 to size-1 when a normal variable within [-0.5, size-0.5] is rounded.
func truncatedNormal(mean, sigma float64, size int) []float64 {
	below := func(x float64) float64 { return 0.5 * math.Erfc(-(x-mean)/(sigma*math.Sqrt2)) }
	p := make([]float64, size)
	inside := below(float64(size)-0.5) - below(-0.5)
	for v := range p {
		p[v] = (below(float64(v)+0.5) - below(float64(v)-0.5)) / inside
	}
	return p
}
