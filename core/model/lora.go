package model

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"gorgonia.org/gorgonia"

	"flexi/core/device"
	"flexi/core/model/op"
)

// AllLinear as a target of LoRA stands for every linear module of the layers.
const AllLinear = "all-linear"

// LoRA are low-rank adapters over frozen weights (Hu et al. 2022):
//
//	y = W x + b + s·gamma·B A Drop(x),  gamma = Alpha/Rank, or Alpha/√Rank (rsLoRA)
//
// with DoRA as in op.Adapter. Weights of a task's head are trained beside them.
type LoRA struct {
	Rank    int
	Alpha   float64
	Dropout float64
	RSLoRA  bool
	DoRA    bool
	Gamma   float64 // if not 0, the scale of every module, whatever its rank
	// Targets are names of modules, or their ends behind a dot; or AllLinear.
	Targets []string
	// Layers are those that are adapted, ascending; nil adapts all.
	Layers []int
	// Ranks, if not nil, are the ranks of modules by name, in place of Rank; a module of rank 0 is not adapted.
	Ranks map[string]int
	// Multipliers gives every layer a factor s that all its adapters' outputs are multiplied by, 1 at first; see Net.SetMultipliers.
	Multipliers bool
}

// Scale is gamma of a rank.
func (l LoRA) Scale(rank int) float64 {
	switch {
	case l.Gamma != 0:
		return l.Gamma
	case l.RSLoRA:
		return l.Alpha / math.Sqrt(float64(rank))
	default:
		return l.Alpha / float64(rank)
	}
}

// AdaptedModule is a linear module with an adapter.
type AdaptedModule struct {
	Name      string // in the model's files, without ".weight"
	In, Out   int
	Layer     int
	Rank      int
	parameter string // the linear map that it is rows of
	column    int    // the first of those rows
}

// Names of an adapter's tensors behind its module's.
const (
	loraA     = ".lora_A.weight"
	loraB     = ".lora_B.weight"
	magnitude = ".lora_magnitude_vector"
)

// A, B and Magnitude are the names of the module's trained tensors.
func (m AdaptedModule) A() string         { return m.Name + loraA }
func (m AdaptedModule) B() string         { return m.Name + loraB }
func (m AdaptedModule) Magnitude() string { return m.Name + magnitude }

func (l LoRA) check(layers int) error {
	switch {
	case l.Rank < 1 || !(l.Alpha > 0) || l.Dropout < 0 || l.Dropout >= 1:
		return fmt.Errorf("adapters of rank %d with alpha %v and dropout %v: the first two must be positive, dropout from 0 to below 1",
			l.Rank, l.Alpha, l.Dropout)
	case len(l.Targets) == 0:
		return fmt.Errorf("no module is to be adapted: name some, or %s", AllLinear)
	case l.Layers != nil && len(l.Layers) == 0:
		return fmt.Errorf("no layer is to be adapted: name at least one")
	}
	for i, j := range l.Layers {
		if j < 0 || j >= layers || i > 0 && j <= l.Layers[i-1] {
			return fmt.Errorf("adapted layers %v: they must rise from 0 to at most %d", l.Layers, layers-1)
		}
	}
	return nil
}

func (l LoRA) targets(module string) (target string, ok bool) {
	for _, t := range l.Targets {
		if t == AllLinear || module == t || strings.HasSuffix(module, "."+t) {
			return t, true
		}
	}
	return "", false
}

// modules are what is adapted among parameters. A target that matches nothing is an error.
func (l LoRA) modules(list []parameter, layers int) ([]AdaptedModule, error) {
	if err := l.check(layers); err != nil {
		return nil, err
	}
	var out []AdaptedModule
	used := map[string]bool{}
	for _, p := range list {
		if !p.linear || p.layer == noLayer {
			continue
		}
		for _, e := range p.exported() {
			m := AdaptedModule{
				Name: strings.TrimSuffix(e.name, ".weight"), In: e.shape[1], Out: e.shape[0], Layer: p.layer, Rank: l.Rank, parameter: p.name,
				column: e.offset / e.shape[1],
			}
			target, ok := l.targets(m.Name)
			if !ok {
				continue
			}
			used[target] = true
			if l.Ranks != nil {
				m.Rank = l.Ranks[m.Name]
			}
			if m.Rank > 0 && (l.Layers == nil || slices.Contains(l.Layers, m.Layer)) {
				out = append(out, m)
			}
		}
	}
	for _, t := range l.Targets {
		if !used[t] {
			return nil, fmt.Errorf("no linear module of the layers is named %s; there are %s", t, strings.Join(moduleEnds(list), ", "))
		}
	}
	return out, nil
}

// moduleEnds are the last names of the linear modules of the layers.
func moduleEnds(list []parameter) []string {
	var ends []string
	for _, p := range list {
		if p.linear && p.layer != noLayer {
			for _, e := range p.exported() {
				name := strings.TrimSuffix(e.name, ".weight")
				ends = append(ends, name[strings.LastIndexByte(name, '.')+1:])
			}
		}
	}
	slices.Sort(ends)
	return slices.Compact(ends)
}

// split divides the parameters of a model into the trained ones, adapters and head, and the others.
func (l LoRA) split(list []parameter, modules []AdaptedModule) (trained, frozen []parameter) {
	for _, p := range list {
		if p.head {
			trained = append(trained, p)
		} else {
			frozen = append(frozen, p)
		}
	}
	for _, m := range modules {
		add := func(name string, init initial, shape ...int) {
			trained = append(trained, parameter{name: name, shape: shape, init: init, layer: m.Layer})
		}
		add(m.A(), kaiming, m.Rank, m.In)
		add(m.B(), zeros, m.Out, m.Rank)
		if l.DoRA {
			add(m.Magnitude(), ones, m.Out)
		}
	}
	return trained, frozen
}

// Modules lists the adapted modules in the order of the model; none for a net without adapters.
func (n *Net) Modules() []AdaptedModule { return n.modules }

// InitMagnitudes sets the magnitudes of DoRA to the lengths of the rows of the weights, as they are where B is zero. It is called once, when the frozen
// weights are there.
func (n *Net) InitMagnitudes() {
	for _, m := range n.modules {
		to, ok := n.trained(m.Magnitude())
		if !ok {
			continue
		}
		w, lengths := make([]float32, m.Out*m.In), make([]float32, m.Out)
		n.dev.DownloadF32(w, n.untrained(m.parameter).values.Slice(m.column*m.In, len(w)))
		for i := range lengths {
			var sum float64
			for _, v := range w[i*m.In : (i+1)*m.In] {
				sum += float64(v) * float64(v)
			}
			lengths[i] = float32(math.Sqrt(sum))
		}
		n.dev.UploadF32(to, lengths)
	}
}

// weight is a parameter and its values.
type weight struct {
	parameter
	values device.Tensor
}

// untrained is a frozen parameter, the zero weight if there is none.
func (n *Net) untrained(name string) weight {
	for _, s := range n.stores()[1:] {
		if i, ok := s.index[name]; ok {
			p := s.list[i]
			return weight{p, s.values.Slice(p.offset, p.elements())}
		}
	}
	return weight{}
}

func (n *Net) trained(name string) (device.Tensor, bool) {
	i, ok := n.flat.index[name]
	if !ok {
		return device.Tensor{}, false
	}
	p := n.flat.list[i]
	return n.values.Slice(p.offset, p.elements()), true
}

// SetMultipliers sets the layers' factors.
func (n *Net) SetMultipliers(s []float64) error {
	if n.multipliers.Len != len(s) || len(s) == 0 {
		return fmt.Errorf("%d multipliers for a model with %d", len(s), n.multipliers.Len)
	}
	for j, v := range s {
		n.dev.UploadF32(n.multipliers.Slice(j, 1), []float32{float32(v)})
	}
	return nil
}

// adapted is a linear map with the adapters of its modules.
func (b *builder) adapted(l op.Linear, name string, modules []AdaptedModule) *gorgonia.Node {
	lora := b.net.lora
	a := op.Adapted{X: l.X, W: l.W, Bias: l.Bias}
	alone := l.Act == device.Identity && l.Dropout == 0
	if alone {
		a.Residual = l.Residual
	}
	if lora.Multipliers {
		a.S = b.multiplier(modules[0].Layer)
	}
	if b.size.mode.drop {
		a.Dropout = float32(lora.Dropout)
	}
	for _, m := range modules {
		d := op.Adapter{A: b.param(m.A()), B: b.param(m.B()), Column: m.column, Scale: float32(lora.Scale(m.Rank))}
		if lora.DoRA {
			d.Magnitude = b.param(m.Magnitude())
		}
		a.Adapters = append(a.Adapters, d)
	}
	y := b.Adapted(a)
	if b.size.mode.inner {
		for i, m := range modules {
			b.inner[m.Name] = b.AdaptedInner(y, i)
		}
	}
	if alone {
		return y
	}
	y = b.Dropout(b.Activate(y, l.Act), l.Dropout)
	if l.Residual != nil {
		y = b.Add(l.Residual, y)
	}
	return y
}

// multiplier is the node of a layer's factor.
func (b *builder) multiplier(layer int) *gorgonia.Node {
	if node, ok := b.factors[layer]; ok {
		return node
	}
	name := fmt.Sprintf("multiplier %d", layer)
	node := b.Frozen(name, 1)
	if b.size.mode.layers {
		node = b.Float(name, 1)
	}
	b.factors[layer] = node
	return node
}

// OutputNorms computes, for every layer, the sum over a batch's tokens and the layer's adapters of |gamma B A x|², without dropout and multipliers: how
// much the adapters of a layer do (LoRA-drop, Zhou et al. 2024).
func (n *Net) OutputNorms(ctx context.Context, b Batch) ([]float64, error) {
	if len(n.modules) == 0 {
		return nil, errors.New("norms of adapters' outputs: the model has none")
	}
	c, err := n.run(ctx, b, mode{inner: true})
	if err != nil {
		return nil, err
	}
	out := make([]float64, Pretrained{Backbone: n.backbone, Arch: n.arch}.Layers())
	for _, m := range n.modules {
		p := n.flat.list[n.flat.index[m.B()]]
		weight, rows := make([]float32, m.Out*m.Rank), make([]float32, b.B*b.T*m.Rank)
		n.dev.DownloadF32(weight, n.values.Slice(p.offset, p.elements()))
		n.dev.DownloadF32(rows, c.plan.Output(c.inner[m.Name]).T)
		gram := make([]float64, m.Rank*m.Rank) // B'B
		for i := range m.Out {
			w := weight[i*m.Rank:][:m.Rank]
			for j, x := range w {
				for k, y := range w {
					gram[j*m.Rank+k] += float64(x) * float64(y)
				}
			}
		}
		var sum float64
		for r := range b.B {
			for t := range int(b.Lengths[r]) {
				u := rows[(r*b.T+t)*m.Rank:][:m.Rank]
				for j, x := range u {
					for k, y := range u {
						sum += float64(x) * gram[j*m.Rank+k] * float64(y)
					}
				}
			}
		}
		gamma := n.lora.Scale(m.Rank)
		out[m.Layer] += gamma * gamma * sum
	}
	return out, nil
}
