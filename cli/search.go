package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"

	"flexi/core/device"
	"flexi/core/device/choose"
	"flexi/core/run"
	"flexi/core/search"
	"flexi/tui"
)

// plainInterval is how often a worker's progress line is printed where there is no terminal.
const plainInterval = 5 * time.Second

// maxAutoWorkers bounds the workers chosen by themselves: each needs memory for a model and its activations.
const maxAutoWorkers = 4

type searchFlags struct {
	demo          bool
	preset        string
	config        string
	space         string
	policy        string
	candidates    int
	workers       int
	architectures []string
	confirm       int
	repeats       int
	tasks         []string
	skipBad       bool
	precision     string
	plain         bool
}

func (a *app) searchCommand() *cobra.Command {
	var f searchFlags
	cmd := &cobra.Command{
		Use:   "search",
		Short: "Start a search",
		Long: "Start a search: propose architectures, pre-train and fine-tune them, and learn from their scores what to propose next.\n\n" +
			"Presets: " + run.PresetNames(search.Presets()) + ". A YAML file given by --config is laid over the preset; docs/guide.md lists its keys.",
		Example: "flexi search --demo\nflexi search --data ../data --preset quick --candidates 12",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.search(cmd, f) },
	}
	fl := cmd.Flags()
	fl.BoolVar(&f.demo, "demo", false, "search on the built-in demo language: small models, a few minutes (same as --preset demo)")
	fl.StringVar(&f.preset, "preset", "", "where defaults come from: "+run.PresetNames(search.Presets()))
	fl.StringVar(&f.config, "config", "", "YAML file with configuration")
	fl.StringVar(&f.space, "space", "", "design space: a built-in name ("+strings.Join(search.SpaceNames(), ", ")+") or a YAML file")
	fl.StringVar(&f.policy, "policy", "", "what proposes: "+strings.Join(search.PolicyNames(), ", "))
	fl.IntVar(&f.candidates, "candidates", 0, "how many architectures to train")
	fl.IntVar(&f.workers, "workers", 0, "trainings side by side; 0 takes one per core, at most 4")
	fl.StringArrayVar(&f.architectures, "architecture", nil, "train this architecture (name, file or JSON) instead of searching; may be repeated")
	fl.IntVar(&f.repeats, "repeats", 0, "with --architecture: trainings of each, with different seeds")
	fl.IntVar(&f.confirm, "confirm", 0, "train so many of the best again, with new seeds, and rank them by mean (confirm.repeats times each)")
	fl.StringSliceVar(&f.tasks, "tasks", nil, "tasks that make the score")
	fl.BoolVar(&f.skipBad, "skip-bad-rows", false, "leave malformed rows out of the data, and count them")
	fl.StringVar(&f.precision, "precision", "", precisionUsage)
	fl.BoolVar(&f.plain, "plain", false, "print lines instead of opening the workbench")
	return cmd
}

func (a *app) search(cmd *cobra.Command, f searchFlags) error {
	cfg, err := a.searchConfig(cmd, f)
	if err != nil {
		return err
	}
	text, err := json.Marshal(cfg)
	if err != nil {
		return fmt.Errorf("encode configuration: %w", err)
	}
	return a.launch(cmd.Context(), run.Run{
		Kind: search.KindName, Seed: a.seed, Config: text, Budget: cfg.Budget(), Workers: workers(f.workers), Objective: search.Objective(),
	}, f.plain)
}

func workers(asked int) int {
	if asked > 0 {
		return asked
	}
	return min(runtime.NumCPU(), maxAutoWorkers)
}

// searchConfig is preset, then file, then flags; every mistake in it is a usage error.
func (a *app) searchConfig(cmd *cobra.Command, f searchFlags) (search.Config, error) {
	if f.demo {
		if f.preset != "" && f.preset != "demo" {
			return search.Config{}, usagef("--demo is --preset demo; it cannot go with --preset %s", f.preset)
		}
		if a.data != "" {
			return search.Config{}, usagef("--demo uses the built-in language; leave --data out, or take --preset quick")
		}
		f.preset = "demo"
	}
	if f.preset == "" && f.config == "" && a.data == "" {
		return search.Config{}, usagef("what should be searched on? `flexi search --demo` needs nothing; `flexi search --data DIR` takes your data (docs/guide.md)")
	}
	cfg, err := search.LoadConfig(f.preset, f.config)
	if err != nil {
		return cfg, usageError{err}
	}
	if err := a.place(&cfg); err != nil {
		return cfg, err
	}
	set := func(name string, apply func()) {
		if cmd.Flags().Changed(name) {
			apply()
		}
	}
	set("space", func() { cfg.Space = f.space })
	set("policy", func() { cfg.Policy = f.policy })
	set("candidates", func() { cfg.Candidates = f.candidates })
	set("confirm", func() { cfg.Confirm.Best = f.confirm })
	set("architecture", func() { cfg.Architectures = f.architectures })
	set("repeats", func() { cfg.Repeats = f.repeats })
	set("tasks", func() { cfg.Data.Tasks = f.tasks })
	set("precision", func() { cfg.Precision = device.Precision(f.precision) })
	set("skip-bad-rows", func() { cfg.Data.SkipBad = f.skipBad })
	on, err := choose.Decide(a.device)
	if err != nil {
		return cfg, err
	}
	if cfg, err = cfg.Complete(on); err != nil {
		return cfg, usageError{err}
	}
	return cfg, nil
}

// place puts the data folder into a configuration, by a path that holds in the process that trains, too.
func (a *app) place(cfg *search.Config) (err error) {
	if a.data != "" {
		cfg.Data.Dir = a.data
	}
	if cfg.Data.Dir != "" {
		cfg.Data.Dir, err = filepath.Abs(cfg.Data.Dir)
	}
	return err
}

// watch shows a run until it ends or the user leaves, and then leaves the workspace in order.
func (a *app) watch(ctx context.Context, w *workspace, id string, plain bool) error {
	for _, n := range w.notices {
		fmt.Fprintln(a.err, "flexi:", n)
	}
	err := a.show(ctx, w, id, plain)
	if cerr := w.close(ctx); err == nil {
		err = cerr
	}
	return err
}

func (a *app) show(ctx context.Context, w *workspace, id string, plain bool) error {
	if a.interactive(plain) {
		return a.sit(ctx, w, id)
	}
	err := a.follow(ctx, w, id)
	if w.guest != nil && errors.Is(err, context.Canceled) {
		fmt.Fprintf(a.err, "flexi: %s goes on in the process that owns the workspace; `flexi pause %s` pauses it\n", id, id)
	}
	return err
}

// interactive reports whether a person sits there who can be shown the workbench.
func (a *app) interactive(plain bool) bool { return !plain && !a.json && a.terminal() }

// follow prints lines until the run ends; with --json, one object per finished trial and the run at the end.
func (a *app) follow(ctx context.Context, w *workspace, id string) error {
	final, err := a.followRun(ctx, w, id)
	if err != nil {
		return err
	}
	switch final.State {
	case run.Failed:
		return fmt.Errorf("run %s failed: %s", id, final.Error)
	case run.Paused:
		fmt.Fprintf(a.err, "flexi: %s is paused; go on with `flexi resume %s`\n", id, id)
	}
	return nil
}

func (a *app) followRun(ctx context.Context, w *workspace, id string) (run.Run, error) {
	if a.json {
		return a.followJSON(ctx, w, id)
	}
	return tui.Plain(ctx, w, id, a.out, plainInterval)
}

func (a *app) followJSON(ctx context.Context, w *workspace, id string) (run.Run, error) {
	enc := json.NewEncoder(a.out)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	printed := map[int]bool{}
	for s := range w.Subscribe(ctx) {
		for _, r := range s.Runs {
			if r.ID != id {
				continue
			}
			for _, t := range r.Trials {
				if !printed[t.ID] && (t.State == run.Done || t.State == run.Failed || t.State == run.Stopped) {
					printed[t.ID] = true
					if err := enc.Encode(trialJSON(*t)); err != nil {
						return r.Run, err
					}
				}
			}
			if ended(r.State) {
				return r.Run, enc.Encode(runJSON(r))
			}
		}
	}
	return run.Run{}, ctx.Err()
}

// ended reports whether nothing more happens to a run by itself.
func ended(s run.State) bool {
	return s == run.Done || s == run.Failed || s == run.Stopped || s == run.Paused
}

// terminal reports whether both streams are a terminal that can be drawn on.
func (a *app) terminal() bool {
	in, ok1 := a.in.(*os.File)
	out, ok2 := a.out.(*os.File)
	return ok1 && ok2 && term.IsTerminal(in.Fd()) && term.IsTerminal(out.Fd()) && os.Getenv("TERM") != "dumb"
}
