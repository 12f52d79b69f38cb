package search

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"flexi/core/device"
	"flexi/core/finetune"
	"flexi/core/model"
	"flexi/core/model/train"
	"flexi/core/run"
	"flexi/core/text"
)

// candidateState is where the training of a candidate stands; with the tensors of its checkpoint it is everything needed to go on.
type candidateState struct {
	Phase    int // 0 pre-training, i the task i-1 of the data
	Pretrain int // pre-training updates made
	Task     finetune.State
	Primary  map[string]float64 // finished tasks' scores, in percent
	Scores   map[string]float64 // finished tasks' metrics, by "task metric"
	// Parent and Overlap record the weight transfer.
	Parent  int
	Overlap float64
	Source  *model.Arch // of the parent
}

// candidate trains and scores one architecture: pre-training, then every task from the pre-trained weights.
type candidate struct {
	cfg    Config
	data   *Data
	arch   model.Arch
	trial  run.Trial
	worker run.Worker
	dev    device.Device
	seed   uint64

	state candidateState
	// base are the pre-trained weights; kept are those after each task, where the configuration keeps them; inherited are the parent's.
	base      []model.NamedTensor
	kept      map[string][]model.NamedTensor
	inherited map[string][]model.NamedTensor

	stepTimes []float64 // of pre-training in this session, until they are measured

	meter     run.Meter
	saved     time.Time
	pretrain  *train.Trainer
	tuning    *finetune.Tuning
	net       *model.Net
	stepsDone int
	steps     int
}

// train runs the candidate to its score, or to a pause. Numbers that are not finite would be none in a second attempt, either.
func (c *candidate) train(ctx context.Context, source *parent) (run.Result, error) {
	r, err := c.toScore(ctx, source)
	if _, ok := errors.AsType[*train.NonFiniteError](err); ok {
		err = run.Final(err)
	}
	return r, err
}

func (c *candidate) toScore(ctx context.Context, source *parent) (run.Result, error) {
	defer c.closePhase()
	if err := c.begin(source); err != nil {
		return run.Result{}, err
	}
	c.saved = time.Now()
	if c.state.Phase == 0 {
		if err := c.pretraining(ctx); err != nil {
			return run.Result{}, err
		}
	}
	for c.state.Phase <= len(c.data.Tasks) {
		if err := c.task(ctx, c.data.Tasks[c.state.Phase-1]); err != nil {
			return run.Result{}, err
		}
		if err := c.taskRung(ctx); err != nil {
			return run.Result{}, err
		}
	}
	score := text.Average(c.state.Primary)
	if math.IsNaN(score) || math.IsInf(score, 0) {
		return run.Result{}, run.Final(fmt.Errorf("the score is not finite: %v", c.state.Primary))
	}
	return run.Result{Score: score, Scores: c.allScores(), Parent: c.state.Parent, Overlap: c.state.Overlap, Weights: c.writeWeights}, nil
}

func (c *candidate) allScores() map[string]float64 {
	all := maps.Clone(c.state.Scores)
	maps.Copy(all, c.state.Primary)
	return all
}

// begin loads the trial's checkpoint, or starts from the source's weights or from scratch.
func (c *candidate) begin(source *parent) error {
	c.kept = map[string][]model.NamedTensor{}
	if c.trial.Checkpoint != "" {
		return c.load()
	}
	c.state = candidateState{Parent: -1, Primary: map[string]float64{}, Scores: map[string]float64{}}
	if source != nil {
		c.state.Parent, c.state.Overlap, c.state.Source = source.trial, source.overlap, &source.arch
	}
	c.countSteps()
	if err := c.openPretraining(); err != nil || source == nil {
		return err
	}
	return c.inherit(source)
}

// inherit transfers weights from a trained candidate into the fresh net.
func (c *candidate) inherit(source *parent) error {
	own := c.net.Tensors()
	if _, err := model.Transfer(c.cfg.Transfer.Mode, c.arch, source.arch, own, source.tensors[""], c.seed); err != nil {
		return fmt.Errorf("transfer weights from trial %d: %w", source.trial, err)
	}
	if _, _, err := c.net.SetTensors(own); err != nil {
		return fmt.Errorf("transfer weights from trial %d: %w", source.trial, err)
	}
	c.inherited = source.tensors
	c.worker.Event("transfer", fmt.Sprintf("weights from trial %d, overlap %.2f", source.trial, source.overlap))
	return nil
}

// pretrainSteps is the length of this candidate's pre-training: shorter after a transfer.
func (c *candidate) pretrainSteps() int {
	if c.state.Parent >= 0 {
		return int(math.Round(c.cfg.Transfer.PretrainShare * float64(c.cfg.Pretrain.Steps)))
	}
	return c.cfg.Pretrain.Steps
}

// countSteps fills the totals behind the progress bar.
func (c *candidate) countSteps() {
	c.steps = c.pretrainSteps()
	for _, t := range c.data.Tasks {
		c.steps += c.cfg.Finetune.Epochs * t.Steps()
	}
	c.stepsDone = c.state.Pretrain
	for i, t := range c.data.Tasks {
		if i < c.state.Phase-1 {
			c.stepsDone += c.cfg.Finetune.Epochs * t.Steps()
		}
	}
	if c.state.Phase > 0 {
		c.stepsDone += c.state.Task.Step
	}
}

func (c *candidate) modelConfig() model.Config {
	m := model.DefaultConfig(c.data.Tokenizer.Size())
	m.Dropout, m.Ortho = c.cfg.Dropout, c.cfg.Ortho
	return m
}

func (c *candidate) openPretraining() (err error) {
	if c.net, err = model.NewNet(c.dev, c.arch, c.modelConfig(), model.Objective{Kind: model.MaskedLM}, c.seed); err != nil {
		return err
	}
	o := c.cfg.Pretrain.OptimizerConfig.optimizer()
	o.Steps = c.pretrainSteps()
	o.Warmup = int(c.cfg.Pretrain.Warmup * float64(o.Steps))
	c.pretrain, err = train.New(c.dev, c.net, o, c.seed)
	return err
}

func (c *candidate) pretraining(ctx context.Context) error {
	total := c.pretrainSteps()
	for c.state.Pretrain < total {
		if err := c.boundary(ctx, "pre-training"); err != nil {
			return err
		}
		b, began := c.data.Pretraining.Batch(uint64(c.state.Pretrain)), time.Now()
		loss, err := c.pretrain.Step(ctx, model.Batch(b))
		if err != nil {
			return fmt.Errorf("pre-training: %w", err)
		}
		c.state.Pretrain++
		if err := c.measure(ctx, time.Since(began)); err != nil {
			return err
		}
		c.progress("pre-training", loss, b.B*b.T)
		if every := max(1, total/100); c.state.Pretrain%every == 0 || c.state.Pretrain == total {
			c.worker.Points(run.Point{Series: "pre-training loss", Step: c.state.Pretrain, Value: loss})
		}
		if err := c.pretrainRung(ctx, total); err != nil {
			return err
		}
	}
	if err := c.validate(ctx); err != nil {
		return err
	}
	c.base = c.net.Tensors()
	c.closePhase()
	c.state.Phase = 1
	return nil
}

// heldOutLoss is the mean loss on the held-out documents; NaN where there are none.
func (c *candidate) heldOutLoss(ctx context.Context) (float64, error) {
	if _, err := c.pretrain.Settle(ctx); err != nil {
		return 0, fmt.Errorf("pre-training: %w", err)
	}
	var sum float64
	batches := c.data.Pretraining.ValidationBatches()
	if len(batches) == 0 {
		return math.NaN(), nil
	}
	for _, b := range batches {
		loss, err := c.net.Loss(ctx, model.Batch(b))
		if err != nil {
			return 0, fmt.Errorf("validate pre-training: %w", err)
		}
		sum += loss
	}
	mean := sum / float64(len(batches))
	if math.IsNaN(mean) || math.IsInf(mean, 0) {
		return 0, run.Final(fmt.Errorf("the validation loss of pre-training is not finite after %d steps", c.state.Pretrain))
	}
	return mean, nil
}

// validate records the loss on the held-out documents.
func (c *candidate) validate(ctx context.Context) error {
	mean, err := c.heldOutLoss(ctx)
	if err != nil || math.IsNaN(mean) {
		return err
	}
	c.state.Scores[run.ValidationLoss] = mean
	c.worker.Points(run.Point{Series: run.ValidationLoss, Step: c.state.Pretrain, Value: mean})
	return nil
}

// task fine-tunes from the pre-trained weights on one task.
func (c *candidate) task(ctx context.Context, t *TaskData) error {
	if c.tuning == nil {
		if err := c.openTask(t); err != nil {
			return err
		}
	}
	name := t.Name()
	for !c.tuning.Done() {
		if err := c.boundary(ctx, name); err != nil {
			return err
		}
		loss, tokens, end, err := c.tuning.Step(ctx)
		if err != nil {
			return fmt.Errorf("fine-tuning on %s: %w", name, err)
		}
		step := c.tuning.State().Step
		c.progress(name, loss, tokens)
		if every := max(1, c.tuning.Steps()/50); step%every == 0 || c.tuning.Done() {
			c.worker.Points(run.Point{Series: name + " loss", Step: step, Value: loss})
		}
		if end != nil {
			c.worker.Points(run.Point{Series: name + " dev score", Step: step, Value: end.Primary})
		}
	}
	s := c.tuning.State()
	c.state.Primary[name] = s.Best
	for metric, v := range s.Scores {
		c.state.Scores[name+" "+metric] = v
	}
	if c.cfg.Transfer.PerTask {
		c.kept[name] = c.net.Tensors()
	}
	c.closePhase()
	c.state.Phase++
	c.state.Task = finetune.State{}
	return nil
}

func (c *candidate) openTask(t *TaskData) (err error) {
	if c.net, err = model.NewNet(c.dev, c.arch, c.modelConfig(), finetune.Objective(t.Loader.Task()), c.seed); err != nil {
		return err
	}
	start := c.base
	if own, ok := c.inherited[t.Name()]; ok && c.cfg.Transfer.PerTask && c.state.Source != nil {
		start = cloneTensors(c.base)
		if _, err := model.Transfer(c.cfg.Transfer.Mode, c.arch, *c.state.Source, start, own, c.seed); err != nil {
			return fmt.Errorf("transfer weights of %s from trial %d: %w", t.Name(), c.state.Parent, err)
		}
	}
	if err := setEncoder(c.net, start); err != nil {
		return err
	}
	c.tuning, err = finetune.New(c.dev, c.net, t.Loader, finetune.Options{
		Epochs: c.cfg.Finetune.Epochs, Optimizer: c.cfg.Finetune.OptimizerConfig.optimizer(), Warmup: c.cfg.Finetune.Warmup,
		Seed: c.seed ^ uint64(c.state.Phase)<<32, Rule: c.cfg.scoreRule(),
	})
	return err
}

func cloneTensors(tensors []model.NamedTensor) []model.NamedTensor {
	out := slices.Clone(tensors)
	for i := range out {
		out[i].Data = slices.Clone(out[i].Data)
	}
	return out
}

// setEncoder copies the encoder's part of tensors into a net whose head is its own.
func setEncoder(net *model.Net, tensors []model.NamedTensor) error {
	encoder := slices.DeleteFunc(slices.Clone(tensors), func(t model.NamedTensor) bool { return !model.IsEncoder(t.Name) })
	missing, _, err := net.SetTensors(encoder)
	if err != nil {
		return err
	}
	for _, name := range missing {
		if model.IsEncoder(name) {
			return fmt.Errorf("the pre-trained weights lack %s", name)
		}
	}
	return nil
}

// boundary is a step boundary: pause or interruption end here with a checkpoint, and one is saved when it is due.
func (c *candidate) boundary(ctx context.Context, phase string) error {
	pause := c.worker.ShouldPause()
	if err := ctx.Err(); err != nil && !pause {
		return err
	}
	if !pause && time.Since(c.saved).Seconds() < c.cfg.CheckpointSeconds {
		return nil
	}
	if err := c.worker.Save(context.WithoutCancel(ctx), c.write); err != nil {
		return fmt.Errorf("save checkpoint in %s: %w", phase, err)
	}
	c.saved = time.Now()
	if pause {
		return run.ErrPaused
	}
	return nil
}

func (c *candidate) progress(phase string, loss float64, tokens int) {
	c.stepsDone++
	c.worker.Progress(run.Progress{Phase: phase, Step: c.stepsDone, Steps: c.steps, Loss: loss, TokensPerSecond: c.meter.Add(tokens)})
}

func (c *candidate) closePhase() {
	if c.pretrain != nil {
		c.pretrain.Close()
		c.pretrain = nil
	}
	if c.tuning != nil {
		c.tuning.Close()
		c.tuning = nil
	}
	if c.net != nil {
		c.net.Close()
		c.net = nil
	}
}
