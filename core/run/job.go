package run

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
)

// openJob lets one goroutine at a time think with a job; trainings run beside it.
type openJob struct {
	job Job

	mu     sync.Mutex // guards Next, State, View, Inspect and Close
	closed bool

	news sync.Mutex // guards changed, also while the job thinks
	// changed is what the run has become since the job last proposed; nil for no change.
	changed *Run
}

// change lets the job know what its run has become, before its next proposal.
func (j *openJob) change(r Run) {
	j.news.Lock()
	defer j.news.Unlock()
	j.changed = &r
}

// takeUp applies the newest change.
func (j *openJob) takeUp() error {
	j.news.Lock()
	r := j.changed
	j.changed = nil
	j.news.Unlock()
	if c, ok := j.job.(Changer); ok && r != nil {
		return c.Change(*r)
	}
	return nil
}

// next is the next trial with the state to store beside it, and what the surrogate thinks now.
func (j *openJob) next(ctx context.Context, trials []Trial) (t Trial, state []byte, view *Surrogate, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	err = protect(func() (err error) {
		if err = j.takeUp(); err != nil {
			return err
		}
		if t, err = j.job.Next(ctx, trials); err == nil {
			state, err = j.job.State()
		}
		view = j.job.View()
		return err
	})
	return t, state, view, err
}

// inspect reports false if the job is closed.
func (j *openJob) inspect(t Trial, trials []Trial) (in Inspection, open bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return Inspection{}, false, nil
	}
	err = protect(func() (err error) { in, err = j.job.Inspect(t, trials); return err })
	return in, true, err
}

func (j *openJob) close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closed = true
	return protect(j.job.Close)
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
