package search

import (
	"math"
	"math/rand/v2"
	"slices"
)

// lloydRounds bounds the refinement of the initial set's centres.
const lloydRounds = 12

// spreadDesign chooses k points that represent the set: the points nearest to the centres of k-means, seeded by k-means++, in the order
// of their clusters' first draw. It costs lloydRounds * len(points) * k distances.
func spreadDesign(points [][]float64, k int, rng *rand.Rand) []int {
	centres := seedCentres(points, k, rng)
	owner := make([]int, len(points))
	for range lloydRounds {
		if !assign(points, centres, owner) {
			break
		}
		recentre(points, centres, owner)
	}
	var design []int
	for _, c := range centres {
		best, at := math.Inf(1), -1
		for i, x := range points {
			if d := squaredL2(x, c); d < best && !slices.Contains(design, i) {
				best, at = d, i
			}
		}
		design = append(design, at)
	}
	return design
}

// seedCentres draws the first centre uniformly and the others with probability proportional to the squared distance to the nearest centre.
func seedCentres(points [][]float64, k int, rng *rand.Rand) [][]float64 {
	centres := [][]float64{slices.Clone(points[rng.IntN(len(points))])}
	distance := make([]float64, len(points))
	for i := range distance {
		distance[i] = math.Inf(1)
	}
	for len(centres) < k {
		var total float64
		for i, x := range points {
			distance[i] = min(distance[i], squaredL2(x, centres[len(centres)-1]))
			total += distance[i]
		}
		at, left := len(points)-1, rng.Float64()*total
		for i, d := range distance {
			if left -= d; left < 0 {
				at = i
				break
			}
		}
		centres = append(centres, slices.Clone(points[at]))
	}
	return centres
}

// assign gives every point to its nearest centre and reports whether anything changed.
func assign(points, centres [][]float64, owner []int) bool {
	changed := false
	for i, x := range points {
		best, at := math.Inf(1), 0
		for c, centre := range centres {
			if d := squaredL2(x, centre); d < best {
				best, at = d, c
			}
		}
		if owner[i] != at {
			owner[i], changed = at, true
		}
	}
	return changed
}

// recentre moves every centre to the mean of its points; one without points stays.
func recentre(points, centres [][]float64, owner []int) {
	count := make([]float64, len(centres))
	sum := make([][]float64, len(centres))
	for c := range sum {
		sum[c] = make([]float64, len(points[0]))
	}
	for i, x := range points {
		count[owner[i]]++
		addScaled(sum[owner[i]], 1, x)
	}
	for c := range centres {
		if count[c] > 0 {
			clear(centres[c])
			addScaled(centres[c], 1/count[c], sum[c])
		}
	}
}
