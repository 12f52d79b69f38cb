package finetune

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"flexi/core/device"
	"flexi/core/run"
	"flexi/core/selection"
	"flexi/core/text"
	"flexi/core/text/demo"
)

// Config is the whole configuration of a Flexora run. A file holds the same keys as the YAML tags; what it leaves out comes from the preset.
type Config struct {
	Preset string `yaml:"preset" json:"preset"`
	// Model is the folder of the pretrained model; ModelHash the SHA-256 of its weights, by which a later session knows it again.
	Model     string `yaml:"model" json:"model"`
	ModelHash string `yaml:"-" json:"model_hash"`
	// Task is a GLUE task, a multiple-choice task, or LanguageModelling.
	Task string     `yaml:"task" json:"task"`
	Data DataConfig `yaml:"data" json:"data"`
	// Selectors choose layers, each in a trial of its own; Repeats trials with different seeds.
	Selectors []string `yaml:"selectors" json:"selectors"`
	Repeats   int      `yaml:"repeats" json:"repeats"`
	// Layers is how many the selectors take that are told a number; 0 takes as many as flexora found with the same seed.
	Layers int          `yaml:"layers" json:"layers"`
	LoRA   LoRAConfig   `yaml:"lora" json:"lora"`
	Search SearchConfig `yaml:"search" json:"search"`
	Tune   TuneConfig   `yaml:"tune" json:"tune"`
	// MaxSeq bounds the tokens of an example.
	MaxSeq int `yaml:"max_seq" json:"max_seq"`
	// Recompute saves the memory of activations: see model.Pretrained.
	Recompute         bool             `yaml:"recompute" json:"recompute"`
	Precision         device.Precision `yaml:"precision" json:"precision"`
	CheckpointSeconds float64          `yaml:"checkpoint_seconds" json:"checkpoint_seconds"`
}

// LanguageModelling is the task of predicting the corpora's text; its score is the held-back loss.
const LanguageModelling = "lm"

// DataConfig says where examples come from.
type DataConfig struct {
	Dir     string `yaml:"dir" json:"dir"` // "" is the built-in demo language
	SkipBad bool   `yaml:"skip_bad_rows" json:"skip_bad_rows"`
	// Corpora and CorpusMB (million bytes; 0 reads all) are the text of LanguageModelling.
	Corpora  []string `yaml:"corpora" json:"corpora"`
	CorpusMB float64  `yaml:"corpus_mb" json:"corpus_mb"`
	// Template and Method are how multiple-choice questions are trained and answered.
	Template text.Template     `yaml:"template" json:"template"`
	Method   text.ChoiceMethod `yaml:"method" json:"method"`
	// DevLimit caps the examples that a trained adapter is scored on; 0 takes all.
	DevLimit int `yaml:"dev_limit" json:"dev_limit"`
}

// LoRAConfig is the form of the adapters.
type LoRAConfig struct {
	Rank    int     `yaml:"rank" json:"rank"`
	Alpha   float64 `yaml:"alpha" json:"alpha"`
	Dropout float64 `yaml:"dropout" json:"dropout"`
	// Targets are the last names of the adapted modules, or AllLinear; none takes the family's own (q_proj and v_proj; query and value).
	Targets []string `yaml:"targets" json:"targets"`
	RSLoRA  bool     `yaml:"rslora" json:"rslora"`
	DoRA    bool     `yaml:"dora" json:"dora"`
}

// SearchConfig is the first stage.
type SearchConfig struct {
	BilevelOptions `yaml:",inline"`
	Rule           string `yaml:"rule" json:"rule"`
	// Average is how many of the last alphas are averaged before the rule; 0 takes the last alone.
	Average int `yaml:"average" json:"average"`
	// Examples are read from the head of the training rows; Held of them, drawn by seed, validate.
	Examples int `yaml:"examples" json:"examples"`
	Held     int `yaml:"held" json:"held"`
	// MicroBatch is the number of examples in a micro-batch.
	MicroBatch int `yaml:"micro_batch" json:"micro_batch"`
}

// TuneConfig is the second stage: AdamW with warm-up and cosine decay to zero.
type TuneConfig struct {
	Examples int     `yaml:"examples" json:"examples"` // from the head of the training rows; 0 takes all
	Epochs   int     `yaml:"epochs" json:"epochs"`
	Batch    int     `yaml:"batch" json:"batch"`
	LR       float64 `yaml:"lr" json:"lr"`
	Warmup   float64 `yaml:"warmup" json:"warmup"` // share of the steps
	Decay    float64 `yaml:"decay" json:"decay"`
	Clip     float64 `yaml:"clip" json:"clip"`
	// FullLR is the learning rate of the selector full, which trains all weights.
	FullLR float64 `yaml:"full_lr" json:"full_lr"`
}

// Presets are complete configurations, the default first: the specification's recipe for large decoders; one for encoders of a few layers on a CPU; the
// released code, with its sign steps and its multiplier cubed.
func Presets() []run.Preset[Config] {
	std := Config{
		Selectors: []string{SelectFlexora}, Repeats: 1,
		LoRA:   LoRAConfig{Rank: 8, Alpha: 16},
		Search: SearchConfig{BilevelOptions: DefaultBilevel(), Rule: "positive", Examples: 5000, Held: 200, MicroBatch: 1},
		Tune:   TuneConfig{Examples: 20000, Epochs: 3, Batch: 8, LR: 1e-4, Warmup: 0.1, Clip: 1, FullLR: 2e-5},
		Data:   DataConfig{Template: text.Plain, Method: text.ByLetter},
		MaxSeq: 1024, Precision: device.PrecisionF32, CheckpointSeconds: 60,
	}
	encoder := std
	encoder.MaxSeq = 128
	encoder.Search.OuterSteps, encoder.Search.Accumulate, encoder.Search.Validation, encoder.Search.MicroBatch = 150, 1, 1, 32
	encoder.Search.Inner.Rate, encoder.Search.AlphaRate, encoder.Search.Rule = 1e-3, 0.02, "centred"
	encoder.Tune.Examples, encoder.Tune.Batch, encoder.Tune.LR, encoder.Tune.Warmup, encoder.Tune.FullLR = 4000, 32, 1e-3, 0.06, 5e-5
	released := std
	released.Search.Mode = Compat
	return []run.Preset[Config]{{Name: "default", Config: std}, {Name: "encoder", Config: encoder}, {Name: "released", Config: released}}
}

// LoadConfig takes a preset ("" is the one that the file names, else encoder for encoders and default for decoders) and lays a YAML file over it (path ""
// is none).
func LoadConfig(preset, path string, decoder bool) (Config, error) {
	presets := Presets()
	if !decoder {
		presets[0], presets[1] = presets[1], presets[0]
	}
	c, name, err := run.LoadConfig("Flexora configuration", preset, path, presets)
	c.Preset = name
	return c, err
}

// Validate reports every mistake that can be seen without reading files, each with the key it is about.
func (c Config) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(c.Model != "", "model: name the folder of a pretrained model")
	check(c.Task != "", "task: name a GLUE task (%s), a multiple-choice task (%s) or %s",
		strings.Join(text.TaskNames(), ", "), strings.Join(text.ChoiceTaskNames(), ", "), LanguageModelling)
	check(c.Data.Dir != "" || containsFold(demo.TaskNames(), c.Task), "data.dir: name the folder that holds the task's files; without one there are the tasks of the demo language (%s), "+
		"for models that a search trained on it", strings.Join(demo.TaskNames(), ", "))
	check(c.Task != LanguageModelling || len(c.Data.Corpora) > 0, "data.corpora: name the text to model, for instance lm/tinystories")
	check(c.Data.CorpusMB >= 0, "data.corpus_mb: %v, must not be negative", c.Data.CorpusMB)
	check(c.Data.DevLimit >= 0, "data.dev_limit: %d, must not be negative", c.Data.DevLimit)
	check(c.Data.Template == text.Plain || c.Data.Template == text.Llama3, "data.template: %q, must be %s or %s", c.Data.Template, text.Plain, text.Llama3)
	check(c.Data.Method == text.ByLetter || c.Data.Method == text.ByLikelihood, "data.method: %q, must be %q or %q", c.Data.Method, text.ByLetter, text.ByLikelihood)
	check(c.Repeats >= 1, "repeats: %d, must be at least 1", c.Repeats)
	check(c.Layers >= 0, "layers: %d, must not be negative", c.Layers)
	errs = append(errs, c.checkSelectors()...)
	check(c.LoRA.Rank >= 1, "lora.rank: %d, must be at least 1", c.LoRA.Rank)
	check(c.LoRA.Alpha > 0, "lora.alpha: %v, must be positive", c.LoRA.Alpha)
	check(c.LoRA.Dropout >= 0 && c.LoRA.Dropout < 1, "lora.dropout: %v, must be from 0 to below 1", c.LoRA.Dropout)
	if err := c.Search.check(); err != nil {
		errs = append(errs, fmt.Errorf("search: %w", err))
	}
	if _, err := selection.ParseRule(c.Search.Rule); err != nil {
		errs = append(errs, fmt.Errorf("search.rule: %w", err))
	}
	check(c.Search.Average >= 0 && c.Search.Average <= c.Search.OuterSteps, "search.average: %d, must be from 0 to search.outer_steps", c.Search.Average)
	check(c.Search.Held >= 1 && c.Search.Held < c.Search.Examples, "search.held: %d, must be at least 1 and below search.examples (%d)", c.Search.Held, c.Search.Examples)
	check(c.Search.MicroBatch >= 1, "search.micro_batch: %d, must be at least 1", c.Search.MicroBatch)
	check(c.Tune.Examples >= 0, "tune.examples: %d, must not be negative", c.Tune.Examples)
	check(c.Tune.Epochs >= 1, "tune.epochs: %d, must be at least 1", c.Tune.Epochs)
	check(c.Tune.Batch >= 1, "tune.batch: %d, must be at least 1", c.Tune.Batch)
	check(c.Tune.LR > 0, "tune.lr: %v, must be positive", c.Tune.LR)
	check(c.Tune.FullLR > 0, "tune.full_lr: %v, must be positive", c.Tune.FullLR)
	check(c.Tune.Warmup >= 0 && c.Tune.Warmup < 1, "tune.warmup: %v, must be from 0 to below 1", c.Tune.Warmup)
	check(c.Tune.Decay >= 0, "tune.decay: %v, must not be negative", c.Tune.Decay)
	check(c.Tune.Clip >= 0, "tune.clip: %v, must not be negative", c.Tune.Clip)
	check(c.MaxSeq >= 8, "max_seq: %d, must be at least 8", c.MaxSeq)
	check(c.CheckpointSeconds > 0, "checkpoint_seconds: %v, must be positive", c.CheckpointSeconds)
	_, err := device.ParsePrecision(string(c.Precision))
	check(err == nil, "%v", err)
	return errors.Join(errs...)
}

func (c Config) checkSelectors() []error {
	if len(c.Selectors) == 0 {
		return []error{fmt.Errorf("selectors: name at least one of %s", strings.Join(SelectorNames(), ", "))}
	}
	var errs []error
	for i, name := range c.Selectors {
		s, ok := selectors[name]
		switch {
		case !ok:
			errs = append(errs, fmt.Errorf("selectors: there is no %q; selectors are %s", name, strings.Join(SelectorNames(), ", ")))
		case slices.Contains(c.Selectors[:i], name):
			errs = append(errs, fmt.Errorf("selectors: %s is named twice; repeats trains it again", name))
		case s.counted && c.Layers == 0 && !slices.Contains(c.Selectors, SelectFlexora):
			errs = append(errs, fmt.Errorf("layers: %s takes a number of layers; give it, or name %s among the selectors, whose number it then takes", name, SelectFlexora))
		}
	}
	return errs
}

// Budget is how many trials the run wants to finish.
func (c Config) Budget() int { return len(c.Selectors) * c.Repeats }
