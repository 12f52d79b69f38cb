package search

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// history is what the outcomes say, checked and sorted out.
type history struct {
	proposed []bool   // by library position: pending, scored or failed
	unseen   int      // number of positions never proposed
	scored   []result // in the order of proposal
	pending  int
	running  []bool    // by library position: pending
	measured []Outcome // with values of criteria
}

// result is a finished trial.
type result struct {
	index int
	score float64
}

// readHistory refuses positions outside the library and scores that are not finite.
func readHistory(size int, outcomes []Outcome) (*history, error) {
	h := &history{proposed: make([]bool, size), running: make([]bool, size), unseen: size}
	for i, o := range outcomes {
		if o.Index < 0 || o.Index >= size {
			return nil, fmt.Errorf("outcome %d is about position %d of a library of %d; it belongs to another library", i, o.Index, size)
		}
		if !h.proposed[o.Index] {
			h.proposed[o.Index] = true
			h.unseen--
		}
		if len(o.Values) > 0 {
			h.measured = append(h.measured, o)
		}
		switch {
		case o.Pending:
			h.pending++
			h.running[o.Index] = true
		case o.Score == nil: // failed
		case math.IsNaN(*o.Score) || math.IsInf(*o.Score, 0):
			return nil, fmt.Errorf("outcome %d (position %d) has score %v; mark the trial as failed instead", i, o.Index, *o.Score)
		default:
			h.scored = append(h.scored, result{o.Index, *o.Score})
		}
	}
	return h, nil
}

// informed counts the positions that tell something, or will: scored, measured and pending ones.
func (h *history) informed() int {
	positions := map[int]bool{}
	for _, r := range h.scored {
		positions[r.index] = true
	}
	for _, o := range h.measured {
		positions[o.Index] = true
	}
	for i, running := range h.running {
		if running {
			positions[i] = true
		}
	}
	return len(positions)
}

// randomUnseen draws uniformly from the positions never proposed; there must be one.
func (h *history) randomUnseen(rng *rand.Rand) int {
	skip := rng.IntN(h.unseen)
	for i, seen := range h.proposed {
		if seen {
			continue
		}
		if skip == 0 {
			return i
		}
		skip--
	}
	panic("unreachable: unseen counts the false entries of proposed")
}

// allUnseen lists the positions never proposed.
func (h *history) allUnseen() []int {
	out := make([]int, 0, h.unseen)
	for i, seen := range h.proposed {
		if !seen {
			out = append(out, i)
		}
	}
	return out
}

// bestScored are the n best results, best first, of equal ones the earlier.
func (h *history) bestScored(n int) []result {
	sorted := slices.Clone(h.scored)
	slices.SortStableFunc(sorted, func(a, b result) int { return cmp.Compare(b.score, a.score) })
	return sorted[:min(n, len(sorted))]
}

// bestUnseen is the unseen position with the largest value, -1 if all are proposed.
func (h *history) bestUnseen(value func(int) float64) int {
	best, at := math.Inf(-1), -1
	for i, seen := range h.proposed {
		if seen {
			continue
		}
		if v := value(i); at < 0 || v > best {
			best, at = v, i
		}
	}
	return at
}

func squaredL2(a, b []float64) float64 {
	var sum float64
	for i, ai := range a {
		d := ai - b[i]
		sum += d * d
	}
	return sum
}
