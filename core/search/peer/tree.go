package peer

import (
	"cmp"
	"math/rand/v2"
	"slices"

	"flexi/core/search"
)

// tree is a regression tree over codes.
type tree struct {
	feature      int
	left         []bool  // of values: whether they go left
	yes, no      *tree   // nil in a leaf
	mean, spread float64 // of a leaf: mean and variance of its scores
}

// grow splits rows, each a vector of codes with a score, until the scores of a leaf are equal or nothing tells its rows apart.
func grow(features []search.Feature, codes [][]int, scores []float64, rng *rand.Rand) *tree {
	t := &tree{}
	t.mean, t.spread = moments(scores)
	if t.spread == 0 {
		return t
	}
	s, ok := bestSplit(features, codes, scores, rng)
	if !ok {
		return t
	}
	t.feature, t.left = s.feature, s.left
	var rows [2][][]int
	var parts [2][]float64
	for i, c := range codes {
		side := 1
		if s.left[c[s.feature]] {
			side = 0
		}
		rows[side], parts[side] = append(rows[side], c), append(parts[side], scores[i])
	}
	t.yes, t.no = grow(features, rows[0], parts[0], rng), grow(features, rows[1], parts[1], rng)
	return t
}

// leaf is where a vector of codes ends.
func (t *tree) leaf(codes []int) *tree {
	for t.yes != nil {
		if t.left[codes[t.feature]] {
			t = t.yes
		} else {
			t = t.no
		}
	}
	return t
}

type splitting struct {
	feature int
	left    []bool
	gain    float64 // reduction of the sum of squares
}

// bestSplit is the cut that reduces the sum of squares most, of equal ones that of a random feature.
func bestSplit(features []search.Feature, codes [][]int, scores []float64, rng *rand.Rand) (best splitting, ok bool) {
	for _, f := range rng.Perm(len(features)) {
		if s, found := cut(f, features[f], codes, scores, rng); found && (!ok || s.gain > best.gain) {
			best, ok = s, true
		}
	}
	return best, ok
}

// cut finds the best cut of a feature's values, ordered by themselves if they are ordinal, else by the mean score, among whose cuts the best of all
// subsets is (Breiman et al. 1984). Values that no row has go to a random side.
func cut(f int, feature search.Feature, codes [][]int, scores []float64, rng *rand.Rand) (best splitting, ok bool) {
	size := feature.Values + 1 // the last is absence
	count, sum := make([]int, size), make([]float64, size)
	mean, _ := moments(scores)
	for i, c := range codes {
		count[c[f]]++
		sum[c[f]] += scores[i] - mean
	}
	var values []int
	for v, n := range count {
		if n > 0 {
			values = append(values, v)
		}
	}
	if !feature.Ordinal {
		slices.SortStableFunc(values, func(a, b int) int {
			return cmp.Compare(sum[a]/float64(count[a]), sum[b]/float64(count[b]))
		})
	}
	n, total, at := 0, 0.0, -1
	for k, v := range values[:max(0, len(values)-1)] {
		n, total = n+count[v], total+sum[v]
		gain := total * total * (1/float64(n) + 1/float64(len(scores)-n))
		if at < 0 || gain > best.gain {
			at, best.gain = k, gain
		}
	}
	if at < 0 {
		return best, false
	}
	best.feature, best.left = f, make([]bool, size)
	for v := range best.left {
		best.left[v] = count[v] == 0 && rng.IntN(2) == 0
	}
	for _, v := range values[:at+1] {
		best.left[v] = true
	}
	return best, true
}

// moments are the mean and the population variance.
func moments(x []float64) (mean, variance float64) {
	for _, v := range x {
		mean += v
	}
	mean /= float64(len(x))
	for _, v := range x {
		variance += (v - mean) * (v - mean)
	}
	return mean, variance / float64(len(x))
}
