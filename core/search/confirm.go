package search

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"flexi/core/model"
	"flexi/core/run"
)

// confirming retrains the best of a search once that is over: the best of many noisy scores promises too much (winner's curse), and a score after weight
// transfer says something about the parent, too. Each is trained from scratch with new seeds and, where its first training had a parent, with the
// same seeds from that parent's weights again. What is due follows from the trials alone, so that there is no state to keep.
type confirming struct {
	proposer
	cfg ConfirmConfig
}

// next asks the search first, which may go on after a resume with more candidates.
func (c *confirming) next(ctx context.Context, trials []run.Trial) (run.Trial, model.Arch, error) {
	t, arch, err := c.proposer.next(ctx, trials)
	if !errors.Is(err, run.ErrDone) {
		return t, arch, err
	}
	var found []run.Trial
	for _, t := range trials {
		switch {
		case t.Arm != run.ArmSearch:
		case t.State == run.Done && t.Score != nil:
			found = append(found, t)
		case t.State != run.Failed && t.State != run.Stopped:
			return run.Trial{}, arch, run.ErrWait // it may be one of the best
		}
	}
	return c.due(bestTrials(found, c.cfg.Best), trials)
}

// WithCandidates changes how many candidates a search trains: its configuration and its budget. Retrainings that were proposed already stay, although others
// may become the best.
func WithCandidates(config json.RawMessage, candidates int, trials []*run.Trial) (json.RawMessage, int, error) {
	var c Config
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, 0, fmt.Errorf("read the run's configuration: %w", err)
	}
	c.Candidates = candidates
	if c.Confirm.Best > candidates {
		return nil, 0, fmt.Errorf("%d candidates: the configuration confirms the best %d of them", candidates, c.Confirm.Best)
	}
	budget := c.Budget()
	for _, t := range trials {
		if t.Arm != run.ArmSearch && c.Confirm.Best > 0 {
			budget++
		}
	}
	text, err := json.Marshal(c)
	if err != nil {
		return nil, 0, fmt.Errorf("encode configuration: %w", err)
	}
	return text, budget, nil
}

// bestTrials are the n best finished trials, best first, of equal ones the earlier.
func bestTrials(found []run.Trial, n int) []run.Trial {
	o := Objective()
	slices.SortStableFunc(found, func(a, b run.Trial) int {
		switch {
		case o.Better(*a.Score, *b.Score):
			return -1
		case o.Better(*b.Score, *a.Score):
			return 1
		}
		return 0
	})
	return found[:min(n, len(found))]
}

// due is the first retraining that is not proposed yet. All have their n-th before one has its next, so that a ranking exists early.
func (c *confirming) due(best, trials []run.Trial) (run.Trial, model.Arch, error) {
	type retraining struct {
		of, repeat int
		arm        run.Arm
	}
	proposed := map[retraining]bool{}
	for _, t := range trials {
		proposed[retraining{t.Of, t.Repeat, t.Arm}] = true
	}
	for repeat := range c.cfg.Repeats {
		for _, b := range best {
			for _, arm := range []run.Arm{run.ArmConfirm, run.ArmTransfer} {
				if proposed[retraining{b.ID, repeat, arm}] || arm == run.ArmTransfer && b.Parent < 0 {
					continue
				}
				return retrain(b, arm, repeat, c.cfg.Repeats)
			}
		}
	}
	return run.Trial{}, model.Arch{}, run.ErrDone
}

func retrain(b run.Trial, arm run.Arm, repeat, of int) (run.Trial, model.Arch, error) {
	var arch model.Arch
	if err := json.Unmarshal(b.Arch, &arch); err != nil {
		return run.Trial{}, arch, fmt.Errorf("read the architecture of trial %d: %w", b.ID, err)
	}
	t := run.Trial{Level: b.Level, Parent: -1, Arm: arm, Of: b.ID, Repeat: repeat, Why: fmt.Sprintf("%s of #%d, %d of %d", arm, b.ID, repeat+1, of)}
	if arm == run.ArmTransfer {
		t.Parent, t.Overlap = b.Parent, b.Overlap
	}
	return t, arch, nil
}
