package finetune

import (
	"context"
	"fmt"
	"strings"

	"flexi/core/device"
	"flexi/core/model"
	"flexi/core/model/safetensors"
)

// adaRun trains a net whose adapters are kept in AdaLoRA's form on the host, together with the task's head.
type adaRun struct {
	*adaLoRA
	dev     device.Device
	net     *model.Net
	params  map[string]model.Param
	modules []model.AdaptedModule
	head    []model.Param
	o       InnerOptimizer
	seed    uint64
	state   BilevelState[float32] // theta is the triplets and the head, flat; of the rest only the moments are used
	grad    []float32
}

// openAda prepares AdaLoRA with the budget of as many whole layers as the plan says.
func (t *tuner) openAda(seed uint64) error {
	modules, err := t.base.Model.Adapted(t.data.objective, t.cfg.LoRA.adapters(nil, false))
	if err != nil {
		return err
	}
	shapes := make([][2]int, len(modules))
	for i, m := range modules {
		shapes[i] = [2]int{m.In, m.Out}
	}
	budget := t.cfg.LoRA.Rank * len(modules)
	if t.plan.Layers > 0 {
		budget = max(1, budget*t.plan.Layers/t.layers())
	}
	ada, err := newAdaLoRA(shapes, budget, t.tuneSteps())
	if err != nil {
		return err
	}
	lora := t.cfg.LoRA.adapters(nil, false)
	lora.Ranks = map[string]int{}
	for i, m := range modules {
		lora.Ranks[m.Name] = ada.modules[i].rank
	}
	lora.Gamma = lora.Scale(t.cfg.LoRA.Rank)
	if err := t.open(&lora); err != nil {
		return err
	}
	a := &adaRun{
		adaLoRA: ada, dev: t.dev, net: t.net, params: map[string]model.Param{}, modules: t.net.Modules(), seed: seed,
		o: InnerOptimizer{Method: AdamW, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, Decay: t.cfg.Tune.Decay, Clip: t.cfg.Tune.Clip},
	}
	size := ada.size()
	for _, p := range t.net.Params() {
		a.params[p.Name] = p
		if !strings.Contains(p.Name, ".lora_") {
			a.head = append(a.head, p)
			size += p.Value.Len
		}
	}
	a.state = BilevelState[float32]{Theta: make([]float32, size), M: make([]float32, size), V: make([]float32, size)}
	a.grad = make([]float32, size)
	a.initial(a.state.Theta, device.StreamSeed(t.seed, 0, adapterStream))
	a.eachHead(a.state.Theta, func(p model.Param, part []float32) { a.dev.DownloadF32(part, p.Value) })
	t.ada = a
	return nil
}

func (a *adaRun) eachHead(flat []float32, visit func(p model.Param, part []float32)) {
	at := a.size()
	for _, p := range a.head {
		visit(p, flat[at:at+p.Value.Len])
		at += p.Value.Len
	}
}

// compose writes the present factors and head into the net.
func (a *adaRun) compose() {
	for i, t := range a.adaLoRA.modules {
		m := a.modules[i]
		A, B := make([]float32, m.Rank*m.In), make([]float32, m.Out*m.Rank)
		t.compose(a.state.Theta, A, B)
		a.dev.UploadF32(a.params[m.A()].Value, A)
		a.dev.UploadF32(a.params[m.B()].Value, B)
	}
	a.eachHead(a.state.Theta, func(p model.Param, part []float32) { a.dev.UploadF32(p.Value, part) })
}

// step makes update number step (from 0), and returns the loss before it, without the penalty.
func (a *adaRun) step(ctx context.Context, b model.Batch, rate float64, step int) (float64, error) {
	a.compose()
	loss, err := a.net.Gradients(ctx, b, a.seed, step)
	if err != nil {
		return 0, err
	}
	if !finite(loss) {
		return 0, notFinite(ctx, a.net, b, step)
	}
	for i, t := range a.adaLoRA.modules {
		m := a.modules[i]
		dA, dB := make([]float32, m.Rank*m.In), make([]float32, m.Out*m.Rank)
		a.dev.DownloadF32(dA, a.params[m.A()].Grad)
		a.dev.DownloadF32(dB, a.params[m.B()].Grad)
		t.gradient(a.state.Theta, dA, dB, a.grad)
	}
	a.eachHead(a.grad, func(p model.Param, part []float32) { a.dev.DownloadF32(part, p.Grad) })
	n := norm(a.grad)
	if !finite(n) {
		return 0, fmt.Errorf("the gradient's norm is %v at step %d; lower the learning rate", n, step)
	}
	clip(a.grad, n, a.o.Clip)
	update(a.o, &a.state, a.grad, rate, step+1)
	a.prune(a.state.Theta[:a.size()], a.grad[:a.size()], step+1)
	return loss, nil
}

// Names of the state in a checkpoint.
const (
	adaTheta       = "ada.theta"
	adaM           = "ada.m"
	adaV           = "ada.v"
	adaSensitivity = "ada.sensitivity"
	adaUncertainty = "ada.uncertainty"
)

func (a *adaRun) fields() map[string][]float32 {
	return map[string][]float32{
		adaTheta: a.state.Theta, adaM: a.state.M, adaV: a.state.V, adaSensitivity: a.sensitivity, adaUncertainty: a.uncertainty,
	}
}

func (a *adaRun) tensors() []safetensors.Tensor {
	var out []safetensors.Tensor
	for name, data := range a.fields() {
		out = append(out, vector(name, data))
	}
	return out
}

func (a *adaRun) restore(data map[string][]float32) error {
	for name, to := range a.fields() {
		if len(data[name]) != len(to) {
			return fmt.Errorf("%s has %d values, the model %d", name, len(data[name]), len(to))
		}
		copy(to, data[name])
	}
	a.compose()
	return nil
}
