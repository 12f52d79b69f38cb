package finetune

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"flexi/core/model/safetensors"
)

// AdapterStyle is how adapter_config.json names the modules.
type AdapterStyle string

const (
	// LayerStyle is compact: the modules' last names, and layers_to_transform. A bare backbone whose names begin with the layer list cannot have it.
	LayerStyle AdapterStyle = "layers"
	// ModuleStyle lists every module, and works for tools that pass over layers_to_transform.
	ModuleStyle AdapterStyle = "modules"
)

// The files of an adapter.
const (
	adapterConfig  = "adapter_config.json"
	adapterWeights = "adapter_model.safetensors"
	keyPrefix      = "base_model.model."
	suffixA        = ".lora_A.weight"
	suffixB        = ".lora_B.weight"
	suffixDoRA     = ".lora_magnitude_vector"
)

// WriteAdapter writes an adapter's two files into a folder, which it makes. Model are the linear modules of the base model: the configuration must
// select the adapter's modules among them and no others, by PEFT's own rules.
func WriteAdapter(dir string, a Adapter, model []Linear, style AdapterStyle) error {
	if err := a.check(); err != nil {
		return fmt.Errorf("export adapter: %w", err)
	}
	if err := a.Fits(model); err != nil {
		return fmt.Errorf("export adapter: %w", err)
	}
	config, err := a.config(model, style)
	if err != nil {
		return fmt.Errorf("export adapter in style %s: %w", style, err)
	}
	text, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return fmt.Errorf("export adapter: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("export adapter: %w", err)
	}
	weights := func(w io.Writer) error {
		return safetensors.Write(w, safetensors.File{Tensors: a.tensors(), Metadata: map[string]string{"format": "pt"}})
	}
	if err := writeWhole(filepath.Join(dir, adapterWeights), weights); err != nil {
		return fmt.Errorf("export adapter: %w", err)
	}
	err = writeWhole(filepath.Join(dir, adapterConfig), func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	})
	if err != nil {
		return fmt.Errorf("export adapter: %w", err)
	}
	return nil
}

// writeWhole writes a file that is there as a whole or not at all.
func writeWhole(path string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".part-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	err = errors.Join(write(w), w.Flush(), f.Chmod(0o644), f.Sync())
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func (a Adapter) tensors() []safetensors.Tensor {
	var out []safetensors.Tensor
	for _, m := range a.Modules {
		name := keyPrefix + m.Name
		out = append(out, safetensors.Tensor{Name: name + suffixA, Shape: []int{m.Rank, m.In}, Data: m.A},
			safetensors.Tensor{Name: name + suffixB, Shape: []int{m.Out, m.Rank}, Data: m.B})
		if a.DoRA {
			out = append(out, safetensors.Tensor{Name: name + suffixDoRA, Shape: []int{m.Out}, Data: m.Magnitude})
		}
	}
	for _, t := range a.Head {
		out = append(out, safetensors.Tensor{Name: keyPrefix + t.Name, Shape: t.Shape, Data: t.Data})
	}
	return out
}

func (a Adapter) config(model []Linear, style AdapterStyle) (peftConfig, error) {
	c := peftConfig{
		AlphaPattern: map[string]float64{}, Bias: "none", InferenceMode: true, InitWeights: true, Alpha: a.Alpha, Dropout: a.Dropout,
		PEFTType: "LORA", Rank: a.Rank, RankPattern: map[string]int{}, UseDoRA: a.DoRA, UseRSLoRA: a.RSLoRA,
	}
	if a.BaseModel != "" {
		c.BaseModel = &a.BaseModel
	}
	if a.Task != "" {
		c.Task = &a.Task
	}
	c.ModulesToSave = a.saved()
	if err := a.patterns(&c); err != nil {
		return c, err
	}
	switch style {
	case LayerStyle:
		return c, a.byLayers(&c, model)
	case ModuleStyle:
		return c, a.byModules(&c, model)
	}
	return c, fmt.Errorf("there is no such style; styles are %s and %s", LayerStyle, ModuleStyle)
}

// saved are the modules that PEFT must load whole; for classification both names that PEFT adds by itself.
func (a Adapter) saved() []string {
	if len(a.Head) == 0 {
		return nil
	}
	var names []string
	if a.Task == "SEQ_CLS" || a.Task == "TOKEN_CLS" {
		names = []string{"classifier", "score"}
	}
	for _, t := range a.Head {
		if module, _, _ := strings.Cut(strings.TrimPrefix(t.Name, "bert."), "."); !slices.Contains(names, module) {
			names = append(names, module)
		}
	}
	return names
}

// patterns gives modules with a rank or an alpha of their own an entry in both maps: PEFT before 2025 looked a key up in both at once.
func (a Adapter) patterns(c *peftConfig) error {
	for _, m := range a.Modules {
		if m.Rank == a.Rank && m.Alpha == a.Alpha {
			continue
		}
		prefix, list, layer, rest, err := layerPath(m.Name)
		if err != nil {
			return err
		}
		key := strconv.Itoa(layer) + "." + rest
		if prefix != "" { // PEFT 0.11 wants something before the key
			key = list + "." + key
		}
		key = regexp.QuoteMeta(key)
		c.RankPattern[key], c.AlphaPattern[key] = m.Rank, m.Alpha
	}
	return nil
}

// fromLayers is a module's name from its layer list on: layers.3.self_attn.q_proj.
func fromLayers(name string) (string, error) {
	_, list, layer, rest, err := layerPath(name)
	return list + "." + strconv.Itoa(layer) + "." + rest, err
}

// byLayers fills in the compact style: last names where they select the right modules, else names from the layer on.
func (a Adapter) byLayers(c *peftConfig, model []Linear) error {
	var short, long []string
	for _, m := range a.Modules {
		prefix, list, layer, rest, err := layerPath(m.Name)
		if err != nil {
			return err
		}
		if prefix == "" {
			return fmt.Errorf("PEFT finds no layer in %s, where nothing stands before %q; use style %s", m.Name, list, ModuleStyle)
		}
		if c.LayersPattern.values == nil {
			c.LayersPattern = oneOrMore[string]{[]string{list}, true}
		}
		short, long = append(short, rest[strings.LastIndex(rest, ".")+1:]), append(long, rest)
		c.Layers.values = append(c.Layers.values, layer)
	}
	slices.Sort(c.Layers.values)
	c.Layers.values = slices.Compact(c.Layers.values)
	var err error
	for _, names := range [][]string{short, long} {
		slices.Sort(names)
		c.TargetModules.values = slices.Compact(names)
		if err = a.exactly(*c, model); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%w; use style %s", err, ModuleStyle)
}

// byModules fills in the explicit style, whose names are unambiguous since they begin at the layer list.
func (a Adapter) byModules(c *peftConfig, model []Linear) error {
	for _, m := range a.Modules {
		name, err := fromLayers(m.Name)
		if err != nil {
			return err
		}
		c.TargetModules.values = append(c.TargetModules.values, name)
	}
	slices.Sort(c.TargetModules.values)
	return a.exactly(*c, model)
}

// exactly reports a module of the model that the configuration selects though it is not the adapter's, or the other way round.
func (a Adapter) exactly(c peftConfig, model []Linear) error {
	for _, l := range model {
		selected, err := c.targeted(l.Name)
		if err != nil {
			return err
		}
		mine := slices.ContainsFunc(a.Modules, func(m AdapterModule) bool { return m.Name == l.Name })
		if selected != mine {
			return fmt.Errorf("layers %v of modules %v would %s", c.Layers.values, c.TargetModules.values,
				map[bool]string{true: "adapt " + l.Name + " too", false: "leave " + l.Name + " out"}[selected])
		}
	}
	return nil
}
