package model

import (
	"context"
	"errors"
	"fmt"

	"flexi/core/device"
)

// Pretrained is a model that adapters are put on: a backbone of another maker, or, where Backbone is nil, an encoder that a search has trained.
type Pretrained struct {
	Backbone *Backbone
	Arch     Arch
	Config   Config
	// Recompute keeps only what goes from layer to layer, and computes the rest again in the backward pass: less memory for about a third more time.
	Recompute bool
}

// NewPretrained makes such a model on a device. With adapters, only they and the weights of the objective's head are trained; without, everything is.
// Initial weights are drawn by seed: SetTensors brings the pretrained ones. Close gives the memory back.
func NewPretrained(dev device.Device, p Pretrained, o Objective, lora *LoRA, seed uint64) (*Net, error) {
	return newNet(dev, p, o, lora, seed)
}

// Layers is the number of layers.
func (p Pretrained) Layers() int {
	if p.Backbone != nil {
		return p.Backbone.Layers
	}
	return len(p.Arch.Layers)
}

func (p Pretrained) config() Config {
	if p.Backbone != nil {
		return p.Backbone.config()
	}
	return p.Config
}

func (p Pretrained) validate(o Objective) error {
	if p.Backbone == nil {
		err := errors.Join(p.Arch.Validate(), p.Config.validate())
		if o.Kind == CausalLM {
			err = errors.Join(err, fmt.Errorf("%s needs a decoder, whose queries see no later keys", o.Kind))
		}
		return err
	}
	if decoder := p.Backbone.Family.Decoder(); o.Kind == CausalLM && !decoder || o.Kind == MaskedLM && decoder {
		return fmt.Errorf("a %s model is not for %s", p.Backbone.Family, o.Kind)
	}
	return p.Backbone.Validate()
}

func (p Pretrained) parameters(o Objective) []parameter {
	if p.Backbone != nil {
		return p.Backbone.parameters(o)
	}
	return parameters(p.Arch, p.Config, o)
}

// Tensors lists what the model's files hold for an objective.
func (p Pretrained) Tensors(o Objective) []Tensor {
	var out []Tensor
	for _, q := range p.parameters(o) {
		for _, e := range q.exported() {
			out = append(out, Tensor{Name: e.name, Shape: e.shape, Head: q.head})
		}
	}
	return out
}

// Adapted lists the modules that adapters would be put on, in the order of the model, without making it.
func (p Pretrained) Adapted(o Objective, lora LoRA) ([]AdaptedModule, error) {
	return lora.modules(p.parameters(o), p.Layers())
}

// Linears lists the linear modules of the layers.
func (p Pretrained) Linears(o Objective) []AdaptedModule {
	all, err := LoRA{Rank: 1, Alpha: 1, Targets: []string{AllLinear}}.modules(p.parameters(o), p.Layers())
	if err != nil {
		return nil
	}
	return all
}

// LayerGradients computes the loss and the gradients of the layers' multipliers, which it writes to layers; with trained, those of the trained parameters
// too, to Flat. With drop there is dropout, whose masks are a function of dropSeed and step.
func (n *Net) LayerGradients(ctx context.Context, b Batch, drop, trained bool, dropSeed uint64, step int, layers []float64) (float64, error) {
	n.env.Seed, n.env.Step = dropSeed, uint32(step)
	if layers != nil && len(layers) != n.multipliers.Len {
		return 0, fmt.Errorf("gradients of %d multipliers for a model with %d", len(layers), n.multipliers.Len)
	}
	c, err := n.run(ctx, b, mode{drop: drop, trained: trained, layers: layers != nil})
	if err != nil {
		return 0, err
	}
	if layers != nil {
		host := make([]float32, len(layers))
		n.dev.DownloadF32(host, n.multiplierGrads)
		for i, v := range host {
			layers[i] = float64(v)
		}
	}
	return n.lossOf(c), nil
}

// Footprint is the memory of frozen weights, and the arena that a training step on batch rows of seq tokens takes, picked of which reach the head of a
// language model. The model is not made.
func Footprint(dev device.Device, p Pretrained, o Objective, lora *LoRA, batch, seq, picked int) (frozen, activations int64, err error) {
	n, err := describe(dev, p, o, lora)
	if err != nil {
		return 0, 0, err
	}
	nowhere := &device.Memory{Bytes: 4 * max(n.flat.size, n.frozen.size, n.half.size)} // nothing is computed
	n.values, n.grads = device.NewTensor(nowhere, 0, n.flat.size, device.F32), device.NewTensor(nowhere, 0, n.flat.size, device.F32)
	n.frozenValues, n.halfValues = device.NewTensor(nowhere, 0, n.frozen.size, device.F32), device.NewTensor(nowhere, 0, n.half.size, device.BF16)
	s := size{mode: training, B: batch, T: seq, rows: batch}
	if o.picks() {
		s.rows = picked
	}
	c, err := n.compile(s)
	if err != nil {
		return 0, 0, err
	}
	return int64(n.frozenBytes()), int64(c.plan.ArenaBytes()), nil
}
