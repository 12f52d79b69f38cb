package run_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"flexi/core/run"
	"flexi/core/run/runtest"
)

func TestRunToTheEnd(t *testing.T) {
	b := newRig(t, &runtest.Kind{Steps: 3})
	r := b.create(run.Run{Budget: 5, Seed: 1})
	if end, err := b.Wait(b.ctx, r.ID); err != nil || end.State != run.Done {
		t.Fatalf("%s, %v", end.State, err)
	}
	v := b.untilState(r.ID, run.Done)
	if len(v.Trials) != 5 || v.Done != 5 || len(v.BestSoFar) != 5 || len(v.Frontier) == 0 || v.Ended.IsZero() || v.Seconds <= 0 {
		t.Errorf("%+v", v)
	}
	for i, tr := range v.Trials {
		if tr.ID != i || tr.State != run.Done || tr.Score == nil || tr.Weights == "" || tr.Checkpoint != "" || tr.Seconds <= 0 {
			t.Errorf("trial %d: %+v", i, tr)
		}
	}
	if best := v.Trials[v.Best]; *best.Score != v.BestSoFar[4] || slices.Max(v.BestSoFar) != v.BestSoFar[4] {
		t.Errorf("best is trial %d with %v, best so far %v", v.Best, *best.Score, v.BestSoFar)
	}
	if len(texts(v, "pick")) != 5 || len(texts(v, "done")) != 5 || len(texts(v, "best")) == 0 {
		t.Errorf("events: %+v", v.Events)
	}
	for i, e := range v.Events[1:] {
		if e.Seq <= v.Events[i].Seq {
			t.Errorf("event %d has number %d after %d", i+1, e.Seq, v.Events[i].Seq)
		}
	}
	stored, err := b.store.Events(b.ctx, r.ID, 1000)
	if err != nil || len(stored) != len(v.Events) {
		t.Errorf("%d events shown, %d stored, %v", len(v.Events), len(stored), err)
	}
}

func TestSameSeedSameRun(t *testing.T) {
	b := newRig(t, &runtest.Kind{Steps: 3})
	first, second, other := b.create(run.Run{Budget: 6, Seed: 1}), b.create(run.Run{Budget: 6, Seed: 1}), b.create(run.Run{Budget: 6, Seed: 2})
	for _, r := range []run.Run{first, second, other} {
		b.untilState(r.ID, run.Done)
	}
	sameOutcomes(t, b.outcomes(second.ID), b.outcomes(first.ID))
	if slices.EqualFunc(b.outcomes(other.ID), b.outcomes(first.ID), outcome.equal) {
		t.Error("another seed made the same run")
	}
}

// reference is the outcome of a run that nothing interrupts.
func reference(t *testing.T, r run.Run, steps int) []outcome {
	b := newRig(t, &runtest.Kind{Steps: steps})
	r = b.create(r)
	b.untilState(r.ID, run.Done)
	return b.outcomes(r.ID)
}

func TestPauseInsideATraining(t *testing.T) {
	want := reference(t, run.Run{Budget: 3, Seed: 7}, 4)
	g := newGate()
	b := newRig(t, &runtest.Kind{Steps: 4, OnStep: g.at(2)})
	r := b.create(run.Run{Budget: 3, Seed: 7})
	for n := range 3 {
		if tr := b.arrival(g); tr.ID != n {
			t.Fatalf("trial %d trains, want %d", tr.ID, n)
		}
		b.ok(run.Command{Verb: run.Pause, Run: r.ID})
		if v := b.untilState(r.ID, run.Pausing); v.Want != run.Paused {
			t.Errorf("wants %s", v.Want)
		}
		b.release(g)
		v := b.untilState(r.ID, run.Paused)
		if tr := v.Trials[n]; tr.State != run.Paused || tr.Checkpoint == "" {
			t.Fatalf("trial %d is %s with checkpoint %q", n, tr.State, tr.Checkpoint)
		}
		b.ok(run.Command{Verb: run.Resume, Run: r.ID})
	}
	b.untilState(r.ID, run.Done)
	sameOutcomes(t, b.outcomes(r.ID), want)
}

// TestKilledProcess ends the process before every step of every training and before every choice, with and without checkpoints between.
func TestKilledProcess(t *testing.T) {
	start := run.Run{Budget: 3, Seed: 3}
	want := reference(t, start, 5)
	const stops = 3*5 + 3
	for _, saveEvery := range []int{0, 2} {
		for stop := range stops {
			g := newGate()
			b := newRig(t, &runtest.Kind{
				Steps: 5, SaveEvery: saveEvery,
				OnStep: func(ctx context.Context, tr run.Trial, _ int) error { return g.hold(ctx, tr) },
				OnNext: func(ctx context.Context, _ []run.Trial) error { return g.hold(ctx, run.Trial{}) },
			})
			r := b.create(start)
			b.arrival(g)
			for range stop {
				b.release(g)
				b.arrival(g)
			}
			b = b.kill()
			if v := b.untilState(r.ID, run.Lost); v.Want != run.Running {
				t.Errorf("wants %s", v.Want)
			}
			b.kind.OnStep, b.kind.OnNext = nil, nil
			b.ok(run.Command{Verb: run.Resume, Run: r.ID})
			b.untilState(r.ID, run.Done)
			sameOutcomes(t, b.outcomes(r.ID), want)
		}
	}
}

// TestKilledAgainAndAgain ends the process a few steps after every start.
func TestKilledAgainAndAgain(t *testing.T) {
	start := run.Run{Budget: 4, Seed: 8}
	want := reference(t, start, 6)
	g := newGate()
	hold := func(ctx context.Context, tr run.Trial, _ int) error { return g.hold(ctx, tr) }
	b := newRig(t, &runtest.Kind{Steps: 6, SaveEvery: 1, OnStep: hold})
	r := b.create(start)
	for range 7 {
		b.arrival(g)
		for range 2 {
			b.release(g)
			b.arrival(g)
		}
		b = b.kill()
		b.ok(run.Command{Verb: run.Resume, Run: r.ID})
	}
	b.arrival(g)
	b = b.kill()
	b.kind.OnStep = nil
	b.ok(run.Command{Verb: run.Resume, Run: r.ID})
	b.untilState(r.ID, run.Done)
	sameOutcomes(t, b.outcomes(r.ID), want)
}

// TestSeveralWorkers: nothing is lost and nothing trained twice, with kills in between.
func TestSeveralWorkers(t *testing.T) {
	g := newGate()
	kind := &runtest.Kind{Steps: 4, SaveEvery: 1, OnStep: g.at(2)}
	b := newRig(t, kind)
	r := b.create(run.Run{Budget: 12, Seed: 5, Workers: 3})
	scores := map[int]float64{}
	for n := 0; n < 12; {
		first, second := b.arrival(g), b.arrival(g)
		third := b.arrival(g)
		if first.ID == second.ID || second.ID == third.ID || first.ID == third.ID {
			t.Fatalf("trials %d, %d and %d at once", first.ID, second.ID, third.ID)
		}
		if n%2 == 0 {
			b = b.kill()
			b.ok(run.Command{Verb: run.Resume, Run: r.ID})
			for range 3 {
				b.arrival(g)
			}
		}
		for range 3 {
			b.release(g)
		}
		n += 3
		v := b.until(r.ID, "three more are done", func(v run.RunView) bool { return v.Done == n })
		for _, tr := range v.Trials {
			if tr.State != run.Done {
				continue
			}
			if old, known := scores[tr.ID]; known && old != *tr.Score {
				t.Errorf("trial %d had score %v, now %v", tr.ID, old, *tr.Score)
			}
			scores[tr.ID] = *tr.Score
		}
	}
	if v := b.untilState(r.ID, run.Done); len(v.Trials) != 12 || len(scores) != 12 {
		t.Errorf("%d trials, %d scores", len(v.Trials), len(scores))
	}
}

func TestFailuresOfTrials(t *testing.T) {
	kind := &runtest.Kind{Steps: 2}
	kind.OnStep = func(_ context.Context, tr run.Trial, _ int) error {
		switch tr.ID {
		case 1:
			return errors.New("layer 3: loss is not finite at step 12")
		case 2:
			panic("index out of range")
		}
		return nil
	}
	kind.Score = func(tr run.Trial, sum float64) float64 {
		if tr.ID == 3 {
			return math.NaN()
		}
		return sum
	}
	b := newRig(t, kind)
	r := b.create(run.Run{Budget: 3, Seed: 1})
	v := b.untilState(r.ID, run.Done)
	if v.Done != 3 || v.FailedN != 3 || len(v.Trials) != 6 {
		t.Fatalf("%d done, %d failed of %d", v.Done, v.FailedN, len(v.Trials))
	}
	for n, want := range map[int]string{1: "layer 3: loss", 2: "internal error: index out of range", 3: "not finite"} {
		if tr := v.Trials[n]; tr.State != run.Failed || tr.Score != nil {
			t.Errorf("trial %d is %s", n, tr.State)
		}
		contains(t, "error", v.Trials[n].Error, want)
	}
	// Two of them were tried three times; a score that is not finite would be none again.
	if got := texts(v, "fail"); len(got) != 3+3+1 || v.Trials[1].Attempt != 3 || v.Trials[3].Attempt != 1 {
		t.Errorf("events of failures: %q", got)
	}
}

func TestRunFailsWithItsFirstTrials(t *testing.T) {
	kind := &runtest.Kind{Steps: 2, OnStep: func(context.Context, run.Trial, int) error { return errors.New("train.tsv is missing") }}
	b := newRig(t, kind)
	r := b.create(run.Run{Budget: 100, Seed: 1})
	v := b.untilState(r.ID, run.Failed)
	if len(v.Trials) != 3 {
		t.Errorf("%d trials were tried", len(v.Trials))
	}
	contains(t, "error", v.Error, "first 3 trials all failed", "train.tsv is missing")
}

func TestRetryByCommand(t *testing.T) {
	healthy := false
	kind := &runtest.Kind{Steps: 2}
	kind.OnStep = func(_ context.Context, tr run.Trial, _ int) error {
		if tr.ID == 0 && !healthy {
			return errors.New("unlucky")
		}
		return nil
	}
	b := newRig(t, kind)
	r := b.create(run.Run{Budget: 2, Seed: 1})
	v := b.untilState(r.ID, run.Done)
	arch := string(v.Trials[0].Arch)
	if v.Trials[0].State != run.Failed || v.Trials[0].Attempt != 3 {
		t.Fatalf("trial 0 is %s after attempt %d", v.Trials[0].State, v.Trials[0].Attempt)
	}
	if reply := b.do(run.Command{Verb: run.Retry, Run: r.ID, Trial: 1}); !reply.Refused {
		t.Errorf("a finished trial is trained again: %s", reply.Text)
	}
	healthy = true
	contains(t, "reply", b.ok(run.Command{Verb: run.Retry, Run: r.ID, Trial: 0}).Text, "flexi resume")
	b.ok(run.Command{Verb: run.Resume, Run: r.ID})
	v = b.until(r.ID, "it has been tried again", func(v run.RunView) bool { return v.State == run.Done && v.FailedN == 0 })
	if string(v.Trials[0].Arch) != arch || v.Trials[0].State != run.Done || v.Done != 3 {
		t.Errorf("trial 0 is %s, %d done", v.Trials[0].State, v.Done)
	}
}

func TestPolicyWaitsAndEnds(t *testing.T) {
	kind := &runtest.Kind{Steps: 1}
	kind.OnNext = func(_ context.Context, trials []run.Trial) error {
		done := 0
		for _, tr := range trials {
			if tr.State == run.Done {
				done++
			}
		}
		switch {
		case done == 6:
			return run.ErrDone
		case len(trials) > done: // one at a time, whatever the workers
			return run.ErrWait
		}
		return nil
	}
	b := newRig(t, kind)
	r := b.create(run.Run{Workers: 3})
	if v := b.untilState(r.ID, run.Done); v.Done != 6 {
		t.Errorf("%d done", v.Done)
	}
}

// TestResultWhileThePolicyThinks: the policy says that it waits, but what it waits for came while it thought.
func TestResultWhileThePolicyThinks(t *testing.T) {
	think, train := newGate(), newGate()
	kind := &runtest.Kind{Steps: 1, OnStep: train.at(0)}
	kind.OnNext = func(ctx context.Context, trials []run.Trial) error {
		switch {
		case len(trials) == 1 && trials[0].State == run.Running:
			if err := think.hold(ctx, run.Trial{}); err != nil {
				return err
			}
			return run.ErrWait
		case len(trials) == 2:
			return run.ErrDone
		}
		return nil
	}
	b := newRig(t, kind)
	r := b.create(run.Run{Workers: 2})
	b.arrival(train)
	b.arrival(think)
	b.release(train)
	b.until(r.ID, "the first is done", func(v run.RunView) bool { return v.Done == 1 })
	b.release(think)
	b.arrival(train)
	b.release(train)
	if v := b.untilState(r.ID, run.Done); v.Done != 2 {
		t.Errorf("%d done", v.Done)
	}
}

func TestPolicyThatFails(t *testing.T) {
	for name, c := range map[string]struct {
		kind *runtest.Kind
		want string
	}{
		"next":  {&runtest.Kind{OnNext: func(context.Context, []run.Trial) error { return errors.New("surrogate diverged") }}, "choose the next candidate: surrogate diverged"},
		"panic": {&runtest.Kind{OnNext: func(context.Context, []run.Trial) error { panic("nil map") }}, "internal error: nil map"},
		"open":  {&runtest.Kind{OnOpen: func(context.Context) error { return errors.New("no such file") }}, "open: no such file"},
		"wait":  {&runtest.Kind{OnNext: func(context.Context, []run.Trial) error { return run.ErrWait }}, "nothing is in training"},
		"done":  {&runtest.Kind{OnNext: func(context.Context, []run.Trial) error { return run.ErrDone }}, "without a finished trial"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newRig(t, c.kind)
			r := b.create(run.Run{Budget: 3})
			contains(t, "error", b.untilState(r.ID, run.Failed).Error, c.want)
		})
	}
}

func TestFullDisk(t *testing.T) {
	g := newGate()
	b := newRig(t, &runtest.Kind{Steps: 3, OnStep: g.at(1)})
	r := b.create(run.Run{Budget: 2, Seed: 9})
	b.arrival(g)
	b.store.FailWrites(errDisk)
	b.release(g)
	v := b.untilState(r.ID, run.Failed)
	contains(t, "error", v.Error, errDisk.Error())
	b.store.FailWrites(nil)
	b.kind = &runtest.Kind{Steps: 3} // another one, because the result that was not stored is made again
	b = b.kill()
	b.untilState(r.ID, run.Lost)
	b.ok(run.Command{Verb: run.Resume, Run: r.ID})
	b.untilState(r.ID, run.Done)
	if got := len(b.outcomes(r.ID)); got != 2 {
		t.Errorf("%d trials", got)
	}
}

func TestShutdownPauses(t *testing.T) {
	want := reference(t, run.Run{Budget: 2, Seed: 4}, 3)
	g := newGate()
	b := newRig(t, &runtest.Kind{Steps: 3, OnStep: g.at(1)})
	r := b.create(run.Run{Budget: 2, Seed: 4})
	b.arrival(g)
	ended := make(chan error)
	go func() { ended <- b.Shutdown(b.ctx) }()
	b.untilState(r.ID, run.Pausing)
	if reply := b.do(run.Command{Verb: run.Resume, Run: r.ID}); !reply.Refused {
		t.Errorf("resumed while closing: %s", reply.Text)
	}
	if _, err := b.Create(b.ctx, run.Run{Kind: runtest.KindName, Workers: 1}); !errors.Is(err, run.ErrClosed) {
		t.Errorf("created while closing: %v", err)
	}
	b.release(g)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if _, err := b.Do(b.ctx, run.Command{Verb: run.Pause, Run: r.ID}); !errors.Is(err, run.ErrClosed) {
		t.Errorf("command after the end: %v", err)
	}
	b.kind.OnStep = nil
	b = rigOn(t, b.kind, b.store.Reopen(), b.clock)
	if v := b.untilState(r.ID, run.Paused); v.Want != run.Running || v.Trials[0].Checkpoint == "" {
		t.Errorf("wants %s, checkpoint %q", v.Want, v.Trials[0].Checkpoint)
	}
	b.ok(run.Command{Verb: run.Resume, Run: r.ID})
	b.untilState(r.ID, run.Done)
	sameOutcomes(t, b.outcomes(r.ID), want)
}

// TestShutdownOfAStuckTraining gives up when its context does.
func TestShutdownOfAStuckTraining(t *testing.T) {
	g := newGate()
	b := newRig(t, &runtest.Kind{Steps: 3, OnStep: g.at(1)})
	r := b.create(run.Run{Budget: 2})
	b.arrival(g)
	impatient, cancel := context.WithCancel(b.ctx)
	cancel()
	if err := b.Shutdown(impatient); !errors.Is(err, context.Canceled) {
		t.Errorf("shutdown: %v", err)
	}
	b = rigOn(t, b.kind, b.store.Reopen(), b.clock)
	if v := b.untilState(r.ID, run.Lost); v.Trials[0].State != run.Queued {
		t.Errorf("trial is %s", v.Trials[0].State)
	}
}

func TestProgressAndETA(t *testing.T) {
	g := newGate()
	b := newRig(t, &runtest.Kind{Steps: 4})
	b.kind.OnStep = func(ctx context.Context, tr run.Trial, step int) error {
		b.clock.Advance(10 * time.Second)
		return g.at(2)(ctx, tr, step)
	}
	r := b.create(run.Run{Budget: 3})
	b.arrival(g)
	v := b.until(r.ID, "progress is shown", func(v run.RunView) bool { return len(v.Workers) == 1 && v.Workers[0].Step == 2 })
	w := v.Workers[0]
	if w.Trial != 0 || w.Phase != "adding" || w.Steps != 4 || len(w.Losses) != 2 || w.ETA <= 0 {
		t.Errorf("worker %+v", w)
	}
	if v.ETA != 0 {
		t.Errorf("remaining time %v before anything is finished", v.ETA)
	}
	b.release(g)
	b.arrival(g)
	v = b.until(r.ID, "one is done and the next half", func(v run.RunView) bool { return v.Done == 1 && v.Workers[0].Step == 2 })
	// 40 s a trial, one and a half of them left.
	if d := v.ETA - time.Minute; d < -time.Second || d > time.Second {
		t.Errorf("remaining time %v, want about a minute", v.ETA)
	}
	b.release(g)
	b.arrival(g)
	b.release(g)
	b.untilState(r.ID, run.Done)
}
