package finetune

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"flexi/core/model/safetensors"
	"flexi/core/selection"
)

// family is the shape of a model as its Hugging Face class names its modules.
type family struct {
	prefix, task string
	modules      [2]string // that are adapted
	others       []string
	head         []string
}

var families = map[string]family{
	"llama":   {"model.layers", "CAUSAL_LM", [2]string{"self_attn.q_proj", "self_attn.v_proj"}, []string{"self_attn.k_proj", "mlp.down_proj"}, nil},
	"mistral": {"model.layers", "CAUSAL_LM", [2]string{"self_attn.q_proj", "self_attn.v_proj"}, []string{"self_attn.o_proj", "mlp.up_proj"}, nil},
	"qwen2":   {"model.layers", "CAUSAL_LM", [2]string{"self_attn.q_proj", "mlp.gate_proj"}, []string{"self_attn.v_proj"}, nil},
	"bert":    {"bert.encoder.layer", "SEQ_CLS", [2]string{"attention.self.query", "attention.self.value"}, []string{"attention.output.dense", "output.dense"}, []string{"classifier.weight", "classifier.bias"}},
	"roberta": {"roberta.encoder.layer", "SEQ_CLS", [2]string{"attention.self.query", "attention.output.dense"}, []string{"output.dense", "intermediate.dense"}, []string{"classifier.out_proj.weight"}},
}

// model is a model of 22 layers, so that 1, 11 and 21 may be confused.
func (f family) model() []Linear {
	var out []Linear
	for l := range 22 {
		for i, m := range append(f.modules[:], f.others...) {
			out = append(out, Linear{fmt.Sprintf("%s.%d.%s", f.prefix, l, m), 6 - i, 5})
		}
	}
	return out
}

func (f family) adapter(seed uint64, layers ...int) Adapter {
	a := Adapter{BaseModel: "base/model", Task: f.task, Rank: 2, Alpha: 4, Dropout: 0.05}
	for _, l := range layers {
		for i, m := range f.modules {
			a.Modules = append(a.Modules, AdapterModule{Name: fmt.Sprintf("%s.%d.%s", f.prefix, l, m), In: 5, Out: 6 - i, Rank: 2, Alpha: 4})
		}
	}
	for _, h := range f.head {
		a.Head = append(a.Head, safetensors.Tensor{Name: h, Shape: []int{3}})
	}
	slices.SortFunc(a.Head, func(x, y safetensors.Tensor) int { return strings.Compare(x.Name, y.Name) })
	slices.SortStableFunc(a.Modules, func(x, y AdapterModule) int {
		if d := layerNumber(x.Name) - layerNumber(y.Name); d != 0 {
			return d
		}
		return strings.Compare(x.Name, y.Name)
	})
	randomise(rand.New(rand.NewPCG(seed, 1)), &a)
	return a
}

func readConfig(t *testing.T, dir string) map[string]any {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, adapterConfig))
	require.NoError(t, err)
	var c map[string]any
	require.NoError(t, json.Unmarshal(b, &c))
	return c
}

// goldenNames are tensors of layer 11 as PEFT names them.
var goldenNames = map[string][]string{
	"llama":   {"base_model.model.model.layers.11.self_attn.q_proj.lora_A.weight", "base_model.model.model.layers.11.self_attn.v_proj.lora_B.weight"},
	"mistral": {"base_model.model.model.layers.11.self_attn.q_proj.lora_B.weight"},
	"qwen2":   {"base_model.model.model.layers.11.mlp.gate_proj.lora_A.weight"},
	"bert":    {"base_model.model.bert.encoder.layer.11.attention.self.query.lora_A.weight", "base_model.model.classifier.bias", "base_model.model.classifier.weight"},
	"roberta": {"base_model.model.roberta.encoder.layer.11.attention.output.dense.lora_A.weight", "base_model.model.classifier.out_proj.weight"},
}

// peftKeys are the keys of PEFT 0.11.1, which refuses others.
var peftKeys = []string{
	"alpha_pattern", "auto_mapping", "base_model_name_or_path", "bias", "fan_in_fan_out", "inference_mode", "init_lora_weights", "layers_pattern", "layers_to_transform",
	"lora_alpha", "lora_dropout", "modules_to_save", "peft_type", "r", "rank_pattern", "revision", "target_modules", "task_type", "use_dora", "use_rslora",
}

func TestAdapterRoundTrip(t *testing.T) {
	for name, f := range families {
		for _, style := range []AdapterStyle{LayerStyle, ModuleStyle} {
			for _, layers := range [][]int{{1}, {11}, {21}, {0, 1, 10, 12, 21}} {
				dir := filepath.Join(t.TempDir(), "adapter")
				a := f.adapter(3, layers...)
				require.NoError(t, WriteAdapter(dir, a, f.model(), style))
				back, err := ReadAdapter(dir)
				require.NoError(t, err)
				require.Equal(t, a, back, name)
				require.NoError(t, back.Fits(f.model()))

				config := readConfig(t, dir)
				require.Equal(t, peftKeys, slices.Sorted(maps.Keys(config)))
				if style == LayerStyle {
					require.Len(t, config["layers_to_transform"], len(layers))
				} else {
					require.Nil(t, config["layers_to_transform"])
					require.Len(t, config["target_modules"], 2*len(layers))
				}
				file, err := readWeights(dir)
				require.NoError(t, err)
				require.Equal(t, map[string]string{"format": "pt"}, file.Metadata)
				require.Len(t, file.Tensors, 4*len(layers)+len(f.head))
				for _, golden := range goldenNames[name] {
					has := slices.ContainsFunc(file.Tensors, func(t safetensors.Tensor) bool { return t.Name == golden })
					require.Equal(t, layers[0] == 11 || !strings.Contains(golden, ".11."), has, golden)
				}
				left, err := os.ReadDir(dir)
				require.NoError(t, err)
				require.Len(t, left, 2, "no part files stay")
			}
		}
	}
}

// TestConfigOfTheSpecification compares a whole adapter_config.json.
func TestConfigOfTheSpecification(t *testing.T) {
	a := families["llama"].adapter(1, 0, 2, 3, 21)
	a.BaseModel, a.Dropout = "meta-llama/Meta-Llama-3-8B", 0
	dir := t.TempDir()
	require.NoError(t, WriteAdapter(dir, a, families["llama"].model(), LayerStyle))
	b, err := os.ReadFile(filepath.Join(dir, adapterConfig))
	require.NoError(t, err)
	require.JSONEq(t, `{"alpha_pattern": {}, "auto_mapping": null, "base_model_name_or_path": "meta-llama/Meta-Llama-3-8B", "bias": "none", "fan_in_fan_out": false,
		"inference_mode": true, "init_lora_weights": true, "layers_pattern": "layers", "layers_to_transform": [0, 2, 3, 21], "lora_alpha": 4, "lora_dropout": 0.0,
		"modules_to_save": null, "peft_type": "LORA", "r": 2, "rank_pattern": {}, "revision": null, "target_modules": ["q_proj", "v_proj"], "task_type": "CAUSAL_LM",
		"use_dora": false, "use_rslora": false}`, string(b))
	require.True(t, strings.HasPrefix(string(b), "{\n  \"alpha_pattern\": {},\n"))

	// Modules whose last name others share need more of their path; roberta's two dense modules do.
	require.NoError(t, WriteAdapter(dir, families["roberta"].adapter(1, 5), families["roberta"].model(), LayerStyle))
	config := readConfig(t, dir)
	require.Equal(t, []any{"attention.output.dense", "attention.self.query"}, config["target_modules"])
	require.Equal(t, []any{"layer", []any{"classifier", "score"}}, []any{config["layers_pattern"], config["modules_to_save"]})
}

func TestRanksOfTheirOwn(t *testing.T) {
	f := families["llama"]
	a := f.adapter(1, 1, 11)
	a.Modules[0].Rank, a.Modules[0].Alpha, a.Modules[3].Alpha = 3, 9, 5
	randomise(rand.New(rand.NewPCG(1, 1)), &a)
	dir := t.TempDir()
	require.NoError(t, WriteAdapter(dir, a, f.model(), LayerStyle))
	config := readConfig(t, dir)
	require.Equal(t, map[string]any{`layers\.1\.self_attn\.q_proj`: 3.0, `layers\.11\.self_attn\.v_proj`: 2.0}, config["rank_pattern"])
	require.Equal(t, map[string]any{`layers\.1\.self_attn\.q_proj`: 9.0, `layers\.11\.self_attn\.v_proj`: 5.0}, config["alpha_pattern"])
	back, err := ReadAdapter(dir)
	require.NoError(t, err)
	require.Equal(t, a, back)
	require.Equal(t, []float64{3, 2.5}, []float64{back.Scale(back.Modules[0]), back.Scale(back.Modules[3])})
	back.RSLoRA = true
	require.InDelta(t, 9/math.Sqrt(3), back.Scale(back.Modules[0]), 1e-15)
	require.Equal(t, 3*(5+6)+3*2*5+2*(6+2*5), back.Params())
}

// TestRanksOfABackbone: PEFT 0.11 matches a key only behind a dot.
func TestRanksOfABackbone(t *testing.T) {
	bare := family{prefix: "layers", modules: families["llama"].modules}
	a := bare.adapter(1, 1, 11)
	a.Modules[0].Alpha = 9
	dir := t.TempDir()
	require.NoError(t, WriteAdapter(dir, a, bare.model(), ModuleStyle))
	require.Equal(t, map[string]any{`1\.self_attn\.q_proj`: 9.0}, readConfig(t, dir)["alpha_pattern"])
	back, err := ReadAdapter(dir)
	require.NoError(t, err)
	require.Equal(t, a, back, "layer 11 keeps the general alpha")
}

func TestWriteAdapterRefuses(t *testing.T) {
	f := families["llama"]
	for want, change := range map[string]func(a *Adapter){
		"the adapter has no modules; select at least one layer":                func(a *Adapter) { a.Modules = nil },
		"is NaN: the training diverged":                                        func(a *Adapter) { a.Modules[1].B[3] = float32(math.NaN()) },
		"empty or used twice":                                                  func(a *Adapter) { a.Modules[1].Name = a.Modules[0].Name },
		"rank 2, 5 inputs and 6 outputs need 10, 12 and 0":                     func(a *Adapter) { a.Modules[0].A = a.Modules[0].A[1:] },
		"need 10, 12 and 6":                                                    func(a *Adapter) { a.DoRA = true },
		"the adapter is for another model (its base model is base/model): 1 o": func(a *Adapter) { a.Modules[0].Name = "model.layers.22.self_attn.q_proj" },
		"self_attn.q_proj: adapts [4, 5], the model has [6, 5]": func(a *Adapter) {
			a.Modules[0].Out, a.Modules[0].B = 4, a.Modules[0].B[:8]
		},
		"rank 0 and alpha 4": func(a *Adapter) { a.Rank = 0 },
	} {
		a := f.adapter(1, 1, 11)
		change(&a)
		dir := filepath.Join(t.TempDir(), "x")
		require.ErrorContains(t, WriteAdapter(dir, a, f.model(), ModuleStyle), want)
		require.NoDirExists(t, dir)
	}
	a := f.adapter(1, 1, 11)
	a.Modules = a.Modules[1:]
	require.ErrorContains(t, WriteAdapter(t.TempDir(), a, f.model(), LayerStyle), "would adapt model.layers.1.self_attn.q_proj too; use style modules")
	require.NoError(t, WriteAdapter(t.TempDir(), a, f.model(), ModuleStyle))
	require.ErrorContains(t, WriteAdapter(t.TempDir(), a, f.model(), "both"), "styles are layers and modules")

	bare := family{prefix: "layers", modules: f.modules}
	require.ErrorContains(t, WriteAdapter(t.TempDir(), bare.adapter(1, 3), bare.model(), LayerStyle), `where nothing stands before "layers"; use style modules`)
	require.NoError(t, WriteAdapter(t.TempDir(), bare.adapter(1, 3), bare.model(), ModuleStyle))
}

func TestReadAdapterRefuses(t *testing.T) {
	f := families["llama"]
	for want, damage := range map[string]func(config map[string]any, a *Adapter){
		"peft_type is \"LOHA\": only LORA is supported": func(c map[string]any, _ *Adapter) { c["peft_type"] = "LOHA" },
		"bias is \"all\"":        func(c map[string]any, _ *Adapter) { c["bias"] = "all" },
		"fan_in_fan_out is true": func(c map[string]any, _ *Adapter) { c["fan_in_fan_out"] = true },
		"init_lora_weights is \"pissa\", which changes the base": func(c map[string]any, _ *Adapter) { c["init_lora_weights"] = "pissa" },
		"lora_bias is true, which flexi does not support":        func(c map[string]any, _ *Adapter) { c["lora_bias"] = true },
		"r is 0":                  func(c map[string]any, _ *Adapter) { c["r"] = 0 },
		"target_modules is empty": func(c map[string]any, _ *Adapter) { c["target_modules"] = []string{} },
		"needs a list of target_modules, not a pattern": func(c map[string]any, _ *Adapter) { c["target_modules"] = ".*q_proj" },
		"the configuration does not select it":          func(c map[string]any, _ *Adapter) { c["layers_to_transform"] = 1 },
		"lora_A has rank 2, the configuration says 8":   func(c map[string]any, _ *Adapter) { c["r"] = 8 },
		"pattern \"(\"": func(c map[string]any, _ *Adapter) { c["rank_pattern"] = map[string]int{"(": 1} },
		"is no part of a LoRA module that flexi knows, and not among": func(_ map[string]any, a *Adapter) {
			a.Head = []safetensors.Tensor{{Name: "lm_head.weight", Shape: []int{1}, Data: []float32{1}}}
		},
		"need 10, 12 and 0": func(c map[string]any, a *Adapter) { a.DoRA = true; randomise(rand.New(rand.NewPCG(1, 1)), a) },
	} {
		dir := t.TempDir()
		a := f.adapter(1, 1, 11)
		require.NoError(t, WriteAdapter(dir, a, f.model(), LayerStyle))
		config := readConfig(t, dir)
		damage(config, &a)
		b, err := json.Marshal(config)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, adapterConfig), b, 0o600))
		require.NoError(t, writeWholeFile(filepath.Join(dir, adapterWeights), safetensors.File{Tensors: a.tensors()}))
		_, err = ReadAdapter(dir)
		require.ErrorContains(t, err, want)
	}
}

func TestDamagedAdapterFiles(t *testing.T) {
	f := families["bert"]
	dir := t.TempDir()
	require.NoError(t, WriteAdapter(dir, f.adapter(1, 4), f.model(), LayerStyle))
	config, weights := filepath.Join(dir, adapterConfig), filepath.Join(dir, adapterWeights)
	text, err := os.ReadFile(config)
	require.NoError(t, err)
	whole, err := os.ReadFile(weights)
	require.NoError(t, err)
	for n := range whole {
		require.NoError(t, os.WriteFile(weights, whole[:n], 0o600))
		_, err := ReadAdapter(dir)
		require.ErrorIs(t, err, safetensors.ErrFormat)
		require.ErrorContains(t, err, weights)
	}
	require.NoError(t, os.Remove(weights))
	_, err = ReadAdapter(dir)
	require.ErrorContains(t, err, "no such file")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "adapter_model.bin"), nil, 0o600))
	_, err = ReadAdapter(dir)
	require.ErrorContains(t, err, "save it again with PEFT's safe_serialization=True")
	require.NoError(t, os.WriteFile(config, text[:len(text)/2], 0o600))
	_, err = ReadAdapter(dir)
	require.ErrorContains(t, err, "not the JSON of an adapter")
	_, err = ReadAdapter(filepath.Join(dir, "nowhere"))
	require.ErrorContains(t, err, "name the folder that holds adapter_config.json")
}

// TestTargetRules follows PEFT's matching: list entries, patterns, the layer filter and what escapes it.
func TestTargetRules(t *testing.T) {
	for _, c := range []struct {
		config string
		yes    []string
		no     []string
	}{
		{`"target_modules": ["q_proj"]`, []string{"model.layers.0.self_attn.q_proj", "q_proj"}, []string{"model.layers.0.self_attn.xq_proj", "q_proj.x"}},
		{
			`"target_modules": ["q_proj"], "layers_to_transform": [1], "layers_pattern": "layers"`,
			[]string{"model.layers.1.self_attn.q_proj", "q_proj"},
			[]string{"model.layers.11.self_attn.q_proj", "model.layers.21.self_attn.q_proj", "layers.1.self_attn.q_proj", "model.layer.1.self_attn.q_proj"},
		},
		{`"target_modules": ["q_proj"], "layers_to_transform": 1`, []string{"model.layers.1.q_proj", "bert.layer.1.q_proj"}, []string{"model.layers.2.q_proj"}},
		{`"target_modules": ["q_proj"], "layers_to_transform": [1], "layers_pattern": ["h", "layers"]`, []string{"m.layers.1.q_proj", "m.h.1.q_proj"}, []string{"m.block.1.q_proj"}},
		{`"target_modules": ["layers.1.self_attn.q_proj"]`, []string{"layers.1.self_attn.q_proj", "model.layers.1.self_attn.q_proj"}, []string{"model.layers.11.self_attn.q_proj"}},
		{`"target_modules": ".*\\.[01]\\..*_proj"`, []string{"model.layers.1.q_proj"}, []string{"model.layers.2.q_proj", "model.layers.1.q_proj.x"}},
		{`"target_modules": "all-linear"`, []string{"model.layers.1.q_proj"}, []string{"lm_head"}},
	} {
		config, err := parseConfig([]byte(`{"peft_type": "LORA", "r": 8, "lora_alpha": 16, ` + c.config + `}`))
		require.NoError(t, err)
		for want, names := range map[bool][]string{true: c.yes, false: c.no} {
			for _, name := range names {
				got, err := config.targeted(name)
				require.NoError(t, err)
				require.Equal(t, want, got, "%s: %s", c.config, name)
			}
		}
	}
}

func TestMergeByHand(t *testing.T) {
	m := AdapterModule{Name: "m", In: 2, Out: 2, Rank: 1, Alpha: 2, A: []float32{1, 2}, B: []float32{3, -1}, Magnitude: []float32{10, 5}}
	w := []float32{1, -4, 5, 0}
	a := Adapter{DoRA: true}
	require.NoError(t, a.Merge(w, m)) // W + 2 B A = (7, 8), (3, -4), of norms 113^1/2 and 5
	require.InDeltaSlice(t, []float32{float32(70 / math.Sqrt(113)), float32(80 / math.Sqrt(113)), 3, -4}, w, 1e-6)
	m.Magnitude = nil
	w = []float32{1, -4, 5, 0}
	require.NoError(t, Adapter{}.Merge(w, m))
	require.Equal(t, []float32{7, 8, 3, -4}, w)
	require.ErrorContains(t, Adapter{}.Merge(w[:3], m), "the weight has 3 values, the adapter is for [2, 2]")
	w[0] = float32(math.Inf(1))
	require.ErrorContains(t, Adapter{}.Merge(w, m), "merge m: value 0 is +Inf")
	require.Equal(t, float32(8), w[1], "a failed merge changes nothing")
}

func TestSidecar(t *testing.T) {
	chosen, err := selection.Rule{Name: "topk", Value: 2}.Select([]float64{0.5, -1, 0.2}, []int{10, 10, 10})
	require.NoError(t, err)
	s := Sidecar{BaseModel: "b", BaseHash: "h", Layers: 3, Selection: chosen, Search: DefaultBilevel(), Data: map[string]string{"piqa": "0a"}, Seed: 42, History: "steps.jsonl"}
	dir := t.TempDir()
	require.NoError(t, WriteSidecar(dir, s))
	back, err := ReadSidecar(dir)
	require.NoError(t, err)
	s.Format = 1
	require.Equal(t, s, back)

	s.Selection.Layers = nil
	require.ErrorIs(t, WriteSidecar(dir, s), ErrNoModules)
	path := filepath.Join(dir, sidecarName)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	for old, c := range map[string][2]string{
		`"format": 1`: {`"format": 2`, "format 2 is not 1"}, `"layers": 3`: {`"layers": 4`, "the model has 4 layers"},
		`"seed"`: {`"sed"`, "unknown field"}, "      2\n    ],\n    \"order\"": {"      3\n    ],\n    \"order\"", "selected layers [0 3]"}, "}\n": {"", "read "},
	} {
		damaged := strings.TrimSuffix(string(text), old) + c[0]
		if old != "}\n" {
			damaged = strings.Replace(string(text), old, c[0], 1)
		}
		require.NotEqual(t, string(text), damaged)
		require.NoError(t, os.WriteFile(path, []byte(damaged), 0o600))
		_, err := ReadSidecar(dir)
		require.ErrorContains(t, err, c[1])
	}
}
