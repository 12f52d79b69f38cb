package run_test

import (
	"context"
	"testing"
	"time"

	"flexi/core/run"
	"flexi/core/run/runtest"
)

// TestReport: a long step shows how far it is, how fast, and how long it will take; it is gone when the step ends.
func TestReport(t *testing.T) {
	told, on := make(chan struct{}), make(chan struct{})
	kind := &runtest.Kind{Steps: 1, OnNext: func(ctx context.Context, trials []run.Trial) error {
		if len(trials) > 0 {
			return nil
		}
		run.Report(ctx, "embedding", 0, 100)
		told <- struct{}{}
		<-on
		run.Report(ctx, "embedding", 25, 100)
		told <- struct{}{}
		<-on
		return nil
	}}
	b := newRig(t, kind)
	r := b.create(run.Run{Budget: 1})
	<-told
	b.clock.Advance(5 * time.Second)
	on <- struct{}{}
	<-told
	v := b.until(r.ID, "a quarter is done", func(v run.RunView) bool { return v.Activity.Done == 25 })
	if a := v.Activity; a.What != "embedding" || a.Total != 100 || a.Rate < 4 || a.Rate > 5 || a.Left < 15*time.Second || a.Left > 20*time.Second {
		t.Errorf("%+v", a)
	}
	on <- struct{}{}
	if v := b.untilState(r.ID, run.Done); v.Activity.What != "" {
		t.Errorf("after its end: %+v", v.Activity)
	}
	run.Report(context.Background(), "nobody listens", 1, 2)
}
