package model

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"gorgonia.org/gorgonia"

	"flexi/core/device"
	"flexi/core/model/exec"
	"flexi/core/model/op"
)

// Net is a model on a device: parameters, gradients, and plans to compute with them. It is used by one goroutine at a time.
type Net struct {
	dev       device.Device
	arch      Arch
	backbone  *Backbone // in place of arch
	config    Config
	objective Objective
	recompute bool
	lora      *LoRA // nil: everything is trained
	modules   []AdaptedModule
	adapters  map[string][]AdaptedModule // by the weight they are beside

	flat          flat // trained
	memory        *device.Memory
	values, grads device.Tensor

	frozen       flat
	frozenMemory *device.Memory
	frozenValues device.Tensor

	half       flat // frozen weights of linear maps, in bfloat16 where the device takes that
	halfMemory *device.Memory
	halfValues device.Tensor

	multipliers, multiplierGrads device.Tensor // one per layer, behind the frozen values

	turns []float32 // cosines and sines of rotary positions

	plans   map[size]*compiled
	arena   exec.Arena
	profile exec.Profile

	// Reused between calls, so that a training step allocates nothing.
	env   op.Env
	first []int32
	loss  [1]float32
}

// compiled is a plan and the nodes to feed and read it by.
type compiled struct {
	plan *exec.Plan
	graph
}

// NewNet makes a model with initial weights drawn by seed. Close gives its memory back.
func NewNet(dev device.Device, a Arch, c Config, o Objective, seed uint64) (*Net, error) {
	return newNet(dev, Pretrained{Arch: a, Config: c}, o, nil, seed)
}

// newNet makes a model whose weights are all trained, or, with adapters, those of adapters and head.
func newNet(dev device.Device, p Pretrained, o Objective, lora *LoRA, seed uint64) (*Net, error) {
	n, err := describe(dev, p, o, lora)
	if err != nil {
		return nil, fmt.Errorf("make model: %w", err)
	}
	if err := n.allocate(p.Layers()); err != nil {
		n.Close()
		return nil, err
	}
	for _, s := range n.stores() {
		n.initialise(s.flat, s.values, seed)
	}
	return n, nil
}

// describe is a model without memory.
func describe(dev device.Device, p Pretrained, o Objective, lora *LoRA) (*Net, error) {
	if err := errors.Join(p.validate(o), o.validate()); err != nil {
		return nil, err
	}
	list := p.parameters(o)
	n := &Net{
		dev: dev, arena: exec.Arena{Device: dev}, arch: p.Arch, backbone: p.Backbone, config: p.config(), objective: o, recompute: p.Recompute, lora: lora,
		adapters: map[string][]AdaptedModule{}, plans: map[size]*compiled{}, env: op.Env{Device: dev},
	}
	var frozen []parameter
	if lora != nil {
		var err error
		if n.modules, err = lora.modules(list, p.Layers()); err != nil {
			return nil, err
		}
		for _, m := range n.modules {
			n.adapters[m.parameter] = append(n.adapters[m.parameter], m)
		}
		list, frozen = lora.split(list, n.modules)
	}
	var half []parameter
	if h, ok := dev.(device.HalfWeights); ok && h.TakesHalfWeights() {
		frozen, half = divide(frozen, func(p parameter) bool { return !p.linear || p.layer == noLayer })
	}
	n.flat, n.frozen, n.half = newFlat(list), newFlat(frozen), newFlat(half)
	return n, nil
}

// divide keeps the order.
func divide(list []parameter, first func(parameter) bool) (yes, no []parameter) {
	for _, p := range list {
		if first(p) {
			yes = append(yes, p)
		} else {
			no = append(no, p)
		}
	}
	return yes, no
}

// store is parameters and where they are.
type store struct {
	flat
	values device.Tensor
}

// stores are all parameters, the trained ones first.
func (n *Net) stores() []store {
	return []store{{n.flat, n.values}, {n.frozen, n.frozenValues}, {n.half, n.halfValues}}
}

func (n *Net) allocate(layers int) (err error) {
	if n.memory, err = n.dev.Alloc(2 * n.flat.size * device.F32.Size()); err != nil {
		return fmt.Errorf("make model of %d trained parameters: %w", n.flat.size, err)
	}
	n.values = device.NewTensor(n.memory, 0, n.flat.size, device.F32)
	n.grads = device.NewTensor(n.memory, n.flat.size, n.flat.size, device.F32)
	if n.lora == nil {
		return nil
	}
	factors := (layers + flatAlignment - 1) / flatAlignment * flatAlignment
	if n.frozenMemory, err = n.dev.Alloc((n.frozen.size + 2*factors) * device.F32.Size()); err != nil {
		return fmt.Errorf("make model of %d frozen parameters: %w", n.frozen.size, err)
	}
	n.frozenValues = device.NewTensor(n.frozenMemory, 0, n.frozen.size, device.F32)
	if n.half.size > 0 {
		if n.halfMemory, err = n.dev.Alloc(n.half.size * device.BF16.Size()); err != nil {
			return fmt.Errorf("make model of %d frozen parameters: %w", n.half.size, err)
		}
		n.halfValues = device.NewTensor(n.halfMemory, 0, n.half.size, device.BF16)
	}
	if !n.lora.Multipliers {
		return nil
	}
	n.multipliers = device.NewTensor(n.frozenMemory, n.frozen.size, layers, device.F32)
	n.multiplierGrads = device.NewTensor(n.frozenMemory, n.frozen.size+factors, layers, device.F32)
	return n.SetMultipliers(slices.Repeat([]float64{1}, layers))
}

// initialise draws parameters side by side, each from a stream of its own; one at a time goes to the device.
func (n *Net) initialise(f flat, values device.Tensor, seed uint64) {
	var all sync.WaitGroup
	var upload sync.Mutex
	room := make(chan struct{}, runtime.GOMAXPROCS(0))
	for _, p := range f.list {
		room <- struct{}{}
		all.Go(func() {
			defer func() { <-room }()
			host := make([]float32, p.elements())
			for _, e := range p.exported() {
				p.init.fill(host[e.offset:][:e.elements()], seed, e.name, e.shape)
			}
			upload.Lock()
			defer upload.Unlock()
			n.dev.UploadF32(values.Slice(p.offset, len(host)), host)
		})
	}
	all.Wait()
}

// Close gives the device memory back; the Net and its tensors are dead afterwards.
func (n *Net) Close() {
	n.arena.Free()
	for _, m := range []**device.Memory{&n.memory, &n.frozenMemory, &n.halfMemory} {
		if *m != nil {
			n.dev.Free(*m)
			*m = nil
		}
	}
	n.plans = nil
}

// Bytes is the memory that the net holds: parameters, gradients, and the activations of the largest pass so far.
func (n *Net) Bytes() int {
	bytes := n.arena.Bytes()
	for _, m := range []*device.Memory{n.memory, n.frozenMemory, n.halfMemory} {
		if m != nil {
			bytes += m.Bytes
		}
	}
	return bytes
}

// Arch is the architecture.
func (n *Net) Arch() Arch { return n.arch }

// Config is the configuration.
func (n *Net) Config() Config { return n.config }

// Objective is what the head predicts.
func (n *Net) Objective() Objective { return n.objective }

// Params lists the parameters in the order of memory: those with weight decay first.
func (n *Net) Params() []Param {
	out := make([]Param, len(n.flat.list))
	for i, p := range n.flat.list {
		out[i] = Param{
			Name: p.name, Shape: p.shape, Decay: p.decay(),
			Value: n.values.Slice(p.offset, p.elements()), Grad: n.grads.Slice(p.offset, p.elements()),
		}
	}
	return out
}

// Flat is all parameters and all gradients as one tensor each; weight decay applies to the first decayed elements. Gaps between parameters are zero.
func (n *Net) Flat() (values, grads device.Tensor, decayed int) {
	return n.values, n.grads, n.flat.decayed
}

// Gradients computes the loss with dropout and the gradients of all parameters, which it writes to Flat and Params. The dropout masks are a function of
// dropSeed and step.
func (n *Net) Gradients(ctx context.Context, b Batch, dropSeed uint64, step int) (float64, error) {
	n.env.Seed, n.env.Step = dropSeed, uint32(step)
	c, err := n.run(ctx, b, training)
	if err != nil {
		return 0, err
	}
	return n.lossOf(c), nil
}

// QueueGradients is Gradients without waiting: the loss is valid once the device has been synchronised, and until the next pass.
func (n *Net) QueueGradients(ctx context.Context, b Batch, dropSeed uint64, step int) (loss device.Tensor, err error) {
	n.env.Seed, n.env.Step = dropSeed, uint32(step)
	c, err := n.prepare(b, training)
	if err != nil {
		return device.Tensor{}, err
	}
	return c.plan.Output(c.graph.loss).T, c.plan.Run(ctx, &n.env, n.profile)
}

// Loss computes the loss without dropout.
func (n *Net) Loss(ctx context.Context, b Batch) (float64, error) {
	c, err := n.run(ctx, b, evaluation)
	if err != nil {
		return 0, err
	}
	return n.lossOf(c), nil
}

func (n *Net) lossOf(c *compiled) float64 {
	n.dev.DownloadF32(n.loss[:], c.plan.Output(c.graph.loss).T)
	return float64(n.loss[0])
}

// Predict computes the output of the head without dropout: B×labels logits, B values, or picked×vocabulary logits. Labels are not looked at.
func (n *Net) Predict(ctx context.Context, b Batch) ([]float32, error) {
	c, err := n.run(ctx, b, prediction)
	if err != nil {
		return nil, err
	}
	logits := c.plan.Output(c.logits).T
	out := make([]float32, logits.Len)
	n.dev.DownloadF32(out, logits)
	return out, nil
}

// FirstNonFinite looks for the origin of a loss that is not finite: the name of the first parameter that holds a NaN or an infinity, else the first
// op of a pass without dropout whose result does ("layer 2 feed-forward: linear gelu"). It is empty if all is finite.
func (n *Net) FirstNonFinite(ctx context.Context, b Batch) (string, error) {
	for _, p := range n.Params() {
		if n.dev.FirstNonFinite(p.Value) >= 0 {
			return "parameter " + p.Name, nil
		}
	}
	c, err := n.prepare(b, evaluation)
	if err != nil {
		return "", err
	}
	where, err := c.plan.FirstNonFinite(ctx, &n.env)
	if err != nil {
		return "", fmt.Errorf("look for values that are not finite: %w", err)
	}
	return where, nil
}

// run computes one batch and waits for it.
func (n *Net) run(ctx context.Context, b Batch, m mode) (*compiled, error) {
	c, err := n.prepare(b, m)
	if err != nil {
		return nil, err
	}
	if err := c.plan.Run(ctx, &n.env, n.profile); err != nil {
		return nil, err
	}
	if err := n.dev.Sync(ctx); err != nil {
		return nil, fmt.Errorf("run model: %w", err)
	}
	return c, nil
}

// prepare checks the batch, finds or compiles the plan of its size, and fills the plan's inputs.
func (n *Net) prepare(b Batch, m mode) (*compiled, error) {
	if err := n.check(b, !m.logits); err != nil {
		return nil, err
	}
	s := size{mode: m, B: b.B, T: b.T, rows: b.B}
	if n.objective.picks() {
		s.rows = len(b.Picked)
	}
	c, ok := n.plans[s]
	if !ok {
		var err error
		if c, err = n.compile(s); err != nil {
			return nil, err
		}
		n.plans[s] = c
	}
	if err := n.arena.Bind(c.plan); err != nil {
		return nil, err
	}
	n.feed(c, b)
	return c, nil
}

func (n *Net) feed(c *compiled, b Batch) {
	integers := func(node *gorgonia.Node, values func() []int32) {
		if node != nil {
			n.dev.UploadI32(c.plan.Input(node), values())
		}
	}
	integers(c.ids, func() []int32 { return b.IDs })
	integers(c.segments, func() []int32 { return b.Segments })
	integers(c.lengths, func() []int32 { return b.Lengths })
	integers(c.rows, func() []int32 { return n.headRows(b) })
	integers(c.labels, func() []int32 { return b.Labels })
	integers(c.positions, func() []int32 { return n.backbone.positions(b) })
	if c.targets != nil {
		n.dev.UploadF32(c.plan.Input(c.targets), b.Targets)
	}
	if c.rotary != nil {
		if need := b.T * n.backbone.HeadDim; len(n.turns) < need {
			n.turns = n.backbone.Rope.table(b.T, n.backbone.HeadDim)
		}
		n.dev.UploadF32(c.plan.Input(c.rotary), n.turns[:b.T*n.backbone.HeadDim])
	}
}

// headRows are the flat positions that reach the head: the picked ones, or one of every row: the first, of decoders the last before the padding.
func (n *Net) headRows(b Batch) []int32 {
	if n.objective.picks() {
		return b.Picked
	}
	n.first = n.first[:0]
	for r := range b.B {
		at := r * b.T
		if n.backbone != nil && n.backbone.Family.Decoder() {
			at += int(b.Lengths[r]) - 1
		}
		n.first = append(n.first, int32(at))
	}
	return n.first
}

// SwitchObjective makes a model with the same encoder weights and a new head, whose initial weights are drawn by seed. The receiver stays as it is.
func (n *Net) SwitchObjective(o Objective, seed uint64) (*Net, error) {
	if n.backbone != nil || n.lora != nil {
		return nil, errors.New("switch the objective: only models that are trained whole, of an architecture of a search, can")
	}
	m, err := NewNet(n.dev, n.arch, n.config, o, seed)
	if err != nil {
		return nil, err
	}
	for _, p := range n.flat.list {
		if IsEncoder(p.name) {
			q := m.flat.list[m.flat.index[p.name]]
			n.dev.Copy(m.values.Slice(q.offset, q.elements()).Mat(1, q.elements()), n.values.Slice(p.offset, p.elements()).Mat(1, p.elements()))
		}
	}
	return m, nil
}

// Timings switches the timing of kernels on or off, and returns the seconds per op since it was switched on.
func (n *Net) Timings(on bool) map[string]time.Duration {
	out := maps.Clone(map[string]time.Duration(n.profile))
	n.profile = nil
	if on {
		n.profile = exec.Profile{}
	}
	return out
}
