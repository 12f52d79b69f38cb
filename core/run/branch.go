package run

import (
	"encoding/json"
	"fmt"
	"time"
)

// branch makes a new, paused run from the first trials of a. Weights, checkpoints and curves are shared, not copied; the policy's state is
// not taken over, because the configuration may be another: the kind derives it from the trials.
func (c *Controller) branch(a *active, cmd Command) Reply {
	n := cmd.Trial
	if n < 0 {
		n = len(a.trials)
		for n > 0 && a.trials[n-1].State != Done {
			n--
		}
	}
	if n > len(a.trials) {
		return refuse("%s has %d trials; cannot branch after %d", a.ID, len(a.trials), n)
	}
	if reply, ok := c.branchChanges(a, n, &cmd); !ok {
		return reply
	}
	r := branchOf(a.Run, n, cmd, c.opts.Clock())
	r.Criteria = c.criteria(r.Kind, r.Config)
	// Until the last trial is copied the stored run says that it is not whole.
	r.State, r.Error = Failed, fmt.Sprintf("branching from %s was interrupted; branch again", a.ID)
	r, err := c.store.CreateRun(c.ctx, r)
	if err != nil {
		return refuse("could not store the new run: %v", err)
	}
	b := newActive(r, nil)
	for _, t := range a.trials[:n] {
		u := *t
		u.Run = r.ID
		if u.State == Running {
			u.State = waitingState(u)
		}
		if err := c.store.PutTrial(c.ctx, u, nil); err != nil {
			return refuse("could not store trial %d of the new run: %v", u.ID, err)
		}
		b.set(u)
	}
	b.State, b.Error = Paused, ""
	if err := c.store.UpdateRun(c.ctx, b.Run); err != nil {
		return refuse("could not store the new run: %v", err)
	}
	c.runs = append(c.runs, b)
	c.event(b, -1, "state", fmt.Sprintf("branched from %s after %d trials", a.ID, n))
	return Reply{Text: fmt.Sprintf("%s branches from %s after %d trials; start it with `flexi resume %s`", r.ID, a.ID, n, r.ID), Run: r.ID}
}

// branchChanges turns a branch's changes into its configuration, budget and workers.
func (c *Controller) branchChanges(a *active, n int, cmd *Command) (Reply, bool) {
	workers, changes, err := splitWorkers(cmd.Changes)
	if err != nil {
		return refuse("%v", err), false
	}
	if workers > 0 {
		cmd.Workers = workers
	}
	if len(changes) == 0 {
		return Reply{}, true
	}
	k, ok := c.kinds[a.Kind].(Configurer)
	if !ok {
		return refuse("the configuration of a %s cannot be changed key by key; use --config", a.Kind), false
	}
	if cmd.Config, cmd.Budget, err = k.Configure(a.Run, a.trials[:n], changes, false); err != nil {
		return refuse("%v", err), false
	}
	return Reply{}, true
}

// branchOf is the new run, without an ID.
func branchOf(parent Run, n int, cmd Command, now time.Time) Run {
	r := Run{
		Kind: parent.Kind, Want: Paused, Created: now, Seed: parent.Seed, Config: parent.Config, Budget: parent.Budget,
		Workers: parent.Workers, Parent: parent.ID, ParentTrials: n, Objective: parent.Objective,
	}
	if cmd.Config != nil {
		r.Config = json.RawMessage(cmd.Config)
	}
	if cmd.Budget > 0 {
		r.Budget = cmd.Budget
	}
	if cmd.Workers > 0 {
		r.Workers = cmd.Workers
	}
	return r
}
