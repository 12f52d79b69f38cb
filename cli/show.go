package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"flexi/core/run"
	"flexi/tui"
)

// chosen is the named run, or the newest.
func (w *workspace) chosen(ctx context.Context, args []string) (*run.RunView, error) {
	if len(args) > 0 {
		return w.find(ctx, args[0])
	}
	s, err := w.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	if len(s.Runs) == 0 {
		return nil, errors.New("the workspace has no runs; start one with `flexi search --demo`")
	}
	newest := &s.Runs[0]
	for i := range s.Runs {
		if s.Runs[i].Created.After(newest.Created) {
			newest = &s.Runs[i]
		}
	}
	return newest, nil
}

// trialOf finds a trial by number or by the start of its hash.
func trialOf(r *run.RunView, name string) (*run.Trial, error) {
	if n, err := strconv.Atoi(name); err == nil && n >= 0 && n < len(r.Trials) {
		return r.Trials[n], nil
	}
	var found *run.Trial
	for _, t := range r.Trials {
		if len(name) >= 4 && strings.HasPrefix(t.Hash, name) {
			if found != nil && found.Hash != t.Hash {
				return nil, fmt.Errorf("%q is the start of several hashes in %s; give more of it", name, r.ID)
			}
			found = t
		}
	}
	if found == nil {
		return nil, fmt.Errorf("%s has no trial %q; it has trials 0 to %d, by number or by at least 4 letters of the hash", r.ID, name, len(r.Trials)-1)
	}
	return found, nil
}

func (a *app) showCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show RUN [TRIAL]",
		Short: "Show a run's trials, or one trial: layers, parameters, scores, curves, neighbours",
		Args:  cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.look(cmd, func(w *workspace) error {
				r, err := w.find(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				if len(args) == 1 {
					return a.showRun(r)
				}
				return a.showTrial(cmd.Context(), w, r, args[1])
			})
		},
	}
}

func (a *app) showRun(r *run.RunView) error {
	if !a.json {
		_, err := fmt.Fprint(a.out, tui.TrialsText(*r))
		return err
	}
	enc := json.NewEncoder(a.out)
	for _, t := range r.Trials {
		if err := enc.Encode(trialJSON(*t)); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) showTrial(ctx context.Context, w *workspace, r *run.RunView, name string) error {
	t, err := trialOf(r, name)
	if err != nil {
		return err
	}
	in, err := w.Inspect(ctx, r.ID, t.ID)
	if err != nil {
		return err
	}
	points, err := w.Points(ctx, r.ID, t.ID)
	if err != nil {
		return err
	}
	if a.json {
		return json.NewEncoder(a.out).Encode(struct {
			jsonTrial
			Inspection run.Inspection `json:"inspection"`
			Points     []run.Point    `json:"points"`
		}{trialJSON(*t), in, points})
	}
	_, err = fmt.Fprint(a.out, tui.InspectionText(in, t, points))
	return err
}
