package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Controller owns all runs of a workspace. One goroutine holds their state; everything else asks it.
type Controller struct {
	store Store
	kinds map[string]Kind
	opts  Options
	log   *slog.Logger

	calls  chan call
	ctx    context.Context
	cancel context.CancelFunc
	ended  chan struct{}
	work   sync.WaitGroup // openings, proposals and trainings

	runs    []*active // in the order of creation; owned by the loop
	hub     *hub
	system  *systemMeter
	looked  time.Time // when the loop last looked for hung trainings
	changed bool      // something a viewer shows changed since the last snapshot
	closing bool      // nothing new is started
	present []string  // people who are attached
}

var _ Viewer = (*Controller)(nil)

// ErrClosed is returned by calls on a controller that was shut down.
var ErrClosed = errors.New("the workspace is closing")

// New starts a controller on a store. Runs that were running when the last process ended without saying so become Lost.
// The controller owns the store from here on; Shutdown closes it.
func New(ctx context.Context, store Store, kinds []Kind, o Options) (*Controller, error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Patience == 0 {
		o.Patience = defaultPatience
	}
	if o.Backoff == 0 {
		o.Backoff = defaultBackoff
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Controller{store: store, kinds: map[string]Kind{}, opts: o, log: o.Logger, calls: make(chan call), ended: make(chan struct{}), hub: newHub(), system: newSystemMeter(o)}
	for _, k := range kinds {
		c.kinds[k.Name()] = k
	}
	c.ctx, c.cancel = context.WithCancel(ctx)
	if err := c.loadRuns(); err != nil {
		c.cancel()
		return nil, err
	}
	c.publish()
	go c.loop()
	return c, nil
}

func (c *Controller) loadRuns() error {
	runs, err := c.store.Runs(c.ctx)
	if err != nil {
		return fmt.Errorf("load runs: %w", err)
	}
	for _, r := range runs {
		trials, err := c.store.Trials(c.ctx, r.ID)
		if err != nil {
			return fmt.Errorf("load trials of %s: %w", r.ID, err)
		}
		a := newActive(r, trials)
		if a.events, err = c.store.Events(c.ctx, r.ID, eventsKept); err != nil {
			return fmt.Errorf("load events of %s: %w", r.ID, err)
		}
		if a.surrogate, err = c.store.View(c.ctx, r.ID); err != nil {
			return fmt.Errorf("load surrogate of %s: %w", r.ID, err)
		}
		c.runs = append(c.runs, a)
		if err := c.recover(a); err != nil {
			return fmt.Errorf("recover %s: %w", r.ID, err)
		}
	}
	return nil
}

// recover puts right what a process left that ended without pausing: its trainings wait again, and a run that was under way is Lost.
func (c *Controller) recover(a *active) error {
	for _, t := range a.trials {
		if t.State != Running {
			continue
		}
		u := *t
		u.State = waitingState(u)
		a.set(u)
		if err := c.store.PutTrial(c.ctx, u, nil); err != nil {
			return err
		}
	}
	switch a.State {
	case Queued, Running, Pausing, Stopping:
		a.State = Lost
		c.event(a, -1, "state", "the process that ran it ended unexpectedly; resume goes on from the last checkpoints")
		return c.store.UpdateRun(c.ctx, a.Run)
	}
	return nil
}

// waitingState is the state of a trial that is not in training but will be.
func waitingState(t Trial) State {
	if t.Checkpoint != "" {
		return Paused
	}
	return Queued
}

// loop runs calls one at a time and publishes progress.
func (c *Controller) loop() {
	defer close(c.ended)
	tick := time.NewTicker(publishEvery)
	defer tick.Stop()
	for {
		select {
		case call := <-c.calls:
			call.f()
			if c.changed {
				c.publish()
			}
			close(call.done)
		case <-tick.C:
			c.findHung()
			if c.changed || c.anyBusy() {
				c.publish()
			}
		case <-c.ctx.Done():
			return
		}
	}
}

func (c *Controller) anyBusy() bool {
	return slices.ContainsFunc(c.runs, func(a *active) bool {
		return a.busy() > 0 || a.thinking != ""
	})
}

// call is something to do in the loop. done closes after the snapshot that shows it is published: who did something finds it there.
type call struct {
	f    func()
	done chan struct{}
}

// do runs f in the loop and waits for it.
func (c *Controller) do(ctx context.Context, f func()) error {
	call := call{f, make(chan struct{})}
	select {
	case c.calls <- call:
		<-call.done
		return nil
	case <-c.ended:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Controller) publish() {
	c.changed = false
	now := c.opts.Clock()
	s := &Snapshot{Time: now, Device: c.opts.Device, Store: c.store.Stats(), System: c.system.read(now), Present: slices.Clone(c.present)}
	for _, a := range c.runs {
		s.Runs = append(s.Runs, a.view(now))
	}
	c.hub.publish(s)
}

// event stores and remembers one line of history.
func (c *Controller) event(a *active, trial int, kind, text string) {
	c.eventBy(a, trial, kind, "", text)
}

func (c *Controller) eventBy(a *active, trial int, kind, actor, text string) {
	e := []Event{{Time: c.opts.Clock(), Run: a.ID, Trial: trial, Kind: kind, Actor: actor, Text: text}}
	if err := c.store.AddEvents(c.ctx, e); err != nil {
		c.log.Error("store event", "run", a.ID, "text", text, "err", err)
	}
	a.events = append(a.events[max(0, len(a.events)-eventsKept+1):len(a.events):len(a.events)], e[0])
	c.changed = true
	c.log.Info(text, "run", a.ID, "trial", trial, "kind", kind, "actor", actor)
}

func (c *Controller) find(id string) *active {
	for _, a := range c.runs {
		if a.ID == id {
			return a
		}
	}
	return nil
}

// errNoRun names a run that does not exist.
func errNoRun(id string) error { return fmt.Errorf("there is no run %q", id) }

// Create stores a new run and starts it.
func (c *Controller) Create(ctx context.Context, r Run) (Run, error) {
	if c.kinds[r.Kind] == nil {
		return Run{}, fmt.Errorf("create run: there is no kind %q", r.Kind)
	}
	if r.Workers < 1 {
		return Run{}, fmt.Errorf("create run: %d workers, must be at least 1", r.Workers)
	}
	r.Created, r.State, r.Want = c.opts.Clock(), Queued, Running
	r.Criteria = c.criteria(r.Kind, r.Config)
	var err error
	if derr := c.do(ctx, func() {
		if c.closing {
			err = ErrClosed
			return
		}
		if r, err = c.store.CreateRun(c.ctx, r); err != nil {
			return
		}
		a := newActive(r, nil)
		c.runs = append(c.runs, a)
		c.event(a, -1, "state", "created")
		c.start(a)
		r = a.Run
	}); derr != nil {
		return Run{}, derr
	}
	return r, err
}

// Subscribe implements Viewer.
func (c *Controller) Subscribe(ctx context.Context) <-chan *Snapshot { return c.hub.subscribe(ctx) }

// Attend shows a person as present until ctx ends.
func (c *Controller) Attend(ctx context.Context, name string) error {
	err := c.do(ctx, func() { c.present, c.changed = append(c.present, name), true })
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() {
		// When the controller has ended nobody is shown any more.
		_ = c.do(context.Background(), func() {
			i := slices.Index(c.present, name)
			c.present, c.changed = slices.Delete(c.present, i, i+1), true
		})
	})
	return nil
}

// Points implements Viewer. A trial that a branch took over brings its curves from the run it was trained in; where a training went back
// to a checkpoint, the later values count.
func (c *Controller) Points(ctx context.Context, id string, trial int) ([]Point, error) {
	var line []string // the run and those it branched from
	if err := c.do(ctx, func() {
		for a := c.find(id); a != nil; a = c.find(a.Parent) {
			line = append(line, a.ID)
			if trial >= a.ParentTrials {
				break
			}
		}
	}); err != nil {
		return nil, err
	}
	if len(line) == 0 {
		return nil, errNoRun(id)
	}
	var points []Point
	for _, ancestor := range slices.Backward(line) {
		p, err := c.store.Points(ctx, ancestor, trial)
		if err != nil {
			return nil, err
		}
		points = append(points, p...)
	}
	return latest(points), nil
}

// latest leaves out points that a later one of the same series and step replaced.
func latest(points []Point) []Point {
	type at struct {
		series string
		step   int
	}
	place := make(map[at]int, len(points))
	out := points[:0]
	for _, p := range points {
		key := at{p.Series, p.Step}
		if i, again := place[key]; again {
			out[i] = p
			continue
		}
		place[key] = len(out)
		out = append(out, p)
	}
	return out
}

// OpenBlob reads a stored file.
func (c *Controller) OpenBlob(hash string) (io.ReadCloser, error) { return c.store.OpenBlob(hash) }

// Inspect implements Viewer. Where the run is not open, it answers from what the trial holds.
func (c *Controller) Inspect(ctx context.Context, id string, trial int) (Inspection, error) {
	var r Run
	var job *openJob
	var trials []Trial
	if err := c.do(ctx, func() {
		if a := c.find(id); a != nil {
			r, job, trials = a.Run, a.job, a.history()
		}
	}); err != nil {
		return Inspection{}, err
	}
	if r.ID == "" {
		return Inspection{}, errNoRun(id)
	}
	if trial < 0 || trial >= len(trials) {
		return Inspection{}, fmt.Errorf("run %s has no trial %d", id, trial)
	}
	t := trials[trial]
	if job != nil {
		if in, open, err := job.inspect(t, trials); open {
			return in, err
		}
	}
	if k, ok := c.kinds[r.Kind].(Describer); ok {
		return k.Describe(r, t)
	}
	return Inspection{Hash: t.Hash, Title: t.Title, Arch: t.Arch, Layers: t.Layers, Params: t.Params}, nil
}

// Wait returns the run when nothing more happens to it by itself: done, failed, stopped or paused.
func (c *Controller) Wait(ctx context.Context, id string) (Run, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for s := range c.Subscribe(ctx) {
		i := slices.IndexFunc(s.Runs, func(r RunView) bool { return r.ID == id })
		if i < 0 {
			return Run{}, errNoRun(id)
		}
		switch r := s.Runs[i].Run; r.State {
		case Done, Failed, Stopped, Paused:
			return r, nil
		}
	}
	if err := ctx.Err(); err != nil {
		return Run{}, err
	}
	return Run{}, ErrClosed
}

// Shutdown pauses what runs, waits for the checkpoints as long as ctx allows, and closes the store. What each run was wanted to be stays
// in its Want.
func (c *Controller) Shutdown(ctx context.Context) error {
	err := c.do(ctx, c.beginClosing)
	idle := make(chan struct{})
	go func() {
		c.work.Wait()
		close(idle)
	}()
	select {
	case <-idle:
	case <-ctx.Done():
		err = errors.Join(err, fmt.Errorf("trainings did not reach a step boundary in time; they go on from their last checkpoints: %w", context.Cause(ctx)))
	}
	c.cancel()
	<-c.ended
	c.hub.close()
	return errors.Join(err, c.store.Close())
}

func (c *Controller) beginClosing() {
	c.closing = true
	for _, a := range c.runs {
		if a.State == Running {
			c.event(a, -1, "state", "pausing, because flexi is closing")
			c.halt(a, Pausing)
			continue
		}
		if a.State == Paused {
			c.closeJob(a)
		}
	}
}
