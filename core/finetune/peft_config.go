package finetune

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// peftConfig is adapter_config.json: the keys of PEFT 0.11.1, which later versions read too and older ones refuse to be extended.
type peftConfig struct {
	AlphaPattern  map[string]float64 `json:"alpha_pattern"`
	AutoMapping   json.RawMessage    `json:"auto_mapping"`
	BaseModel     *string            `json:"base_model_name_or_path"`
	Bias          string             `json:"bias"`
	FanInFanOut   bool               `json:"fan_in_fan_out"`
	InferenceMode bool               `json:"inference_mode"`
	InitWeights   any                `json:"init_lora_weights"`
	LayersPattern oneOrMore[string]  `json:"layers_pattern"`
	Layers        oneOrMore[int]     `json:"layers_to_transform"`
	Alpha         float64            `json:"lora_alpha"`
	Dropout       float64            `json:"lora_dropout"`
	ModulesToSave []string           `json:"modules_to_save"`
	PEFTType      string             `json:"peft_type"`
	Rank          int                `json:"r"`
	RankPattern   map[string]int     `json:"rank_pattern"`
	Revision      json.RawMessage    `json:"revision"`
	TargetModules oneOrMore[string]  `json:"target_modules"`
	Task          *string            `json:"task_type"`
	UseDoRA       bool               `json:"use_dora"`
	UseRSLoRA     bool               `json:"use_rslora"`
}

// oneOrMore is a value, a list of them, or null.
type oneOrMore[T any] struct {
	values []T
	single bool
}

func (o oneOrMore[T]) MarshalJSON() ([]byte, error) {
	if o.single {
		return json.Marshal(o.values[0])
	}
	return json.Marshal(o.values)
}

func (o *oneOrMore[T]) UnmarshalJSON(b []byte) error {
	var one *T
	if json.Unmarshal(b, &one) == nil {
		o.values, o.single = nil, one != nil
		if one != nil {
			o.values = []T{*one}
		}
		return nil
	}
	o.single = false
	return json.Unmarshal(b, &o.values)
}

// unsupported are keys of later PEFT versions that change what an adapter computes; any value but nothing, false or empty is refused.
var unsupported = []string{
	"lora_bias", "layer_replication", "target_parameters", "trainable_token_indices", "alora_invocation_tokens", "use_qalora", "use_bdlora", "exclude_modules",
}

// parseConfig reads adapter_config.json; keys that change nothing of the result are passed over.
func parseConfig(b []byte) (peftConfig, error) {
	var c peftConfig
	var all map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(b, &c), json.Unmarshal(b, &all)); err != nil {
		return c, fmt.Errorf("not the JSON of an adapter: %w", err)
	}
	for _, key := range unsupported {
		if v := string(all[key]); v != "" && v != "null" && v != "false" && v != "[]" && v != "{}" {
			return c, fmt.Errorf("%s is %s, which flexi does not support", key, v)
		}
	}
	switch init := fmt.Sprint(c.InitWeights); {
	case c.PEFTType != "LORA":
		return c, fmt.Errorf("peft_type is %q: only LORA is supported", c.PEFTType)
	case c.Bias != "" && c.Bias != "none":
		return c, fmt.Errorf("bias is %q: only none is supported", c.Bias)
	case c.FanInFanOut:
		return c, errors.New("fan_in_fan_out is true: transposed weights (GPT-2) are not supported")
	case c.Rank < 1 || !(c.Alpha > 0):
		return c, fmt.Errorf("r is %d and lora_alpha %v: both must be above 0", c.Rank, c.Alpha)
	case slices.ContainsFunc([]string{"pissa", "olora", "corda", "loftq"}, func(s string) bool { return strings.HasPrefix(init, s) }):
		return c, fmt.Errorf("init_lora_weights is %q, which changes the base weights; convert the adapter to ordinary LoRA with PEFT first", init)
	case len(c.TargetModules.values) == 0:
		return c, fmt.Errorf("target_modules is empty: %w", ErrNoModules)
	case c.TargetModules.single && len(c.Layers.values) > 0:
		return c, errors.New("layers_to_transform needs a list of target_modules, not a pattern")
	}
	return c, nil
}

// targeted reports whether PEFT would adapt the module, by its own rules: a list entry equals the name or ends it behind a dot, a text is a pattern
// for the whole name; the layer filter then looks at the number behind the layer list's name, which needs a name before it, and spares full names.
func (c peftConfig) targeted(name string) (bool, error) {
	if c.TargetModules.single {
		pattern := c.TargetModules.values[0]
		if pattern == "all-linear" {
			return name != "lm_head" && name != "score" && name != "classifier", nil
		}
		re, err := regexp.Compile("^(?:" + pattern + ")$")
		if err != nil {
			return false, fmt.Errorf("target_modules: %w", err)
		}
		return re.MatchString(name), nil
	}
	if slices.Contains(c.TargetModules.values, name) {
		return true, nil
	}
	if !slices.ContainsFunc(c.TargetModules.values, func(t string) bool { return strings.HasSuffix(name, "."+t) }) {
		return false, nil
	}
	if len(c.Layers.values) == 0 {
		return true, nil
	}
	patterns := c.LayersPattern.values
	if len(patterns) == 0 {
		patterns = []string{`[^.]*`}
	}
	for _, p := range patterns {
		re, err := regexp.Compile(`^.*?\.` + p + `\.(\d+)\.`)
		if err != nil {
			return false, fmt.Errorf("layers_pattern: %w", err)
		}
		if found := re.FindStringSubmatch(name); found != nil {
			layer, err := strconv.Atoi(found[1])
			return err == nil && slices.Contains(c.Layers.values, layer), nil
		}
	}
	return false, nil
}

// patterned is the value that a pattern map has for a module, or the general one.
func patterned[T any](patterns map[string]T, name string, general T) (T, error) {
	for _, key := range slices.Sorted(maps.Keys(patterns)) { // PEFT writes them sorted and takes the first
		re, err := regexp.Compile(`^(.*\.)?(` + key + `)$`)
		if err != nil {
			return general, fmt.Errorf("pattern %q: %w", key, err)
		}
		if re.MatchString(name) {
			return patterns[key], nil
		}
	}
	return general, nil
}

// layerPath splits a module's name at its layer: model.layers.3.self_attn.q_proj is model, layers, 3 and self_attn.q_proj.
func layerPath(name string) (prefix, list string, layer int, rest string, err error) {
	parts := strings.Split(name, ".")
	for i := 1; i+1 < len(parts); i++ {
		if n, err := strconv.Atoi(parts[i]); err == nil && n >= 0 {
			return strings.Join(parts[:i-1], "."), parts[i-1], n, strings.Join(parts[i+1:], "."), nil
		}
	}
	return "", "", 0, "", fmt.Errorf("module %s: its name has no layer number between dots", name)
}
