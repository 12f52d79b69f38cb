package run

import (
	"context"
	"errors"
	"fmt"
	"maps"
)

// train starts a trial on a slot.
func (c *Controller) train(a *active, s *slot, t Trial) {
	now := c.opts.Clock()
	t.State, t.Error = Running, ""
	if t.Started.IsZero() {
		t.Started = now
	}
	if err := c.store.PutTrial(c.ctx, t, nil); err != nil {
		c.fail(a, err)
		return
	}
	a.set(t)
	ctx, cancel := context.WithCancel(a.ctx)
	w := &worker{
		c: c, a: a, slot: s, trial: t.ID, began: now, spent: t.Seconds,
		threads: max(1, c.opts.Threads/len(a.slots)), slots: len(a.slots), cancel: cancel,
	}
	w.frozen.Store(&t.Frozen)
	w.sign()
	s.begin(t.ID, now, w)
	job := a.job.job
	w.leave = c.background(func() func() {
		defer cancel()
		result, weights, err := c.trainAndKeep(ctx, job, t, w)
		return func() {
			if w.given.Load() {
				c.log.Warn("a training that was given up came back", "run", a.ID, "trial", t.ID, "err", err)
				return
			}
			a.results++
			c.trained(a, *a.trials[t.ID], w, result, weights, err)
		}
	})
}

// trainAndKeep trains and writes the weights' file; both happen on the training's goroutine.
func (c *Controller) trainAndKeep(ctx context.Context, job Job, t Trial, w *worker) (r Result, weights string, err error) {
	err = protect(func() (err error) {
		if t, err = w.readable(ctx, t); err != nil {
			return err
		}
		if r, err = job.Train(ctx, t, w); err != nil || r.Weights == nil || !finite(r.Score) {
			return err
		}
		// A training that ended is kept even if it was killed in this moment.
		weights, _, err = c.store.PutBlob(context.WithoutCancel(ctx), r.Weights)
		return err
	})
	return r, weights, err
}

// trained applies what became of a training, and frees its slot.
func (c *Controller) trained(a *active, t Trial, w *worker, r Result, weights string, err error) {
	t.Seconds = w.seconds()
	if err == nil && !finite(r.Score) {
		err = Final(fmt.Errorf("the score is not finite: %v", r.Score))
	}
	again := false
	switch {
	case err == nil:
		score := r.Score
		// A part of the score may be undefined (a correlation with a constant); a number that is none cannot be stored or compared.
		maps.DeleteFunc(r.Scores, func(_ string, x float64) bool { return !finite(x) })
		t.State, t.Score, t.Scores, t.Parent, t.Overlap, t.Detail = Done, &score, r.Scores, r.Parent, r.Overlap, r.Detail
		if r.Params > 0 {
			t.Params = r.Params
		}
		t.Weights, t.Checkpoint, t.Earlier, t.Ended = weights, "", "", a.endTime(c.opts.Clock())
	case isEnough(err):
		t.State, t.Reason, t.Checkpoint, t.Earlier, t.Ended = Stopped, err.Error(), "", "", a.endTime(c.opts.Clock())
	case errors.Is(err, ErrPaused) && w.ShouldPause(), a.ctx.Err() != nil:
		t.State = waitingState(t)
	case isCrowded(err) && a.training() > 1:
		c.makeRoom(a, &t, err)
	default:
		again = c.failed(a, &t, err)
	}
	before := a.best
	a.set(t)
	a.waiting = false
	c.announce(a, t, before) // made durable with the trial
	stored := c.store.PutTrial(c.ctx, t, nil)
	if again && stored == nil && a.State == Running {
		c.waitToRetry(a, w.slot, t)
		return
	}
	w.slot.end()
	if stored != nil {
		c.fail(a, stored)
		return
	}
	if a.State == Running && c.hopeless(a) {
		c.fail(a, fmt.Errorf("the first %d trials all failed, the last with: %s", firstFailures, t.Error))
		return
	}
	c.schedule(a)
}

// announce tells what became of a trial; before is the best one until then.
func (c *Controller) announce(a *active, t Trial, before *Trial) {
	switch t.State {
	case Done:
		c.event(a, t.ID, "done", fmt.Sprintf("%s %.2f in %.0f s", a.Objective.Name, *t.Score, t.Seconds))
		if a.bestID() != t.ID {
			return
		}
		text := fmt.Sprintf("best so far: %s %.2f, %.2f M parameters", a.Objective.Name, *t.Score, float64(t.Params)/1e6)
		if before != nil {
			text += fmt.Sprintf(" (%+.2f)", *t.Score-*before.Score)
		}
		c.event(a, t.ID, "best", text)
	case Stopped:
		c.event(a, t.ID, "stop", t.Reason)
	case Failed:
		c.event(a, t.ID, "fail", fmt.Sprintf("%s (attempt %d of %d)", t.Error, t.Attempt, maxAttempts))
	}
}
