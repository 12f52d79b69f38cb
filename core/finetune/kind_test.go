package finetune

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"flexi/core/device/choose"
	"flexi/core/finetune/finetunetest"
	"flexi/core/model"
	"flexi/core/model/safetensors"
	"flexi/core/run"
	"flexi/core/selection"
)

// bench is a worker slot in memory. It asks for a pause after a number of step boundaries.
type bench struct {
	run.Worker            // nil: what a Flexora run does not ask for
	pauseAfter, asked int // pauseAfter -1: never
	frozen            string
	blobs             map[string][]byte
	checkpoint        string
	points            []run.Point
	events            []string
}

func newBench() *bench { return &bench{pauseAfter: -1, blobs: map[string][]byte{}} }

func (b *bench) Slot() int      { return 0 }
func (b *bench) Slots() int     { return 1 }
func (b *bench) Threads() int   { return 1 }
func (b *bench) Frozen() string { return b.frozen }
func (b *bench) ShouldPause() bool {
	b.asked++
	return b.pauseAfter >= 0 && b.asked > b.pauseAfter
}
func (b *bench) Progress(run.Progress)   {}
func (b *bench) Points(p ...run.Point)   { b.points = append(b.points, p...) }
func (b *bench) Event(kind, text string) { b.events = append(b.events, kind+": "+text) }

func (b *bench) Save(_ context.Context, write func(io.Writer) error) error {
	var buf bytes.Buffer
	if err := write(&buf); err != nil {
		return err
	}
	sum := sha256.Sum256(buf.Bytes())
	b.checkpoint = hex.EncodeToString(sum[:])
	b.blobs[b.checkpoint] = buf.Bytes()
	return nil
}

func (b *bench) Open(blob string) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(b.blobs[blob])), nil
}

// tinyRun is a run that takes a moment.
func tinyRun(t *testing.T, folder, data string, change func(*Config)) run.Run {
	t.Helper()
	c, err := LoadConfig("encoder", "", false)
	require.NoError(t, err)
	c.Model, c.Data.Dir, c.Task, c.MaxSeq, c.CheckpointSeconds = folder, data, "SST-2", 16, 1e9
	c.Search.OuterSteps, c.Search.Held, c.Search.MicroBatch, c.Search.Rule = 4, 16, 8, "topk=2"
	c.Tune.Epochs, c.Tune.Batch, c.Tune.LR = 2, 16, 5e-3
	c.LoRA.Rank, c.LoRA.Dropout = 2, 0.1
	if change != nil {
		change(&c)
	}
	c, err = c.Complete(choose.Choice{})
	require.NoError(t, err)
	text, err := json.Marshal(c)
	require.NoError(t, err)
	return run.Run{ID: "flexora-01", Kind: KindName, Seed: 3, Config: text, Budget: c.Budget()}
}

func openJob(t *testing.T, r run.Run) run.Job {
	t.Helper()
	j, err := NewKind(choose.Choice{}).Open(t.Context(), r, nil, nil)
	require.NoError(t, err)
	return j
}

func trainOne(t *testing.T, j run.Job, trial run.Trial, b *bench) (run.Result, []byte, error) {
	t.Helper()
	r, err := j.Train(t.Context(), trial, b)
	if err != nil {
		return r, nil, err
	}
	var buf bytes.Buffer
	require.NoError(t, r.Weights(&buf))
	return r, buf.Bytes(), nil
}

// trainRun trains all trials of a run in order.
func trainRun(t *testing.T, r run.Run) (trials []run.Trial, weights [][]byte) {
	t.Helper()
	j := openJob(t, r)
	for {
		next, err := j.Next(t.Context(), trials)
		if err == run.ErrDone {
			return trials, weights
		}
		require.NoError(t, err)
		next.ID = len(trials)
		result, w, err := trainOne(t, j, next, newBench())
		require.NoError(t, err, next.Title)
		next.State, next.Score, next.Scores, next.Params, next.Detail = run.Done, &result.Score, result.Scores, result.Params, result.Detail
		trials, weights = append(trials, next), append(weights, w)
	}
}

func TestEverySelector(t *testing.T) {
	folder, data := finetunetest.WriteFolder(t, finetunetest.TinyBERT, model.Objective{Kind: model.Classify, Labels: 2}, nil)
	r := tinyRun(t, folder, data, func(c *Config) { c.Selectors = SelectorNames() })
	trials, weights := trainRun(t, r)
	require.Len(t, trials, len(SelectorNames()))
	require.Equal(t, SelectFlexora, trials[0].Title, "the others take its number")
	perLayer := int64(2 * 2 * (16 + 16))
	for i, tr := range trials {
		var d Detail
		require.NoError(t, json.Unmarshal(tr.Detail, &d))
		require.Equal(t, tr.Title, d.Selector)
		require.False(t, math.IsNaN(*tr.Score))
		f, err := safetensors.Read(bytes.NewReader(weights[i]))
		require.NoError(t, err)
		layers := map[string]bool{}
		for _, x := range f.Tensors {
			require.True(t, tr.Title == SelectFull || strings.Contains(x.Name, ".lora_") || strings.HasPrefix(x.Name, "classifier.") || strings.HasPrefix(x.Name, "bert.pooler."), x.Name)
			if strings.Contains(x.Name, ".lora_") {
				layers[strings.Split(x.Name, ".")[3]] = true
			}
		}
		switch tr.Title {
		case SelectFull:
			require.Empty(t, layers)
		case SelectAdaLoRA:
			require.LessOrEqual(t, tr.Params, 2*perLayer*3/2)
		case SelectAll:
			require.Len(t, layers, 4)
			require.Equal(t, 4*perLayer, tr.Params)
		default:
			require.Len(t, layers, 2, tr.Title)
			require.Equal(t, 2*perLayer, tr.Params, tr.Title)
			for _, l := range d.Layers {
				require.True(t, layers[fmt.Sprint(l)], "layer %d of %s", l, tr.Title)
			}
		}
		switch tr.Title {
		case SelectFirst:
			require.Equal(t, []int{0, 1}, d.Layers)
		case SelectLast:
			require.Equal(t, []int{2, 3}, d.Layers)
		case SelectFlexora:
			require.Len(t, d.Selection.Alpha, 4)
			require.Equal(t, 44, d.Searched)
			require.Equal(t, 16, d.Held)
		}
	}
}

// A trial that is paused at any step boundary of either stage ends with the bytes of one that never was.
func TestPausedTrialContinuesBitForBit(t *testing.T) {
	folder, data := finetunetest.WriteFolder(t, finetunetest.TinyBERT, model.Objective{Kind: model.Classify, Labels: 2}, nil)
	for _, name := range []string{SelectFlexora, SelectAdaLoRA, SelectFull, SelectAll} {
		r := tinyRun(t, folder, data, func(c *Config) { c.Selectors, c.Layers, c.LoRA.DoRA = []string{name}, 2, name == SelectAll })
		j := openJob(t, r)
		trial, err := j.Next(t.Context(), nil)
		require.NoError(t, err)
		straight := newBench()
		want, wantBytes, err := trainOne(t, j, trial, straight)
		require.NoError(t, err)
		for pause := range straight.asked {
			b := newBench()
			b.pauseAfter = pause
			half := trial
			for {
				got, gotBytes, err := trainOne(t, openJob(t, r), half, b)
				if err == nil {
					require.Equal(t, want.Score, got.Score)
					require.Equal(t, wantBytes, gotBytes, "%s paused after %d boundaries", name, pause)
					break
				}
				require.ErrorIs(t, err, run.ErrPaused)
				half.Checkpoint, b.pauseAfter = b.checkpoint, -1
			}
			require.ElementsMatch(t, straight.points, b.points, "%s paused after %d boundaries", name, pause)
		}
	}
}

func TestNextWaitsForFlexora(t *testing.T) {
	folder, data := finetunetest.WriteFolder(t, finetunetest.TinyBERT, model.Objective{Kind: model.Classify, Labels: 2}, nil)
	j := openJob(t, tinyRun(t, folder, data, func(c *Config) { c.Selectors, c.Repeats = []string{"random", "all", "flexora"}, 2 }))
	var trials []run.Trial
	var got []string
	for range 4 {
		next, err := j.Next(t.Context(), trials)
		require.NoError(t, err)
		next.ID, next.State = len(trials), run.Running
		trials, got = append(trials, next), append(got, next.Title+" "+next.Why)
	}
	require.Equal(t, []string{"flexora repeat 1", "all repeat 1", "flexora repeat 2", "all repeat 2"}, got)
	_, err := j.Next(t.Context(), trials)
	require.ErrorIs(t, err, run.ErrWait)
	trials[2].State, trials[2].Scores = run.Done, map[string]float64{layersScore: 3}
	next, err := j.Next(t.Context(), trials)
	require.NoError(t, err)
	require.JSONEq(t, `{"selector":"random","repeat":1,"layers":3,"of":2}`, string(next.Arch))
	trials[0].State = run.Failed
	next, err = j.Next(t.Context(), append(trials, next))
	require.NoError(t, err)
	_, _, err = trainOne(t, j, next, newBench())
	require.ErrorContains(t, err, "trial 0, which should have said how many layers to take, failed")
	require.True(t, run.IsFinal(err))
}

func TestRunRefuses(t *testing.T) {
	folder, data := finetunetest.WriteFolder(t, finetunetest.TinyBERT, model.Objective{Kind: model.Classify, Labels: 2}, nil)
	bad := func(want string, change func(*Config)) {
		t.Helper()
		c, err := LoadConfig("encoder", "", false)
		require.NoError(t, err)
		c.Model, c.Data.Dir, c.Task = folder, data, "SST-2"
		change(&c)
		_, err = c.Complete(choose.Choice{})
		require.ErrorContains(t, err, want)
	}
	bad("model: name the folder", func(c *Config) { c.Model = "" })
	bad("there is no \"alll\"", func(c *Config) { c.Selectors = []string{"alll"} })
	bad("random takes a number of layers", func(c *Config) { c.Selectors = []string{"random"} })
	bad("layers: 9, the model has 4", func(c *Config) { c.Layers = 9 })
	bad("PIQA is for decoders", func(c *Config) { c.Task = "PIQA" })
	bad(`there is no "chess"`, func(c *Config) { c.Task = "chess" })
	bad("no linear module of the layers is named q_proj", func(c *Config) { c.LoRA.Targets = []string{"q_proj"} })
	bad("search.held: 200", func(c *Config) { c.Search.Examples = 100 })

	r := tinyRun(t, folder, data, nil)
	j := openJob(t, r)
	trial, err := j.Next(t.Context(), nil)
	require.NoError(t, err)
	path := filepath.Join(folder, "model.safetensors")
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	whole[len(whole)-1] ^= 1
	require.NoError(t, os.WriteFile(path, whole, 0o600))
	_, _, err = trainOne(t, openJob(t, r), trial, newBench())
	require.ErrorContains(t, err, "are not those the run began with")
}

// A number that is none ends the trial and says where it was found.
func TestNonFiniteWeights(t *testing.T) {
	folder, data := finetunetest.WriteFolder(t, finetunetest.TinyBERT, model.Objective{Kind: model.Classify, Labels: 2}, func(all []safetensors.Tensor) {
		i := slices.IndexFunc(all, func(x safetensors.Tensor) bool { return strings.HasSuffix(x.Name, "layer.1.output.dense.weight") })
		all[i].Data[3] = float32(math.NaN())
	})
	for _, name := range []string{SelectFlexora, SelectAll, SelectAdaLoRA} {
		j := openJob(t, tinyRun(t, folder, data, func(c *Config) { c.Selectors, c.Layers = []string{name}, 2 }))
		trial, err := j.Next(t.Context(), nil)
		require.NoError(t, err)
		_, _, err = trainOne(t, j, trial, newBench())
		require.ErrorContains(t, err, "layer 2 feed-forward")
		require.True(t, run.IsFinal(err))
	}
}

// A layer search that a person ends takes the layers found by then, by the rule they gave, and goes on to the second stage.
func TestFreeze(t *testing.T) {
	folder, data := finetunetest.WriteFolder(t, finetunetest.TinyBERT, model.Objective{Kind: model.Classify, Labels: 2}, nil)
	r := tinyRun(t, folder, data, func(c *Config) { c.Search.OuterSteps = 1000 })
	j := openJob(t, r)
	trial, err := j.Next(t.Context(), nil)
	require.NoError(t, err)
	k := NewKind(choose.Choice{})
	for rule, want := range map[string]string{"topk=5": "the model has 4 layers", "best": "no selection rule", "budget=1": "raise the budget"} {
		_, err := k.FreezeRule(r, trial, rule)
		require.ErrorContains(t, err, want)
	}
	rule, err := k.FreezeRule(r, trial, "")
	require.NoError(t, err)
	require.Equal(t, "topk=2", rule, "its own")
	other, err := k.FreezeRule(r, run.Trial{Arch: []byte(`{"selector":"all"}`)}, "")
	require.NoError(t, err)
	require.Empty(t, other, "it searches no layers")

	b := newBench()
	b.frozen, err = k.FreezeRule(r, trial, "topk=3")
	require.NoError(t, err)
	result, _, err := trainOne(t, j, trial, b)
	require.NoError(t, err)
	var d Detail
	require.NoError(t, json.Unmarshal(result.Detail, &d))
	require.Len(t, d.Layers, 3)
	require.Equal(t, "topk=3", d.Selection.Rule)
	require.Contains(t, strings.Join(b.events, "\n"), "ended after 1 of 1000 steps")
	steps := 0
	for _, p := range b.points {
		if p.Series == selection.SearchLoss {
			steps++
		}
	}
	require.Equal(t, 1, steps)

	trial.Detail, trial.Frozen = result.Detail, "topk=3"
	in, err := k.Describe(r, trial)
	require.NoError(t, err)
	require.Equal(t, d.Layers, in.Choice.Chosen)
	require.Equal(t, "topk=3", in.Choice.Rule)
	require.Equal(t, 1000, in.Choice.Steps)
}

// The preset is the one asked for, the one that the file names, or the usual one of the model's kind.
func TestPresetOfConfig(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	silent, named := file("silent.yaml", "max_seq: 64\n"), file("named.yaml", "preset: released\n")
	for _, c := range []struct {
		preset, path string
		decoder      bool
		want         string
	}{
		{"", "", false, "encoder"}, {"", "", true, "default"}, {"", silent, false, "encoder"}, {"", silent, true, "default"}, {"", named, false, "released"}, {"default", named, false, "default"},
	} {
		got, err := LoadConfig(c.preset, c.path, c.decoder)
		require.NoError(t, err)
		require.Equal(t, c.want, got.Preset, "%+v", c)
	}
}

// TestRecomputedTrialIsTheSame: both stages, when activations are recomputed.
func TestRecomputedTrialIsTheSame(t *testing.T) {
	folder, data := finetunetest.WriteFolder(t, finetunetest.TinyBERT, model.Objective{Kind: model.Classify, Labels: 2}, nil)
	var tensors [][]safetensors.Tensor
	for _, recompute := range []bool{false, true} {
		_, weights := trainRun(t, tinyRun(t, folder, data, func(c *Config) { c.Selectors, c.Recompute = []string{SelectFlexora}, recompute }))
		f, err := safetensors.Read(bytes.NewReader(weights[0]))
		require.NoError(t, err)
		tensors = append(tensors, f.Tensors)
	}
	require.Equal(t, tensors[0], tensors[1])
}
