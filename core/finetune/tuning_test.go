package finetune

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"flexi/core/device"
	"flexi/core/device/cpu"
	"flexi/core/model"
	"flexi/core/model/train"
	"flexi/core/text"
	"flexi/core/text/demo"
)

var arch = model.Arch{Layers: []model.Layer{{Hidden: 32, Op: model.SpanConvolution, Param: "5", Heads: 2, FF: []int{48}}}}

func tuning(t *testing.T, task int, limit int, o Options) (*Tuning, *model.Net) {
	t.Helper()
	dev, err := cpu.New(1, device.PrecisionF32)
	require.NoError(t, err)
	tok := demo.Tokenizer()
	loader, err := text.NewLoader(tok, demo.Tasks(1)[task], text.LoaderOptions{Batch: 16, MaxSeq: 48, Seed: 1, Limit: limit})
	require.NoError(t, err)
	net, err := model.NewNet(dev, arch, model.DefaultConfig(tok.Size()), Objective(loader.Task()), 1)
	require.NoError(t, err)
	tu, err := New(dev, net, loader, o)
	require.NoError(t, err)
	t.Cleanup(func() {
		tu.Close()
		net.Close()
		require.NoError(t, dev.Close())
	})
	return tu, net
}

func options(epochs int) Options {
	return Options{Epochs: epochs, Optimizer: train.Optimizer{LR: 2e-3, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, Clip: 1}, Warmup: 0.1, Seed: 3}
}

func TestTuningLearnsMood(t *testing.T) {
	tu, _ := tuning(t, 1, 2000, options(6))
	require.Equal(t, 6*125, tu.Steps())
	var epochs []Epoch
	for !tu.Done() {
		_, tokens, end, err := tu.Step(context.Background())
		require.NoError(t, err)
		require.Positive(t, tokens)
		if end != nil {
			epochs = append(epochs, *end)
		}
	}
	require.Len(t, epochs, 6)
	best := epochs[0]
	for _, e := range epochs {
		if e.Primary > best.Primary {
			best = e
		}
	}
	s := tu.State()
	require.Equal(t, best.Number, s.BestEpoch)
	require.Equal(t, best.Primary, s.Best)
	require.Greater(t, s.Best, 70.0, "which words are good is learned from scratch; guessing gives 50")
}

func TestRegressionAndPairs(t *testing.T) {
	tu, net := tuning(t, 3, 64, options(1))
	require.Equal(t, model.Regress, net.Objective().Kind)
	for !tu.Done() {
		_, _, _, err := tu.Step(context.Background())
		require.NoError(t, err)
	}
	require.Contains(t, tu.State().Scores, text.Spearman)
}

func TestPredictionsThatAreNotFiniteAreAnError(t *testing.T) {
	tu, net := tuning(t, 0, 64, options(1))
	tensors := net.Tensors()
	for i := range tensors {
		if tensors[i].Name == "classifier.bias" {
			tensors[i].Data[0] = float32(math.Inf(1))
		}
	}
	_, _, err := net.SetTensors(tensors)
	require.NoError(t, err)
	_, _, err = Evaluate(context.Background(), net, tu.loader, text.ScoreGLUE)
	require.ErrorContains(t, err, "not finite")
}
