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
}

// next is the next trial with the state to store beside it, and what the surrogate thinks now.
func (j *openJob) next(ctx context.Context, trials []Trial) (t Trial, state []byte, view *Surrogate, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	err = protect(func() (err error) {
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
