package finetune

import (
	"cmp"
	"fmt"

	"flexi/core/device"
	"flexi/core/device/cpu"
	"flexi/core/model"
	"flexi/core/model/hub"
)

// Plan is what a run would train, and the memory it would take.
type Plan struct {
	Modules []PlannedModule `json:"modules"`
	Trained int64           `json:"trained"` // parameters of adapters on all layers
	Total   int64           `json:"total"`   // of the model
	// WeightBytes are the frozen weights, AdapterBytes the adapters with gradients and two moments, ActivationBytes the arena of a step of the second stage
	// with rows of the greatest length.
	WeightBytes     int64 `json:"weight_bytes"`
	AdapterBytes    int64 `json:"adapter_bytes"`
	ActivationBytes int64 `json:"activation_bytes"`
}

// PlannedModule is a module that gets an adapter.
type PlannedModule struct {
	Layer  int    `json:"layer"`
	Name   string `json:"name"`
	In     int    `json:"in"`
	Out    int    `json:"out"`
	Rank   int    `json:"rank"`
	Params int64  `json:"params"`
}

// Plan lists the modules of a complete configuration. Weights and activations are those of a plan for the CPU, which holds nothing but them.
func (c Config) Plan() (Plan, error) {
	base, err := hub.Open(c.Model)
	if err != nil {
		return Plan{}, err
	}
	base.Model.Recompute = c.Recompute
	o := c.objective(base)
	lora := c.LoRA.adapters(nil, false)
	modules, err := base.Model.Adapted(o, lora)
	if err != nil {
		return Plan{}, err
	}
	var p Plan
	for _, m := range modules {
		q := PlannedModule{Layer: m.Layer, Name: m.Name, In: m.In, Out: m.Out, Rank: m.Rank, Params: c.LoRA.params(m)}
		p.Modules, p.Trained = append(p.Modules, q), p.Trained+q.Params
	}
	for _, t := range base.Model.Tensors(o) {
		n := int64(1)
		for _, d := range t.Shape {
			n *= int64(d)
		}
		p.Total += n
	}
	p.AdapterBytes = 16 * p.Trained
	dev, err := cpu.New(1, cmp.Or(c.Precision, device.PrecisionF32))
	if err != nil {
		return p, err
	}
	defer dev.Close()
	picked := 0
	if o.Kind == model.CausalLM {
		picked = c.Tune.Batch * c.MaxSeq
	}
	if p.WeightBytes, p.ActivationBytes, err = model.Footprint(dev, base.Model, o, &lora, c.Tune.Batch, c.MaxSeq, picked); err != nil {
		return p, fmt.Errorf("plan a step: %w", err)
	}
	return p, nil
}
