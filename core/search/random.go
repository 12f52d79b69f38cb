package search

import (
	"context"
	"fmt"
)

// randomSearch proposes uniformly without replacement. Every draw has its own stream, so it carries no state.
type randomSearch struct {
	lib  *Library
	seed uint64
}

func (r *randomSearch) Name() string { return "random" }

func (r *randomSearch) Next(ctx context.Context, outcomes []Outcome) (Pick, error) {
	if err := ctx.Err(); err != nil {
		return Pick{}, err
	}
	h, err := readHistory(r.lib.Len(), outcomes)
	if err != nil {
		return Pick{}, fmt.Errorf("random search: %w", err)
	}
	if h.unseen == 0 {
		return Pick{}, ErrConverged
	}
	return Pick{Index: h.randomUnseen(stream(r.seed, streamChoose, len(outcomes))), Why: "random", Transfer: -1}, nil
}

func (r *randomSearch) State() ([]byte, error)         { return nil, nil }
func (r *randomSearch) Restore([]byte) error           { return nil }
func (r *randomSearch) Beliefs(indices []int) []Belief { return nil }
