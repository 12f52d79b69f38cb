package search

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// inParallel proposes and ends trainings as a number of workers would, in a random order: one in twenty fails, one in ten is stopped after its criteria were
// measured. It fails the test when an architecture is proposed twice over all levels, and returns the outcomes.
func inParallel(t *testing.T, workers, proposals int, next func([]LevelOutcome) (LevelPick, error), hash func(LevelPick) string, score func(LevelPick) float64) []LevelOutcome {
	t.Helper()
	rng := rand.New(rand.NewPCG(8, 8))
	var outcomes []LevelOutcome
	var busy []int
	scores := map[int]float64{}
	seen := map[string]int{}
	end := func() {
		n := rng.IntN(len(busy))
		at := busy[n]
		busy[n] = busy[len(busy)-1]
		busy = busy[:len(busy)-1]
		o := &outcomes[at]
		o.Pending, o.Values = false, []float64{1 + float64(o.Index%7)}
		switch v := scores[at]; {
		case rng.IntN(20) == 0:
			o.Values = nil
		case rng.IntN(10) > 0:
			o.Score = &v
		}
	}
	for len(outcomes) < proposals {
		if len(busy) == workers {
			end()
		}
		pick, err := next(outcomes)
		if errors.Is(err, ErrWait) {
			require.NotEmpty(t, busy, "waits for nothing")
			end()
			continue
		}
		require.NoError(t, err, "after %d", len(outcomes))
		h := hash(pick)
		if at, again := seen[h]; again {
			t.Fatalf("proposal %d is proposal %d again: %s", len(outcomes), at, h)
		}
		seen[h] = len(outcomes)
		scores[len(outcomes)] = score(pick)
		busy = append(busy, len(outcomes))
		outcomes = append(outcomes, LevelOutcome{pick.Level, Outcome{Index: pick.Index, Pending: true}})
	}
	return outcomes
}

// parallel runs a policy with eight workers on all architectures of five choices.
func parallel(t *testing.T, policy string, proposals int, criteria []Criterion) {
	t.Helper()
	lib, scores := choices()
	p, err := NewPolicy(policy, lib, PolicyOptions{Seed: 1, Patience: -1, Criteria: criteria})
	require.NoError(t, err)
	next := func(outcomes []LevelOutcome) (LevelPick, error) {
		pick, err := p.Next(context.Background(), outcomesOfLevel(outcomes, 1))
		return LevelPick{1, pick}, err
	}
	inParallel(t, 8, proposals, next, func(p LevelPick) string { return lib.Hashes[p.Index] }, func(p LevelPick) float64 { return scores[p.Index] })
}

// TestEightWorkersProposeNoDuplicate: 1,000 proposals of 1,024 architectures, nearly all of them.
func TestEightWorkersProposeNoDuplicate(t *testing.T) {
	for _, policy := range []string{"random", "evolution"} {
		t.Run(policy, func(t *testing.T) { parallel(t, policy, 1000, nil) })
	}
	t.Run("boshnas", func(t *testing.T) { parallel(t, gpPolicy, boshnasProposals, nil) })
	t.Run("boshnas with two objectives", func(t *testing.T) {
		parallel(t, gpPolicy, boshnasProposals, []Criterion{{Name: "memory", Minimise: true, Max: 6}})
	})
}

// TestEightWorkersClimbWithoutDuplicate: what failed or was stopped on one level is not proposed again on the next.
func TestEightWorkersClimbWithoutDuplicate(t *testing.T) {
	again := func(_ context.Context, level int, lib *Library, _ []Outcome) (*Library, error) { return lib, nil }
	lib, scores := choices()
	h, err := NewHierarchy(lib, []int{300, 300, 400}, func(level int, lib *Library) (Policy, error) {
		return NewPolicy("evolution", lib, PolicyOptions{Seed: uint64(level), Patience: -1})
	}, again)
	require.NoError(t, err)
	lib.Index = map[string]int{}
	for i, hash := range lib.Hashes {
		lib.Index[hash] = i
	}
	outcomes := inParallel(t, 8, 1000, func(o []LevelOutcome) (LevelPick, error) { return h.Next(context.Background(), o, nil) },
		func(p LevelPick) string { return h.Library(p.Level).Hashes[p.Index] }, func(p LevelPick) float64 { return scores[p.Index] })
	require.Equal(t, 3, outcomes[999].Level, fmt.Sprint("level of the last of ", len(outcomes)))
}
