package run

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
)

// A trial that fails ends alone: with a panic, an error, or without a sign of life. It is tried again from its beginning, because what made it fail may
// be in its checkpoint, after a wait that grows, at most maxAttempts times in all.

// failed notes the cause, and reports whether the trial is to be tried again.
func (c *Controller) failed(a *active, t *Trial, err error) (again bool) {
	t.Error = err.Error()
	if p, ok := errors.AsType[*panicError](err); ok {
		c.log.Error("trial ended with a panic", "run", a.ID, "trial", t.ID, "err", err, "stack", string(p.stack))
	}
	if IsFinal(err) || t.Attempt >= maxAttempts {
		t.State, t.Ended = Failed, a.endTime(c.opts.Clock())
		return false
	}
	c.event(a, t.ID, "fail", fmt.Sprintf("%s (attempt %d of %d; it is tried again)", t.Error, t.Attempt, maxAttempts))
	t.Attempt++
	t.State, t.Checkpoint, t.Earlier = Queued, "", ""
	return true
}

// waitToRetry keeps the slot while it waits: another trial proposed meanwhile would make the search depend on the clock.
func (c *Controller) waitToRetry(a *active, s *slot, t Trial) {
	wait := c.opts.Backoff
	for range t.Attempt - 2 {
		wait *= backoffFactor
	}
	s.begin(t.ID, c.opts.Clock(), nil)
	s.progress.Phase = "waiting to try again"
	ctx, halted := a.ctx, a.halted
	c.background(func() func() {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-halted:
		case <-ctx.Done():
		}
		return func() {
			s.end()
			c.schedule(a)
		}
	})
}

// crowded is an error that comes of too many trainings at once, such as that of a device whose memory is full.
type crowded interface {
	error
	Crowded() bool
}

func isCrowded(err error) bool {
	e, ok := errors.AsType[crowded](err)
	return ok && e.Crowded()
}

// makeRoom puts a trial that others left no room for back into the queue, with its checkpoint and without a failed attempt, and lets fewer train at once
// until the run is started again or given another number of workers.
func (c *Controller) makeRoom(a *active, t *Trial, err error) {
	a.room = a.training() - 1
	t.State = waitingState(*t)
	c.event(a, t.ID, "warn", fmt.Sprintf("%v; %d at once are too many, so %d train from now on and this one waits", err, a.room+1, a.room))
}

// findHung gives up trainings that have shown no sign of life for too long. Time in which this process did not run (a suspended machine, a stopped job)
// does not count: between two looks at most longestGap does.
func (c *Controller) findHung() {
	now := c.opts.Clock()
	gap := min(max(0, now.Sub(c.looked)), longestGap)
	c.looked = now
	for _, a := range c.runs {
		for _, s := range a.slots {
			if w := s.worker; w != nil && w.quiet(gap) > c.opts.Patience {
				c.giveUp(a, w)
			}
		}
	}
}

// giveUp ends a trial whose training hangs. Nobody can end its goroutine: it is told to stop, its results are ignored, and the log holds where it was.
func (c *Controller) giveUp(a *active, w *worker) {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	c.log.Error("a training hangs and is given up", "run", a.ID, "trial", w.trial, "silent", w.silent, "stacks", string(stacks))
	w.given.Store(true)
	w.cancel()
	w.leave()
	err := fmt.Errorf("no sign of life for %s: the training hung and was given up; the log says where", w.silent.Round(time.Second))
	a.results++
	c.trained(a, *a.trials[w.trial], w, Result{}, "", err)
}

// readable is the trial with the newest checkpoint that can be read: one that is damaged or gone is dropped for the one before it, or for the beginning.
func (w *worker) readable(ctx context.Context, t Trial) (Trial, error) {
	for t.Checkpoint != "" {
		f, err := w.c.store.OpenBlob(t.Checkpoint)
		if err == nil {
			return t, f.Close()
		}
		if !errors.Is(err, ErrLost) {
			return t, err
		}
		t.Checkpoint, t.Earlier = t.Earlier, ""
		from := "the checkpoint before it"
		if t.Checkpoint == "" {
			from = "the beginning"
		}
		var stored error
		if derr := w.c.do(ctx, func() {
			if stored = w.c.store.PutTrial(w.c.ctx, t, nil); stored == nil {
				w.a.set(t)
				w.c.event(w.a, t.ID, "warn", fmt.Sprintf("the checkpoint cannot be read (%v); the trial goes on from %s", err, from))
			}
		}); derr != nil {
			return t, derr
		}
		if stored != nil {
			return t, stored
		}
	}
	return t, nil
}
