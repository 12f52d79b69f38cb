package finetune

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"flexi/core/model"
	"flexi/core/model/safetensors"
)

// searchState is the part of a layer search's state that is not tensors.
type searchState struct {
	Outer         int       `json:"outer"`
	Alpha         []float64 `json:"alpha"`
	AlphaM        []float64 `json:"alpha_m"`
	AlphaV        []float64 `json:"alpha_v"`
	InnerFinished int       `json:"inner_finished"`
	AlphaUpdates  int       `json:"alpha_updates"`
	Frozen        bool      `json:"frozen"`
}

// Names and prefixes of tensors in checkpoints and weight files, and keys of their metadata.
const (
	netPrefix   = "net:"
	searchTheta = "search.theta"
	searchM     = "search.m"
	searchV     = "search.v"
	stateKey    = "state"
	adapterKey  = "adapter"
)

func vector(name string, data []float32) safetensors.Tensor {
	return safetensors.Tensor{Name: name, Shape: []int{len(data)}, Data: data}
}

// write is the checkpoint of a half-made trial.
func (t *tuner) write(w io.Writer) error {
	var f safetensors.File
	if t.search != nil {
		s := t.search.State()
		t.state.Search = searchState{s.Outer, s.Alpha, s.AlphaM, s.AlphaV, s.InnerFinished, s.AlphaUpdates, s.Frozen}
		f.Tensors = append(f.Tensors, vector(searchTheta, s.Theta), vector(searchM, s.M), vector(searchV, s.V))
	}
	if t.trainer != nil {
		optimizer, err := t.trainer.Tensors()
		if err != nil {
			return err
		}
		f.Tensors = append(f.Tensors, optimizer...)
		for _, x := range t.net.Tensors() {
			f.Tensors = append(f.Tensors, safetensors.Tensor{Name: netPrefix + x.Name, Shape: x.Shape, Data: x.Data})
		}
	}
	if t.ada != nil {
		f.Tensors = append(f.Tensors, t.ada.tensors()...)
	}
	state, err := json.Marshal(t.state)
	if err != nil {
		return fmt.Errorf("encode the trial's state: %w", err)
	}
	f.Metadata = map[string]string{stateKey: string(state)}
	return safetensors.Write(w, f)
}

// begin loads the trial's checkpoint, if it has one.
func (t *tuner) begin() error {
	if t.trial.Checkpoint == "" {
		return nil
	}
	blob, err := t.worker.Open(t.trial.Checkpoint)
	if err != nil {
		return fmt.Errorf("open checkpoint: %w", err)
	}
	defer blob.Close()
	f, err := safetensors.Read(blob)
	if err != nil {
		return fmt.Errorf("read checkpoint: %w", err)
	}
	if err := json.Unmarshal([]byte(f.Metadata[stateKey]), &t.state); err != nil {
		return fmt.Errorf("read checkpoint state: %w", err)
	}
	if err := t.restore(f.Tensors); err != nil {
		return fmt.Errorf("go on from checkpoint: %w", err)
	}
	return nil
}

func (t *tuner) restore(tensors []safetensors.Tensor) error {
	data := map[string][]float32{}
	var own []model.NamedTensor
	for _, x := range tensors {
		if name, ok := strings.CutPrefix(x.Name, netPrefix); ok {
			own = append(own, model.NamedTensor{Name: name, Shape: x.Shape, Data: x.Data})
		} else {
			data[x.Name] = x.Data
		}
	}
	switch {
	case !t.state.Tuning && data[searchTheta] == nil: // before its first step
		return nil
	case !t.state.Tuning:
		if err := t.openSearch(); err != nil {
			return err
		}
		s := t.state.Search
		return t.search.Restore(BilevelState[float32]{
			Outer: s.Outer, Theta: data[searchTheta], M: data[searchM], V: data[searchV], Alpha: s.Alpha, AlphaM: s.AlphaM, AlphaV: s.AlphaV,
			InnerFinished: s.InnerFinished, AlphaUpdates: s.AlphaUpdates, Frozen: s.Frozen,
		})
	}
	if err := t.openTuning(); err != nil {
		return err
	}
	if t.ada != nil {
		return t.ada.restore(data)
	}
	_, unexpected, err := t.net.SetTensors(own)
	if err != nil {
		return err
	}
	if len(unexpected) > 0 || len(own) != len(t.net.Tensors()) {
		return fmt.Errorf("%d tensors, unexpected %v: the model trains %d", len(own), unexpected, len(t.net.Tensors()))
	}
	return t.trainer.Restore(t.state.Step, tensors)
}
