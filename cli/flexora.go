package cli

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"flexi/core/device"
	"flexi/core/device/choose"
	"flexi/core/finetune"
	"flexi/core/model/hub"
	"flexi/core/run"
)

type flexoraFlags struct {
	preset, config, model, task, rule, mode, precision string
	selectors, targets, corpora                        []string
	repeats, layers, rank, workers                     int
	skipBad, dryRun, plain                             bool
}

func (a *app) flexoraCommand() *cobra.Command {
	var f flexoraFlags
	cmd := &cobra.Command{
		Use:   "flexora",
		Short: "Choose layers of a pretrained model, and fine-tune adapters on them",
		Long: "Flexora (Wei et al. 2024): learn one hyperparameter per layer by bilevel optimisation, give LoRA adapters to the chosen layers only, and fine-tune them.\n" +
			"Other selectors do the same with layers chosen otherwise, for comparison: " + strings.Join(finetune.SelectorNames(), ", ") + ".\n\n" +
			"--model is a Hugging Face folder (BERT, RoBERTa, Llama, Mistral, Qwen2), a folder written by `flexi export --format hf`, or a llama2.c file. Tasks of\n" +
			"encoders are GLUE's, those of decoders multiple choice or lm. Presets: " + run.PresetNames(finetune.Presets()) + "; without one, encoder for encoders.",
		Example: "flexi flexora --data ../data --model ../minilm --task SST-2\n" +
			"flexi flexora --data ../data --model ../minilm --task MRPC --selectors flexora,all,random --repeats 5",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.flexora(cmd, f) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.preset, "preset", "", "where defaults come from: "+run.PresetNames(finetune.Presets()))
	fl.StringVar(&f.config, "config", "", "YAML file with configuration")
	fl.StringVar(&f.model, "model", "", "folder or file of the pretrained model")
	fl.StringVar(&f.task, "task", "", "what to adapt it to: a GLUE task, a multiple-choice task, or lm")
	fl.StringSliceVar(&f.selectors, "selectors", nil, "how layers are chosen, a trial each: "+strings.Join(finetune.SelectorNames(), ", "))
	fl.IntVar(&f.repeats, "repeats", 0, "trials of each selector, with different seeds")
	fl.IntVar(&f.layers, "layers", 0, "layers that selectors take that are told a number; 0 takes as many as flexora found")
	fl.StringVar(&f.rule, "rule", "", "which layers alpha selects: positive, centred, above_mean, topk=K, budget=P, threshold=X, multiplier=X")
	fl.StringVar(&f.mode, "mode", "", "gradient of alpha: first_order, fd1, unrolled or compat")
	fl.IntVar(&f.rank, "rank", 0, "rank of the adapters")
	fl.StringSliceVar(&f.targets, "targets", nil, "names of the adapted modules, or all-linear")
	fl.StringSliceVar(&f.corpora, "corpora", nil, "text of the task lm, in the data folder")
	fl.BoolVar(&f.skipBad, "skip-bad-rows", false, "leave malformed rows out of the data, and count them")
	fl.StringVar(&f.precision, "precision", "", precisionUsage)
	fl.IntVar(&f.workers, "workers", 1, "trials side by side")
	fl.BoolVar(&f.dryRun, "dry-run", false, "print which modules would get adapters and how much memory that takes, and stop")
	fl.BoolVar(&f.plain, "plain", false, "print lines instead of opening the workbench")
	return cmd
}

func (a *app) flexora(cmd *cobra.Command, f flexoraFlags) error {
	cfg, err := a.flexoraConfig(cmd, f)
	if err != nil {
		return err
	}
	if f.dryRun {
		return a.printPlan(cfg)
	}
	text, err := json.Marshal(cfg)
	if err != nil {
		return fmt.Errorf("encode configuration: %w", err)
	}
	return a.launch(cmd.Context(), run.Run{
		Kind: finetune.KindName, Seed: a.seed, Config: text, Budget: cfg.Budget(), Workers: max(1, f.workers), Objective: cfg.Objective(),
	}, f.plain)
}

// flexoraConfig is preset, then file, then flags; every mistake in it is a usage error.
func (a *app) flexoraConfig(cmd *cobra.Command, f flexoraFlags) (finetune.Config, error) {
	decoder := true
	if f.model != "" {
		m, err := hub.Open(f.model)
		if err != nil {
			return finetune.Config{}, usageError{err}
		}
		decoder = m.Model.Backbone != nil && m.Model.Backbone.Family.Decoder()
	}
	cfg, err := finetune.LoadConfig(f.preset, f.config, decoder)
	if err != nil {
		return cfg, usageError{err}
	}
	if a.data != "" {
		if cfg.Data.Dir, err = filepath.Abs(a.data); err != nil {
			return cfg, err
		}
	}
	set := func(name string, apply func()) {
		if cmd.Flags().Changed(name) {
			apply()
		}
	}
	set("model", func() { cfg.Model = f.model })
	set("task", func() { cfg.Task = f.task })
	set("selectors", func() { cfg.Selectors = f.selectors })
	set("repeats", func() { cfg.Repeats = f.repeats })
	set("layers", func() { cfg.Layers = f.layers })
	set("rule", func() { cfg.Search.Rule = f.rule })
	set("mode", func() { cfg.Search.Mode = finetune.Mode(f.mode) })
	set("rank", func() { cfg.LoRA.Rank = f.rank })
	set("targets", func() { cfg.LoRA.Targets = f.targets })
	set("corpora", func() { cfg.Data.Corpora = f.corpora })
	set("skip-bad-rows", func() { cfg.Data.SkipBad = f.skipBad })
	set("precision", func() { cfg.Precision = device.Precision(f.precision) })
	on, err := choose.Decide(a.device)
	if err != nil {
		return cfg, err
	}
	if cfg, err = cfg.Complete(on); err != nil {
		return cfg, usageError{err}
	}
	return cfg, nil
}

// printPlan shows which modules get adapters.
func (a *app) printPlan(cfg finetune.Config) error {
	p, err := cfg.Plan()
	if err != nil {
		return err
	}
	if a.json {
		return json.NewEncoder(a.out).Encode(p)
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "LAYER\tMODULE\tIN\tOUT\tRANK\tPARAMETERS")
	for _, m := range p.Modules {
		fmt.Fprintf(w, "%d\t%s\t%d\t%d\t%d\t%d\n", m.Layer, m.Name, m.In, m.Out, m.Rank, m.Params)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "\n%d of %d parameters in adapters on all layers (%.2f%%), beside the task's head\n", p.Trained, p.Total, 100*float64(p.Trained)/float64(p.Total))
	fmt.Fprintf(a.out, "memory: weights %s, adapters with gradients and moments %s, activations of a batch of %d rows of %d tokens %s\n",
		mega(p.WeightBytes), mega(p.AdapterBytes), cfg.Tune.Batch, cfg.MaxSeq, mega(p.ActivationBytes))
	return nil
}

func mega(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }
