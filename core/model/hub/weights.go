package hub

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"flexi/core/model"
	"flexi/core/model/safetensors"
)

// Weights reads the tensors that a model for an objective is made of. Fresh are those that the files do not have and that a task gives the model: its
// head, to which the pooler belongs. Any other tensor that is missing, of another shape, or unknown is an error that lists all of them.
func (m *Model) Weights(o model.Objective) (tensors []model.NamedTensor, fresh []string, err error) {
	wanted := map[string]model.Tensor{}
	for _, t := range m.Model.Tensors(o) {
		wanted[t.Name] = t
	}
	c := &collector{m: m, wanted: wanted, known: m.otherHeads(), got: map[string]bool{}}
	if m.llama2c {
		err = m.readLlama2c(c.take)
	} else {
		err = m.readFiles(c.take)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read the weights of %s: %w", m.Path, err)
	}
	if fresh, err = c.missing(); err != nil {
		return nil, nil, fmt.Errorf("the weights of %s do not fit its configuration:\n  %w", m.Path, err)
	}
	return c.tensors, fresh, nil
}

func (m *Model) readFiles(take func(t model.NamedTensor)) error {
	for _, path := range m.files {
		f, err := packed(path)
		if err != nil {
			return err
		}
		_, err = safetensors.Each(f, func(t safetensors.Tensor, _ string) error {
			if t.Data != nil { // integers are tables of positions
				take(model.NamedTensor{Name: t.Name, Shape: t.Shape, Data: t.Data})
			}
			return nil
		})
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// otherHeads are the tensors of the model with other objectives, which files may hold too.
func (m *Model) otherHeads() map[string]bool {
	known := map[string]bool{}
	for _, o := range []model.Objective{{Kind: model.MaskedLM}, {Kind: model.CausalLM}, {Kind: model.Regress}} {
		for _, t := range m.Model.Tensors(o) {
			known[t.Name] = true
		}
	}
	return known
}

// collector takes what is wanted and remembers what is wrong.
type collector struct {
	m       *Model
	wanted  map[string]model.Tensor
	known   map[string]bool
	got     map[string]bool
	tensors []model.NamedTensor
	wrong   []string
	tied    *model.NamedTensor // the head of a tied model, which some files hold in place of the embedding table
}

func (c *collector) take(t model.NamedTensor) {
	file := t.Name
	t.Name = c.m.canonical(t.Name)
	w, ok := c.wanted[t.Name]
	if b := c.m.Model.Backbone; b != nil && b.Tied && t.Name == "lm_head.weight" {
		t.Name = "model.embed_tokens.weight"
		c.tied = &t
		return
	}
	switch {
	case !ok && (c.known[t.Name] || ignored(t.Name)):
	case !ok:
		c.wrong = append(c.wrong, file+": the model has no such tensor")
	case c.got[t.Name]:
		c.wrong = append(c.wrong, file+": there are two of it")
	case w.Head && !pooler(t.Name) && !slices.Equal(t.Shape, w.Shape): // another task's
	case !slices.Equal(t.Shape, w.Shape):
		c.wrong = append(c.wrong, fmt.Sprintf("%s: shape %v, the configuration says %v", file, t.Shape, w.Shape))
		c.got[t.Name] = true
	default:
		c.got[t.Name] = true
		c.tensors = append(c.tensors, t)
	}
}

// shownTensors is how many an error lists of each sort.
const shownTensors = 8

func (c *collector) missing() (fresh []string, err error) {
	if c.tied != nil && !c.got[c.tied.Name] {
		c.take(*c.tied)
	}
	var lack []string
	for _, name := range slices.Sorted(maps.Keys(c.wanted)) {
		switch {
		case c.got[name]:
		case c.wanted[name].Head:
			fresh = append(fresh, name)
		default:
			lack = append(lack, name+": missing")
		}
	}
	slices.Sort(c.wrong)
	var lines []string
	for _, sort := range [][]string{lack, c.wrong} {
		lines = append(lines, sort[:min(len(sort), shownTensors)]...)
		if more := len(sort) - shownTensors; more > 0 {
			lines = append(lines, fmt.Sprintf("and %d more", more))
		}
	}
	if len(lines) > 0 {
		return nil, errors.New(strings.Join(lines, "\n  "))
	}
	return fresh, nil
}

// canonical is a tensor's name in the model: with the family's prefix, and new names for old ones.
func (m *Model) canonical(name string) string {
	b := m.Model.Backbone
	if b == nil {
		return name
	}
	for _, old := range [][2]string{{"LayerNorm.gamma", "LayerNorm.weight"}, {"LayerNorm.beta", "LayerNorm.bias"}} {
		if rest, ok := strings.CutSuffix(name, old[0]); ok {
			name = rest + old[1]
		}
	}
	prefix, bare := "model.", []string{"layers.", "embed_tokens.", "norm."}
	if !b.Family.Decoder() {
		prefix, bare = string(b.Family)+".", []string{"embeddings.", "encoder.", "pooler."}
	}
	for _, start := range bare {
		if strings.HasPrefix(name, start) {
			return prefix + name
		}
	}
	return name
}

// ignored are tensors of heads that no objective has, copies of tied weights, and tables that are computed.
func ignored(name string) bool {
	for _, start := range []string{"cls.", "lm_head.", "score.", "classifier.", "qa_outputs."} {
		if strings.HasPrefix(name, start) {
			return true
		}
	}
	return strings.HasSuffix(name, ".position_ids") || strings.HasSuffix(name, "rotary_emb.inv_freq") || strings.HasSuffix(name, ".masked_bias") ||
		pooler(name)
}

func pooler(name string) bool { return strings.Contains(name, ".pooler.") }
