package search

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"flexi/core/device/choose"
	"flexi/core/run"
)

// scoredTrials proposes n trials and scores them by their parameters, without training.
func scoredTrials(t *testing.T, j run.Job, trials []run.Trial, n int) []run.Trial {
	t.Helper()
	for range n {
		next, err := j.Next(context.Background(), trials)
		require.NoError(t, err)
		score := float64(next.Params%997) / 10
		next.ID, next.State, next.Score = len(trials), run.Done, &score
		trials = append(trials, next)
	}
	return trials
}

// What people pin is trained next, in whatever the policy believes; what they skip never is.
func TestPinAndSkip(t *testing.T) {
	r := tiny(t, func(c *Config) { c.Candidates, c.Levels, c.Policy = 40, []float64{1}, "boshnas" })
	j := openJob(t, r, nil, nil)
	trials := scoredTrials(t, j, nil, 5)
	queue := j.View().Queue
	require.NotEmpty(t, queue)
	want, never := queue[len(queue)-1].Hash, queue[0].Hash
	r.Pinned, r.Skipped = []string{trials[0].Hash, "unknown", want}, []string{never}
	require.NoError(t, j.(run.Changer).Change(r))
	next, err := j.Next(context.Background(), trials)
	require.NoError(t, err)
	require.Equal(t, want, next.Hash)
	require.Equal(t, "pinned", next.Why)
	require.NotNil(t, next.Predict)
	require.NotContains(t, hashes(j.View().Queue), never)
	trials = scoredTrials(t, j, trials, 20)
	for _, tr := range trials {
		require.NotEqual(t, never, tr.Hash)
	}
}

func hashes(cs []run.Candidate) []string {
	var out []string
	for _, c := range cs {
		out = append(out, c.Hash)
	}
	return out
}

// A budget that grows while the run goes on lets the search go on, as if it had been that from the start of the session.
func TestChangeBudget(t *testing.T) {
	k := NewKind(choose.Choice{})
	r := tiny(t, func(c *Config) { c.Candidates, c.Levels = 4, []float64{1} })
	r.Budget = 4
	j := openJob(t, r, nil, nil)
	trials := scoredTrials(t, j, nil, 4)
	_, err := j.Next(context.Background(), trials)
	require.ErrorIs(t, err, run.ErrDone)
	r.Config, r.Budget, err = k.Configure(r, nil, []string{"candidates=6", "acquisition.diversity=1"}, true)
	require.NoError(t, err)
	require.Equal(t, 6, r.Budget)
	require.NoError(t, j.(run.Changer).Change(r))
	trials = scoredTrials(t, j, trials, 2)
	require.Equal(t, "diversity", trials[4].Why)
	_, err = j.Next(context.Background(), trials)
	require.ErrorIs(t, err, run.ErrDone)
}

func TestConfigure(t *testing.T) {
	on, err := choose.Decide("cpu")
	require.NoError(t, err)
	k := NewKind(on)
	r := tiny(t, nil)
	for _, c := range []struct {
		change string
		going  bool
		err    string
	}{
		{"acquisition.explore=2", true, ""},
		{"confirm.best=2", true, ""},
		{"pretrain.lr=0.01", false, ""},
		{"policy=random", false, ""},
		{"pretrain.lr=0.01", true, "pretrain.lr cannot change in a run that goes on"},
		{"policy=guess", false, "must be one of"},
		{"acquisition.explore=0", true, "acquisition.explore: 0, must be over 0"},
		{"acquisition.diversity=2", true, "acquisition.diversity: 2, must be 0 to 1"},
		{"candidates=many", true, "candidates=many"},
		{"candidates=0", true, "candidates: 0, must be at least 1"},
		{"colour=1", false, `there is no key "colour"`},
	} {
		config, budget, err := k.Configure(r, nil, []string{c.change}, c.going)
		if c.err != "" {
			require.ErrorContains(t, err, c.err, c.change)
			continue
		}
		require.NoError(t, err, c.change)
		var cfg Config
		require.NoError(t, json.Unmarshal(config, &cfg))
		require.Equal(t, cfg.Budget(), budget, c.change)
	}
}
