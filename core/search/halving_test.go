package search

import (
	"context"
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"flexi/core/run"
)

func atRung(id int, value float64) run.Trial {
	return run.Trial{ID: id, Rungs: []run.Rung{{Name: "half", Value: value, Kept: true}}}
}

// TestJudgeKeepsTheBest: with one objective a training goes on if fewer than n/eta, rounded up, of the n that came are better; the first always do.
func TestJudgeKeepsTheBest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		eta := rapid.IntRange(2, 4).Draw(t, "eta")
		values := rapid.SliceOfNDistinct(rapid.Float64Range(0, 1), 1, 20, rapid.ID).Draw(t, "values")
		trials := []run.Trial{{ID: 0}, {ID: 1, Arm: run.ArmConfirm, Rungs: []run.Rung{{Name: "half", Value: 9}}}, {ID: 2}}
		better := 0
		for _, v := range values[1:] {
			trials = append(trials, atRung(len(trials), v))
			if v > values[0] {
				better++
			}
		}
		n := len(values)
		r := judge(trials, 0, "half", values[0], eta, nil)
		if r.Of != n || r.Rank != better+1 || r.Kept != (n < eta || float64(better) < math.Ceil(float64(n)/float64(eta))) {
			t.Fatalf("%+v with %d of %d better, eta %d", r, better, n, eta)
		}
	})
}

// TestJudgeSeesAllObjectives: the worst score goes on if it is the cheapest; who is worse in both does not.
func TestJudgeSeesAllObjectives(t *testing.T) {
	criteria := []run.Criterion{{Name: run.Params, Minimize: true}, {Name: run.MemoryMB, Max: 5}}
	trials := []run.Trial{{ID: 0, Params: 1}, atRung(1, 0.9), atRung(2, 0.8), atRung(3, 0.7)}
	for i := range trials[1:] {
		trials[i+1].Params = int64(10 - i)
	}
	require.True(t, judge(trials, 0, "half", 0.1, 3, criteria).Kept)
	trials[0].Params = 20
	r := judge(trials, 0, "half", 0.1, 3, criteria)
	require.Equal(t, run.Rung{Rank: 4, Of: 4}, r)
}

const tinyArch = `{"l":2,"o":["sa","c"],"h":[32,64],"n":[2,2],"f":[[64],[64,64]],"p":["wma",5]}`

// goalTrial is a trial of a search for which tinyArch stands.
func goalTrial() run.Trial { return run.Trial{Arch: json.RawMessage(tinyArch), Parent: -1} }

// TestRungsChangeNoResult: a training that is kept at every rung ends with the bits of one without rungs, also when it pauses around them.
func TestRungsChangeNoResult(t *testing.T) {
	ctx := context.Background()
	want, err := openJob(t, tiny(t, nil), nil, nil).Train(ctx, goalTrial(), newBench())
	require.NoError(t, err)
	r := tiny(t, func(c *Config) {
		c.Halving = HalvingConfig{Eta: 2, Pretrain: []float64{0.4, 1}, Tasks: []int{1, 3}}
		c.Objectives = []string{run.MemoryMB}
	})
	whole := newBench()
	whole.others = []run.Trial{{}}
	got, err := openJob(t, r, nil, nil).Train(ctx, goalTrial(), whole)
	require.NoError(t, err)
	require.Equal(t, want.Scores, got.Scores)
	require.Len(t, whole.rungs, 4)
	require.Greater(t, whole.measures[run.MemoryMB], 1.0)
	for at := range whole.asked {
		b := newBench()
		b.others, b.pauseAfter = []run.Trial{{}}, at
		_, err := openJob(t, r, nil, nil).Train(ctx, goalTrial(), b)
		require.ErrorIs(t, err, run.ErrPaused)
		paused := goalTrial()
		paused.Checkpoint, paused.Rungs, paused.Measures, b.pauseAfter = b.checkpoint, b.rungs, b.measures, -1
		got, err := openJob(t, r, []run.Trial{paused}, nil).Train(ctx, paused, b)
		require.NoError(t, err)
		require.Equal(t, want.Scores, got.Scores)
		require.Equal(t, whole.rungs, b.rungs, "each rung is met once, with the same value")
		require.Equal(t, whole.measures, b.measures)
	}
}

// TestStoppedTrainingsSayWhy: by a rung of pre-training, by one of a task, and by a constraint.
func TestStoppedTrainingsSayWhy(t *testing.T) {
	rival := func(name string, value float64) []run.Trial {
		trials := []run.Trial{{}}
		for range 3 {
			trials = append(trials, run.Trial{Rungs: []run.Rung{{Name: name, Value: value}}})
		}
		return trials
	}
	for want, c := range map[string]struct {
		others []run.Trial
		change func(*Config)
	}{
		"rank 4 of 4 at 40% of pre-training": {rival("at 40% of pre-training", -0.1), func(c *Config) { c.Halving = HalvingConfig{Eta: 2, Pretrain: []float64{0.4}} }},
		"rank 4 of 4 after 2 of 4 tasks":     {rival("after 2 of 4 tasks", 101), func(c *Config) { c.Halving = HalvingConfig{Eta: 2, Tasks: []int{2}} }},
		"above the constraint 0.5":           {nil, func(c *Config) { c.Constraints = map[string]float64{run.MemoryMB: 0.5} }},
		"step_seconds is":                    {nil, func(c *Config) { c.Constraints = map[string]float64{run.StepSeconds: 1e-9} }},
	} {
		b := newBench()
		b.others = c.others
		_, err := openJob(t, tiny(t, c.change), nil, nil).Train(context.Background(), goalTrial(), b)
		require.ErrorContains(t, err, want)
		// A retraining measures, it does not compete.
		again := goalTrial()
		again.Arm = run.ArmConfirm
		_, err = openJob(t, tiny(t, c.change), nil, nil).Train(context.Background(), again, b)
		require.NoError(t, err)
	}
}

// TestSearchWithGoals: parameters are bounded before training, memory after its first steps, and what was stopped has a place in the budget.
func TestSearchWithGoals(t *testing.T) {
	ctx := context.Background()
	const most = 150_000
	r := tiny(t, func(c *Config) {
		c.Candidates, c.Levels = 8, []float64{0.7, 0.3}
		c.Objectives, c.Constraints = []string{run.MemoryMB, run.Params}, map[string]float64{run.Params: most}
		c.Halving = HalvingConfig{Eta: 2, Pretrain: []float64{1}}
	})
	j := openJob(t, r, nil, nil)
	var trials []run.Trial
	stopped := 0
	for {
		next, err := j.Next(ctx, trials)
		if err == run.ErrDone {
			break
		}
		require.NoError(t, err)
		require.LessOrEqual(t, next.Params, int64(most))
		next.ID = len(trials)
		b := newBench()
		b.others = append(trials[:len(trials):len(trials)], next)
		result, err := j.Train(ctx, next, b)
		next.Rungs, next.Measures = b.rungs, b.measures
		if err != nil {
			require.ErrorContains(t, err, "not among the best 1/2")
			next.State, next.Reason = run.Stopped, err.Error()
			stopped++
		} else {
			next = finish(t, b, next, result)
		}
		trials = append(trials, next)
	}
	require.Len(t, trials, 8)
	require.Positive(t, stopped)
	require.Equal(t, 2, trials[7].Level)

	none := openJob(t, tiny(t, func(c *Config) { c.Constraints = map[string]float64{run.Params: 10} }), nil, nil)
	_, err := none.Next(ctx, nil)
	require.ErrorContains(t, err, "constraints.params")
}

func TestGoalMistakes(t *testing.T) {
	for want, change := range map[string]func(*Config){
		`no "speed"`:          func(c *Config) { c.Objectives = []string{"speed"} },
		"constraints.params":  func(c *Config) { c.Constraints = map[string]float64{run.Params: -1} },
		"knows the score":     func(c *Config) { c.Objectives, c.Policy = []string{run.StepSeconds}, "evolution" },
		"leave none":          func(c *Config) { c.Objectives, c.Transfer.PretrainShare = []string{run.MemoryMB}, 0 },
		"halving.eta":         func(c *Config) { c.Halving.Eta = 1 },
		"name rungs":          func(c *Config) { c.Halving = HalvingConfig{Eta: 2} },
		"halving.pretrain":    func(c *Config) { c.Halving = HalvingConfig{Eta: 2, Pretrain: []float64{1.5}} },
		"halving.tasks: 0":    func(c *Config) { c.Halving = HalvingConfig{Eta: 2, Tasks: []int{0}} },
		"trained to their":    func(c *Config) { c.Halving.Eta, c.Architectures = 2, []string{tinyArch} },
		"confirm.repeats":     func(c *Config) { c.Confirm = ConfirmConfig{Best: 1, Repeats: 1} },
		"given architectures": func(c *Config) { c.Confirm.Best, c.Architectures = 1, []string{tinyArch} },
	} {
		c := presetOf(t, "demo")
		change(&c)
		require.ErrorContains(t, c.Validate(), want)
	}
}
