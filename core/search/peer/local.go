package peer

import (
	"math/rand/v2"

	"flexi/core/search"
)

// newLocal is local search (White et al. 2021, arXiv 2005.02960, and their code's 10 initial draws): from the best of ten random architectures it
// looks at every neighbour, moves to the best while that is better, and starts again from ten others at a local optimum.
func newLocal(lib *search.Library, _ uint64) search.Rule {
	changes := NewChanges(lib)
	return func(r *search.Results, rng *rand.Rand) (int, error) {
		open := climb(r, changes)
		if len(open) == 0 {
			return r.RandomUnseen(rng), nil
		}
		return open[rng.IntN(len(open))], nil
	}
}

// climb follows the search through the results and lists the unseen neighbours of where it stands; none if it waits for random architectures.
func climb(r *search.Results, changes *Changes) (open []int) {
	score := map[int]float64{}
	next := 0
	for len(r.At)-next >= initial {
		for k := next; k < next+initial; k++ {
			score[r.At[k]] = r.Scores[k]
		}
		at, _ := bestOf(r.At[next:next+initial], score, r.At[next])
		next += initial
		for better := true; better; {
			near := changes.Of(at)
			next = look(r, next, near, score)
			if open = unproposed(r, near); len(open) > 0 {
				return open
			}
			at, better = bestOf(near, score, at)
		}
	}
	return nil
}

// bestOf is the position with the best known score, from at unless another is better.
func bestOf(positions []int, score map[int]float64, at int) (best int, better bool) {
	best = at
	for _, i := range positions {
		if s, known := score[i]; known && s > score[best] {
			best, better = i, true
		}
	}
	return best, better
}

// look learns the scores of neighbours that follow in the results, and returns where the rest begins.
func look(r *search.Results, next int, near []int, score map[int]float64) int {
	unknown := map[int]bool{}
	for _, i := range near {
		if _, known := score[i]; !known {
			unknown[i] = true
		}
	}
	for next < len(r.At) && unknown[r.At[next]] {
		score[r.At[next]] = r.Scores[next]
		delete(unknown, r.At[next])
		next++
	}
	return next
}

func unproposed(r *search.Results, positions []int) (open []int) {
	for _, i := range positions {
		if !r.Proposed(i) {
			open = append(open, i)
		}
	}
	return open
}
