package run_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"flexi/core/run"
	"flexi/core/run/runtest"
)

// patience bounds a wait in a test that would otherwise hang; nothing waits for it when all is well.
const patience = 20 * time.Second

// rig is a controller on a store in memory, with a clock that the test moves and a kind it steps through.
type rig struct {
	*run.Controller
	t     *testing.T
	kind  *runtest.Kind
	store *runtest.Memory
	clock *clock
	ctx   context.Context
	die   context.CancelFunc
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(time.Millisecond) // so that no two events have the same time
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newRig(t *testing.T, kind *runtest.Kind) *rig {
	t.Helper()
	return rigOn(t, kind, runtest.NewMemory(), &clock{now: time.Unix(1_000_000, 0)})
}

func rigOn(t *testing.T, kind *runtest.Kind, store *runtest.Memory, c *clock) *rig {
	t.Helper()
	return rigFor(t, kind, store, c, run.Options{Backoff: time.Millisecond})
}

func rigWith(t *testing.T, kind *runtest.Kind, o run.Options) *rig {
	t.Helper()
	return rigFor(t, kind, runtest.NewMemory(), &clock{now: time.Unix(1_000_000, 0)}, o)
}

func rigFor(t *testing.T, kind *runtest.Kind, store *runtest.Memory, c *clock, o run.Options) *rig {
	t.Helper()
	o.Clock, o.Device, o.Version, o.Threads, o.Patience = c.Now, "test", "1", 4, 3*time.Minute
	b := &rig{t: t, kind: kind, store: store, clock: c}
	life, die := context.WithCancel(context.Background())
	b.die = die
	var err error
	if b.Controller, err = run.New(life, store, []run.Kind{kind}, o); err != nil {
		t.Fatal(err)
	}
	var stop context.CancelFunc
	b.ctx, stop = context.WithTimeout(t.Context(), patience)
	t.Cleanup(func() {
		die() // trainings that a test left blocked end with this
		_ = b.Shutdown(context.Background())
		stop()
		if wrong := kind.Wrong(); len(wrong) > 0 {
			t.Errorf("broken promises: %q", wrong)
		}
	})
	return b
}

// kill ends the process as SIGKILL would, and starts another on what was stored by then.
func (b *rig) kill() *rig {
	b.t.Helper()
	after := b.store.Reopen()
	b.die()
	_ = b.Shutdown(context.Background())
	return rigOn(b.t, b.kind, after, b.clock)
}

func (b *rig) create(r run.Run) run.Run {
	b.t.Helper()
	r.Kind, r.Objective = runtest.KindName, run.Objective{Name: "sum", Maximize: true}
	if r.Workers == 0 {
		r.Workers = 1
	}
	r, err := b.Create(b.ctx, r)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

func (b *rig) do(c run.Command) run.Reply {
	b.t.Helper()
	reply, err := b.Do(b.ctx, c)
	if err != nil {
		b.t.Fatal(err)
	}
	return reply
}

// ok gives a command that must not be refused.
func (b *rig) ok(c run.Command) run.Reply {
	b.t.Helper()
	reply := b.do(c)
	if reply.Refused {
		b.t.Fatalf("%s refused: %s", c.Verb, reply.Text)
	}
	return reply
}

// until waits for a snapshot in which the run is as wanted.
func (b *rig) until(id, what string, wanted func(run.RunView) bool) run.RunView {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.ctx)
	defer cancel()
	var last run.RunView
	for s := range b.Subscribe(ctx) {
		for _, r := range s.Runs {
			if r.ID != id {
				continue
			}
			if last = r; wanted(r) {
				return r
			}
		}
	}
	b.t.Fatalf("waited in vain until %s: it is %s, %q, %d trials, %d done", what, last.State, last.Error, len(last.Trials), last.Done)
	return last
}

func (b *rig) untilState(id string, s run.State) run.RunView {
	b.t.Helper()
	return b.until(id, string(s), func(r run.RunView) bool { return r.State == s })
}

// texts are the run's events of a kind.
func texts(r run.RunView, kind string) []string {
	var out []string
	for _, e := range r.Events {
		if e.Kind == kind {
			out = append(out, e.Text)
		}
	}
	return out
}

// outcome is what must be equal after an interrupted and an uninterrupted run.
type outcome struct {
	Arch    string
	Score   float64
	Weights string
	Points  []run.Point
}

func (b *rig) outcomes(id string) []outcome {
	b.t.Helper()
	trials, err := b.store.Trials(b.ctx, id)
	if err != nil {
		b.t.Fatal(err)
	}
	var out []outcome
	for _, t := range trials {
		if t.State != run.Done {
			b.t.Fatalf("trial %d is %s: %s", t.ID, t.State, t.Error)
		}
		points, err := b.Points(b.ctx, id, t.ID)
		if err != nil {
			b.t.Fatal(err)
		}
		out = append(out, outcome{string(t.Arch), *t.Score, t.Weights, points})
	}
	return out
}

func (o outcome) equal(p outcome) bool {
	return o.Arch == p.Arch && o.Score == p.Score && o.Weights == p.Weights && slices.Equal(o.Points, p.Points)
}

func sameOutcomes(t *testing.T, got, want []outcome) {
	t.Helper()
	if !slices.EqualFunc(got, want, outcome.equal) {
		t.Errorf("outcomes differ:\n got %v\nwant %v", got, want)
	}
}

// gate holds trainings before a step until the test lets them go.
type gate struct {
	arrived chan run.Trial
	pass    chan struct{}
}

func newGate() *gate { return &gate{make(chan run.Trial), make(chan struct{})} }

// hold announces itself and waits; the end of ctx lets it through with an error.
func (g *gate) hold(ctx context.Context, t run.Trial) error {
	select {
	case g.arrived <- t:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-g.pass:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// at holds only before one step.
func (g *gate) at(step int) func(context.Context, run.Trial, int) error {
	return func(ctx context.Context, t run.Trial, n int) error {
		if n != step {
			return nil
		}
		return g.hold(ctx, t)
	}
}

func (b *rig) arrival(g *gate) run.Trial {
	b.t.Helper()
	select {
	case t := <-g.arrived:
		return t
	case <-b.ctx.Done():
		b.t.Fatal("no training came to the gate")
		return run.Trial{}
	}
}

func (b *rig) release(g *gate) {
	b.t.Helper()
	select {
	case g.pass <- struct{}{}:
	case <-b.ctx.Done():
		b.t.Fatal("nothing waits at the gate")
	}
}

var errDisk = errors.New("no space left on device")

func contains(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%s: %q does not say %q", what, text, p)
		}
	}
}

func same[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}
