package runtest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"

	"flexi/core/run"
)

// KindName is the name of Kind.
const KindName = "fake"

// Kind is a run.Kind without models: a proposal is a random number that depends on all scores before it, a training adds up random numbers
// of the trial, step by step, and its checkpoint is the sum so far. So a run that lost, repeated or reordered anything ends with other
// numbers than one that did not. The hooks run on the job's own goroutines and may block, panic, or return an error.
type Kind struct {
	Steps     int // of each training
	SaveEvery int // steps between checkpoints that nobody asked for; 0: none
	// OnOpen, OnNext and OnStep come before opening, each proposal and each step; nil ones do nothing.
	OnOpen func(ctx context.Context) error
	OnNext func(ctx context.Context, trials []run.Trial) error
	OnStep func(ctx context.Context, t run.Trial, step int) error
	// Forgive lets a training begin while another of the same trial, which was given up, still runs.
	Forgive bool
	// Judge, if not nil, decides at half of each training's steps, where the sum is what it is worth; it is also measured as "sum".
	Judge func(trials []run.Trial, value float64) run.Rung
	// Freezable trainings end at a step when their search is frozen, and say by which rule.
	Freezable bool
	// Score makes the score of the sum; nil: the sum.
	Score func(t run.Trial, sum float64) float64

	mu       sync.Mutex
	training map[trialRef]bool
	finished map[trialRef]int
	wrong    []string
}

var (
	_ run.Kind       = (*Kind)(nil)
	_ run.Configurer = (*Kind)(nil)
	_ run.Changer    = (*job)(nil)
)

// Configure implements run.Configurer: the key budget is the run's, the key seed must stay while it goes on.
func (k *Kind) Configure(r run.Run, _ []*run.Trial, changes []string, going bool) (json.RawMessage, int, error) {
	config, err := run.Patch(r.Config, changes)
	if err != nil {
		return nil, 0, err
	}
	was, is := settings{Budget: r.Budget}, settings{Budget: r.Budget}
	if err := errors.Join(json.Unmarshal(r.Config, &was), json.Unmarshal(config, &is)); err != nil {
		return nil, 0, err
	}
	if going && was.Seed != is.Seed {
		return nil, 0, errors.New("seed cannot change in a run that goes on")
	}
	return config, is.Budget, nil
}

// FreezeRule implements run.Freezer: "" becomes "own", "wrong" is refused.
func (k *Kind) FreezeRule(_ run.Run, _ run.Trial, rule string) (string, error) {
	switch {
	case !k.Freezable:
		return "", nil
	case rule == "wrong":
		return "", errors.New("there is no such rule")
	}
	return cmp.Or(rule, "own"), nil
}

type settings struct{ Budget, Seed int }

// Name implements run.Kind.
func (k *Kind) Name() string { return KindName }

// Wrong are broken promises of the controller: a trial trained twice at once or again after it ended, calls on a closed job.
func (k *Kind) Wrong() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.wrong)
}

func (k *Kind) complain(format string, args ...any) {
	k.wrong = append(k.wrong, fmt.Sprintf(format, args...))
}

// enter notes that a training begins, and returns what to call at its end.
func (k *Kind) enter(t run.Trial) func(finished bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.training == nil {
		k.training, k.finished = map[trialRef]bool{}, map[trialRef]int{}
	}
	ref := trialRef{t.Run, t.ID}
	if k.training[ref] && !k.Forgive {
		k.complain("trial %d of %s is trained twice at once", t.ID, t.Run)
	}
	if k.finished[ref] > 0 {
		k.complain("trial %d of %s is trained again", t.ID, t.Run)
	}
	k.training[ref] = true
	return func(finished bool) {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.training[ref] = false
		if finished {
			k.finished[ref]++
		}
	}
}

// Open implements run.Kind.
func (k *Kind) Open(ctx context.Context, r run.Run, trials []run.Trial, state []byte) (run.Job, error) {
	if k.OnOpen != nil {
		if err := k.OnOpen(ctx); err != nil {
			return nil, err
		}
	}
	j := &job{kind: k, run: r, random: rand.NewPCG(r.Seed, 0)}
	if state != nil {
		if err := j.random.UnmarshalBinary(state); err != nil {
			return nil, err
		}
		return j, nil
	}
	for range trials { // of the run this one was branched from
		j.random.Uint64()
	}
	return j, nil
}

type job struct {
	kind   *Kind
	run    run.Run
	random *rand.PCG
	mu     sync.Mutex // held while the job thinks; a second holder is the controller's mistake
	closed bool
}

func (j *job) think(what string) func() {
	if !j.mu.TryLock() {
		j.kind.mu.Lock()
		j.kind.complain("%s while the job thinks", what)
		j.kind.mu.Unlock()
		j.mu.Lock()
	}
	if j.closed {
		j.kind.mu.Lock()
		j.kind.complain("%s on a closed job", what)
		j.kind.mu.Unlock()
	}
	return j.mu.Unlock
}

// Next implements run.Job.
func (j *job) Next(ctx context.Context, trials []run.Trial) (run.Trial, error) {
	defer j.think("Next")()
	if j.kind.OnNext != nil {
		if err := j.kind.OnNext(ctx, trials); err != nil {
			return run.Trial{}, err
		}
	}
	x := float64(j.random.Uint64()>>11) / (1 << 53)
	if j.run.Workers == 1 { // with more, the scores known by now depend on time
		for _, t := range trials {
			if t.Score != nil {
				x += *t.Score
			}
		}
	}
	for _, hash := range j.run.Pinned {
		if !slices.ContainsFunc(trials, func(t run.Trial) bool { return t.Hash == hash }) {
			if err := json.Unmarshal([]byte(hash), &x); err != nil {
				return run.Trial{}, err
			}
			break
		}
	}
	arch, err := json.Marshal(x)
	return run.Trial{
		Hash: string(arch), Arch: arch, Title: fmt.Sprintf("x = %.3f", x), Why: "at random", Params: int64(1e6 * (x - float64(int(x)))), Level: 1, Parent: -1,
		Predict: &run.Prediction{Mean: x},
	}, err
}

// Change implements run.Changer.
func (j *job) Change(r run.Run) error {
	defer j.think("Change")()
	j.run = r
	return nil
}

// State implements run.Job.
func (j *job) State() ([]byte, error) {
	defer j.think("State")()
	return j.random.MarshalBinary()
}

// View implements run.Job.
func (j *job) View() *run.Surrogate {
	defer j.think("View")()
	return &run.Surrogate{Candidates: []run.Candidate{{Title: "a guess"}}}
}

// Inspect implements run.Job.
func (j *job) Inspect(t run.Trial, trials []run.Trial) (run.Inspection, error) {
	defer j.think("Inspect")()
	return run.Inspection{Hash: t.Hash, Title: t.Title, Params: t.Params, Graph: []string{fmt.Sprint(len(trials), " trials")}}, nil
}

// Close implements run.Job.
func (j *job) Close() error {
	defer j.think("Close")()
	j.closed = true
	return nil
}

// progress is a checkpoint.
type progress struct {
	Step int
	Sum  float64
}

// Train implements run.Job.
func (j *job) Train(ctx context.Context, t run.Trial, w run.Worker) (run.Result, error) {
	finished := false
	leave := j.kind.enter(t)
	defer func() { leave(finished) }()
	p, err := load(t, w)
	if err != nil {
		return run.Result{}, err
	}
	save := func() error {
		return w.Save(ctx, func(out io.Writer) error { return json.NewEncoder(out).Encode(p) })
	}
	for p.Step < j.kind.Steps && w.Frozen() == "" {
		if w.ShouldPause() {
			if err := save(); err != nil {
				return run.Result{}, err
			}
			return run.Result{}, run.ErrPaused
		}
		if err := j.step(ctx, t, &p); err != nil {
			return run.Result{}, err
		}
		if err := j.halfway(ctx, w, p); err != nil {
			return run.Result{}, err
		}
		w.Points(run.Point{Series: "sum", Step: p.Step, Value: p.Sum})
		w.Progress(run.Progress{Phase: "adding", Step: p.Step, Steps: j.kind.Steps, Loss: p.Sum})
		if j.kind.SaveEvery > 0 && p.Step%j.kind.SaveEvery == 0 && p.Step < j.kind.Steps {
			if err := save(); err != nil {
				return run.Result{}, err
			}
		}
	}
	finished = true
	detail, err := json.Marshal(w.Frozen())
	if err != nil {
		return run.Result{}, err
	}
	score := p.Sum
	if j.kind.Score != nil {
		score = j.kind.Score(t, p.Sum)
	}
	return run.Result{Score: score, Scores: map[string]float64{"sum": p.Sum}, Detail: detail, Parent: -1, Weights: func(out io.Writer) error { return json.NewEncoder(out).Encode(p) }}, nil
}

func (j *job) halfway(ctx context.Context, w run.Worker, p progress) error {
	if j.kind.Judge == nil || p.Step != j.kind.Steps/2 {
		return nil
	}
	if err := w.Measured(ctx, map[string]float64{"sum": p.Sum}); err != nil {
		return err
	}
	rung, err := w.Reached(ctx, "half", p.Sum, func(trials []run.Trial) run.Rung { return j.kind.Judge(trials, p.Sum) })
	if err == nil && !rung.Kept {
		err = run.Enough("%d of %d", rung.Rank, rung.Of)
	}
	return err
}

func load(t run.Trial, w run.Worker) (p progress, err error) {
	if t.Checkpoint == "" {
		return p, nil
	}
	f, err := w.Open(t.Checkpoint)
	if err != nil {
		return p, err
	}
	defer f.Close()
	return p, json.NewDecoder(f).Decode(&p)
}

func (j *job) step(ctx context.Context, t run.Trial, p *progress) error {
	if j.kind.OnStep != nil {
		if err := j.kind.OnStep(ctx, t, p.Step); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	// Not a sum that any order of steps gives.
	p.Sum = p.Sum/2 + rand.New(rand.NewPCG(j.run.Seed, uint64(t.ID)<<32|uint64(p.Step))).Float64()
	p.Step++
	return nil
}
