package run_test

import (
	"testing"

	"flexi/core/run"
	"flexi/core/run/runtest"
)

// TestLoad: the device's load is shown once it is known, and a driver that does not answer stops neither trainings nor pictures.
func TestLoad(t *testing.T) {
	answer := make(chan run.Load)
	b := rigWith(t, &runtest.Kind{Steps: 2}, run.Options{Load: func() run.Load { return <-answer }})
	t.Cleanup(func() { close(answer) })
	r := b.create(run.Run{Budget: 2, Seed: 5})
	b.untilState(r.ID, run.Done)
	pictures := b.Subscribe(b.ctx)
	if l := (<-pictures).System.Load; l != nil {
		t.Errorf("load %+v before the driver answered", *l)
	}
	want := run.Load{Busy: 87, Celsius: run.Unknown}
	answer <- want
	for {
		b.ok(run.Command{Verb: run.Annotate, Run: r.ID, Text: "a change to be shown"})
		if l := (<-pictures).System.Load; l != nil {
			if *l != want {
				t.Errorf("load %+v, want %+v", *l, want)
			}
			return
		}
	}
}
