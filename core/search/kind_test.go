package search

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"flexi/core/device/choose"
	"flexi/core/run"
)

// bench is a worker slot in memory. It asks for a pause after a number of step boundaries.
type bench struct {
	pauseAfter int // -1 never
	asked      int
	blobs      map[string][]byte
	checkpoint string
	points     []run.Point
	events     []string
	progress   run.Progress
	// others are the trials of the run; rungs and measures are those of the trial in training.
	others   []run.Trial
	rungs    []run.Rung
	measures map[string]float64
}

func newBench() *bench { return &bench{pauseAfter: -1, blobs: map[string][]byte{}} }

func (b *bench) Slot() int      { return 0 }
func (b *bench) Slots() int     { return 1 }
func (b *bench) Threads() int   { return 1 }
func (b *bench) Frozen() string { return "" }
func (b *bench) ShouldPause() bool {
	b.asked++
	return b.pauseAfter >= 0 && b.asked > b.pauseAfter
}
func (b *bench) Progress(p run.Progress) { b.progress = p }
func (b *bench) Points(p ...run.Point)   { b.points = append(b.points, p...) }
func (b *bench) Event(kind, text string) { b.events = append(b.events, kind+": "+text) }

func (b *bench) Measured(_ context.Context, measures map[string]float64) error {
	b.measures = measures
	return nil
}

func (b *bench) Reached(_ context.Context, name string, value float64, judge func([]run.Trial) run.Rung) (run.Rung, error) {
	for _, r := range b.rungs {
		if r.Name == name {
			return r, nil
		}
	}
	r := judge(b.others)
	r.Name, r.Value = name, value
	b.rungs = append(b.rungs, r)
	return r, nil
}

func (b *bench) Save(_ context.Context, write func(io.Writer) error) error {
	var buf bytes.Buffer
	if err := write(&buf); err != nil {
		return err
	}
	b.checkpoint = b.put(buf.Bytes())
	return nil
}

func (b *bench) put(data []byte) string {
	sum := sha256.Sum256(data)
	name := hex.EncodeToString(sum[:])
	b.blobs[name] = data
	return name
}

func (b *bench) Open(blob string) (io.ReadCloser, error) {
	data, ok := b.blobs[blob]
	if !ok {
		return nil, run.ErrLost
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

// tiny is a search on the demo language that trains for a moment.
func tiny(t *testing.T, change func(*Config)) run.Run {
	t.Helper()
	c, err := LoadConfig("demo", "")
	require.NoError(t, err)
	c.Candidates, c.Initial = 4, 2
	c.Pretrain.Steps, c.Pretrain.Batch = 5, 4
	c.Finetune.Epochs, c.Finetune.Limit, c.Finetune.Batch = 1, 24, 8
	c.CheckpointSeconds = 1e9
	if change != nil {
		change(&c)
	}
	c, err = c.Complete(choose.Choice{})
	require.NoError(t, err)
	text, err := json.Marshal(c)
	require.NoError(t, err)
	return run.Run{ID: "search-01", Kind: KindName, Seed: 3, Config: text, Workers: 1}
}

func openJob(t *testing.T, r run.Run, trials []run.Trial, state []byte) run.Job {
	t.Helper()
	on, err := choose.Decide("cpu")
	require.NoError(t, err)
	k := NewKind(on)
	j, err := k.Open(context.Background(), r, trials, state)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, j.Close()) })
	return j
}

func finish(t *testing.T, b *bench, trial run.Trial, r run.Result) run.Trial {
	t.Helper()
	var buf bytes.Buffer
	require.NoError(t, r.Weights(&buf))
	trial.State, trial.Score, trial.Scores, trial.Weights = run.Done, &r.Score, r.Scores, b.put(buf.Bytes())
	trial.Parent, trial.Overlap = r.Parent, r.Overlap
	return trial
}

func TestSearchOnTheDemo(t *testing.T) {
	ctx := context.Background()
	j := openJob(t, tiny(t, nil), nil, nil)
	b := newBench()
	var trials []run.Trial
	for {
		next, err := j.Next(ctx, trials)
		if err == run.ErrDone {
			break
		}
		require.NoError(t, err)
		next.ID = len(trials)
		require.NotEmpty(t, next.Layers)
		require.Positive(t, next.Params)
		r, err := j.Train(ctx, next, b)
		require.NoError(t, err)
		require.Len(t, r.Scores, 4+1+6, "four tasks, the validation loss and six metrics: %v", r.Scores)
		trials = append(trials, finish(t, b, next, r))
		in, err := j.Inspect(trials[len(trials)-1], trials)
		require.NoError(t, err)
		require.NotEmpty(t, in.Neighbours)
		require.NotEmpty(t, in.Graph)
	}
	require.Len(t, trials, 4)
	require.NotNil(t, j.View(), "a surrogate was fitted")
	require.NotEmpty(t, b.points)
}

func TestPausedTrainingEqualsUninterrupted(t *testing.T) {
	ctx := context.Background()
	r := tiny(t, func(c *Config) {
		c.Architectures = []string{`{"l":2,"o":["sa","c"],"h":[32,64],"n":[2,2],"f":[[64],[64,64]],"p":["wma",5]}`}
	})
	whole := newBench()
	first := openJob(t, r, nil, nil)
	trial, err := first.Next(ctx, nil)
	require.NoError(t, err)
	want, err := first.Train(ctx, trial, whole)
	require.NoError(t, err)
	steps := whole.asked

	for _, at := range []int{0, 2, 5, 6, steps - 1} {
		b := newBench()
		b.pauseAfter = at
		_, err := openJob(t, r, nil, nil).Train(ctx, trial, b)
		require.ErrorIs(t, err, run.ErrPaused)
		paused := trial
		paused.Checkpoint = b.checkpoint
		b.pauseAfter = -1
		got, err := openJob(t, r, []run.Trial{paused}, nil).Train(ctx, paused, b)
		require.NoError(t, err)
		require.Equal(t, want.Score, got.Score, "paused at boundary %d of %d", at, steps)
		require.Equal(t, want.Scores, got.Scores)
		var a, c bytes.Buffer
		require.NoError(t, want.Weights(&a))
		require.NoError(t, got.Weights(&c))
		require.Equal(t, a.Bytes(), c.Bytes(), "weights are the same to the bit")
	}
}

func TestTransferFromAParent(t *testing.T) {
	ctx := context.Background()
	r := tiny(t, func(c *Config) { c.Transfer.Threshold, c.Transfer.PerTask = 0.05, true })
	j := openJob(t, r, nil, nil)
	b := newBench()
	first, err := j.Next(ctx, nil)
	require.NoError(t, err)
	result, err := j.Train(ctx, first, b)
	require.NoError(t, err)
	require.Equal(t, -1, result.Parent)
	trials := []run.Trial{finish(t, b, first, result)}

	child := first
	child.ID, child.Parent, child.Overlap = 1, 0, 1
	_, err = j.Next(ctx, trials)
	require.NoError(t, err)
	got, err := j.Train(ctx, child, b)
	require.NoError(t, err)
	require.Equal(t, 0, got.Parent)
	require.Equal(t, 1.0, got.Overlap)
	require.Contains(t, b.events[0], "weights from trial 0")
	require.Less(t, b.progress.Steps, 5+4*3, "pre-training is shorter after a transfer")
}

// TestTransferPerTaskToAnotherArchitecture: what the parent has after each task fits the child in part only, also when the child goes on from a
// checkpoint.
func TestTransferPerTaskToAnotherArchitecture(t *testing.T) {
	ctx := context.Background()
	r := tiny(t, func(c *Config) {
		c.Transfer.PerTask = true
		c.Architectures = []string{
			`{"l":2,"o":["sa","l"],"h":[32,64],"n":[2,2],"f":[[64],[64]],"p":["sdp","dft"]}`,
			`{"l":3,"o":["sa","sa","l"],"h":[32,64,32],"n":[2,2,2],"f":[[64],[32],[64]],"p":["sdp","sdp","dct"]}`,
		}
	})
	j := openJob(t, r, nil, nil)
	b := newBench()
	first, err := j.Next(ctx, nil)
	require.NoError(t, err)
	result, err := j.Train(ctx, first, b)
	require.NoError(t, err)
	trials := []run.Trial{finish(t, b, first, result)}
	child, err := j.Next(ctx, trials)
	require.NoError(t, err)
	child.ID, child.Parent, child.Overlap = 1, 0, 0.5
	want, err := j.Train(ctx, child, b)
	require.NoError(t, err)

	b.pauseAfter = b.asked + 4 // in the second task
	_, err = j.Train(ctx, child, b)
	require.ErrorIs(t, err, run.ErrPaused)
	b.pauseAfter, child.Checkpoint = -1, b.checkpoint
	got, err := openJob(t, r, trials, nil).Train(ctx, child, b)
	require.NoError(t, err)
	require.Equal(t, want.Scores, got.Scores)
	var x, y bytes.Buffer
	require.NoError(t, want.Weights(&x))
	require.NoError(t, got.Weights(&y))
	require.Equal(t, x.Bytes(), y.Bytes())
}

// TestLostParent: a trial whose parent's weights are gone trains from scratch, and its result says so.
func TestLostParent(t *testing.T) {
	ctx := context.Background()
	r := tiny(t, nil)
	j := openJob(t, r, nil, nil)
	b := newBench()
	first, err := j.Next(ctx, nil)
	require.NoError(t, err)
	want, err := j.Train(ctx, first, b)
	require.NoError(t, err)
	done := finish(t, b, first, want)
	delete(b.blobs, done.Weights)
	for what, weights := range map[string]string{"file gone": done.Weights, "name taken out of the record": ""} {
		done.Weights = weights
		child := first
		child.Parent, child.Overlap = 0, 1
		b.events = nil
		got, err := openJob(t, r, []run.Trial{done}, nil).Train(ctx, child, b)
		require.NoError(t, err, what)
		require.Equal(t, -1, got.Parent)
		require.Equal(t, want.Scores, got.Scores)
		require.Contains(t, b.events[0], "trains from scratch")
	}
}

// TestDivergenceIsFinal: a learning rate that no training survives ends the trial at once, with the cause.
func TestDivergenceIsFinal(t *testing.T) {
	r := tiny(t, func(c *Config) { c.Pretrain.LR, c.Pretrain.Warmup, c.Pretrain.Clip = 1e30, 0, 0 })
	j := openJob(t, r, nil, nil)
	trial, err := j.Next(context.Background(), nil)
	require.NoError(t, err)
	_, err = j.Train(context.Background(), trial, newBench())
	require.ErrorContains(t, err, "not finite")
	require.True(t, run.IsFinal(err))
}

const smallSpace = `
name: few
layers: [2, 4]
stack: 2
hidden: [32]
heads: [2, 4]
operations: {self_attention: [sdp], linear_transform: [dft]}
feed_forward: {depths: [1], widths: [64, 128]}
`

func TestResumedSearchProposesTheSame(t *testing.T) {
	ctx := context.Background()
	space := t.TempDir() + "/small.yaml"
	require.NoError(t, os.WriteFile(space, []byte(smallSpace), 0o600))
	r := tiny(t, func(c *Config) { c.Space, c.Candidates, c.Levels = space, 9, []float64{0.7, 0.3} })
	scored := func(tr run.Trial) run.Trial {
		s := float64(tr.Params%97) + 1
		tr.State, tr.Score = run.Done, &s
		return tr
	}
	straight := openJob(t, r, nil, nil)
	var want []run.Trial
	for i := range 9 {
		tr, err := straight.Next(ctx, want)
		require.NoError(t, err)
		tr.ID = i
		want = append(want, scored(tr))
	}
	require.Equal(t, 2, want[8].Level)

	var got []run.Trial
	var state []byte
	for i := range 9 {
		j := openJob(t, r, got, state)
		tr, err := j.Next(ctx, got)
		require.NoError(t, err)
		tr.ID = i
		got = append(got, scored(tr))
		state, err = j.State()
		require.NoError(t, err)
	}
	require.Equal(t, want, got)
}

func TestConfigMistakes(t *testing.T) {
	dir := t.TempDir()
	file := func(text string) string {
		path := dir + "/c.yaml"
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	_, err := LoadConfig("", file("preset: quick\npretrain:\n  stepz: 3\n"))
	require.ErrorContains(t, err, "stepz")
	require.ErrorContains(t, err, "[3:")
	_, err = LoadConfig("", file("candidates: many\n"))
	require.ErrorContains(t, err, "candidates")
	_, err = LoadConfig("bogus", "")
	require.ErrorContains(t, err, "presets are")
	_, err = LoadConfig("", dir+"/none.yaml")
	require.ErrorIs(t, err, os.ErrNotExist)

	_, err = LoadConfig("", file(strings.Repeat("[", 100_000)))
	require.ErrorContains(t, err, "100000 bytes of YAML")
	_, err = ParseSpace("huge", strings.Repeat("[", 100_000))
	require.ErrorContains(t, err, "100000 bytes of YAML")

	c, err := LoadConfig("", file("preset: quick\npretrain:\n  steps: 3\n"))
	require.NoError(t, err)
	require.Equal(t, 3, c.Pretrain.Steps)
	require.Equal(t, presetOf(t, "quick").Pretrain.LR, c.Pretrain.LR, "what the file leaves out comes from the preset")

	for what, change := range map[string]func(*Config){
		"candidates":    func(c *Config) { c.Candidates = 0 },
		"transfer.mode": func(c *Config) { c.Transfer.Mode = "magic" },
		"policy":        func(c *Config) { c.Policy = "oracle" },
		"data.tasks":    func(c *Config) { c.Data.Dir, c.Data.Tasks = dir, []string{"SuperGLUE"} },
		"pretrain.lr":   func(c *Config) { c.Pretrain.LR = -1 },
		"architecture": func(c *Config) {
			c.Architectures = []string{`{"l":1,"o":["sa"],"h":[30],"n":[4],"f":[[8]],"p":["sdp"]}`}
		},
		"no such space!": func(c *Config) { c.Space = "no such space!" },
	} {
		c := presetOf(t, "demo")
		change(&c)
		_, err := c.Complete(choose.Choice{})
		require.ErrorContains(t, err, what)
	}
}

func presetOf(t *testing.T, name string) Config {
	t.Helper()
	c, err := LoadConfig(name, "")
	require.NoError(t, err)
	return c
}
