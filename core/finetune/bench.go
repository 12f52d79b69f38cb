package finetune

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"flexi/core/device"
	"flexi/core/model"
	"flexi/core/model/hub"
	"flexi/core/model/train"
	"flexi/core/text"
)

// Bench measures LoRA training of a pretrained model on random tokens.
type Bench struct {
	Model                   string
	Random                  bool // weights are drawn: Model needs no more than a config.json
	Batch, Seq, Steps, Warm int
	LoRA                    LoRAConfig
	Recompute               bool // see model.Pretrained
	Seed                    uint64
}

// BenchResult is one line of `flexi bench flexora --json`.
type BenchResult struct {
	Model           string           `json:"model"`
	Device          string           `json:"device"`
	Precision       device.Precision `json:"precision"` // set by the caller
	Batch           int              `json:"batch"`
	Seq             int              `json:"seq"`
	Trained         int64            `json:"trained"` // parameters of the adapters
	StepSeconds     float64          `json:"step_seconds"`
	TokensPerSecond float64          `json:"tokens_per_second"`
	// OuterSeconds is an outer step of the first stage: an update of adapters on all layers, and one of alpha, a batch each.
	OuterSeconds float64 `json:"outer_seconds"`
	MemoryMB     float64 `json:"memory_mb"` // weights, adapters, optimiser and activations of LoRA training
}

// noise is a source of random rows.
type noise struct {
	b     Bench
	vocab int
	o     model.Objective
}

func (n noise) Steps() int { return 1 << 20 }

func (n noise) Batch(_, i int) text.Batch {
	r := rand.New(rand.NewPCG(n.b.Seed, uint64(i)))
	b := text.Batch{B: n.b.Batch, T: n.b.Seq, Segments: make([]int32, n.b.Batch*n.b.Seq), Lengths: slices.Repeat([]int32{int32(n.b.Seq)}, n.b.Batch)}
	for range b.B * b.T {
		b.IDs = append(b.IDs, int32(r.IntN(n.vocab)))
	}
	if n.o.Kind == model.Classify {
		for range b.B {
			b.Labels = append(b.Labels, int32(r.IntN(n.o.Labels)))
		}
		return b
	}
	for row := range b.B {
		for t := range b.T - 1 {
			b.Picked, b.Labels = append(b.Picked, int32(row*b.T+t)), append(b.Labels, b.IDs[row*b.T+t+1])
		}
	}
	return b
}

// Run measures the median of full steps: forward, backward, AdamW on adapters and head, with dropout as the model has it.
func (b Bench) Run(ctx context.Context, dev device.Device) (BenchResult, error) {
	open := hub.Open
	if b.Random {
		open = hub.Shape
	}
	base, err := open(b.Model)
	if err != nil {
		return BenchResult{}, err
	}
	base.Model.Recompute = b.Recompute
	o, vocab := model.Objective{Kind: model.Classify, Labels: 2}, base.Model.Config.Vocab
	if m := base.Model.Backbone; m != nil {
		vocab = m.Vocab
	}
	if decoder(base) {
		o = model.Objective{Kind: model.CausalLM}
	}
	if len(b.LoRA.Targets) == 0 {
		b.LoRA.Targets = defaultTargets(base)
	}
	r := BenchResult{Model: b.Model, Device: dev.Describe(), Batch: b.Batch, Seq: b.Seq}
	var weights []model.NamedTensor
	if !b.Random {
		if weights, _, err = base.Weights(o); err != nil {
			return r, err
		}
	}
	source := noise{b, vocab, o}
	lora := b.LoRA.adapters(nil, false)
	if err := b.tuning(ctx, dev, base, o, lora, weights, source, &r); err != nil {
		return r, err
	}
	return r, b.outer(ctx, dev, base, o, weights, source, &r)
}

func (b Bench) open(dev device.Device, base *hub.Model, o model.Objective, lora model.LoRA, weights []model.NamedTensor) (*model.Net, error) {
	net, err := model.NewPretrained(dev, base.Model, o, &lora, b.Seed)
	if err != nil {
		return nil, err
	}
	if _, _, err := net.SetTensors(weights); err != nil {
		net.Close()
		return nil, err
	}
	net.InitMagnitudes()
	return net, nil
}

// median is the median time of some calls, after a few that are not timed.
func (b Bench) median(step func(n int) error) (float64, error) {
	var times []float64
	for n := range b.Warm + b.Steps {
		start := time.Now()
		if err := step(n); err != nil {
			return 0, err
		}
		if n >= b.Warm {
			times = append(times, time.Since(start).Seconds())
		}
	}
	slices.Sort(times)
	return times[len(times)/2], nil
}

func (b Bench) tuning(
	ctx context.Context, dev device.Device, base *hub.Model, o model.Objective, lora model.LoRA, weights []model.NamedTensor, source noise, r *BenchResult,
) error {
	net, err := b.open(dev, base, o, lora, weights)
	if err != nil {
		return err
	}
	defer net.Close()
	tr, err := train.New(dev, net, train.Optimizer{LR: 1e-4, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, Clip: 1}, b.Seed)
	if err != nil {
		return err
	}
	defer tr.Close()
	if r.StepSeconds, err = b.median(func(n int) error {
		_, err := tr.Step(ctx, numbered(source, n))
		return err
	}); err != nil {
		return err
	}
	r.TokensPerSecond = float64(b.Batch*b.Seq) / r.StepSeconds
	for _, m := range net.Modules() {
		r.Trained += b.LoRA.params(m)
	}
	values, _, _ := net.Flat()
	r.MemoryMB = float64(net.Bytes()+8*values.Len) / 1e6
	return nil
}

func (b Bench) outer(ctx context.Context, dev device.Device, base *hub.Model, o model.Objective, weights []model.NamedTensor, source noise, r *BenchResult) error {
	net, err := b.open(dev, base, o, b.LoRA.adapters(nil, true), weights)
	if err != nil {
		return err
	}
	defer net.Close()
	s := &lora{dev: dev, net: net, search: source, held: source, seed: b.Seed, layers: base.Model.Layers()}
	options := DefaultBilevel()
	options.OuterSteps, options.Accumulate, options.Validation = b.Warm+b.Steps, 1, 1
	search, err := NewBilevel[float32](s, s.theta(), options)
	if err != nil {
		return err
	}
	r.OuterSeconds, err = b.median(func(int) error {
		_, err := search.Step(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("outer step: %w", err)
	}
	return nil
}
