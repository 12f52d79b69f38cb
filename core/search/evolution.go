package search

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
)

// evolution is regularised (aging) evolution (Real et al. 2019, arXiv 1802.01548): the population is the latest scored architectures, the
// best of a random tournament is mutated by one edit, and the oldest make room. It depends on the outcomes alone and carries no state.
type evolution struct {
	lib *Library
	o   PolicyOptions
}

// embeddingNeighbours is how many nearest architectures stand for those one edit away when the library gives no edits.
const embeddingNeighbours = 12

func (e *evolution) Name() string { return "evolution" }

func (e *evolution) Next(ctx context.Context, outcomes []Outcome) (Pick, error) {
	if err := ctx.Err(); err != nil {
		return Pick{}, err
	}
	h, err := readHistory(e.lib.Len(), outcomes)
	if err != nil {
		return Pick{}, fmt.Errorf("evolution: %w", err)
	}
	if h.unseen == 0 {
		return Pick{}, ErrConverged
	}
	rng := stream(e.o.Seed, streamChoose, len(outcomes))
	if len(h.scored)+h.pending < e.o.Initial || len(h.scored) == 0 {
		return Pick{Index: h.randomUnseen(rng), Why: "initial", Transfer: -1}, nil
	}
	parent := e.tournament(h.scored, rng)
	child := e.mutate(parent, h, rng)
	return Pick{Index: child, Why: fmt.Sprintf("mutation of %d", parent), Transfer: e.o.transferSource(child, h)}, nil
}

// tournament draws from the living with replacement and returns the best; the younger wins among equals.
func (e *evolution) tournament(scored []result, rng *rand.Rand) int {
	alive := scored[max(0, len(scored)-e.o.Population):]
	winner := rng.IntN(len(alive))
	for range e.o.Tournament - 1 {
		i := rng.IntN(len(alive))
		if alive[i].score > alive[winner].score || alive[i].score == alive[winner].score && i > winner {
			winner = i
		}
	}
	return alive[winner].index
}

// mutate draws an unseen architecture one edit away, or the nearest unseen one in the embedding when all of these are known.
func (e *evolution) mutate(parent int, h *history, rng *rand.Rand) int {
	near := e.neighbours(parent)
	near = slices.DeleteFunc(near, func(i int) bool { return i < 0 || i >= len(h.proposed) || h.proposed[i] })
	if len(near) > 0 {
		return near[rng.IntN(len(near))]
	}
	x := e.lib.Embeddings[parent]
	return h.bestUnseen(func(i int) float64 { return -squaredL2(x, e.lib.Embeddings[i]) })
}

func (e *evolution) neighbours(parent int) []int {
	if e.o.Neighbours != nil {
		return slices.Clone(e.o.Neighbours(parent))
	}
	type near struct {
		index    int
		distance float64
	}
	x := e.lib.Embeddings[parent]
	all := make([]near, 0, e.lib.Len())
	for i, other := range e.lib.Embeddings {
		if i != parent {
			all = append(all, near{i, squaredL2(x, other)})
		}
	}
	slices.SortFunc(all, func(a, b near) int {
		switch {
		case a.distance != b.distance && a.distance < b.distance:
			return -1
		case a.distance != b.distance:
			return 1
		}
		return a.index - b.index
	})
	out := make([]int, 0, embeddingNeighbours)
	for _, n := range all[:min(embeddingNeighbours, len(all))] {
		out = append(out, n.index)
	}
	return out
}

func (e *evolution) State() ([]byte, error)         { return nil, nil }
func (e *evolution) Restore([]byte) error           { return nil }
func (e *evolution) Beliefs(indices []int) []Belief { return nil }
