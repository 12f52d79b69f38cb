package run_test

import (
	"context"
	"slices"
	"testing"

	"flexi/core/run"
	"flexi/core/run/runtest"
)

// first holds the first trial only, before its second step.
func (g *gate) first() func(context.Context, run.Trial, int) error {
	return func(ctx context.Context, t run.Trial, n int) error {
		if t.ID > 0 || n != 1 {
			return nil
		}
		return g.hold(ctx, t)
	}
}

// TestPins: what people pin is proposed next, first the one to be trained at once, and both are durable; what is proposed is no longer pinned.
func TestPins(t *testing.T) {
	g := newGate()
	b := newRig(t, &runtest.Kind{Steps: 2, OnStep: g.first()})
	r := b.create(run.Run{Budget: 4, Seed: 3})
	b.arrival(g)
	b.ok(run.Command{Verb: run.Pin, Run: r.ID, Text: "0.25", Actor: "ana"})
	b.ok(run.Command{Verb: run.TrainNext, Run: r.ID, Text: "0.5", Actor: "ana"})
	v := b.until(r.ID, "both are pinned", func(v run.RunView) bool { return len(v.Pinned) == 2 })
	if !slices.Equal(v.Pinned, []string{"0.5", "0.25"}) {
		t.Errorf("pinned %v", v.Pinned)
	}
	contains(t, "second pin", b.ok(run.Command{Verb: run.Pin, Run: r.ID, Text: "0.25", Actor: "bo"}).Text, "pinned already")
	b.release(g)
	v = b.untilState(r.ID, run.Done)
	if v.Trials[1].Hash != "0.5" || v.Trials[2].Hash != "0.25" || len(v.Pinned) != 0 {
		t.Errorf("trials %s, %s, then; still pinned %v", v.Trials[1].Hash, v.Trials[2].Hash, v.Pinned)
	}
	if reply := b.do(run.Command{Verb: run.Pin, Run: r.ID, Text: "0.25"}); !reply.Refused {
		t.Errorf("pinned what was trained: %s", reply.Text)
	}
	if got := texts(v, "command"); len(got) != 3 {
		t.Errorf("events %q", got)
	}
}

func TestPinsSurviveAKill(t *testing.T) {
	b, id := inState(t, run.Paused)
	b.ok(run.Command{Verb: run.Pin, Run: id, Text: "0.75"})
	b.ok(run.Command{Verb: run.Skip, Run: id, Text: "0.1"})
	b.ok(run.Command{Verb: run.Skip, Run: id, Text: "0.2"})
	b.ok(run.Command{Verb: run.Release, Run: id, Text: "0.2"})
	b = b.kill()
	v := b.untilState(id, run.Paused)
	if !slices.Equal(v.Pinned, []string{"0.75"}) || !slices.Equal(v.Skipped, []string{"0.1"}) {
		t.Errorf("pinned %v, skipped %v", v.Pinned, v.Skipped)
	}
	for _, bad := range []run.Command{{Verb: run.Release, Text: "0.2"}, {Verb: run.Pin}} {
		bad.Run = id
		if reply := b.do(bad); !reply.Refused {
			t.Errorf("%+v: %s", bad, reply.Text)
		}
	}
}

// TestSetWorkers: more workers begin at once; fewer let the trainings that are too many end.
func TestSetWorkers(t *testing.T) {
	held := make(chan struct{})
	b := newRig(t, &runtest.Kind{Steps: 1, OnStep: func(ctx context.Context, _ run.Trial, _ int) error {
		select {
		case <-held:
		case <-ctx.Done():
		}
		return nil
	}})
	r := b.create(run.Run{Budget: 9})
	busy := func(n, slots int) func(run.RunView) bool {
		return func(v run.RunView) bool {
			got := 0
			for _, w := range v.Workers {
				if w.Trial >= 0 {
					got++
				}
			}
			return got == n && len(v.Workers) == slots
		}
	}
	b.until(r.ID, "one works", busy(1, 1))
	b.ok(run.Command{Verb: run.Set, Run: r.ID, Changes: []string{"workers=3"}})
	b.until(r.ID, "three work", busy(3, 3))
	b.ok(run.Command{Verb: run.Set, Run: r.ID, Changes: []string{"workers=1"}})
	b.until(r.ID, "three work still", busy(3, 3))
	close(held)
	v := b.untilState(r.ID, run.Done)
	if v.Done != 9 || v.FailedN != 0 || v.Run.Workers != 1 {
		t.Errorf("%d done, %d failed, %d workers", v.Done, v.FailedN, v.Run.Workers)
	}
}

// TestSetBudget: a run that goes on takes up another budget, and one that was done can go on.
func TestSetBudget(t *testing.T) {
	g := newGate()
	b := newRig(t, &runtest.Kind{Steps: 2, OnStep: g.first()})
	r := b.create(run.Run{Budget: 1, Config: []byte(`{"budget":1,"seed":4}`)})
	b.arrival(g)
	b.ok(run.Command{Verb: run.Set, Run: r.ID, Changes: []string{"budget=3"}})
	b.release(g)
	if v := b.untilState(r.ID, run.Done); v.Done != 3 || string(v.Config) != `{"budget":3,"seed":4}` {
		t.Errorf("%d done under %s", v.Done, v.Config)
	}
	contains(t, "reply", b.ok(run.Command{Verb: run.Set, Run: r.ID, Changes: []string{"budget=4"}}).Text, "flexi resume")
	for _, changes := range [][]string{nil, {"seed=5"}, {"workers=0"}, {"workers=many"}, {"budget"}, {"colour=1"}} {
		if reply := b.do(run.Command{Verb: run.Set, Run: r.ID, Changes: changes}); !reply.Refused {
			t.Errorf("%v: %s", changes, reply.Text)
		}
	}
	id := b.ok(run.Command{Verb: run.Branch, Run: r.ID, Trial: 2, Changes: []string{"seed=5", "workers=2", "budget=5"}}).Run
	if v := b.untilState(id, run.Paused); string(v.Config) != `{"budget":5,"seed":5}` || v.Run.Workers != 2 || v.Budget != 5 {
		t.Errorf("branch %+v", v.Run)
	}
}

func TestPatch(t *testing.T) {
	const config = `{"a":1,"b":{"c":"x","d":null},"e":[1,2]}`
	for _, c := range []struct {
		changes []string
		want    string
		err     string
	}{
		{[]string{"a=2.5"}, `{"a":2.5,"b":{"c":"x","d":null},"e":[1,2]}`, ""},
		{[]string{"b.c=some text", "b.d = 0.1"}, `{"a":1,"b":{"c":"some text","d":0.1},"e":[1,2]}`, ""},
		{[]string{`e=["p","q"]`}, `{"a":1,"b":{"c":"x","d":null},"e":["p","q"]}`, ""},
		{[]string{"a=12345678901234567"}, `{"a":12345678901234567,"b":{"c":"x","d":null},"e":[1,2]}`, ""},
		{[]string{"z=1"}, "", `there is no key "z"; beside it there are a, b, e`},
		{[]string{"b=1"}, "", `"b" holds c, d: name one of them, such as b.c`},
		{[]string{"a.b=1"}, "", `there is no key "a.b": "a" is a value`},
		{[]string{"a"}, "", `"a" is no change: write key=value`},
	} {
		got, err := run.Patch([]byte(config), c.changes)
		if c.err != "" {
			if err == nil || err.Error() != c.err {
				t.Errorf("%v: error %v, want %s", c.changes, err, c.err)
			}
			continue
		}
		if err != nil || string(got) != c.want {
			t.Errorf("%v: %s, %v", c.changes, got, err)
		}
	}
}
