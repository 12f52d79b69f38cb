package run

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
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
	a.halted = make(chan struct{})
	a.waiting, a.spent = false, false
	a.ctx, a.cancel = context.WithCancel(c.ctx)
	a.slots, a.room = nil, 0
	a.fitSlots()
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
	a.opening, a.thinking = true, "opening"
	a.doing = &activities{clock: c.opts.Clock}
	kind, r, trials, ctx := c.kinds[a.Kind], a.Run, a.history(), a.doing.within(a.ctx)
	c.background(func() func() {
		var job Job
		state, err := c.store.JobState(ctx, r.ID)
		if err == nil {
			err = protect(func() (err error) { job, err = kind.Open(ctx, r, trials, state); return err })
		}
		return func() {
			a.opening, a.thinking = false, ""
			switch {
			case err == nil:
				a.job = &openJob{job: job}
				c.schedule(a)
			case ctx.Err() != nil:
				c.settle(a) // killed while it opened
			default:
				c.fail(a, fmt.Errorf("open: %w", err))
			}
		}
	})
}

// background runs f outside the loop and its result inside. Shutdown waits for it, until the function that is returned is called.
func (c *Controller) background(f func() func()) (leave func()) {
	c.work.Add(1)
	leave = sync.OnceFunc(c.work.Done)
	go func() {
		defer leave()
		then := f()
		// After the loop has ended there is nobody left to tell.
		_ = c.do(context.Background(), func() {
			then()
			c.changed = true
		})
	}()
	return leave
}

// schedule gives every idle worker something to do, and ends the run when there is nothing left.
func (c *Controller) schedule(a *active) {
	c.changed = true
	if a.State == Running {
		a.fitSlots()
	}
	for a.State == Running && a.job != nil {
		s, t := a.idleSlot(), a.nextQueued()
		if s == nil || t == nil {
			break
		}
		c.train(a, s, *t)
	}
	switch {
	case a.State != Running:
		c.settle(a)
	case a.job == nil || a.thinking != "" || a.idleSlot() == nil:
		// Something is under way whose end calls schedule again.
	case a.wantsMore() && !a.waiting:
		c.propose(a)
	case a.busy() == 0:
		c.finish(a)
	}
}

// propose asks the job for the next trial.
func (c *Controller) propose(a *active) {
	a.thinking = "choosing the next candidate"
	a.doing = &activities{clock: c.opts.Clock}
	job, ctx, trials, results := a.job, a.doing.within(a.ctx), a.history(), a.results
	c.background(func() func() {
		t, state, view, err := job.next(ctx, trials)
		return func() {
			a.thinking = ""
			c.look(a, view)
			switch {
			case err == nil:
				c.proposed(a, t, state)
			case errors.Is(err, ErrDone):
				a.spent = true
			case errors.Is(err, ErrWait):
				// A result that came while it thought may be the one it waits for.
				a.waiting = a.results == results
			case ctx.Err() != nil:
				// Killed while it thought; nothing was proposed.
			default:
				c.fail(a, fmt.Errorf("choose the next candidate: %w", err))
				return
			}
			c.schedule(a)
		}
	})
}

// look keeps what the surrogate thinks, for viewers now and after the next start. A job that was just opened, and has nothing left to propose, has no view.
func (c *Controller) look(a *active, view *Surrogate) {
	if view == nil {
		return
	}
	a.surrogate = view
	if passed(c.opts.Clock(), a.viewStored, viewEvery) {
		c.storeView(a)
	}
}

func (c *Controller) storeView(a *active) {
	if a.surrogate == nil {
		return
	}
	a.viewStored = c.opts.Clock()
	if err := c.store.PutView(c.ctx, a.ID, a.surrogate); err != nil {
		c.log.Error("store surrogate", "run", a.ID, "err", err)
	}
}

func (c *Controller) proposed(a *active, t Trial, state []byte) {
	t.Run, t.ID, t.State, t.Attempt, t.Proposed = a.ID, len(a.trials), Queued, 1, c.opts.Clock()
	if t.Predict != nil && !t.Predict.finite() {
		c.event(a, t.ID, "warn", "the surrogate's prediction is not finite and is left out")
		t.Predict = nil
	}
	// The line comes first: what makes the trial durable makes everything durable that was stored before it.
	c.event(a, t.ID, "pick", fmt.Sprintf("%s, %s", t.Title, t.Why))
	if err := c.store.PutTrial(c.ctx, t, state); err != nil {
		c.fail(a, err)
		return
	}
	a.set(t)
	if i := slices.Index(a.Pinned, t.Hash); i >= 0 {
		a.Pinned = slices.Delete(slices.Clone(a.Pinned), i, i+1)
		c.save(a)
	}
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

func (p *Prediction) finite() bool {
	return finite(p.Mean) && finite(p.Aleatoric) && finite(p.Epistemic) && finite(p.Acquisition)
}

// halt asks a running run to become Paused or Stopped at the next step boundaries; is says through which state.
func (c *Controller) halt(a *active, is State) {
	a.State = is
	a.askToPause()
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
		if c.closing {
			c.closeJob(a)
		}
	case Stopping:
		c.end(a, Stopped, "stopped")
		c.closeJob(a)
	case Failed:
		c.closeJob(a)
	}
}

// finish ends a run that has nothing left to do.
func (c *Controller) finish(a *active) {
	switch {
	case a.waiting && a.wantsMore():
		c.fail(a, errors.New("the policy waits for results, but nothing is in training"))
	case a.done == 0:
		c.fail(a, errors.New("it ended without a finished trial"))
	default:
		c.end(a, Done, fmt.Sprintf("done: %d trials, best %s %.2f (trial %d)", a.done, a.Objective.Name, *a.best.Score, a.best.ID))
		c.closeJob(a)
	}
}

// fail ends a run that cannot go on. What is in training saves a checkpoint first.
func (c *Controller) fail(a *active, err error) {
	if p, ok := errors.AsType[*panicError](err); ok {
		c.log.Error("run ended with a panic", "run", a.ID, "err", err, "stack", string(p.stack))
	}
	if a.State == Failed {
		c.settle(a)
		return
	}
	a.Error = err.Error()
	a.askToPause()
	c.end(a, Failed, "failed: "+a.Error)
	c.settle(a)
}

func (c *Controller) end(a *active, s State, text string) {
	now := c.opts.Clock()
	a.Seconds += max(0, now.Sub(a.since).Seconds())
	a.since = now
	a.State = s
	if s != Paused {
		a.Ended = now
	}
	c.storeView(a)
	c.save(a)
	c.event(a, -1, "state", text)
}

// closeJob frees a job that nothing uses; an inspection that is under way ends first.
func (c *Controller) closeJob(a *active) {
	if a.job == nil || a.busy() > 0 || a.thinking != "" {
		return
	}
	job, id := a.job, a.ID
	a.job = nil
	c.background(func() func() {
		if err := job.close(); err != nil {
			c.log.Error("close job", "run", id, "err", err)
		}
		return func() {}
	})
}

func (c *Controller) save(a *active) {
	c.changed = true
	if err := c.store.UpdateRun(c.ctx, a.Run); err != nil {
		c.log.Error("store run", "run", a.ID, "err", err)
	}
}

// hopeless reports whether a run has nothing but failures.
func (c *Controller) hopeless(a *active) bool {
	return a.done == 0 && len(a.trials) >= firstFailures && !slices.ContainsFunc(a.trials[:firstFailures], func(t *Trial) bool { return t.State != Failed })
}
