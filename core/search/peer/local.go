package peer

import (
	"math/rand/v2"

	"flexi/core/search"
)

// newLocal is local search (White et al. 2021, arXiv 2005.02960, and their code's 10 initial draws): from the best of ten random architectures it looks at
// every neighbour, moves to the best while that is better, and starts again from ten others at a local optimum.
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
	for {
		if len(r.At)-next < initial {
			return nil
		}
		at := r.At[next]
		for range initial {
			i := r.At[next]
			if score[i] = r.Scores[next]; score[i] > score[at] {
				at = i
			}
			next++
		}
		for better := true; better; {
			near := changes.Of(at)
			next = look(r, next, near, score)
			if open = unproposed(r, near); len(open) > 0 {
				return open
			}
			better = false
			for _, i := range near {
				if s, ok := score[i]; ok && s > score[at] {
					at, better = i, true
				}
			}
		}
	}
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
