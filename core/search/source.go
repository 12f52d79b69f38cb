package search

import (
	"errors"
	"fmt"
	"strings"

	"flexi/core/model"
	"flexi/core/model/safetensors"
	"flexi/core/run"
)

// parent is a trained candidate that another starts from.
type parent struct {
	trial   int
	overlap float64
	arch    model.Arch
	// tensors are its pre-trained weights under "", and those after a task under the task's name, where they were kept.
	tensors map[string][]model.NamedTensor
}

// source reads the weights of a trial's parent; nil if it has none, or if it goes on from its own checkpoint. Where the parent's weights are lost the trial
// trains from scratch, and says so.
func (j *job) source(t run.Trial, w run.Worker) (*parent, error) {
	p, err := j.readSource(t, w)
	if errors.Is(err, run.ErrLost) {
		w.Event("warn", fmt.Sprintf("trains from scratch: %v", err))
		return nil, nil
	}
	return p, err
}

func (j *job) readSource(t run.Trial, w run.Worker) (*parent, error) {
	if t.Parent < 0 || t.Checkpoint != "" {
		return nil, nil
	}
	j.mu.Lock()
	blob, ok := j.weights[t.Parent]
	arch := j.archs[t.Parent]
	j.mu.Unlock()
	if !ok {
		return nil, fmt.Errorf("the weights of trial %d, which it should start from, are not stored: %w", t.Parent, run.ErrLost)
	}
	r, err := w.Open(blob)
	if err != nil {
		return nil, fmt.Errorf("open the weights of trial %d: %w", t.Parent, err)
	}
	defer r.Close()
	f, err := safetensors.Read(r)
	if err != nil {
		return nil, fmt.Errorf("read the weights of trial %d: %w", t.Parent, err)
	}
	p := &parent{trial: t.Parent, overlap: t.Overlap, arch: arch, tensors: groupTensors(f.Tensors)}
	base := strings.TrimSuffix(basePrefix, ":")
	p.tensors[""] = p.tensors[base]
	delete(p.tensors, base)
	if len(p.tensors[""]) == 0 {
		return nil, fmt.Errorf("the weight file of trial %d holds no pre-trained weights", t.Parent)
	}
	return p, nil
}
