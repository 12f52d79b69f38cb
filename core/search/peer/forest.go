package peer

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat"

	"flexi/core/search"
)

// Defaults of SMAC3's facade for hyperparameters.
const (
	forestTrees    = 10
	forestQuantile = 0.05
)

// newForest is SMAC (Hutter et al. 2011; SMAC3 2.4, HyperparameterOptimizationFacade): the largest expected improvement under a forest of 10 trees
// of bootstrap samples, of logarithms of scaled costs. It looks at all unseen architectures where SMAC samples and climbs, and of equal ones takes
// a random one. The initial set is ten random ones as for every peer, not a Sobol design, and SMAC's random proposals in between (one in five) are
// left out: with them it measured no better.
func newForest(lib *search.Library, _ uint64) search.Rule {
	return func(r *search.Results, rng *rand.Rand) (int, error) {
		codes := make([][]int, len(r.At))
		for k, i := range r.At {
			codes[k] = lib.Codes[i]
		}
		costs := logCosts(r.Scores)
		forest := make([]*tree, forestTrees)
		for k := range forest {
			drawn, y := bootstrap(codes, costs, rng)
			forest[k] = grow(lib.Features, drawn, y, rng)
		}
		least := slices.Min(costs)
		return argmax(r.Unseen(), rng, func(i int) float64 {
			mean, variance := predictForest(forest, lib.Codes[i])
			return logNormalImprovement(least, mean, variance)
		}), nil
	}
}

// logCosts are log((c - low) / (max c - low)) of the costs c = -score. The lower end, low = min c - (q - min c) with q the 5% quantile, is below
// all costs.
func logCosts(scores []float64) []float64 {
	costs := make([]float64, len(scores))
	for k, s := range scores {
		costs[k] = -s
	}
	sorted := slices.Sorted(slices.Values(costs))
	least, most := sorted[0], sorted[len(sorted)-1]
	low := least - (stat.Quantile(forestQuantile, stat.LinInterp, sorted, nil) - least) - 1e-10
	for k, c := range costs {
		costs[k] = math.Log((c - low) / (most - low))
	}
	return costs
}

// logNormalImprovement is E max(0, exp(least) - exp(y)) of a normal y, and 0 where its variance is 0:
//
//	exp(least) Phi(u) - exp(mean + variance/2) Phi(u - sd), u = (least - mean)/sd
func logNormalImprovement(least, mean, variance float64) float64 {
	if variance == 0 {
		return 0
	}
	sd := math.Sqrt(variance)
	u := (least - mean) / sd
	return math.Exp(least)*below(u) - math.Exp(mean+variance/2)*below(u-sd)
}

// below is the standard normal distribution function.
func below(x float64) float64 { return 0.5 * math.Erfc(-x/math.Sqrt2) }

// bootstrap draws as many rows as there are, with replacement.
func bootstrap(codes [][]int, scores []float64, rng *rand.Rand) (drawn [][]int, y []float64) {
	for range codes {
		k := rng.IntN(len(codes))
		drawn, y = append(drawn, codes[k]), append(y, scores[k])
	}
	return drawn, y
}

// predictForest is the mean and, by the law of total variance, the variance.
func predictForest(forest []*tree, codes []int) (mean, variance float64) {
	means := make([]float64, len(forest))
	var within float64
	for k, t := range forest {
		leaf := t.leaf(codes)
		means[k] = leaf.mean
		within += leaf.spread / float64(len(forest))
	}
	mean, between := moments(means)
	return mean, between + within
}

// argmax is the position of the largest value, of equal ones a random one.
func argmax(positions []int, rng *rand.Rand, value func(i int) float64) int {
	best, top := -1, math.Inf(-1)
	for _, k := range rng.Perm(len(positions)) {
		if v := value(positions[k]); best < 0 || v > top {
			best, top = positions[k], v
		}
	}
	return best
}
