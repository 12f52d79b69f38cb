package run_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"flexi/core/run"
	"flexi/core/run/runtest"
)

// TestCommandsInEveryState: what each state allows. A command that is allowed must say so, one that is not must say what the state is.
func TestCommandsInEveryState(t *testing.T) {
	const refused, accepted = true, false
	for state, verbs := range map[run.State]map[run.Verb]bool{
		run.Running:  {run.Pause: accepted, run.Resume: accepted, run.Stop: accepted, run.Kill: accepted, run.Retry: refused, run.Annotate: accepted, "dance": refused},
		run.Pausing:  {run.Pause: accepted, run.Resume: refused, run.Stop: accepted, run.Kill: accepted},
		run.Paused:   {run.Pause: accepted, run.Resume: accepted, run.Stop: accepted, run.Kill: accepted, run.Retry: refused},
		run.Stopping: {run.Pause: refused, run.Resume: refused, run.Stop: accepted, run.Kill: accepted},
		run.Stopped:  {run.Pause: refused, run.Resume: accepted, run.Stop: refused, run.Kill: refused},
		run.Done:     {run.Pause: refused, run.Resume: refused, run.Stop: refused, run.Kill: refused},
		run.Failed:   {run.Pause: refused, run.Resume: accepted, run.Stop: refused, run.Kill: refused},
		run.Lost:     {run.Pause: refused, run.Resume: accepted, run.Stop: accepted, run.Kill: accepted},
	} {
		for verb, want := range verbs {
			t.Run(string(state)+"/"+string(verb), func(t *testing.T) {
				b, id := inState(t, state)
				reply := b.do(run.Command{Verb: verb, Run: id, Actor: "ana", ID: "c1"})
				if reply.Refused != want || reply.Text == "" {
					t.Fatalf("refused %v: %q", reply.Refused, reply.Text)
				}
				v := b.until(id, "the command is shown", func(v run.RunView) bool { return len(texts(v, "command")) > 0 })
				var event run.Event
				for _, e := range v.Events {
					if e.Kind == "command" {
						event = e
					}
				}
				if event.Actor != "ana" {
					t.Errorf("event %+v", event)
				}
				contains(t, "event", event.Text, string(verb), reply.Text)
			})
		}
	}
}

// inState brings a run into a state and holds it there.
func inState(t *testing.T, s run.State) (*rig, string) {
	t.Helper()
	g := newGate()
	kind := &runtest.Kind{Steps: 2, OnStep: g.at(1)}
	switch s {
	case run.Done:
		kind.OnStep = nil
	case run.Failed:
		kind.OnOpen = func(context.Context) error { return errDisk }
	}
	b := newRig(t, kind)
	r := b.create(run.Run{Budget: 1})
	switch s {
	case run.Done, run.Failed:
		b.untilState(r.ID, s)
		return b, r.ID
	}
	b.arrival(g)
	quiet := run.Command{Run: r.ID} // the clock must show the test's own command as the first with an actor
	switch s {
	case run.Pausing, run.Paused:
		quiet.Verb = run.Pause
		b.ok(quiet)
	case run.Stopping, run.Stopped:
		quiet.Verb = run.Stop
		b.ok(quiet)
	case run.Lost:
		b = b.kill()
	}
	if s == run.Paused || s == run.Stopped {
		b.release(g)
	}
	b.untilState(r.ID, s)
	return b, r.ID
}

func TestCommandsAreIdempotent(t *testing.T) {
	b, id := inState(t, run.Paused)
	branch := run.Command{ID: "one", Verb: run.Branch, Run: id, Trial: -1}
	first, second := b.ok(branch), b.ok(branch)
	if first != second || first.Run == "" {
		t.Errorf("replies %+v and %+v", first, second)
	}
	branch.ID = "two"
	if third := b.ok(branch); third.Run == first.Run {
		t.Error("another command made no other run")
	}
}

func TestSecondPersonPauses(t *testing.T) {
	b, id := inState(t, run.Running)
	b.ok(run.Command{Verb: run.Pause, Run: id, Actor: "ana"})
	b.clock.Advance(time.Second)
	contains(t, "reply", b.ok(run.Command{Verb: run.Pause, Run: id, Actor: "bo"}).Text, "already pausing (ana, 1 s ago)")
}

func TestUnknownRun(t *testing.T) {
	b := newRig(t, &runtest.Kind{})
	if _, err := b.Do(b.ctx, run.Command{Verb: run.Pause, Run: "search-99"}); err == nil {
		t.Error("a command to a run that does not exist succeeded")
	}
	if _, err := b.Points(b.ctx, "search-99", 0); err == nil {
		t.Error("curves of a run that does not exist")
	}
	if _, err := b.Inspect(b.ctx, "search-99", 0); err == nil {
		t.Error("inspection of a run that does not exist")
	}
	if _, err := b.Wait(b.ctx, "search-99"); err == nil {
		t.Error("waiting for a run that does not exist")
	}
	for _, bad := range []run.Run{{Kind: "unknown", Workers: 1}, {Kind: runtest.KindName}} {
		if _, err := b.Create(b.ctx, bad); err == nil {
			t.Errorf("created %+v", bad)
		}
	}
}

// TestKillEndsAtOnce: what was done since the last checkpoint is lost, the trial is not.
func TestKillEndsAtOnce(t *testing.T) {
	want := reference(t, run.Run{Budget: 1}, 4)
	g := newGate()
	b := newRig(t, &runtest.Kind{Steps: 4, SaveEvery: 2, OnStep: g.at(3)})
	r := b.create(run.Run{Budget: 1})
	b.arrival(g)
	b.ok(run.Command{Verb: run.Kill, Run: r.ID})
	v := b.untilState(r.ID, run.Stopped) // the gate was never opened
	if tr := v.Trials[0]; tr.State != run.Paused || tr.Checkpoint == "" {
		t.Errorf("trial is %s, checkpoint %q", tr.State, tr.Checkpoint)
	}
	b.ok(run.Command{Verb: run.Resume, Run: r.ID})
	b.arrival(g)
	b.release(g)
	b.untilState(r.ID, run.Done)
	sameOutcomes(t, b.outcomes(r.ID), want)
}

// TestStopsWhileThinking: opening and choosing are ended by kill, and finish before a pause.
func TestStopsWhileThinking(t *testing.T) {
	for name, hook := range map[string]func(*runtest.Kind, *gate){
		"opening": func(k *runtest.Kind, g *gate) {
			k.OnOpen = func(ctx context.Context) error { return g.hold(ctx, run.Trial{}) }
		},
		"choosing": func(k *runtest.Kind, g *gate) {
			k.OnNext = func(ctx context.Context, _ []run.Trial) error { return g.hold(ctx, run.Trial{}) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			g, kind := newGate(), &runtest.Kind{Steps: 1}
			hook(kind, g)
			b := newRig(t, kind)
			r := b.create(run.Run{Budget: 1})
			b.arrival(g)
			b.ok(run.Command{Verb: run.Kill, Run: r.ID})
			b.untilState(r.ID, run.Stopped)
			b.ok(run.Command{Verb: run.Resume, Run: r.ID})
			b.arrival(g)
			b.ok(run.Command{Verb: run.Pause, Run: r.ID})
			b.release(g)
			b.untilState(r.ID, run.Paused)
			b.kind.OnOpen, b.kind.OnNext = nil, nil
			b.ok(run.Command{Verb: run.Resume, Run: r.ID})
			b.untilState(r.ID, run.Done)
		})
	}
}

func TestResumeWithMore(t *testing.T) {
	want := reference(t, run.Run{Budget: 4, Seed: 2}, 2)
	b := newRig(t, &runtest.Kind{Steps: 2})
	r := b.create(run.Run{Budget: 2, Seed: 2})
	b.untilState(r.ID, run.Done)
	contains(t, "reply", b.do(run.Command{Verb: run.Resume, Run: r.ID, Budget: 2}).Text, "--candidates")
	b.ok(run.Command{Verb: run.Resume, Run: r.ID, Budget: 4})
	b.until(r.ID, "four are done", func(v run.RunView) bool { return v.State == run.Done && v.Done == 4 })
	sameOutcomes(t, b.outcomes(r.ID), want)
}

func TestBranch(t *testing.T) {
	b := newRig(t, &runtest.Kind{Steps: 2})
	r := b.create(run.Run{Budget: 4, Seed: 2, Config: []byte(`{"old":1}`)})
	b.untilState(r.ID, run.Done)
	if reply := b.do(run.Command{Verb: run.Branch, Run: r.ID, Trial: 5}); !reply.Refused {
		t.Errorf("branched after a trial that does not exist: %s", reply.Text)
	}
	id := b.ok(run.Command{Verb: run.Branch, Run: r.ID, Trial: 2, Config: []byte(`{"new":1}`), Budget: 3}).Run
	v := b.untilState(id, run.Paused)
	if v.Parent != r.ID || v.ParentTrials != 2 || len(v.Trials) != 2 || v.Done != 2 || string(v.Config) != `{"new":1}` || v.Budget != 3 {
		t.Errorf("branch %+v", v)
	}
	b.ok(run.Command{Verb: run.Resume, Run: id})
	b.untilState(id, run.Done)
	// The kind derives its state from the trials, so that the branch goes on as its parent did.
	sameOutcomes(t, b.outcomes(id), b.outcomes(r.ID)[:3])
	if stats := b.store.Stats(); stats.Blobs != 4 {
		t.Errorf("%d files of weights: the branch's are copies", stats.Blobs)
	}
}

func TestInspect(t *testing.T) {
	b := newRig(t, &runtest.Kind{Steps: 1})
	r := b.create(run.Run{Budget: 2})
	v := b.untilState(r.ID, run.Done)
	if in, err := b.Inspect(b.ctx, r.ID, 1); err != nil || in.Hash != v.Trials[1].Hash || len(in.Graph) != 0 {
		t.Errorf("of a closed run: %+v, %v", in, err)
	}
	if _, err := b.Inspect(b.ctx, r.ID, 2); err == nil {
		t.Error("a trial that does not exist was inspected")
	}
	b, id := inState(t, run.Paused)
	if in, err := b.Inspect(b.ctx, id, 0); err != nil || len(in.Graph) == 0 {
		t.Errorf("of an open run: %+v, %v", in, err)
	}
}

func TestNote(t *testing.T) {
	b, id := inState(t, run.Done)
	b.ok(run.Command{Verb: run.Annotate, Run: id, Text: "the good one"})
	b = b.kill()
	if v := b.untilState(id, run.Done); v.Note != "the good one" {
		t.Errorf("note %q", v.Note)
	}
}

// TestReadOnly: a person who may only look changes nothing, and the attempt is kept with the name.
func TestReadOnly(t *testing.T) {
	g := newGate()
	b := newRig(t, &runtest.Kind{Steps: 3, OnStep: g.at(1)})
	r := b.create(run.Run{Budget: 1})
	b.arrival(g)
	for _, v := range []run.Verb{run.Pause, run.Stop, run.Kill, run.Branch, run.Annotate} {
		reply := b.do(run.Command{Verb: v, Run: r.ID, Actor: "bo", ReadOnly: true})
		if !reply.Refused || !strings.Contains(reply.Text, "bo may only look") {
			t.Errorf("%s: %+v", v, reply)
		}
	}
	v := b.untilState(r.ID, run.Running)
	if got := texts(v, "command"); len(got) != 5 || !strings.HasPrefix(got[0], "pause refused: bo") || v.Events[len(v.Events)-1].Actor != "bo" {
		t.Errorf("events: %q", got)
	}
	b.release(g)
	b.untilState(r.ID, run.Done)
}

// TestPresence: who attends is in every snapshot, once for each time they came, until they leave.
func TestPresence(t *testing.T) {
	b := newRig(t, &runtest.Kind{Steps: 1})
	first, leaveFirst := context.WithCancel(b.ctx)
	defer leaveFirst()
	for _, who := range []struct {
		ctx  context.Context
		name string
	}{{first, "ana"}, {b.ctx, "bo"}, {b.ctx, "ana"}} {
		if err := b.Attend(who.ctx, who.name); err != nil {
			t.Fatal(err)
		}
	}
	await := func(want ...string) {
		t.Helper()
		for s := range b.Subscribe(b.ctx) {
			if slices.Equal(s.Present, want) {
				return
			}
		}
		t.Fatalf("waited in vain for %q", want)
	}
	await("ana", "bo", "ana")
	leaveFirst()
	await("bo", "ana")
}
