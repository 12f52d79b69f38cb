package search

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
)

// finer is a NextLibrary for tests: 8 new architectures per level and the best of the level above, whose name they carry.
func finer(_ context.Context, level int, lib *Library, outcomes []Outcome) (*Library, error) {
	best := -1
	for i, o := range outcomes {
		if o.Score != nil && (best < 0 || *o.Score > *outcomes[best].Score) {
			best = i
		}
	}
	if best < 0 {
		return &Library{}, nil
	}
	parent := lib.Hashes[outcomes[best].Index]
	next := syntheticLibrary(9, 3)
	next.Index = map[string]int{}
	for i := range 9 {
		next.Hashes[i] = fmt.Sprintf("%s/%d.%d", parent, level, i)
	}
	next.Hashes[4] = parent
	for i, h := range next.Hashes {
		next.Index[h] = i
	}
	return next, nil
}

func newTestHierarchy(t *testing.T, policy string, budgets ...int) *Hierarchy {
	t.Helper()
	h, err := NewHierarchy(syntheticLibrary(20, 3), budgets, func(level int, lib *Library) (Policy, error) {
		return quickPolicy(t, policy, lib, PolicyOptions{Seed: uint64(level), Initial: 3, Patience: -1}), nil
	}, finer)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// run proposes and scores n trials; the score is the order of proposal on level 1 and falls afterwards.
func (h *Hierarchy) run(t *testing.T, outcomes []LevelOutcome, n int) []LevelOutcome {
	t.Helper()
	for range n {
		pick, err := h.Next(context.Background(), outcomes, nil)
		if err != nil {
			t.Fatalf("after %d trials: %v", len(outcomes), err)
		}
		score := float64(len(outcomes))
		if pick.Level > 1 {
			score = -score
		}
		outcomes = append(outcomes, LevelOutcome{pick.Level, scored(pick.Index, score)})
	}
	return outcomes
}

func TestHierarchyClimbs(t *testing.T) {
	h := newTestHierarchy(t, "random", 4, 3, 20)
	outcomes := h.run(t, nil, 4)
	// The level does not change before its last trial has ended.
	waiting := slices.Clone(outcomes)
	waiting[1].Pending, waiting[1].Score = true, nil
	if _, err := h.Next(context.Background(), waiting, nil); !errors.Is(err, ErrWait) || h.Level() != 1 {
		t.Fatalf("with a trial in training: %v at level %d", err, h.Level())
	}
	outcomes = h.run(t, outcomes, 3)
	if h.Level() != 2 || outcomes[3].Level != 1 || outcomes[4].Level != 2 {
		t.Fatalf("level %d after the first budget: %+v", h.Level(), outcomes)
	}
	// The best of level 1 is in every later library and known there, so it is never trained again.
	best := h.Library(1).Hashes[outcomes[3].Index]
	if h.Library(2).Hashes[4] != best {
		t.Fatalf("level 2 was made from %s, want %s", h.Library(2).Hashes[4], best)
	}
	outcomes = h.run(t, outcomes, 8) // level 3 has 9 architectures, one of them known
	for _, o := range outcomes[4:] {
		if h.Library(o.Level).Hashes[o.Index] == best {
			t.Errorf("%s was trained again at level %d", best, o.Level)
		}
	}
	if _, err := h.Next(context.Background(), outcomes, nil); !errors.Is(err, ErrConverged) {
		t.Errorf("the last library is used up: %v", err)
	}
	if got := Best(outcomes); got != 3 {
		t.Errorf("the best of all levels is trial %d, want 3", got)
	}
	if h.Library(4) != nil || h.Policy(0) != nil || h.Policy(3) == nil {
		t.Error("levels out of range, or the present one, are wrong")
	}
}

func TestHierarchyEndsWithoutParents(t *testing.T) {
	h := newTestHierarchy(t, "random", 2, 2)
	outcomes := []LevelOutcome{{1, Outcome{Index: 3}}, {1, Outcome{Index: 4}}} // both failed
	if _, err := h.Next(context.Background(), outcomes, nil); !errors.Is(err, ErrConverged) || h.Level() != 1 {
		t.Errorf("nothing to cross over: %v at level %d", err, h.Level())
	}
	if Best(outcomes) != -1 {
		t.Error("there is a best among failures")
	}
}

func TestHierarchyResumesExactly(t *testing.T) {
	h := newTestHierarchy(t, "boshnas", 5, 6)
	var outcomes []LevelOutcome
	for range 11 {
		if len(outcomes) == 2 {
			outcomes[0].Score, outcomes[1].Score = new(float64), nil // a score of 0 and a failure
		}
		state, err := h.State()
		if err != nil {
			t.Fatal(err)
		}
		other := newTestHierarchy(t, "boshnas", 5, 6)
		if err := other.Restore(context.Background(), state); err != nil {
			t.Fatal(err)
		}
		if len(outcomes) == 8 { // one of level 1 that had failed is tried again, and is the best, when level 2 is under way
			outcomes[1].Score = new(float64)
			*outcomes[1].Score = 1000
		}
		again := other.run(t, outcomes, 1)
		outcomes = h.run(t, outcomes, 1)
		if a, b := again[len(again)-1], outcomes[len(outcomes)-1]; a.Level != b.Level || a.Index != b.Index {
			t.Fatalf("trial %d: %+v, resumed %+v", len(outcomes), b, a)
		}
	}
	if h.Level() != 2 {
		t.Errorf("level %d", h.Level())
	}
	state, _ := h.State()
	if err := newTestHierarchy(t, "boshnas", 5).Restore(context.Background(), state); err == nil {
		t.Error("a state of two levels was restored into one")
	}
}

func TestLevelBudgets(t *testing.T) {
	for _, c := range []struct {
		trials int
		shares []float64
		want   []int
	}{
		{24, []float64{0.6, 0.25, 0.15}, []int{14, 6, 4}},
		{12, []float64{0.7, 0.3}, []int{8, 4}},
		{2, []float64{0.6, 0.2, 0.2}, []int{1, 1, 0}},
		{3, []float64{0.9, 0.05, 0.05}, []int{1, 1, 1}},
		{7, []float64{1}, []int{7}},
		{0, []float64{0.5, 0.5}, []int{0, 0}},
	} {
		got := LevelBudgets(c.trials, c.shares)
		sum := 0
		for _, b := range got {
			sum += b
		}
		if sum != c.trials || !slices.Equal(got, c.want) {
			t.Errorf("%d trials by %v: %v, want %v", c.trials, c.shares, got, c.want)
		}
	}
}
