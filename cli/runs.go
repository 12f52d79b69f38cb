package cli

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"flexi/core/run"
	"flexi/tui"
)

// jsonRun is a run as scripts see it; its keys are part of the command contract.
type jsonRun struct {
	ID         string    `json:"id"`
	Kind       string    `json:"kind"`
	State      run.State `json:"state"`
	Want       run.State `json:"want"`
	Done       int       `json:"done"`
	Failed     int       `json:"failed"`
	Stopped    int       `json:"stopped"` // before their end
	Budget     int       `json:"budget"`
	BestTrial  *int      `json:"best_trial"`
	BestScore  *float64  `json:"best_score"`
	Objective  string    `json:"objective"`
	Seed       uint64    `json:"seed"`
	Workers    int       `json:"workers"`
	Seconds    float64   `json:"seconds"`
	ETASeconds float64   `json:"eta_seconds"`
	Created    time.Time `json:"created"`
	Parent     string    `json:"parent,omitempty"`
	Error      string    `json:"error,omitempty"`
	Note       string    `json:"note,omitempty"`
	// Confirmed has the retrainings of the best, best mean first.
	Confirmed *run.Confirmations `json:"confirmed,omitempty"`
	Criteria  []run.Criterion    `json:"criteria,omitempty"`
	// Frontier are the trials that no other beats in score and criteria.
	Frontier []int           `json:"frontier,omitempty"`
	Tradeoff *run.Tradeoff   `json:"tradeoff,omitempty"`
	Config   json.RawMessage `json:"config,omitempty"`
}

func runJSON(r run.RunView) jsonRun {
	j := jsonRun{
		ID: r.ID, Kind: r.Kind, State: r.State, Want: r.Want, Done: r.Done, Failed: r.FailedN, Budget: r.Budget, Objective: r.Objective.Name,
		Seed: r.Seed, Workers: r.Run.Workers, Seconds: r.Seconds, ETASeconds: r.ETA.Seconds(), Created: r.Created, Parent: r.Parent, Error: r.Error, Note: r.Note,
	}
	if r.Best >= 0 {
		j.BestTrial, j.BestScore = &r.Best, r.Trials[r.Best].Score
	}
	j.Stopped, j.Criteria, j.Frontier, j.Tradeoff = r.StoppedN, r.Criteria, r.Frontier, run.TradeoffOf(&r)
	j.Confirmed = run.ConfirmationsOf(r.Trials, r.Objective)
	return j
}

// jsonTrial is a trial as scripts see it.
type jsonTrial struct {
	Trial      int                `json:"trial"`
	Hash       string             `json:"hash"`
	State      run.State          `json:"state"`
	Score      *float64           `json:"score"`
	Scores     map[string]float64 `json:"scores,omitempty"`
	Params     int64              `json:"params"`
	Seconds    float64            `json:"seconds"`
	Level      int                `json:"level"`
	Why        string             `json:"why"`
	Parent     *int               `json:"parent"`
	Overlap    float64            `json:"overlap"`
	Arm        run.Arm            `json:"arm,omitempty"`
	Of         *int               `json:"of,omitempty"` // the trial that it retrains
	Prediction *run.Prediction    `json:"prediction,omitempty"`
	Attempt    int                `json:"attempt"`
	Error      string             `json:"error,omitempty"`
	Reason     string             `json:"reason,omitempty"` // why it was stopped before its end
	Measures   map[string]float64 `json:"measures,omitempty"`
	Rungs      []run.Rung         `json:"rungs,omitempty"`
	Arch       json.RawMessage    `json:"arch"`
	Detail     json.RawMessage    `json:"detail,omitempty"` // what else the kind says of the result
}

func trialJSON(t run.Trial) jsonTrial {
	j := jsonTrial{
		Trial: t.ID, Hash: t.Hash, State: t.State, Score: t.Score, Scores: t.Scores, Params: t.Params, Seconds: t.Seconds, Level: t.Level,
		Why: t.Why, Overlap: t.Overlap, Arm: t.Arm, Prediction: t.Predict, Attempt: t.Attempt, Error: t.Error, Reason: t.Reason, Measures: t.Measures, Rungs: t.Rungs, Arch: t.Arch, Detail: t.Detail,
	}
	if t.Parent >= 0 {
		j.Parent = &t.Parent
	}
	if t.Arm != run.ArmSearch {
		j.Of = &t.Of
	}
	return j
}

func (a *app) runsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "runs",
		Short: "List the runs of the workspace",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.look(cmd, func(w *workspace) error {
				s, err := w.snapshot(cmd.Context())
				if err != nil {
					return err
				}
				if !a.json {
					_, err := fmt.Fprint(a.out, tui.RunsText(s.Runs, s.Time))
					return err
				}
				for _, r := range s.Runs {
					if err := json.NewEncoder(a.out).Encode(runJSON(r)); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status [RUN]",
		Short: "Show where a run stands (the newest one by default)",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.look(cmd, func(w *workspace) error {
				r, err := w.chosen(cmd.Context(), args)
				if err != nil {
					return err
				}
				if a.json {
					return json.NewEncoder(a.out).Encode(runJSON(*r))
				}
				_, err = fmt.Fprint(a.out, tui.StatusText(*r, time.Now()))
				return err
			})
		},
	}
}

func (a *app) watchCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "watch [RUN]",
		Short: "Print what happens to a run (the newest one by default), a line each, until it ends",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.look(cmd, func(w *workspace) error {
				r, err := w.chosen(cmd.Context(), args)
				if err != nil {
					return err
				}
				return a.follow(cmd.Context(), w, r.ID)
			})
		},
	}
}

// look visits the workspace for the length of f.
func (a *app) look(cmd *cobra.Command, f func(*workspace) error) error {
	w, err := a.visit(cmd.Context())
	if err != nil {
		return err
	}
	for _, n := range w.notices {
		fmt.Fprintln(a.err, "flexi:", n)
	}
	err = f(w)
	if cerr := w.close(cmd.Context()); err == nil {
		err = cerr
	}
	return err
}
