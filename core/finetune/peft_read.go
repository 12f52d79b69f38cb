package finetune

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"flexi/core/model/safetensors"
)

// ReadAdapter reads a folder that PEFT or WriteAdapter wrote. Every tensor must belong to a module that the configuration selects, with the rank it
// gives, or to one of its modules_to_save. Modules come in the order of their layers.
func ReadAdapter(dir string) (Adapter, error) {
	text, err := os.ReadFile(filepath.Join(dir, adapterConfig))
	if err != nil {
		return Adapter{}, fmt.Errorf("read adapter: %w; name the folder that holds %s", err, adapterConfig)
	}
	c, err := parseConfig(text)
	if err != nil {
		return Adapter{}, fmt.Errorf("read %s: %w", filepath.Join(dir, adapterConfig), err)
	}
	file, err := readWeights(dir)
	if err != nil {
		return Adapter{}, fmt.Errorf("read adapter: %w", err)
	}
	a, err := c.adapter(file.Tensors)
	if err != nil {
		return Adapter{}, fmt.Errorf("read %s: %w", filepath.Join(dir, adapterWeights), err)
	}
	return a, nil
}

func readWeights(dir string) (safetensors.File, error) {
	path := filepath.Join(dir, adapterWeights)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, binErr := os.Stat(filepath.Join(dir, "adapter_model.bin")); binErr == nil {
			return safetensors.File{}, fmt.Errorf("%s holds adapter_model.bin, a pickle; save it again with PEFT's safe_serialization=True", dir)
		}
	}
	if err != nil {
		return safetensors.File{}, err
	}
	defer f.Close()
	file, err := safetensors.Read(f)
	if err != nil {
		return file, fmt.Errorf("%s: %w", path, err)
	}
	return file, nil
}

// adapter sorts tensors into modules and head.
func (c peftConfig) adapter(tensors []safetensors.Tensor) (Adapter, error) {
	a := Adapter{Rank: c.Rank, Alpha: c.Alpha, Dropout: c.Dropout, RSLoRA: c.UseRSLoRA, DoRA: c.UseDoRA}
	if c.BaseModel != nil {
		a.BaseModel = *c.BaseModel
	}
	if c.Task != nil {
		a.Task = *c.Task
	}
	modules := map[string]*AdapterModule{}
	for _, t := range tensors {
		name, ok := strings.CutPrefix(t.Name, keyPrefix)
		if !ok {
			return a, fmt.Errorf("tensor %s does not begin with %s", t.Name, keyPrefix)
		}
		module, part := splitKey(name)
		if part == "" {
			if !slices.ContainsFunc(c.ModulesToSave, func(m string) bool { return strings.Contains("."+name, "."+m+".") }) {
				return a, fmt.Errorf("tensor %s is no part of a LoRA module that flexi knows, and not among modules_to_save %v",
					t.Name, c.ModulesToSave)
			}
			a.Head = append(a.Head, safetensors.Tensor{Name: name, Shape: t.Shape, Data: t.Data})
			continue
		}
		if modules[module] == nil {
			modules[module] = &AdapterModule{Name: module}
		}
		if err := modules[module].take(part, t); err != nil {
			return a, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(modules)) {
		m := modules[name]
		if err := c.complete(m); err != nil {
			return a, fmt.Errorf("module %s: %w", name, err)
		}
		a.Modules = append(a.Modules, *m)
	}
	slices.SortStableFunc(a.Modules, func(x, y AdapterModule) int { return layerNumber(x.Name) - layerNumber(y.Name) })
	return a, a.check()
}

// layerNumber is a module's layer, -1 for one outside of layers.
func layerNumber(name string) int {
	_, _, layer, _, err := layerPath(name)
	if err != nil {
		return -1
	}
	return layer
}

// splitKey splits a tensor's name into module and part; the part is "" for whole parameters.
func splitKey(name string) (module, part string) {
	for _, suffix := range []string{suffixA, suffixB, suffixDoRA} {
		if module, ok := strings.CutSuffix(name, suffix); ok {
			return module, suffix
		}
	}
	return name, ""
}

func (m *AdapterModule) take(part string, t safetensors.Tensor) error {
	if want := map[string]int{suffixA: 2, suffixB: 2, suffixDoRA: 1}[part]; len(t.Shape) != want {
		return fmt.Errorf("tensor %s has shape %v: %d dimensions are needed", t.Name, t.Shape, want)
	}
	switch part {
	case suffixA:
		m.Rank, m.In, m.A = t.Shape[0], t.Shape[1], t.Data
	case suffixB:
		m.Out, m.B = t.Shape[0], t.Data
	default:
		m.Magnitude = t.Data
	}
	return nil
}

// complete gives a module its alpha, and holds it against the configuration.
func (c peftConfig) complete(m *AdapterModule) error {
	if m.A == nil || m.B == nil {
		return errors.New("one of lora_A and lora_B is missing")
	}
	selected, err := c.targeted(m.Name)
	if err != nil {
		return err
	}
	if !selected {
		return fmt.Errorf("the configuration does not select it (target_modules %v, layers_to_transform %v), so PEFT would pass it over",
			c.TargetModules.values, c.Layers.values)
	}
	rank, err := patterned(c.RankPattern, m.Name, c.Rank)
	if err != nil {
		return err
	}
	if rank != m.Rank {
		return fmt.Errorf("lora_A has rank %d, the configuration says %d", m.Rank, rank)
	}
	m.Alpha, err = patterned(c.AlphaPattern, m.Name, c.Alpha)
	return err
}
