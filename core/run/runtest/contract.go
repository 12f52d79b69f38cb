package runtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"sync"
	"testing"
	"time"

	"flexi/core/run"
)

// TestStore checks what run.Store promises. open returns a new, empty store; TestStore closes it.
func TestStore(t *testing.T, open func() run.Store) {
	t.Helper()
	for name, check := range map[string]func(*testing.T, run.Store){
		"runs":        checkRuns,
		"trials":      checkTrials,
		"job state":   checkJobState,
		"view":        checkView,
		"points":      checkPoints,
		"events":      checkEvents,
		"blobs":       checkBlobs,
		"references":  checkReferences,
		"concurrency": checkConcurrency,
		"context":     checkContext,
	} {
		t.Run(name, func(t *testing.T) {
			s := open()
			check(t, s)
			if err := s.Close(); err != nil {
				t.Fatalf("close: %v", err)
			}
			if err := s.Close(); err != nil {
				t.Errorf("second close: %v", err)
			}
			if _, err := s.Runs(t.Context()); err == nil {
				t.Error("a closed store still answers")
			}
			if _, err := s.CreateRun(t.Context(), run.Run{Kind: "search"}); err == nil {
				t.Error("a closed store still takes runs")
			}
		})
	}
}

func create(t *testing.T, s run.Store, kind string) run.Run {
	t.Helper()
	runs := must[[]run.Run](t)(s.Runs(t.Context()))
	created := time.Unix(int64(1000+len(runs)), 0).UTC()
	r, err := s.CreateRun(t.Context(), run.Run{Kind: kind, State: run.Queued, Created: created, Config: json.RawMessage(`{"a":1}`), Seed: math.MaxUint64})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func checkRuns(t *testing.T, s run.Store) {
	a, b, other := create(t, s, "search"), create(t, s, "search"), create(t, s, "flexora")
	same(t, "numbers", []string{a.ID, b.ID, other.ID}, []string{"search-01", "search-02", "flexora-01"})
	b.State, b.Want, b.Note, b.Seconds = run.Running, run.Running, "näher", 1.0/3
	if err := s.UpdateRun(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	same(t, "runs", must[[]run.Run](t)(s.Runs(t.Context())), []run.Run{a, b, other})
	if err := s.UpdateRun(t.Context(), run.Run{ID: "search-99"}); err == nil {
		t.Error("an unknown run was updated")
	}
	for i := 3; i <= 101; i++ {
		if r := create(t, s, "search"); r.ID != fmt.Sprintf("search-%02d", i) {
			t.Fatalf("run %d is called %s", i, r.ID)
		}
	}
}

// trial is one with every field set to something that a careless encoding would lose.
func trial(id string, n int) run.Trial {
	score := math.Nextafter(80, 81)
	return run.Trial{
		Run: id, ID: n, Hash: "abc", Arch: json.RawMessage(`{"l":4}`), Title: "4 layers · 256", Params: 1 << 40, Level: 1, Why: "näher",
		Layers:  []run.LayerRow{{Name: "0", Op: "sa·sdp", Hidden: 256, Heads: 4, FF: "512", Params: 3}},
		Predict: &run.Prediction{Mean: 1e-300, Aleatoric: math.Copysign(0, -1), Epistemic: math.Pi, Acquisition: -1.0 / 3},
		State:   run.Running, Attempt: 1, Parent: -1, Overlap: 0.1, Score: &score, Scores: map[string]float64{"SST-2": 0.1 + 0.2}, Seconds: 1.5,
		Arm: run.ArmTransfer, Of: 2, Repeat: 1, Reason: "genug", Measures: map[string]float64{run.MemoryMB: 0.1}, Rungs: []run.Rung{{Name: "half", Value: 1.0 / 3, Rank: 1, Of: 3, Kept: true}},
		Proposed: time.Unix(1, 2).UTC(), Started: time.Unix(3, 4).UTC(),
	}
}

func checkTrials(t *testing.T, s run.Store) {
	a, b := create(t, s, "search"), create(t, s, "search")
	if got := must[[]run.Trial](t)(s.Trials(t.Context(), a.ID)); len(got) != 0 {
		t.Errorf("a new run has trials: %v", got)
	}
	var want []run.Trial
	for n := range 300 {
		want = append(want, trial(a.ID, n))
		if err := s.PutTrial(t.Context(), want[n], nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.PutTrial(t.Context(), trial(b.ID, 0), nil); err != nil {
		t.Fatal(err)
	}
	want[17].State = run.Done
	if err := s.PutTrial(t.Context(), want[17], nil); err != nil {
		t.Fatal(err)
	}
	got := must[[]run.Trial](t)(s.Trials(t.Context(), a.ID))
	same(t, "trials", got, want)
	got[0].Scores["SST-2"], got[1].Layers[0].Op = 1, "changed"
	same(t, "after a reader changed its copy", must[[]run.Trial](t)(s.Trials(t.Context(), a.ID)), want)
	for name, bad := range map[string]run.Trial{"gap": trial(a.ID, 301), "negative": trial(a.ID, -1), "unknown run": trial("search-99", 0)} {
		if err := s.PutTrial(t.Context(), bad, nil); err == nil {
			t.Errorf("%s: a trial was accepted", name)
		}
	}
	nan := trial(a.ID, 3)
	*nan.Score = math.NaN()
	if err := s.PutTrial(t.Context(), nan, nil); err == nil {
		t.Error("a score that is not a number was stored")
	}
	same(t, "after refusals", must[[]run.Trial](t)(s.Trials(t.Context(), a.ID)), want)
}

func checkJobState(t *testing.T, s run.Store) {
	a, b := create(t, s, "search"), create(t, s, "search")
	if got := must[[]byte](t)(s.JobState(t.Context(), a.ID)); got != nil {
		t.Errorf("a new run has a state: %v", got)
	}
	state := []byte{0, 1, 255}
	for n, st := range [][]byte{{7}, nil, state, nil} {
		if err := s.PutTrial(t.Context(), trial(a.ID, n), st); err != nil {
			t.Fatal(err)
		}
	}
	state[0] = 9
	same(t, "state", must[[]byte](t)(s.JobState(t.Context(), a.ID)), []byte{0, 1, 255})
	if got := must[[]byte](t)(s.JobState(t.Context(), b.ID)); got != nil {
		t.Errorf("the other run got the state: %v", got)
	}
}

func checkView(t *testing.T, s run.Store) {
	a, b := create(t, s, "search"), create(t, s, "search")
	if v := must[*run.Surrogate](t)(s.View(t.Context(), a.ID)); v != nil {
		t.Errorf("a new run has a view: %v", v)
	}
	want := &run.Surrogate{Fitted: 3, Loss: 0.1, Candidates: []run.Candidate{{Hash: "ab", Params: 1 << 40, Predict: run.Prediction{Mean: math.Pi}, Trial: -1}}}
	for _, v := range []*run.Surrogate{{Fitted: 2}, want} {
		if err := s.PutView(t.Context(), a.ID, v); err != nil {
			t.Fatal(err)
		}
	}
	same(t, "view", must[*run.Surrogate](t)(s.View(t.Context(), a.ID)), want)
	if v := must[*run.Surrogate](t)(s.View(t.Context(), b.ID)); v != nil {
		t.Errorf("the other run got the view: %v", v)
	}
}

func checkPoints(t *testing.T, s run.Store) {
	r := create(t, s, "search")
	var want []run.Point
	for i, n := range []int{1, 0, 254, 1, 1, 600, 3} {
		var add []run.Point
		for range n {
			add = append(add, run.Point{Series: fmt.Sprint("series ", i%2), Step: len(want) + len(add) - 1, Value: math.Sqrt(float64(len(want) + len(add)))})
		}
		if err := s.AddPoints(t.Context(), r.ID, 2, add); err != nil {
			t.Fatal(err)
		}
		want = append(want, add...)
	}
	if err := s.AddPoints(t.Context(), r.ID, 20, []run.Point{{Series: "x", Step: 1, Value: math.NaN()}, {Series: "", Step: -5, Value: math.Inf(-1)}}); err != nil {
		t.Fatal(err)
	}
	same(t, "points", must[[]run.Point](t)(s.Points(t.Context(), r.ID, 2)), want)
	odd := must[[]run.Point](t)(s.Points(t.Context(), r.ID, 20))
	if len(odd) != 2 || !math.IsNaN(odd[0].Value) || !math.IsInf(odd[1].Value, -1) || odd[1].Step != -5 {
		t.Errorf("odd values came back as %v", odd)
	}
	if got := must[[]run.Point](t)(s.Points(t.Context(), r.ID, 3)); len(got) != 0 {
		t.Errorf("another trial has points: %v", got)
	}
}

func checkEvents(t *testing.T, s run.Store) {
	a, b := create(t, s, "search"), create(t, s, "search")
	var all []run.Event
	for i := range 40 {
		e := []run.Event{
			{Time: time.Unix(int64(i), 0).UTC(), Run: a.ID, Trial: -1, Kind: "state", Text: fmt.Sprint(i)},
			{Time: time.Unix(int64(i), 5).UTC(), Run: b.ID, Trial: i, Kind: "command", Actor: "ana", Text: fmt.Sprint(i)},
		}
		if err := s.AddEvents(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		all = append(all, e...)
	}
	for i, e := range all {
		if i > 0 && e.Seq <= all[i-1].Seq {
			t.Fatalf("event %d has number %d after %d", i, e.Seq, all[i-1].Seq)
		}
	}
	same(t, "all", must[[]run.Event](t)(s.Events(t.Context(), "", 1000)), all)
	same(t, "newest of all", must[[]run.Event](t)(s.Events(t.Context(), "", 7)), all[73:])
	want := []run.Event{all[75], all[77], all[79]}
	same(t, "newest of one", must[[]run.Event](t)(s.Events(t.Context(), b.ID, 3)), want)
	if got := must[[]run.Event](t)(s.Events(t.Context(), "search", 3)); len(got) != 0 {
		t.Errorf("a prefix of an ID has events: %v", got)
	}
}

func write(b []byte) func(io.Writer) error {
	return func(w io.Writer) error { _, err := w.Write(b); return err }
}

func readBlob(s run.Store, hash string) ([]byte, error) {
	r, err := s.OpenBlob(hash)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func checkBlobs(t *testing.T, s run.Store) {
	big := bytes.Repeat([]byte("weights"), 1<<18)
	hash, size, err := s.PutBlob(t.Context(), write(big))
	if err != nil || size != int64(len(big)) || len(hash) != 64 {
		t.Fatalf("hash %q, size %d, error %v", hash, size, err)
	}
	if again, _, err := s.PutBlob(t.Context(), write(big)); err != nil || again != hash {
		t.Errorf("the same content is called %q, %v", again, err)
	}
	same(t, "content", must[[]byte](t)(readBlob(s, hash)), big)
	if st := s.Stats(); st.Blobs != 1 || st.BlobBytes != size {
		t.Errorf("stats: %+v", st)
	}
	own := errors.New("the caller gave up")
	if _, _, err := s.PutBlob(t.Context(), func(w io.Writer) error { _, _ = w.Write(big); return own }); !errors.Is(err, own) {
		t.Errorf("error of the caller: %v", err)
	}
	if st := s.Stats(); st.Blobs != 1 || st.ReadOnly != "" {
		t.Errorf("stats after a caller gave up: %+v", st)
	}
	for _, bad := range []string{"", "../../etc/passwd", hash[:63] + "g", hash[1:] + "0"} {
		if _, err := s.OpenBlob(bad); !errors.Is(err, run.ErrLost) {
			t.Errorf("blob %q: %v", bad, err)
		}
	}
}

func checkReferences(t *testing.T, s run.Store) {
	r := create(t, s, "search")
	put := func(tr run.Trial, content string) string {
		t.Helper()
		hash, _, err := s.PutBlob(t.Context(), write([]byte(content)))
		if err != nil {
			t.Fatal(err)
		}
		tr.Checkpoint = hash
		if err := s.PutTrial(t.Context(), tr, nil); err != nil {
			t.Fatal(err)
		}
		return hash
	}
	first := put(trial(r.ID, 0), "step 1")
	shared := put(trial(r.ID, 1), "step 1")
	same(t, "shared", first, shared)
	second := put(trial(r.ID, 0), "step 2")
	if _, err := readBlob(s, shared); err != nil {
		t.Errorf("a checkpoint that another trial names is gone: %v", err)
	}
	if again := put(trial(r.ID, 0), "step 2"); again != second {
		t.Error("the same checkpoint has two names")
	}
	if _, err := readBlob(s, second); err != nil {
		t.Errorf("a checkpoint stored twice is gone: %v", err)
	}
	before := trial(r.ID, 2)
	before.Earlier = put(trial(r.ID, 2), "the checkpoint before")
	put(before, "the newest")
	if _, err := readBlob(s, before.Earlier); err != nil {
		t.Errorf("the checkpoint before the newest is gone: %v", err)
	}
	put(trial(r.ID, 2), "the newest")
	if _, err := readBlob(s, before.Earlier); err == nil {
		t.Error("a checkpoint that was Earlier, and is named no more, is still there")
	}
	done := trial(r.ID, 0)
	done.Weights = put(trial(r.ID, 0), "weights")
	if err := s.PutTrial(t.Context(), done, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := readBlob(s, second); err == nil {
		t.Error("a checkpoint that nothing names is still there")
	}
	if _, err := readBlob(s, done.Weights); err != nil {
		t.Errorf("weights are gone: %v", err)
	}
}

func checkConcurrency(t *testing.T, s run.Store) {
	r := create(t, s, "search")
	for n := range 8 {
		if err := s.PutTrial(t.Context(), trial(r.ID, n), nil); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			tr := trial(r.ID, n)
			for i := range 20 {
				hash, _, err := s.PutBlob(t.Context(), write(fmt.Appendf(nil, "%d", i)))
				tr.Checkpoint, tr.Seconds = hash, float64(i)
				err = errors.Join(err, s.PutTrial(t.Context(), tr, []byte{byte(i)}),
					s.AddPoints(t.Context(), r.ID, n, []run.Point{{Series: "loss", Step: i, Value: float64(i)}}),
					s.AddEvents(t.Context(), []run.Event{{Run: r.ID, Trial: n, Text: fmt.Sprint(i)}}))
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	for n, tr := range must[[]run.Trial](t)(s.Trials(t.Context(), r.ID)) {
		if tr.Seconds != 19 {
			t.Errorf("trial %d stopped at %v", n, tr.Seconds)
		}
		if got, err := readBlob(s, tr.Checkpoint); err != nil || string(got) != "19" {
			t.Errorf("trial %d: checkpoint %q, %v", n, got, err)
		}
		points := must[[]run.Point](t)(s.Points(t.Context(), r.ID, n))
		if len(points) != 20 || points[19].Step != 19 {
			t.Errorf("trial %d has %d points", n, len(points))
		}
	}
	if e := must[[]run.Event](t)(s.Events(t.Context(), r.ID, 1000)); len(e) != 160 {
		t.Errorf("%d events", len(e))
	}
}

func checkContext(t *testing.T, s run.Store) {
	r := create(t, s, "search")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, err := range map[string]error{
		"trial":  s.PutTrial(ended, trial(r.ID, 0), nil),
		"points": s.AddPoints(ended, r.ID, 0, []run.Point{{}}),
		"events": s.AddEvents(ended, []run.Event{{}}),
		"run":    s.UpdateRun(ended, r),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := s.PutBlob(ended, write([]byte("x"))); !errors.Is(err, context.Canceled) {
		t.Errorf("blob: %v", err)
	}
	if got := must[[]run.Trial](t)(s.Trials(t.Context(), r.ID)); len(got) != 0 {
		t.Errorf("a trial was stored for an ended context: %v", got)
	}
	if st := s.Stats(); st.ReadOnly != "" || st.Blobs != 0 {
		t.Errorf("stats: %+v", st)
	}
}
