package run

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"slices"
	"time"
)

// start opens a run's job and lets it work. The run is Running from here on.
func (c *Controller) start(a *active) {
	now := c.opts.Clock()
	if a.Started.IsZero() {
		a.Started = now
	}
	a.since, a.State, a.Want, a.Error, a.Ended = now, Running, Running, "", time.Time{}
	a.pause.Store(false)
	a.waiting, a.spent = false, false
	a.ctx, a.cancel = context.WithCancel(c.ctx)
	a.slots = nil
	for i := range a.Workers {
		a.slots = append(a.slots, &slot{id: i, trial: -1})
	}
	c.save(a)
	c.event(a, -1, "state", "running")
	if a.job != nil {
		c.schedule(a)
		return
	}
	c.open(a)
}

// open makes the job in its own goroutine: reading data may take a while.
func (c *Controller) open(a *active) {
	if a.opening {
		return
	}
	a.opening, a.thinking = true, "opening"
	kind, r, trials, ctx := c.kinds[a.Kind], a.Run, a.history(), a.ctx
	c.background(func() func() {
		var job Job
		state, err := c.store.JobState(ctx, r.ID)
		if err == nil {
			err = protect(func() (err error) { job, err = kind.Open(ctx, r, trials, state); return err })
		}
		return func() {
			a.opening, a.thinking = false, ""
			if err != nil {
				c.fail(a, fmt.Errorf("open: %w", err))
				return
			}
			a.job = job
			c.schedule(a)
		}
	})
}

// background runs f outside the loop and its result inside.
func (c *Controller) background(f func() func()) {
	c.work.Add(1)
	go func() {
		defer c.work.Done()
		then := f()
		c.do(context.Background(), func() {
			then()
			c.changed = true
		})
	}()
}

// panicError is a panic of a job, as an error.
type panicError struct {
	value any
	stack []byte
}

func (p *panicError) Error() string { return fmt.Sprintf("internal error: %v", p.value) }

// protect turns a panic into an error that keeps the stack for the log.
func protect(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{v, debug.Stack()}
		}
	}()
	return f()
}

// schedule gives every idle worker something to do, and ends the run when there is nothing left.
func (c *Controller) schedule(a *active) {
	c.changed = true
	if a.job == nil || a.opening {
		if a.State != Running {
			c.settle(a)
		}
		return
	}
	if a.State != Running {
		c.settle(a)
		return
	}
	for s := a.idleSlot(); s != nil; s = a.idleSlot() {
		t := a.nextQueued()
		if t == nil {
			break
		}
		c.train(a, s, *t)
	}
	if a.idleSlot() == nil || a.thinking != "" {
		return
	}
	switch {
	case a.wantsMore() && !a.waiting:
		c.propose(a)
	case a.busy() == 0:
		c.finish(a)
	}
}

// propose asks the job for the next trial.
func (c *Controller) propose(a *active) {
	a.thinking = "choosing the next candidate"
	job, ctx, trials := a.job, a.ctx, a.history()
	c.background(func() func() {
		a.jobMu.Lock()
		defer a.jobMu.Unlock()
		var t Trial
		var state []byte
		err := protect(func() (err error) {
			if t, err = job.Next(ctx, trials); err != nil {
				return err
			}
			state, err = job.State()
			return err
		})
		view := job.View()
		return func() {
			a.thinking = ""
			a.surrogate = view
			c.proposed(a, t, state, err)
		}
	})
}

func (c *Controller) proposed(a *active, t Trial, state []byte, err error) {
	switch {
	case errors.Is(err, ErrWait):
		a.waiting = true
	case errors.Is(err, ErrDone):
		a.spent = true
	case err != nil && a.ctx.Err() != nil:
		// Killed while it thought; nothing was proposed.
	case err != nil:
		c.fail(a, fmt.Errorf("choose the next candidate: %w", err))
		return
	default:
		t.Run, t.ID, t.State, t.Attempt, t.Proposed = a.ID, len(a.trials), Queued, 1, c.opts.Clock()
		if err := c.store.PutTrial(c.ctx, t, state); err != nil {
			c.fail(a, fmt.Errorf("store trial %d: %w", t.ID, err))
			return
		}
		a.set(t)
		c.event(a, t.ID, "pick", fmt.Sprintf("%s, %s", t.Title, t.Why))
	}
	c.schedule(a)
}

// train starts a trial on a slot.
func (c *Controller) train(a *active, s *slot, t Trial) {
	now := c.opts.Clock()
	t.State, t.Error = Running, ""
	if t.Started.IsZero() {
		t.Started = now
	}
	if err := c.store.PutTrial(c.ctx, t, nil); err != nil {
		c.fail(a, fmt.Errorf("store trial %d: %w", t.ID, err))
		return
	}
	a.set(t)
	s.mu.Lock()
	s.trial, s.since, s.progress, s.losses = t.ID, now, Progress{Phase: "starting"}, nil
	s.mu.Unlock()
	w := &worker{c: c, a: a, slot: s, trial: t.ID, began: now, spent: t.Seconds, threads: max(1, c.opts.Threads/len(a.slots)), slots: len(a.slots)}
	job, ctx := a.job, a.ctx
	c.background(func() func() {
		var result Result
		var weights string
		err := protect(func() (err error) {
			if result, err = job.Train(ctx, t, w); err != nil || result.Weights == nil {
				return err
			}
			weights, _, err = c.store.PutBlob(context.WithoutCancel(ctx), result.Weights)
			return err
		})
		return func() {
			s.mu.Lock()
			s.trial = -1
			s.mu.Unlock()
			c.trained(a, *a.trials[t.ID], w, result, weights, err)
		}
	})
}

// trained applies what became of a training.
func (c *Controller) trained(a *active, t Trial, w *worker, r Result, weights string, err error) {
	t.Seconds = w.seconds()
	if err == nil && (math.IsNaN(r.Score) || math.IsInf(r.Score, 0)) {
		err = fmt.Errorf("the score is not finite: %v", r.Score)
	}
	switch {
	case err == nil:
		score := r.Score
		t.State, t.Score, t.Scores, t.Parent, t.Overlap, t.Weights, t.Checkpoint, t.Ended = Done, &score, r.Scores, r.Parent, r.Overlap, weights, "", c.opts.Clock()
	case errors.Is(err, ErrPaused), a.ctx.Err() != nil:
		t.State = waitingState(t)
	default:
		t.State, t.Error, t.Ended = Failed, err.Error(), c.opts.Clock()
		c.logFailure(a, t, err)
	}
	if serr := c.store.PutTrial(c.ctx, t, nil); serr != nil {
		a.set(t)
		c.fail(a, fmt.Errorf("store the result of trial %d: %w", t.ID, serr))
		return
	}
	before := a.best
	a.set(t)
	a.recount()
	a.waiting = false
	c.announce(a, t, before)
	if a.State == Running && c.hopeless(a) {
		c.fail(a, fmt.Errorf("the first %d trials all failed, the last with: %s", firstFailures, t.Error))
		return
	}
	c.schedule(a)
}

func (c *Controller) logFailure(a *active, t Trial, err error) {
	var p *panicError
	if errors.As(err, &p) {
		c.log.Error("trial ended with a panic", "run", a.ID, "trial", t.ID, "err", err, "stack", string(p.stack))
	}
}

func (c *Controller) announce(a *active, t Trial, before int) {
	switch t.State {
	case Done:
		c.event(a, t.ID, "done", fmt.Sprintf("%s %.2f in %.0f s", a.Objective.Name, *t.Score, t.Seconds))
		if a.best == t.ID {
			text := fmt.Sprintf("best so far: %s %.2f, %.2f M parameters", a.Objective.Name, *t.Score, float64(t.Params)/1e6)
			if before >= 0 {
				text += fmt.Sprintf(" (%+.2f)", *t.Score-*a.trials[before].Score)
			}
			c.event(a, t.ID, "best", text)
		}
	case Failed:
		c.event(a, t.ID, "fail", fmt.Sprintf("%s (attempt %d of %d)", t.Error, t.Attempt, maxAttempts))
	}
}

// hopeless reports whether a run has nothing but failures.
func (c *Controller) hopeless(a *active) bool {
	return a.done == 0 && a.failed >= firstFailures && !slices.ContainsFunc(a.trials[:firstFailures], func(t *Trial) bool { return t.State != Failed })
}

// halt asks a running run to become Paused or Stopped at the next step boundaries; is says through which state.
func (c *Controller) halt(a *active, is State) {
	a.State = is
	a.pause.Store(true)
	c.save(a)
	c.schedule(a)
}

// settle ends the way to Paused, Stopped or Failed once nothing works any more.
func (c *Controller) settle(a *active) {
	if a.busy() > 0 || a.thinking != "" {
		return
	}
	switch a.State {
	case Pausing:
		c.end(a, Paused, "paused")
	case Stopping:
		c.end(a, Stopped, "stopped")
		c.closeJob(a)
	case Failed:
		c.closeJob(a)
	}
}

// finish ends a run that has nothing left to do.
func (c *Controller) finish(a *active) {
	if a.done == 0 {
		c.fail(a, errors.New("it ended without a finished trial"))
		return
	}
	c.end(a, Done, fmt.Sprintf("done: %d trials, best %s %.2f (trial %d)", a.done, a.Objective.Name, *a.trials[a.best].Score, a.best))
	c.closeJob(a)
}

// fail ends a run that cannot go on.
func (c *Controller) fail(a *active, err error) {
	var p *panicError
	if errors.As(err, &p) {
		c.log.Error("run ended with a panic", "run", a.ID, "err", err, "stack", string(p.stack))
	}
	a.Error = err.Error()
	a.pause.Store(true)
	c.end(a, Failed, "failed: "+a.Error)
	c.settle(a)
}

func (c *Controller) end(a *active, s State, text string) {
	now := c.opts.Clock()
	a.Seconds += now.Sub(a.since).Seconds()
	a.since = now
	a.State = s
	if s != Paused {
		a.Ended = now
	}
	c.save(a)
	c.event(a, -1, "state", text)
}

func (c *Controller) closeJob(a *active) {
	if a.job == nil || a.busy() > 0 || a.thinking != "" {
		return
	}
	if err := protect(a.job.Close); err != nil {
		c.log.Error("close job", "run", a.ID, "err", err)
	}
	a.job = nil
}

func (c *Controller) save(a *active) {
	c.changed = true
	if err := c.store.UpdateRun(c.ctx, a.Run); err != nil {
		c.log.Error("store run", "run", a.ID, "err", err)
	}
}
