package search

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"flexi/core/model"
	"flexi/core/run"
)

// over is a search that has ended.
type over struct{ proposer }

func (over) next(context.Context, []run.Trial) (run.Trial, model.Arch, error) {
	return run.Trial{}, model.Arch{}, run.ErrDone
}

func scoredTrial(id int, score float64, parent int) run.Trial {
	return run.Trial{
		ID: id, State: run.Done, Score: &score, Parent: parent, Overlap: 0.9, Level: 2,
		Arch: json.RawMessage(`{"l":2,"o":["sa","c"],"h":[32,64],"n":[2,2],"f":[[64],[64,64]],"p":["wma",5]}`),
	}
}

// TestConfirmingProposes: the best two of the search twice each, in rounds, with a second arm for the one that had a parent.
func TestConfirmingProposes(t *testing.T) {
	ctx := context.Background()
	c := &confirming{proposer: over{}, cfg: ConfirmConfig{Best: 2, Repeats: 2}}
	trials := []run.Trial{scoredTrial(0, 71, -1), scoredTrial(1, 73, -1), scoredTrial(2, 72, 0), scoredTrial(3, 70, -1), {ID: 4, State: run.Stopped}}
	trials[3].State, trials[3].Score = run.Running, nil
	_, _, err := c.next(ctx, trials)
	require.ErrorIs(t, err, run.ErrWait, "a trial in training may be one of the best")
	trials[3].State = run.Failed
	type due struct {
		arm               run.Arm
		of, repeat, start int
	}
	var got []due
	for {
		next, arch, err := c.next(ctx, trials)
		if err == run.ErrDone {
			break
		}
		require.NoError(t, err)
		require.Len(t, arch.Layers, 2)
		got = append(got, due{next.Arm, next.Of, next.Repeat, next.Parent})
		next.ID, next.State = len(trials), run.Running // results are not waited for
		if next.ID == 7 {
			next.State = run.Failed // and a failure is not tried again
		}
		trials = append(trials, next)
	}
	require.Equal(t, []due{
		{run.ArmConfirm, 1, 0, -1},
		{run.ArmConfirm, 2, 0, -1},
		{run.ArmTransfer, 2, 0, 0},
		{run.ArmConfirm, 1, 1, -1},
		{run.ArmConfirm, 2, 1, -1},
		{run.ArmTransfer, 2, 1, 0},
	}, got)
}

func TestSeedsOfRetrainings(t *testing.T) {
	seen := map[uint64]bool{}
	for of := range 20 {
		seen[trialSeed(7, run.Trial{ID: of})] = true
		for repeat := range 20 {
			a := trialSeed(7, run.Trial{ID: 100 + of, Arm: run.ArmConfirm, Of: of, Repeat: repeat})
			require.Equal(t, a, trialSeed(7, run.Trial{ID: 300 + of, Arm: run.ArmTransfer, Of: of, Repeat: repeat}), "pairs have the same seed")
			seen[a] = true
		}
	}
	require.Len(t, seen, 20+400, "all others differ")
}

// TestConfirmOnTheDemo runs a search with weight transfer to its end: the retrainings follow it, and change nothing of what the search has seen.
func TestConfirmOnTheDemo(t *testing.T) {
	ctx := context.Background()
	r := tiny(t, func(c *Config) {
		c.Transfer.Threshold = 0.05
		c.Confirm = ConfirmConfig{Best: 2, Repeats: 2}
	})
	var cfg Config
	require.NoError(t, json.Unmarshal(r.Config, &cfg))
	require.Equal(t, 4+2*2*2, cfg.Budget())
	r.Budget = cfg.Budget()
	j := openJob(t, r, nil, nil)
	b := newBench()
	var trials []run.Trial
	var fitted int
	for {
		next, err := j.Next(ctx, trials)
		if err == run.ErrDone {
			break
		}
		require.NoError(t, err)
		next.ID = len(trials)
		if next.ID == 3 {
			fitted = j.View().Fitted
		}
		result, err := j.Train(ctx, next, b)
		require.NoError(t, err)
		trials = append(trials, finish(t, b, next, result))
	}
	require.Equal(t, fitted, j.View().Fitted, "the surrogate knows the search alone")
	require.Greater(t, len(trials), 4+4, "at least one of the best had a parent")
	views := make([]*run.Trial, len(trials))
	for i := range trials {
		views[i] = &trials[i]
		if i >= 4 {
			require.NotEqual(t, run.ArmSearch, trials[i].Arm)
			require.Equal(t, trials[trials[i].Of].Hash, trials[i].Hash)
			require.Equal(t, trials[i].Arm == run.ArmTransfer, trials[i].Parent >= 0)
		}
	}
	c := run.ConfirmationsOf(views, Objective())
	require.Len(t, c.Ranking, 2)
	require.Positive(t, c.Transfer.Pairs)
	require.Contains(t, c.Transfer.Parts, run.ValidationLoss)
}

func TestWithCandidates(t *testing.T) {
	c := presetOf(t, "demo")
	c.Confirm.Best = 2
	text, err := json.Marshal(c)
	require.NoError(t, err)
	trials := []*run.Trial{{}, {Arm: run.ArmConfirm}, {Arm: run.ArmTransfer}}
	text, budget, err := WithCandidates(text, 30, trials)
	require.NoError(t, err)
	require.Equal(t, 30+2*3*2+2, budget, "retrainings of trials that are no longer the best stay")
	require.NoError(t, json.Unmarshal(text, &c))
	require.Equal(t, 30, c.Candidates)
	_, _, err = WithCandidates(text, 1, trials)
	require.ErrorContains(t, err, "best 2")
}
