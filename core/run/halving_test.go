package run_test

import (
	"context"
	"testing"

	"flexi/core/run"
	"flexi/core/run/runtest"
)

// upperHalf keeps what is in the upper half of all that came so far.
func upperHalf(trials []run.Trial, value float64) run.Rung {
	r := run.Rung{Rank: 1, Of: 1}
	for i := range trials {
		if other := trials[i].At("half"); other != nil {
			r.Of++
			if other.Value > value {
				r.Rank++
			}
		}
	}
	r.Kept = 2*r.Rank <= r.Of+1
	return r
}

// fate is what must not depend on interruptions.
type fate struct {
	State    run.State
	Arch     string
	Reason   string
	Rungs    []run.Rung
	Measures map[string]float64
	Score    float64
}

func fates(t *testing.T, trials []*run.Trial) (out []fate) {
	t.Helper()
	for _, tr := range trials {
		f := fate{State: tr.State, Arch: string(tr.Arch), Reason: tr.Reason, Rungs: tr.Rungs, Measures: tr.Measures}
		if tr.Score != nil {
			f.Score = *tr.Score
		}
		if stopped := tr.State == run.Stopped; stopped == (tr.Reason == "") || stopped && (tr.Checkpoint != "" || tr.Weights != "" || tr.Ended.IsZero()) {
			t.Errorf("trial %d is %s, reason %q, checkpoint %q, weights %q", tr.ID, tr.State, tr.Reason, tr.Checkpoint, tr.Weights)
		}
		out = append(out, f)
	}
	return out
}

// TestHalvingStopsAndResumesExactly: stopped trials use their place in the budget, say why, and a process killed before any step ends as the calm one.
func TestHalvingStopsAndResumesExactly(t *testing.T) {
	start := run.Run{Budget: 6, Seed: 3}
	calm := newRig(t, &runtest.Kind{Steps: 4, Judge: upperHalf})
	r := calm.create(start)
	v := calm.untilState(r.ID, run.Done)
	want := fates(t, v.Trials)
	if len(want) != 6 || v.StoppedN == 0 || v.Done+v.StoppedN != 6 || len(texts(v, "stop")) != v.StoppedN {
		t.Fatalf("%d trials, %d done, %d stopped: %+v", len(want), v.Done, v.StoppedN, want)
	}
	for stop := range 6*4 + 3 {
		g := newGate()
		b := newRig(t, &runtest.Kind{
			Steps: 4, SaveEvery: 1, Judge: upperHalf,
			OnStep: func(ctx context.Context, tr run.Trial, _ int) error { return g.hold(ctx, tr) },
			OnNext: func(ctx context.Context, _ []run.Trial) error { return g.hold(ctx, run.Trial{}) },
		})
		r := b.create(start)
		b.arrival(g)
		for range stop {
			if !b.next(g, r.ID) {
				break
			}
		}
		b = b.kill()
		b.kind.OnStep, b.kind.OnNext = nil, nil
		if v := b.until(r.ID, "loaded", func(run.RunView) bool { return true }); v.State != run.Done {
			b.ok(run.Command{Verb: run.Resume, Run: r.ID})
		}
		same(t, "fates", fates(t, b.untilState(r.ID, run.Done).Trials), want)
	}
}

// next lets the training that waits go on until something waits again; false when the run has ended.
func (b *rig) next(g *gate, id string) bool {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.ctx)
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for s := range b.Subscribe(ctx) {
			for _, r := range s.Runs {
				if r.ID == id && r.State == run.Done {
					return
				}
			}
		}
	}()
	b.release(g)
	select {
	case <-g.arrived:
		return true
	case <-ended:
		return false
	}
}
