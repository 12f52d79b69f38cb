package finetune

import (
	"encoding/json"
	"fmt"
	"io"

	"flexi/core/device"
	"flexi/core/model"
	"flexi/core/model/safetensors"
	"flexi/core/selection"
)

// Detail is what a finished trial says of itself, Trial.Detail.
type Detail struct {
	Selector  string         `json:"selector"`
	Layers    []int          `json:"layers"`              // with an adapter
	Selection *selection.Set `json:"selection,omitempty"` // flexora's
	// Fresh are tensors that the pretrained model lacked, and that started from random values.
	Fresh []string `json:"fresh,omitempty"`
	// Examples that searched, validated and tuned.
	Searched int `json:"searched"`
	Held     int `json:"held"`
	Tuned    int `json:"tuned"`
}

func (t *tuner) detail() Detail {
	d := Detail{Selector: t.plan.Selector, Layers: t.state.Layers, Selection: t.state.Selection, Fresh: t.weights.fresh, Tuned: t.data.tuned}
	if selectors[t.plan.Selector].probe {
		d.Searched, d.Held = t.data.searched, t.data.heldOut
	}
	return d
}

// trained is what a finished trial leaves: adapters and head, or all weights.
type trained struct {
	modules []model.AdaptedModule
	tensors []model.NamedTensor
}

// params are those of the adapters.
func (e trained) params(dora bool) int64 {
	var n int64
	for _, m := range e.modules {
		n += int64(m.Rank * (m.In + m.Out))
		if dora {
			n += int64(m.Out)
		}
	}
	return n
}

func (t *tuner) exported() trained {
	if t.ada == nil {
		return trained{t.net.Modules(), t.net.Tensors()}
	}
	var out trained
	for i, tr := range t.ada.adaLoRA.modules {
		m := t.ada.modules[i]
		A, B, rank := tr.kept(t.ada.state.Theta)
		if rank == 0 {
			continue
		}
		m.Rank = rank
		out.modules = append(out.modules, m)
		out.tensors = append(out.tensors,
			model.NamedTensor{Name: m.A(), Shape: []int{rank, m.In}, Data: A}, model.NamedTensor{Name: m.B(), Shape: []int{m.Out, rank}, Data: B})
	}
	for _, x := range t.net.Tensors() {
		if p, ok := t.ada.params[x.Name]; ok && len(t.ada.head) > 0 && isHead(t.ada.head, p.Name) {
			out.tensors = append(out.tensors, x)
		}
	}
	return out
}

func isHead(head []model.Param, name string) bool {
	for _, p := range head {
		if p.Name == name {
			return true
		}
	}
	return false
}

// weightsInfo is the metadata of a weight file.
type weightsInfo struct {
	LoRA   LoRAConfig          `json:"lora"`
	Full   bool                `json:"full"`
	Scale  float64             `json:"scale"` // gamma of every module
	Ranks  map[string]int      `json:"ranks"` // by module
	Shapes map[string][2]int   `json:"shapes"`
	Head   model.ObjectiveKind `json:"objective"`
	Labels int                 `json:"labels"`
	Seed   uint64              `json:"seed"` // of what the pretrained model lacked
	Detail json.RawMessage     `json:"detail"`
}

// writeWeights writes the trained tensors, when the net is gone.
func (t *tuner) writeWeights(w io.Writer, e trained, detail json.RawMessage) error {
	info := weightsInfo{
		LoRA: t.cfg.LoRA, Full: t.plan.Selector == SelectFull, Scale: t.cfg.LoRA.adapters(nil, false).Scale(t.cfg.LoRA.Rank), Ranks: map[string]int{},
		Shapes: map[string][2]int{}, Head: t.data.objective.Kind, Labels: t.data.objective.Labels, Detail: detail,
		Seed: device.StreamSeed(t.seed, 0, adapterStream),
	}
	for _, m := range e.modules {
		info.Ranks[m.Name], info.Shapes[m.Name] = m.Rank, [2]int{m.In, m.Out}
	}
	text, err := json.Marshal(info)
	if err != nil {
		return fmt.Errorf("encode the adapter's description: %w", err)
	}
	f := safetensors.File{Metadata: map[string]string{adapterKey: string(text)}}
	for _, x := range e.tensors {
		f.Tensors = append(f.Tensors, safetensors.Tensor{Name: x.Name, Shape: x.Shape, Data: x.Data})
	}
	return safetensors.Write(w, f)
}
