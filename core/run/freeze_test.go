package run_test

import (
	"testing"

	"flexi/core/run"
	"flexi/core/run/runtest"
)

// TestFreeze: a search that a person ends, ends at its next step, that one alone, and after a restart, too.
func TestFreeze(t *testing.T) {
	g := newGate()
	b := newRig(t, &runtest.Kind{Steps: 4, Freezable: true, OnStep: g.at(1)})
	r := b.create(run.Run{Budget: 3, Workers: 2})
	b.arrival(g)
	b.arrival(g)
	contains(t, "wrong rule", b.do(run.Command{Verb: run.Freeze, Run: r.ID, Trial: 1, Text: "wrong"}).Text, "trial 1: there is no such rule")
	contains(t, "no trial", b.do(run.Command{Verb: run.Freeze, Run: r.ID, Trial: 7}).Text, "no layer search of")
	contains(t, "reply", b.ok(run.Command{Verb: run.Freeze, Run: r.ID, Trial: 1, Text: "topk=2"}).Text, "#1 by topk=2")

	b = b.kill()
	b.untilState(r.ID, run.Lost)
	b.ok(run.Command{Verb: run.Resume, Run: r.ID})
	for _, id := range []int{0, 2} { // trial 1 does not come to the gate again
		same(t, "at the gate", b.arrival(g).ID, id)
		b.release(g)
	}
	v := b.untilState(r.ID, run.Done)
	for id, want := range []string{`""`, `"topk=2"`, `""`} {
		same(t, "rule", string(v.Trials[id].Detail), want)
	}
	contains(t, "done", b.do(run.Command{Verb: run.Freeze, Run: r.ID, Trial: -1}).Text, "no layer search of")
}

// TestFreezeAll: without a number all that are trained are meant, by the rule of the run.
func TestFreezeAll(t *testing.T) {
	g := newGate()
	b := newRig(t, &runtest.Kind{Steps: 4, Freezable: true, OnStep: g.at(1)})
	r := b.create(run.Run{Budget: 2, Workers: 2})
	b.arrival(g)
	b.arrival(g)
	contains(t, "reply", b.ok(run.Command{Verb: run.Freeze, Run: r.ID, Trial: -1}).Text, "#0 by own, #1 by own")
	b.release(g)
	b.release(g)
	for _, trial := range b.untilState(r.ID, run.Done).Trials {
		same(t, "rule", string(trial.Detail), `"own"`)
	}
}
