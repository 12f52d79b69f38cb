package search

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"flexi/core/model"
	"flexi/core/model/safetensors"
)

// Prefixes of tensors in checkpoint and weight files; a task's weights are under its name and a colon.
const (
	currentPrefix   = "net:"
	basePrefix      = "base:"
	inheritedPrefix = "parent:"
	stateKey        = "state"
	archKey         = "architecture"
)

func prefixed(prefix string, tensors []model.NamedTensor) []safetensors.Tensor {
	out := make([]safetensors.Tensor, len(tensors))
	for i, t := range tensors {
		out[i] = safetensors.Tensor{Name: prefix + t.Name, Shape: t.Shape, Data: t.Data}
	}
	return out
}

// write is the checkpoint of a half-trained candidate.
func (c *candidate) write(w io.Writer) error {
	if c.tuning != nil {
		c.state.Task = c.tuning.State()
	}
	state, err := json.Marshal(c.state)
	if err != nil {
		return fmt.Errorf("encode training state: %w", err)
	}
	f := safetensors.File{Metadata: map[string]string{stateKey: string(state)}}
	if c.net != nil {
		f.Tensors = append(f.Tensors, prefixed(currentPrefix, c.net.Tensors())...)
	}
	var optimizer []safetensors.Tensor
	switch {
	case c.pretrain != nil:
		optimizer, err = c.pretrain.Tensors()
	case c.tuning != nil:
		optimizer, err = c.tuning.Tensors()
	}
	if err != nil {
		return err
	}
	f.Tensors = append(f.Tensors, optimizer...)
	f.Tensors = append(f.Tensors, prefixed(basePrefix, c.base)...)
	for name, tensors := range c.kept {
		f.Tensors = append(f.Tensors, prefixed(name+":", tensors)...)
	}
	if c.cfg.Transfer.PerTask {
		for name, tensors := range c.inherited {
			f.Tensors = append(f.Tensors, prefixed(inheritedPrefix+name+":", tensors)...)
		}
	}
	return safetensors.Write(w, f)
}

// writeWeights is what a finished candidate leaves: the pre-trained weights, and those after each task where they are kept.
func (c *candidate) writeWeights(w io.Writer) error {
	arch, err := json.Marshal(c.arch)
	if err != nil {
		return fmt.Errorf("encode architecture: %w", err)
	}
	f := safetensors.File{Metadata: map[string]string{archKey: string(arch)}, Tensors: prefixed(basePrefix, c.base)}
	for name, tensors := range c.kept {
		f.Tensors = append(f.Tensors, prefixed(name+":", tensors)...)
	}
	return safetensors.Write(w, f)
}

// load goes on from the trial's checkpoint.
func (c *candidate) load() error {
	blob, err := c.worker.Open(c.trial.Checkpoint)
	if err != nil {
		return fmt.Errorf("open checkpoint: %w", err)
	}
	defer blob.Close()
	f, err := safetensors.Read(blob)
	if err != nil {
		return fmt.Errorf("read checkpoint: %w", err)
	}
	if err := json.Unmarshal([]byte(f.Metadata[stateKey]), &c.state); err != nil {
		return fmt.Errorf("read checkpoint state: %w", err)
	}
	groups := groupTensors(f.Tensors)
	c.base = groups[strings.TrimSuffix(basePrefix, ":")]
	for _, t := range c.data.Tasks {
		if own, ok := groups[t.Name()]; ok {
			c.kept[t.Name()] = own
		}
		if own, ok := groups[inheritedPrefix+t.Name()]; ok {
			if c.inherited == nil {
				c.inherited = map[string][]model.NamedTensor{}
			}
			c.inherited[t.Name()] = own
		}
	}
	if err := c.reopen(groups[strings.TrimSuffix(currentPrefix, ":")], f.Tensors); err != nil {
		return fmt.Errorf("go on from checkpoint: %w", err)
	}
	c.countSteps()
	return nil
}

// reopen brings back the net and optimiser of the phase the checkpoint was taken in.
func (c *candidate) reopen(current []model.NamedTensor, all []safetensors.Tensor) error {
	open := c.openPretraining
	if c.state.Phase > 0 {
		if c.state.Phase > len(c.data.Tasks) {
			return errors.New("the configuration has fewer tasks than the checkpoint")
		}
		open = func() error { return c.openTask(c.data.Tasks[c.state.Phase-1]) }
	}
	if err := open(); err != nil {
		return err
	}
	missing, unexpected, err := c.net.SetTensors(current)
	if err != nil {
		return err
	}
	if len(missing)+len(unexpected) > 0 {
		return fmt.Errorf("weights do not fit the model: missing %v, unexpected %v", missing, unexpected)
	}
	if c.state.Phase == 0 {
		return c.pretrain.Restore(c.state.Pretrain, all)
	}
	return c.tuning.Restore(c.state.Task, all)
}

// groupTensors splits tensors by the prefix before the last colon; the optimiser's have none and are left out.
func groupTensors(tensors []safetensors.Tensor) map[string][]model.NamedTensor {
	groups := map[string][]model.NamedTensor{}
	for _, t := range tensors {
		if i := strings.LastIndexByte(t.Name, ':'); i >= 0 {
			groups[t.Name[:i]] = append(groups[t.Name[:i]], model.NamedTensor{Name: t.Name[i+1:], Shape: t.Shape, Data: t.Data})
		}
	}
	return groups
}
