package cli

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"flexi/core/device/choose"
	"flexi/core/run"
	"flexi/core/search"
)

// verb is a command that changes a run's state and needs nothing but its name.
type verb struct {
	verb        run.Verb
	short, long string
}

var (
	pauseVerb = verb{run.Pause, "Pause a run at the next step boundary, with a checkpoint", ""}
	stopVerb  = verb{run.Stop, "End a run for good, with a checkpoint", "End a run at the next step boundary. Finished trials stay; `flexi branch` can go on from them."}
)

// actor names the person at the keyboard, for the run's history.
func actor() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "uid " + strconv.Itoa(os.Getuid())
}

func newCommand(v run.Verb, id string) run.Command {
	return run.Command{ID: rand.Text(), Verb: v, Run: id, Trial: -1, Actor: actor(), Time: time.Now()}
}

// do sends a command and prints the reply; a refusal is exit code 3.
func (a *app) do(ctx context.Context, w *workspace, c run.Command) (run.Reply, error) {
	if _, err := w.find(ctx, c.Run); err != nil {
		return run.Reply{}, err
	}
	reply, err := w.Do(ctx, c)
	if err != nil {
		return reply, err
	}
	if reply.Refused {
		return reply, fmt.Errorf("%w: %s", errRefused, reply.Text)
	}
	if a.json {
		return reply, json.NewEncoder(a.out).Encode(map[string]any{"run": c.Run, "verb": c.Verb, "text": reply.Text, "new_run": reply.Run})
	}
	_, err = fmt.Fprintln(a.out, reply.Text)
	return reply, err
}

func (a *app) verbCommand(v verb) *cobra.Command {
	return &cobra.Command{
		Use:   string(v.verb) + " RUN",
		Short: v.short,
		Long:  v.long,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.look(cmd, func(w *workspace) error {
				_, err := a.do(cmd.Context(), w, newCommand(v.verb, args[0]))
				return err
			})
		},
	}
}

func (a *app) resumeCommand() *cobra.Command {
	var workers, candidates int
	var plain bool
	var preset, config string
	cmd := &cobra.Command{
		Use:   "resume RUN",
		Short: "Go on with a paused, stopped or lost run",
		Long:  "Go on with a run from its last checkpoint: in the server that owns the workspace, or, without one and without a terminal, in this process.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c := newCommand(run.Resume, args[0])
			if err := a.reconfigure(&c, preset, config); err != nil {
				return err
			}
			c.Workers = workers
			if err := a.exists(); err != nil && a.lent == nil {
				return err
			}
			w, err := a.host(cmd.Context(), a.interactive(plain))
			if err != nil {
				return err
			}
			if err := enlarge(cmd.Context(), w, &c, candidates); err != nil {
				return errors.Join(err, w.close(cmd.Context()))
			}
			if _, err := a.do(cmd.Context(), w, c); err != nil {
				return errors.Join(err, w.close(cmd.Context()))
			}
			if w.lent {
				return nil
			}
			return a.watch(cmd.Context(), w, args[0], plain)
		},
	}
	cmd.Flags().IntVar(&workers, "workers", 0, "change the number of trainings side by side")
	cmd.Flags().IntVar(&candidates, "candidates", 0, "change how many architectures are trained in all")
	cmd.Flags().StringVar(&preset, "preset", "", "go on under another preset's configuration")
	cmd.Flags().StringVar(&config, "config", "", "YAML file with a configuration to go on under")
	cmd.Flags().BoolVar(&plain, "plain", false, "print lines instead of opening the workbench")
	return cmd
}

// enlarge puts another number of candidates into a command, where one was asked for.
func enlarge(ctx context.Context, w *workspace, c *run.Command, candidates int) error {
	if candidates <= 0 {
		return nil
	}
	r, err := w.find(ctx, c.Run)
	if err != nil {
		return err
	}
	if r.Kind != search.KindName {
		return usagef("--candidates is for searches; %s is a %s", r.ID, r.Kind)
	}
	config := c.Config
	if config == nil {
		config = r.Config
	}
	if config, c.Budget, err = search.WithCandidates(config, candidates, r.Trials); err != nil {
		return usageError{err}
	}
	if c.Config != nil || c.Budget != r.Budget {
		c.Config = config
	}
	return nil
}

// reconfigure puts a new configuration into a command, where one was asked for.
func (a *app) reconfigure(c *run.Command, preset, config string) error {
	if preset == "" && config == "" {
		return nil
	}
	if a.lent != nil && config != "" {
		return errElsewhere
	}
	cfg, err := search.LoadConfig(preset, config)
	if err != nil {
		return usageError{err}
	}
	if err := a.place(&cfg); err != nil {
		return err
	}
	on, err := choose.Decide(a.device)
	if err != nil {
		return err
	}
	if cfg, err = cfg.Complete(on); err != nil {
		return usageError{err}
	}
	if c.Config, err = json.Marshal(cfg); err != nil {
		return fmt.Errorf("encode configuration: %w", err)
	}
	c.Budget = cfg.Budget()
	return nil
}

func (a *app) branchCommand() *cobra.Command {
	var trials int
	var preset, config string
	cmd := &cobra.Command{
		Use:   "branch RUN",
		Short: "Start a new run from a run's first trials, with another configuration if wanted",
		Long:  "Make a new, paused run that shares the first trials of RUN with their scores and weights. Start it with `flexi resume`.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c := newCommand(run.Branch, args[0])
			c.Trial = trials
			if err := a.reconfigure(&c, preset, config); err != nil {
				return err
			}
			return a.look(cmd, func(w *workspace) error {
				_, err := a.do(cmd.Context(), w, c)
				return err
			})
		},
	}
	cmd.Flags().IntVar(&trials, "trials", -1, "how many trials to take along; -1 takes all that are finished")
	cmd.Flags().StringVar(&config, "config", "", "YAML file with the new configuration")
	cmd.Flags().StringVar(&preset, "preset", "", "preset of the new configuration")
	return cmd
}

// about is a command on RUN, or on RUN and TRIAL.
func (w *workspace) about(ctx context.Context, v run.Verb, args []string) (run.Command, error) {
	c := newCommand(v, args[0])
	if len(args) < 2 {
		return c, nil
	}
	r, err := w.find(ctx, args[0])
	if err != nil {
		return c, err
	}
	t, err := trialOf(r, args[1])
	if err != nil {
		return c, err
	}
	c.Trial = t.ID
	return c, nil
}

func (a *app) retryCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "retry RUN TRIAL",
		Short: "Train a failed trial again, with the same architecture and seed",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.look(cmd, func(w *workspace) error {
				c, err := w.about(cmd.Context(), run.Retry, args)
				if err != nil {
					return err
				}
				_, err = a.do(cmd.Context(), w, c)
				return err
			})
		},
	}
}

func (a *app) freezeCommand() *cobra.Command {
	var rule string
	cmd := &cobra.Command{
		Use:   "freeze RUN [TRIAL]",
		Short: "End the layer search of a Flexora run with the layers found so far",
		Long:  "End a layer search at its next outer step: the layers that the rule finds in the newest alphas are fine-tuned. Without TRIAL all searches that go on end.",
		Args:  cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.look(cmd, func(w *workspace) error {
				c, err := w.about(cmd.Context(), run.Freeze, args)
				if err != nil {
					return err
				}
				c.Text = rule
				_, err = a.do(cmd.Context(), w, c)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&rule, "rule", "", "choose by this rule instead of the run's: positive, centred, above_mean, topk=K, budget=P, threshold=X, multiplier=X")
	return cmd
}
