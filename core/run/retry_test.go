package run_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"flexi/core/run"
	"flexi/core/run/runtest"
)

// scores are those of a run's trials, in order.
func scores(v run.RunView) []float64 {
	var out []float64
	for _, tr := range v.Trials {
		if tr.Score != nil {
			out = append(out, *tr.Score)
		}
	}
	return out
}

func calmScores(t *testing.T) []float64 {
	t.Helper()
	b := newRig(t, &runtest.Kind{Steps: 4, SaveEvery: 1})
	return scores(b.untilState(b.create(run.Run{Budget: 4, Seed: 5}).ID, run.Done))
}

// TestPassingFailuresChangeNothing: failures that pass, each of its own sort, leave a run with one worker as it would have been.
func TestPassingFailuresChangeNothing(t *testing.T) {
	kind := &runtest.Kind{Steps: 4, SaveEvery: 1}
	met := map[int]int{}
	kind.OnStep = func(_ context.Context, tr run.Trial, step int) error {
		if step != 2 {
			return nil
		}
		met[tr.ID]++
		switch {
		case tr.ID == 1 && met[1] <= 2:
			return errors.New("out of memory")
		case tr.ID == 2 && met[2] == 1:
			panic("index out of range")
		}
		return nil
	}
	b := newRig(t, kind)
	v := b.untilState(b.create(run.Run{Budget: 4, Seed: 5}).ID, run.Done)
	same(t, "scores", scores(v), calmScores(t))
	if v.Trials[1].Attempt != 3 || v.Trials[2].Attempt != 2 || v.Trials[1].Error != "" {
		t.Errorf("attempts %d and %d, error %q", v.Trials[1].Attempt, v.Trials[2].Attempt, v.Trials[1].Error)
	}
}

// TestWaitingToRetry: neither a pause nor a killed process waits for the next attempt, and a resumed run makes it.
func TestWaitingToRetry(t *testing.T) {
	want := calmScores(t)
	for name, interrupt := range map[string]func(b *rig, id string) *rig{
		"pause": func(b *rig, id string) *rig {
			b.ok(run.Command{Verb: run.Pause, Run: id})
			b.untilState(id, run.Paused)
			return b
		},
		"kill": func(b *rig, _ string) *rig { return b.kill() },
	} {
		t.Run(name, func(t *testing.T) {
			kind := &runtest.Kind{Steps: 4}
			failed := false
			kind.OnStep = func(_ context.Context, tr run.Trial, _ int) error {
				if tr.ID == 1 && !failed {
					failed = true
					return errors.New("unlucky")
				}
				return nil
			}
			b := rigWith(t, kind, run.Options{Backoff: time.Hour})
			r := b.create(run.Run{Budget: 4, Seed: 5})
			v := b.until(r.ID, "it waits", func(v run.RunView) bool { return len(v.Workers) > 0 && v.Workers[0].Phase == "waiting to try again" })
			if len(v.Trials) != 2 || v.Trials[1].State != run.Queued || v.Trials[1].Attempt != 2 {
				t.Errorf("%d trials; trial 1 is %s, attempt %d", len(v.Trials), v.Trials[1].State, v.Trials[1].Attempt)
			}
			b = interrupt(b, r.ID)
			b.ok(run.Command{Verb: run.Resume, Run: r.ID})
			same(t, "scores", scores(b.untilState(r.ID, run.Done)), want)
		})
	}
}

// TestHungTraining: a training that shows no sign of life is given up, the run goes on, and what the training does later has no effect.
func TestHungTraining(t *testing.T) {
	kind := &runtest.Kind{Steps: 4, SaveEvery: 1, Forgive: true}
	hang, hung := make(chan struct{}), make(chan struct{})
	first := true
	kind.OnStep = func(_ context.Context, tr run.Trial, step int) error {
		if tr.ID == 1 && step == 2 && first {
			first = false
			close(hung)
			<-hang
		}
		return nil
	}
	b := newRig(t, kind)
	r := b.create(run.Run{Budget: 4, Seed: 5})
	<-hung
	v := b.until(r.ID, "it is done", func(v run.RunView) bool {
		if len(texts(v, "fail")) == 0 {
			b.clock.Advance(time.Hour)
		}
		return v.State == run.Done
	})
	close(hang)
	same(t, "scores", scores(v), calmScores(t))
	fails := texts(v, "fail")
	if len(fails) != 1 || v.Trials[1].Attempt != 2 {
		t.Fatalf("failures %q, attempt %d", fails, v.Trials[1].Attempt)
	}
	contains(t, "failure", fails[0], "no sign of life for 4m0s")
}

// TestLostCheckpoints: a checkpoint that cannot be read is replaced by the one before it, and that by the beginning; both are said, and the result is the
// same.
func TestLostCheckpoints(t *testing.T) {
	want := calmScores(t)
	for lost := 1; lost <= 2; lost++ {
		kind := &runtest.Kind{Steps: 4, SaveEvery: 1}
		gate, reached := make(chan struct{}), make(chan struct{}, 1)
		stop := true
		kind.OnStep = func(ctx context.Context, tr run.Trial, step int) error {
			if tr.ID != 1 || step != 3 || !stop {
				return nil
			}
			stop = false
			reached <- struct{}{}
			select {
			case <-gate:
			case <-ctx.Done():
			}
			return ctx.Err()
		}
		b := newRig(t, kind)
		r := b.create(run.Run{Budget: 4, Seed: 5})
		<-reached
		b = b.kill()
		trials, err := b.store.Trials(t.Context(), r.ID)
		if err != nil || trials[1].Checkpoint == "" || trials[1].Earlier == "" || trials[1].Earlier == trials[1].Checkpoint {
			t.Fatalf("checkpoints %q, %q, %v", trials[1].Checkpoint, trials[1].Earlier, err)
		}
		b.store.LoseBlob(trials[1].Checkpoint)
		said := "goes on from the checkpoint before it"
		if lost == 2 {
			b.store.LoseBlob(trials[1].Earlier)
			said = "goes on from the beginning"
		}
		b.ok(run.Command{Verb: run.Resume, Run: r.ID})
		v := b.untilState(r.ID, run.Done)
		same(t, "scores", scores(v), want)
		warnings := texts(v, "warn")
		if len(warnings) != lost {
			t.Fatalf("warnings %q", warnings)
		}
		contains(t, "warning", warnings[lost-1], said, "lost")
	}
}

// TestSurrogateSurvives: a run that is opened again shows what its surrogate thought.
func TestSurrogateSurvives(t *testing.T) {
	b := newRig(t, &runtest.Kind{Steps: 1})
	r := b.create(run.Run{Budget: 3})
	v := b.untilState(r.ID, run.Done)
	if v.Surrogate == nil {
		t.Fatal("the fake kind has no surrogate")
	}
	b = b.kill()
	again := b.untilState(r.ID, run.Done)
	same(t, "surrogate", again.Surrogate, v.Surrogate)
}

// TestClockSetBack: times may go back, durations may not, and the run ends as it would have.
func TestClockSetBack(t *testing.T) {
	kind := &runtest.Kind{Steps: 4, SaveEvery: 1}
	var b *rig
	kind.OnStep = func(_ context.Context, tr run.Trial, step int) error {
		if step == 2 {
			b.clock.Advance([]time.Duration{-48 * time.Hour, 30 * time.Minute}[tr.ID%2])
		}
		return nil
	}
	b = newRig(t, kind)
	r := b.create(run.Run{Budget: 4, Seed: 5})
	v := b.untilState(r.ID, run.Done)
	same(t, "scores", scores(v), calmScores(t))
	best := v.BestSoFar
	for _, tr := range v.Trials {
		if tr.Seconds < 0 {
			t.Errorf("trial %d took %v s", tr.ID, tr.Seconds)
		}
	}
	if v.Seconds < 0 || v.ETA < 0 {
		t.Errorf("the run took %v s, %v are left", v.Seconds, v.ETA)
	}
	b = b.kill()
	same(t, "best so far, after the next start", b.untilState(r.ID, run.Done).BestSoFar, best)
}

// full is the error of a device that has no memory left.
type full struct{}

func (full) Error() string { return "the device's memory is full" }
func (full) Crowded() bool { return true }

// TestFullDevice: trainings that a full device refuses wait with what they have, without a failed attempt, and fewer train at once; one that is refused
// alone fails. Another number of workers is tried anew.
func TestFullDevice(t *testing.T) {
	kind := &runtest.Kind{Steps: 4, SaveEvery: 1}
	var mu sync.Mutex
	const last = 3
	held, most, room := map[int]bool{}, 0, 2
	refused := make(chan struct{})
	refuse := sync.OnceFunc(func() { close(refused) })
	enter := func(tr run.Trial, step int) error {
		mu.Lock()
		defer mu.Unlock()
		if step == last {
			delete(held, tr.ID)
			return nil
		}
		if !held[tr.ID] && len(held) >= room {
			refuse()
			return fmt.Errorf("train: %w", full{})
		}
		held[tr.ID] = true
		most = max(most, len(held))
		return nil
	}
	kind.OnStep = func(ctx context.Context, tr run.Trial, step int) error {
		if err := enter(tr, step); err != nil {
			return err
		}
		select {
		case <-refused: // those that have room hold it until another was refused
		case <-ctx.Done():
		}
		return ctx.Err()
	}
	b := newRig(t, kind)
	r := b.create(run.Run{Budget: 9, Seed: 5, Workers: 4})
	v := b.untilState(r.ID, run.Done)
	if len(v.Trials) != 9 || most > 2 {
		t.Errorf("%d trials, %d at once", len(v.Trials), most)
	}
	for _, tr := range v.Trials {
		if tr.State != run.Done || tr.Attempt != 1 || tr.Error != "" {
			t.Errorf("trial %d is %s after %d attempts: %q", tr.ID, tr.State, tr.Attempt, tr.Error)
		}
	}
	warnings := texts(v, "warn")
	if len(warnings) == 0 || len(warnings) > 3 {
		t.Fatalf("%d warnings: %q", len(warnings), warnings)
	}
	contains(t, "warning", warnings[0], "train: the device's memory is full", "train from now on and this one waits")
	if v.Run.Workers != 4 {
		t.Errorf("the run's own number of workers became %d", v.Run.Workers)
	}

	room = 0
	b.ok(run.Command{Verb: run.Resume, Run: r.ID, Budget: 10})
	v = b.until(r.ID, "a trial failed", func(v run.RunView) bool { return len(v.Trials) > 9 && v.Trials[9].State == run.Failed })
	if n := v.Trials[9].Attempt; n != 3 {
		t.Errorf("a trial that is refused alone was tried %d times", n)
	}
}
