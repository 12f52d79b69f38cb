package finetune

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"flexi/core/model/safetensors"
)

// Adapter is a set of LoRA modules as the files of Hugging Face PEFT hold it.
type Adapter struct {
	BaseModel string  // name or folder of the base model
	Task      string  // PEFT's task_type: CAUSAL_LM, SEQ_CLS, ...
	Rank      int     // of modules that have no own
	Alpha     float64 // lora_alpha of modules that have no own
	Dropout   float64
	RSLoRA    bool // scale by alpha / sqrt(rank)
	DoRA      bool // every module has a magnitude
	Modules   []AdapterModule
	// Head are parameters trained as a whole, such as classifier.weight, by their names in the base model.
	Head []safetensors.Tensor
}

// AdapterModule is the adapter of one linear module: y = W x + scale B A x.
type AdapterModule struct {
	Name      string // in the base model: model.layers.0.self_attn.q_proj
	In, Out   int
	Rank      int
	Alpha     float64
	A         []float32 // [Rank, In]
	B         []float32 // [Out, Rank]
	Magnitude []float32 // [Out], DoRA only
}

// Linear is a linear module of a base model, whose weight is [Out, In].
type Linear struct {
	Name    string
	Out, In int
}

// Scale is gamma: alpha / rank, or alpha / sqrt(rank) for rank-stabilised LoRA.
func (a Adapter) Scale(m AdapterModule) float64 {
	if a.RSLoRA {
		return m.Alpha / math.Sqrt(float64(m.Rank))
	}
	return m.Alpha / float64(m.Rank)
}

// Params is the number of trained parameters, those of the head left out.
func (a Adapter) Params() int {
	n := 0
	for _, m := range a.Modules {
		n += len(m.A) + len(m.B) + len(m.Magnitude)
	}
	return n
}

// ErrNoModules is wrapped by the errors about an adapter without modules, which PEFT would take for one of every layer.
var ErrNoModules = errors.New("the adapter has no modules; select at least one layer")

// check reports the first thing that no PEFT file can hold.
func (a Adapter) check() error {
	if len(a.Modules) == 0 {
		return ErrNoModules
	}
	if a.Rank < 1 || !(a.Alpha > 0) {
		return fmt.Errorf("rank %d and alpha %v: both must be above 0", a.Rank, a.Alpha)
	}
	seen := map[string]bool{}
	for _, m := range a.Modules {
		if seen[m.Name] || m.Name == "" {
			return fmt.Errorf("module %q: the name is empty or used twice", m.Name)
		}
		seen[m.Name] = true
		if err := m.check(a.DoRA); err != nil {
			return fmt.Errorf("module %s: %w", m.Name, err)
		}
	}
	for _, t := range a.Head {
		if seen[t.Name] || t.Name == "" {
			return fmt.Errorf("trained parameter %q: the name is empty or used twice", t.Name)
		}
		seen[t.Name] = true
		if err := allFinite(t.Data); err != nil {
			return fmt.Errorf("trained parameter %s: %w", t.Name, err)
		}
	}
	return nil
}

func (m AdapterModule) check(dora bool) error {
	magnitude := 0
	if dora {
		magnitude = m.Out
	}
	if m.Rank < 1 || m.In < 1 || m.Out < 1 || !(m.Alpha > 0) {
		return fmt.Errorf("rank %d, %d inputs, %d outputs, alpha %v: all must be above 0", m.Rank, m.In, m.Out, m.Alpha)
	}
	if len(m.A) != m.Rank*m.In || len(m.B) != m.Out*m.Rank || len(m.Magnitude) != magnitude {
		return fmt.Errorf("A, B and magnitude have %d, %d and %d values: rank %d, %d inputs and %d outputs need %d, %d and %d",
			len(m.A), len(m.B), len(m.Magnitude), m.Rank, m.In, m.Out, m.Rank*m.In, m.Out*m.Rank, magnitude)
	}
	return errors.Join(allFinite(m.A), allFinite(m.B), allFinite(m.Magnitude))
}

func allFinite(values []float32) error {
	if i := slices.IndexFunc(values, func(v float32) bool { return v-v != 0 }); i >= 0 {
		return fmt.Errorf("value %d is %v: the training diverged", i, values[i])
	}
	return nil
}

// shownModules is how many modules an error lists.
const shownModules = 5

// Fits reports the modules that the base model lacks or has in another shape.
func (a Adapter) Fits(model []Linear) error {
	shapes := make(map[string]Linear, len(model))
	for _, l := range model {
		shapes[l.Name] = l
	}
	var wrong []string
	for _, m := range a.Modules {
		l, ok := shapes[m.Name]
		switch {
		case !ok:
			wrong = append(wrong, m.Name+": the model has no such module")
		case l.Out != m.Out || l.In != m.In:
			wrong = append(wrong, fmt.Sprintf("%s: adapts [%d, %d], the model has [%d, %d]", m.Name, m.Out, m.In, l.Out, l.In))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	more := ""
	if n := len(wrong) - shownModules; n > 0 {
		more = fmt.Sprintf("\n  and %d more", n)
	}
	base := "its base model is not named"
	if a.BaseModel != "" {
		base = "its base model is " + a.BaseModel
	}
	return fmt.Errorf("the adapter is for another model (%s): %d of %d modules do not fit:\n  %s%s", base, len(wrong), len(a.Modules),
		strings.Join(wrong[:min(shownModules, len(wrong))], "\n  "), more)
}

// Merge adds an adapter module to the weight [Out, In] that it adapts, in place:
//
//	W' = W + gamma B A                            LoRA
//	W' = magnitude / |W + gamma B A|row (...)     DoRA
//
// Sums are in float64. A result that is not finite is an error, and the weight stays as it was.
func (a Adapter) Merge(weight []float32, m AdapterModule) error {
	if err := m.check(a.DoRA); err != nil {
		return fmt.Errorf("merge %s: %w", m.Name, err)
	}
	if len(weight) != m.Out*m.In {
		return fmt.Errorf("merge %s: the weight has %d values, the adapter is for [%d, %d]", m.Name, len(weight), m.Out, m.In)
	}
	merged := make([]float32, len(weight))
	row := make([]float64, m.In)
	gamma := a.Scale(m)
	for i := range m.Out {
		for j := range row {
			row[j] = float64(weight[i*m.In+j])
		}
		for k := range m.Rank {
			b := gamma * float64(m.B[i*m.Rank+k])
			for j, v := range m.A[k*m.In:][:m.In] {
				row[j] += b * float64(v)
			}
		}
		scale := 1.0
		if a.DoRA {
			scale = float64(m.Magnitude[i]) / norm(row)
		}
		for j, v := range row {
			merged[i*m.In+j] = float32(scale * v)
		}
	}
	if err := allFinite(merged); err != nil {
		return fmt.Errorf("merge %s: %w", m.Name, err)
	}
	copy(weight, merged)
	return nil
}
