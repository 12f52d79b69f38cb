// Package finetune adapts pre-trained models to tasks: an encoder trained on a labelled task and scored on its development set, and Flexora (Wei et
// al. 2024), which finds the layers that deserve a LoRA adapter by bilevel optimisation, with the files that Hugging Face PEFT reads.
package finetune

import (
	"context"
	"fmt"
	"slices"

	"flexi/core/device"
	"flexi/core/model"
	"flexi/core/model/safetensors"
	"flexi/core/model/train"
	"flexi/core/text"
)

// Options of the training on one task.
type Options struct {
	Epochs    int
	Optimizer train.Optimizer // Steps and Warmup are set by New
	Warmup    float64         // share of the steps
	Seed      uint64          // of dropout
	Rule      text.ScoreRule  // how the parts of a score become one number
}

// State is where a tuning stands. With the Net's tensors and the optimiser's it is everything needed to go on.
type State struct {
	Step      int                // updates made
	BestEpoch int                // from 1; 0 before the first evaluation
	Best      float64            // primary score of the best epoch, in percent
	Scores    map[string]float64 // metrics of the best epoch
}

// Epoch is the result of one evaluation on the development set.
type Epoch struct {
	Number  int // from 1
	Primary float64
	Scores  map[string]float64
}

// Tuning trains one Net on one task, a step at a time.
type Tuning struct {
	net     *model.Net
	loader  *text.Loader
	trainer *train.Trainer
	opts    Options
	state   State
}

// New prepares the training of net, which must have the task's objective.
func New(dev device.Device, net *model.Net, loader *text.Loader, o Options) (*Tuning, error) {
	o.Optimizer.Steps = o.Epochs * loader.Steps()
	o.Optimizer.Warmup = int(o.Warmup * float64(o.Optimizer.Steps))
	if o.Optimizer.Steps == 0 {
		return nil, fmt.Errorf("task %s has no training examples", loader.Task().Name)
	}
	tr, err := train.New(dev, net, o.Optimizer, o.Seed)
	if err != nil {
		return nil, err
	}
	return &Tuning{net: net, loader: loader, trainer: tr, opts: o}, nil
}

// Objective is the model head that a task needs.
func Objective(t text.Task) model.Objective {
	if t.Regression {
		return model.Objective{Kind: model.Regress}
	}
	return model.Objective{Kind: model.Classify, Labels: len(t.Labels)}
}

// Close gives the optimiser's memory back.
func (t *Tuning) Close() { t.trainer.Close() }

// Steps is the number of updates of the whole tuning.
func (t *Tuning) Steps() int { return t.opts.Optimizer.Steps }

// Done reports whether all epochs are trained and evaluated.
func (t *Tuning) Done() bool { return t.state.Step >= t.Steps() }

// State is where the tuning stands now.
func (t *Tuning) State() State { return t.state }

// Tensors is the optimiser's state for a checkpoint.
func (t *Tuning) Tensors() ([]safetensors.Tensor, error) { return t.trainer.Tensors() }

// Restore goes on from a checkpoint; the Net must hold the same checkpoint's weights.
func (t *Tuning) Restore(s State, tensors []safetensors.Tensor) error {
	t.state = s
	return t.trainer.Restore(s.Step, tensors)
}

// Step makes one update and returns the newest loss (see train.Trainer.Step) and the tokens it saw. After the last update of an epoch it evaluates on the
// development set and returns the result, else nil.
func (t *Tuning) Step(ctx context.Context) (loss float64, tokens int, end *Epoch, err error) {
	per := t.loader.Steps()
	epoch, i := t.state.Step/per, t.state.Step%per
	b := t.loader.Batch(epoch, i)
	if loss, err = t.trainer.Step(ctx, model.Batch(b)); err != nil {
		return 0, 0, nil, err
	}
	if i == per-1 {
		if loss, err = t.trainer.Settle(ctx); err != nil {
			return 0, 0, nil, err
		}
		if end, err = t.evaluate(ctx, epoch+1); err != nil {
			return 0, 0, nil, err
		}
	}
	t.state.Step++
	return loss, b.B * b.T, end, nil
}

func (t *Tuning) evaluate(ctx context.Context, epoch int) (*Epoch, error) {
	scores, primary, err := Evaluate(ctx, t.net, t.loader, t.opts.Rule)
	if err != nil {
		return nil, fmt.Errorf("evaluate %s after epoch %d: %w", t.loader.Task().Name, epoch, err)
	}
	if t.state.BestEpoch == 0 || primary > t.state.Best {
		t.state.BestEpoch, t.state.Best, t.state.Scores = epoch, primary, scores
	}
	return &Epoch{Number: epoch, Primary: primary, Scores: scores}, nil
}

// Evaluate predicts the development set and scores it.
func Evaluate(ctx context.Context, net predictor, loader *text.Loader, rule text.ScoreRule) (map[string]float64, float64, error) {
	predictions := map[string][]float64{}
	for _, set := range loader.DevSets() {
		rows := make([]float64, set.Rows)
		for _, b := range set.Batches {
			out, err := net.Predict(ctx, model.Batch(b.Batch))
			if err != nil {
				return nil, 0, err
			}
			if i := slices.IndexFunc(out, func(v float32) bool { return v-v != 0 }); i >= 0 {
				return nil, 0, fmt.Errorf("output %d of a development batch is not finite", i)
			}
			width := len(out) / b.B
			for i, row := range b.Index {
				rows[row] = decide(out[i*width : (i+1)*width])
			}
		}
		predictions[set.Name] = rows
	}
	return text.Score(loader.Task(), predictions, rule)
}

// decide is the class of the largest logit, or the value itself for a regression.
func decide(out []float32) float64 {
	if len(out) == 1 {
		return float64(out[0])
	}
	best := 0
	for i, v := range out {
		if v > out[best] {
			best = i
		}
	}
	return float64(best)
}
