package search

import (
	"bytes"
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
)

// NextLibrary makes the library of a finer level from the finished search of the level above: level is the new one (2 for the first call),
// library and outcomes those of the level above. It must depend on its arguments alone, because a resumed search calls it again. An empty
// library ends the search.
type NextLibrary func(ctx context.Context, level int, library *Library, outcomes []Outcome) (*Library, error)

// LevelOutcome is what became of a proposal of a hierarchical search.
type LevelOutcome struct {
	Level int // from 1
	Outcome
}

// LevelPick is a proposal of a hierarchical search; its indices are positions in the library of its level.
type LevelPick struct {
	Level int
	Pick
}

// Hierarchy searches level after level: each with its share of the trials, until that is used or its policy has converged and all its
// trials have ended, then the next one in the library that crossover makes of it. Architectures of a level that a level above has already
// scored are known to its policy and cost no trial.
type Hierarchy struct {
	budgets []int // trials per level
	policy  func(level int, lib *Library) (Policy, error)
	next    NextLibrary
	levels  []*level
}

// level is a level that the search has reached.
type level struct {
	library *Library
	policy  Policy
	known   []Outcome // tried by the levels above
	// made are the outcomes that the level was entered with. A trial that failed may be tried again later, which must not change the library
	// that a resumed search makes again.
	made []LevelOutcome
}

// NewHierarchy starts at level 1 in the library first. budgets are the trials of each level, policy makes a level's policy.
func NewHierarchy(first *Library, budgets []int, policy func(level int, lib *Library) (Policy, error), next NextLibrary) (*Hierarchy, error) {
	if len(budgets) == 0 {
		return nil, errors.New("a search needs at least one level")
	}
	h := &Hierarchy{budgets: budgets, policy: policy, next: next}
	if err := h.enter(first, nil); err != nil {
		return nil, err
	}
	return h, nil
}

// LevelBudgets divides a number of trials by shares, which need not sum to 1; every level gets at least one while trials last, and
// rounding goes to the first level.
func LevelBudgets(trials int, shares []float64) []int {
	var total float64
	for _, s := range shares {
		total += s
	}
	budgets := make([]int, len(shares))
	left := trials
	for i := len(shares) - 1; i > 0; i-- {
		budgets[i] = min(max(1, int(math.Round(float64(trials)*shares[i]/total))), max(0, left-i))
		left -= budgets[i]
	}
	budgets[0] = left
	return budgets
}

// Level is the level that proposals come from now, from 1.
func (h *Hierarchy) Level() int { return len(h.levels) }

// Library is that of a level the search has reached, nil otherwise.
func (h *Hierarchy) Library(level int) *Library {
	if level < 1 || level > len(h.levels) {
		return nil
	}
	return h.levels[level-1].library
}

// Policy is that of a level the search has reached, nil otherwise.
func (h *Hierarchy) Policy(level int) Policy {
	if level < 1 || level > len(h.levels) {
		return nil
	}
	return h.levels[level-1].policy
}

// Next proposes. Outcomes are those of all levels in the order of proposal. ErrWait and ErrConverged mean what they mean for a Policy;
// the level changes only when all of its trials have ended. Architectures with the hashes in skipped are not proposed.
func (h *Hierarchy) Next(ctx context.Context, outcomes []LevelOutcome, skipped []string) (LevelPick, error) {
	for {
		now := len(h.levels)
		l := h.levels[now-1]
		own := outcomesOfLevel(outcomes, now)
		if len(own) < h.budgets[now-1] {
			pick, err := l.policy.Next(ctx, slices.Concat(l.known, l.without(skipped), own))
			if !errors.Is(err, ErrConverged) {
				return LevelPick{Level: now, Pick: pick}, err
			}
		}
		for _, o := range own {
			if o.Pending {
				return LevelPick{}, ErrWait
			}
		}
		if now == len(h.budgets) {
			return LevelPick{}, ErrConverged
		}
		if err := h.climb(ctx, outcomes); err != nil {
			return LevelPick{}, err
		}
	}
}

// without makes a policy pass over architectures, as if their trainings had failed.
func (l *level) without(hashes []string) []Outcome {
	var out []Outcome
	for _, hash := range hashes {
		if i, ok := l.library.Index[hash]; ok {
			out = append(out, Outcome{Index: i})
		}
	}
	return out
}

// climb enters the level below the present one.
func (h *Hierarchy) climb(ctx context.Context, outcomes []LevelOutcome) error {
	now := len(h.levels)
	l := h.levels[now-1]
	finished := append(l.known[:len(l.known):len(l.known)], outcomesOfLevel(outcomes, now)...)
	lib, err := h.next(ctx, now+1, l.library, finished)
	if err != nil {
		return fmt.Errorf("make the library of level %d: %w", now+1, err)
	}
	if lib == nil || lib.Len() == 0 {
		return ErrConverged
	}
	return h.enter(lib, outcomes)
}

// enter makes a library the present level.
func (h *Hierarchy) enter(lib *Library, outcomes []LevelOutcome) error {
	number := len(h.levels) + 1
	p, err := h.policy(number, lib)
	if err != nil {
		return fmt.Errorf("level %d: %w", number, err)
	}
	h.levels = append(h.levels, &level{library: lib, policy: p, known: h.triedAbove(lib, outcomes), made: slices.Clone(outcomes)})
	return nil
}

// triedAbove finds the architectures of lib that earlier levels have scored, or found to fail, by their hashes.
func (h *Hierarchy) triedAbove(lib *Library, outcomes []LevelOutcome) []Outcome {
	var known []Outcome
	for _, o := range outcomes {
		if o.Pending || o.Level < 1 || o.Level > len(h.levels) {
			continue
		}
		if at, ok := lib.Index[h.levels[o.Level-1].library.Hashes[o.Index]]; ok {
			known = append(known, Outcome{Index: at, Score: o.Score, Values: o.Values})
		}
	}
	return known
}

func outcomesOfLevel(outcomes []LevelOutcome, level int) []Outcome {
	var own []Outcome
	for _, o := range outcomes {
		if o.Level == level {
			own = append(own, o.Outcome)
		}
	}
	return own
}

// Best is the position in outcomes of the best score of all levels, the earlier one among equals; -1 when nothing is scored.
func Best(outcomes []LevelOutcome) int {
	best := -1
	for i, o := range outcomes {
		if o.Score != nil && !o.Pending && (best < 0 || *o.Score > *outcomes[best].Score) {
			best = i
		}
	}
	return best
}

// hierarchyState is what Restore needs: per level the policy's state and the outcomes that the level was entered with.
type hierarchyState struct {
	Policies [][]byte
	Made     []byte // JSON of the levels' made: gob cannot tell a score of 0 from none
}

// State holds the state of every level's policy; libraries are made again.
func (h *Hierarchy) State() ([]byte, error) {
	var s hierarchyState
	var made [][]LevelOutcome
	for i, l := range h.levels {
		policy, err := l.policy.State()
		if err != nil {
			return nil, fmt.Errorf("level %d: %w", i+1, err)
		}
		s.Policies, made = append(s.Policies, policy), append(made, l.made)
	}
	var err error
	if s.Made, err = json.Marshal(made); err != nil {
		return nil, fmt.Errorf("encode hierarchy: %w", err)
	}
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(s); err != nil {
		return nil, fmt.Errorf("encode hierarchy: %w", err)
	}
	return b.Bytes(), nil
}

// Restore brings a new hierarchy to the level and state of a stored one.
func (h *Hierarchy) Restore(ctx context.Context, state []byte) error {
	var s hierarchyState
	if err := gob.NewDecoder(bytes.NewReader(state)).Decode(&s); err != nil {
		return fmt.Errorf("decode hierarchy: %w", err)
	}
	var made [][]LevelOutcome
	if err := json.Unmarshal(s.Made, &made); err != nil {
		return fmt.Errorf("decode hierarchy: %w", err)
	}
	if len(s.Policies) < len(h.levels) || len(s.Policies) > len(h.budgets) || len(made) != len(s.Policies) {
		return fmt.Errorf("restore hierarchy: the state has %d levels, the search %d", len(s.Policies), len(h.budgets))
	}
	for len(h.levels) < len(s.Policies) {
		if err := h.climb(ctx, made[len(h.levels)]); err != nil {
			return fmt.Errorf("restore hierarchy: %w", err)
		}
	}
	for i, policy := range s.Policies {
		if err := h.levels[i].policy.Restore(policy); err != nil {
			return fmt.Errorf("restore level %d: %w", i+1, err)
		}
	}
	return nil
}
