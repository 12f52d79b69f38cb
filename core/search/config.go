package search

import (
	"errors"
	"fmt"

	"flexi/core/device"
	"flexi/core/model"
	"flexi/core/run"
)

// Config is the whole configuration of a search. A file holds the same keys as the YAML tags; what it leaves out comes from the preset.
type Config struct {
	Preset string `yaml:"preset" json:"preset"` // where the defaults come from, see Presets
	// Space is the name of a built-in design space or a YAML file; SpaceText is its content, kept with the run.
	Space     string `yaml:"space" json:"space"`
	SpaceText string `yaml:"-" json:"space_text"`
	Policy    string `yaml:"policy" json:"policy"`
	// Candidates is the number of architectures to train over all levels.
	Candidates int `yaml:"candidates" json:"candidates"`
	// Levels are the shares of the candidates for each level of the hierarchy, in order; one share searches level 1 only.
	Levels []float64 `yaml:"levels" json:"levels"`
	// Initial is how many architectures are trained before the surrogate is first fitted.
	Initial int `yaml:"initial" json:"initial"`
	// Architectures, when given, are trained in order (each Repeats times, with different seeds) and nothing is searched.
	Architectures []string `yaml:"architectures" json:"architectures"`
	Repeats       int      `yaml:"repeats" json:"repeats"`

	Acquisition AcquisitionConfig `yaml:"acquisition" json:"acquisition"`

	Confirm ConfirmConfig `yaml:"confirm" json:"confirm"`
	// Objectives are kept small while the score is kept large; Constraints bound what they name.
	Objectives  []string           `yaml:"objectives" json:"objectives"`
	Constraints map[string]float64 `yaml:"constraints" json:"constraints"`
	Halving     HalvingConfig      `yaml:"halving" json:"halving"`

	Data     DataConfig     `yaml:"data" json:"data"`
	Pretrain PretrainConfig `yaml:"pretrain" json:"pretrain"`
	Finetune FinetuneConfig `yaml:"finetune" json:"finetune"`
	Transfer TransferConfig `yaml:"transfer" json:"transfer"`
	Dropout  float64        `yaml:"dropout" json:"dropout"`
	// Precision is what matrix products are computed in; Complete replaces auto, and bf16 where the processor cannot.
	Precision device.Precision `yaml:"precision" json:"precision"`
	Ortho     bool             `yaml:"ortho" json:"ortho"` // orthonormal DFT and DCT instead of the paper's unnormalised ones
	PaperMean bool             `yaml:"paper_mean" json:"paper_mean"`
	// CheckpointSeconds is the longest time between two checkpoints of a trial in training.
	CheckpointSeconds float64 `yaml:"checkpoint_seconds" json:"checkpoint_seconds"`
}

// DataConfig says what is trained on.
type DataConfig struct {
	Dir       string   `yaml:"dir" json:"dir"` // "" is the built-in demo language
	Corpora   []string `yaml:"corpora" json:"corpora"`
	Tokenizer string   `yaml:"tokenizer" json:"tokenizer"`
	Tasks     []string `yaml:"tasks" json:"tasks"`
	SkipBad   bool     `yaml:"skip_bad_rows" json:"skip_bad_rows"`
	// CorpusMB limits the pre-training text, in million bytes; 0 reads all.
	CorpusMB float64 `yaml:"corpus_mb" json:"corpus_mb"`
}

// PretrainConfig is masked-language pre-training.
type PretrainConfig struct {
	Steps           int `yaml:"steps" json:"steps"`
	Batch           int `yaml:"batch" json:"batch"`
	Seq             int `yaml:"seq" json:"seq"`
	OptimizerConfig `yaml:",inline"`
}

// FinetuneConfig is the training on each task.
type FinetuneConfig struct {
	Epochs int `yaml:"epochs" json:"epochs"`
	Batch  int `yaml:"batch" json:"batch"`
	MaxSeq int `yaml:"max_seq" json:"max_seq"`
	// Limit caps the training examples of a task (a seeded, label-stratified sample); 0 takes all.
	Limit           int `yaml:"limit" json:"limit"`
	OptimizerConfig `yaml:",inline"`
}

// OptimizerConfig is AdamW with linear warm-up and decay.
type OptimizerConfig struct {
	LR      float64 `yaml:"lr" json:"lr"`
	Warmup  float64 `yaml:"warmup" json:"warmup"` // share of the steps
	Decay   float64 `yaml:"decay" json:"decay"`
	Beta2   float64 `yaml:"beta2" json:"beta2"`
	Epsilon float64 `yaml:"epsilon" json:"epsilon"`
	Clip    float64 `yaml:"clip" json:"clip"`
}

// TransferConfig is the weight transfer between trained and new candidates.
type TransferConfig struct {
	Mode      model.TransferMode `yaml:"mode" json:"mode"`
	Threshold float64            `yaml:"threshold" json:"threshold"` // smallest overlap that is used
	// PretrainShare is the share of the pre-training steps that a candidate with transferred weights still gets.
	PretrainShare float64 `yaml:"pretrain_share" json:"pretrain_share"`
	// PerTask starts each task from the parent's weights after that task, as the paper does, instead of from its pre-trained ones.
	PerTask bool `yaml:"per_task" json:"per_task"`
}

// ConfirmConfig is the end of a search: its best architectures are trained again, because the best of many noisy scores promises too much.
type ConfirmConfig struct {
	Best    int `yaml:"best" json:"best"`       // how many of the best; 0: none
	Repeats int `yaml:"repeats" json:"repeats"` // trainings of each with new seeds
}

// Presets are complete configurations, the default first.
func Presets() []run.Preset[Config] {
	pretrain := OptimizerConfig{LR: 5e-4, Warmup: 0.1, Decay: 0.01, Beta2: 0.98, Epsilon: 1e-6, Clip: 1}
	finetune := OptimizerConfig{LR: 1e-4, Warmup: 0.06, Decay: 0.01, Beta2: 0.999, Epsilon: 1e-8, Clip: 1}
	std := Config{
		Preset: "default", Space: "paper", Policy: "boshnas", Candidates: 24, Levels: []float64{0.6, 0.25, 0.15}, Initial: 6, Repeats: 1,
		Confirm: ConfirmConfig{Repeats: 3}, Halving: HalvingConfig{Pretrain: []float64{0.3, 1}, Tasks: []int{1}},
		Data: DataConfig{
			Corpora: []string{"lm/wikipedia"}, Tokenizer: "tokenizers/bert-base-uncased",
			Tasks: []string{"CoLA", "SST-2", "MRPC", "STS-B", "QQP", "MNLI", "QNLI", "RTE", "WNLI"},
		},
		Pretrain:          PretrainConfig{Steps: 20000, Batch: 32, Seq: 128, OptimizerConfig: pretrain},
		Finetune:          FinetuneConfig{Epochs: 3, Batch: 32, MaxSeq: 128, OptimizerConfig: finetune},
		Transfer:          TransferConfig{Mode: model.TransferExact, Threshold: 0.8, PretrainShare: 0.25},
		Dropout:           0.1,
		Precision:         device.PrecisionF32,
		CheckpointSeconds: 60,
	}

	quick := std
	quick.Preset, quick.Candidates, quick.Initial = "quick", 12, 5
	quick.Levels = []float64{0.7, 0.3}
	quick.Data.Tasks = []string{"SST-2", "CoLA", "MRPC", "STS-B", "QNLI"}
	quick.Data.CorpusMB = 12
	quick.Pretrain.Steps, quick.Pretrain.Seq, quick.Pretrain.LR = 200, 64, 1e-3
	quick.Finetune.Epochs, quick.Finetune.Limit, quick.Finetune.MaxSeq, quick.Finetune.LR = 2, 1500, 64, 3e-4

	demo := quick
	demo.Preset, demo.Space = "demo", "demo"
	demo.Data = DataConfig{}
	demo.Pretrain.Steps, demo.Pretrain.Seq, demo.Pretrain.LR = 1000, 32, 3e-3
	demo.Finetune.Epochs, demo.Finetune.Limit, demo.Finetune.LR = 8, 0, 1e-3
	// In models this small the unnormalised transforms drown the rest of the residual stream, and nothing is learned behind them.
	demo.Ortho = true
	demo.Candidates, demo.Initial = 10, 4

	paper := std
	paper.Preset, paper.Policy, paper.Candidates, paper.Initial = "paper", "boshnas-paper", 100, 10
	paper.PaperMean = true
	paper.Pretrain = PretrainConfig{Steps: 1000000, Batch: 128, Seq: 512, OptimizerConfig: OptimizerConfig{LR: 1e-4, Warmup: 0.01, Decay: 0.01, Beta2: 0.98, Epsilon: 1e-6, Clip: 1}}
	paper.Finetune = FinetuneConfig{Epochs: 5, Batch: 128, MaxSeq: 512, OptimizerConfig: OptimizerConfig{LR: 2e-5, Decay: 0.01, Beta2: 0.999, Epsilon: 1e-8, Clip: 1}}
	paper.Transfer = TransferConfig{Mode: model.TransferExact, Threshold: 0.8, PerTask: true}
	return []run.Preset[Config]{{Name: "default", Config: std}, {Name: "quick", Config: quick}, {Name: "demo", Config: demo}, {Name: "paper", Config: paper}}
}

// LoadConfig takes a preset ("" is the one that the file names, else default) and lays a YAML file over it (path "" is none). An unknown key or a wrong
// type is an error with its line.
func LoadConfig(preset, path string) (Config, error) {
	c, name, err := run.LoadConfig("search configuration", preset, path, Presets())
	c.Preset = name
	return c, err
}

// Validate reports every mistake that can be seen without reading data, each with the key it is about.
func (c Config) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(c.Candidates >= 1, "candidates: %d, must be at least 1", c.Candidates)
	check(c.Initial >= 1, "initial: %d, must be at least 1", c.Initial)
	check(c.Repeats >= 1, "repeats: %d, must be at least 1", c.Repeats)
	check(c.Confirm.Best >= 0 && c.Confirm.Best <= c.Candidates, "confirm.best: %d, must be 0 to the number of candidates, %d", c.Confirm.Best, c.Candidates)
	check(c.Confirm.Best == 0 || c.Confirm.Repeats >= 2, "confirm.repeats: %d, must be at least 2: one training has no interval", c.Confirm.Repeats)
	check(c.Confirm.Best == 0 || len(c.Architectures) == 0, "confirm.best: given architectures are trained repeats times already; set repeats")
	c.validateGoals(check)
	check(len(c.Levels) >= 1 && len(c.Levels) <= 3, "levels: %d shares, there are 1 to 3 levels", len(c.Levels))
	for _, s := range c.Levels {
		check(s > 0 && s <= 1, "levels: share %v, must be over 0 and at most 1", s)
	}
	check(c.Dropout >= 0 && c.Dropout < 1, "dropout: %v, must be from 0 to below 1", c.Dropout)
	_, err := device.ParsePrecision(string(c.Precision))
	check(err == nil, "%v", err)
	c.Acquisition.validate(check)
	check(c.CheckpointSeconds > 0, "checkpoint_seconds: %v, must be positive", c.CheckpointSeconds)
	check(c.Pretrain.Steps >= 0, "pretrain.steps: %d, must not be negative", c.Pretrain.Steps)
	check(c.Pretrain.Batch >= 1, "pretrain.batch: %d, must be at least 1", c.Pretrain.Batch)
	check(c.Pretrain.Seq >= 8 && c.Pretrain.Seq <= 512, "pretrain.seq: %d, must be 8 to 512", c.Pretrain.Seq)
	check(c.Finetune.Epochs >= 1, "finetune.epochs: %d, must be at least 1", c.Finetune.Epochs)
	check(c.Finetune.Batch >= 1, "finetune.batch: %d, must be at least 1", c.Finetune.Batch)
	check(c.Finetune.MaxSeq >= 8 && c.Finetune.MaxSeq <= 512, "finetune.max_seq: %d, must be 8 to 512", c.Finetune.MaxSeq)
	check(c.Finetune.Limit >= 0, "finetune.limit: %d, must not be negative", c.Finetune.Limit)
	check(c.Transfer.Mode.Valid(), "transfer.mode: %q, must be one of %v", c.Transfer.Mode, model.TransferModes())
	check(c.Transfer.Threshold > 0 && c.Transfer.Threshold <= 1, "transfer.threshold: %v, must be over 0 and at most 1", c.Transfer.Threshold)
	check(c.Transfer.PretrainShare >= 0 && c.Transfer.PretrainShare <= 1, "transfer.pretrain_share: %v, must be from 0 to 1", c.Transfer.PretrainShare)
	for i, o := range []OptimizerConfig{c.Pretrain.OptimizerConfig, c.Finetune.OptimizerConfig} {
		key := []string{"pretrain", "finetune"}[i]
		check(o.LR > 0, "%s.lr: %v, must be positive", key, o.LR)
		check(o.Warmup >= 0 && o.Warmup < 1, "%s.warmup: %v, must be from 0 to below 1", key, o.Warmup)
		check(o.Decay >= 0, "%s.decay: %v, must not be negative", key, o.Decay)
		check(o.Beta2 > 0 && o.Beta2 < 1, "%s.beta2: %v, must be between 0 and 1", key, o.Beta2)
		check(o.Epsilon > 0, "%s.epsilon: %v, must be positive", key, o.Epsilon)
		check(o.Clip >= 0, "%s.clip: %v, must not be negative", key, o.Clip)
	}
	return errors.Join(errs...)
}
