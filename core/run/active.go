package run

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// active is one run in the controller's hands. Only the controller's goroutine touches it, except for the fields that say otherwise.
type active struct {
	Run
	trials []*Trial // replaced, never changed in place: snapshots share them
	job    *openJob // nil while the run is not open

	ctx      context.Context // ends trainings and proposals
	cancel   context.CancelFunc
	pause    atomic.Bool   // read by workers
	halted   chan struct{} // closed when pause becomes true
	slots    []*slot
	thinking string
	doing    *activities // reports of what it thinks; nil while it does not
	opening  bool
	waiting  bool // Next said ErrWait; cleared by a result
	spent    bool // Next said ErrDone
	results  int  // trainings that ended, to see whether one did while Next thought

	room int // trainings at once that the device has memory for, as far as was found out; 0: all workers

	standing
	events      []Event
	surrogate   *Surrogate
	viewStored  time.Time // when surrogate was last given to the store
	lastCommand Command   // the newest accepted one, for "already pausing"
	seen        map[string]Reply
	since       time.Time // when the state became Running
}

// slot is a place where one trial trains at a time.
type slot struct {
	id    int
	trial int // -1 when idle
	since time.Time

	mu       sync.Mutex // guards what the training goroutine writes
	progress Progress
	skipped  int // steps that earlier sessions made
	losses   []float64

	worker *worker // of the training, nil while there is none; owned by the loop

	saves     int       // checkpoints since the last line about them; owned by the loop
	savesTold time.Time // when that line was written
}

// begin occupies the slot.
func (s *slot) begin(trial int, now time.Time, w *worker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.worker = w
	s.trial, s.since, s.progress, s.skipped, s.losses = trial, now, Progress{Phase: "starting"}, 0, nil
	s.saves, s.savesTold = 0, time.Time{}
}

// end frees the slot.
func (s *slot) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trial, s.worker = -1, nil
}

func (s *slot) view(now time.Time) WorkerView {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := WorkerView{Slot: s.id, Trial: s.trial, Since: s.since, Progress: s.progress, Losses: slices.Clone(s.losses)}
	if p := s.progress; s.trial >= 0 && p.Step > s.skipped && p.Steps > 0 {
		v.ETA = time.Duration(float64(max(0, now.Sub(s.since))) / float64(p.Step-s.skipped) * float64(p.Steps-p.Step))
	}
	return v
}

func newActive(r Run, trials []Trial) *active {
	a := &active{Run: r, seen: map[string]Reply{}, halted: make(chan struct{})}
	for i := range trials {
		a.trials = append(a.trials, &trials[i])
	}
	a.standing = standingOf(a.trials, r.goals())
	return a
}

// askToPause tells the workers to stop at the next step boundary, and those who wait to try again.
func (a *active) askToPause() {
	if !a.pause.Swap(true) {
		close(a.halted)
	}
}

// set replaces a trial and brings the totals up to date.
func (a *active) set(t Trial) {
	a.trials = slices.Clone(a.trials)
	if t.ID == len(a.trials) {
		a.trials = append(a.trials, nil)
	}
	a.count(a.trials[t.ID], &t, a.goals())
	a.trials[t.ID] = &t
}

// history is a copy for the job.
func (a *active) history() []Trial {
	out := make([]Trial, len(a.trials))
	for i, t := range a.trials {
		out[i] = *t
	}
	return out
}

// passed reports whether a time has passed since then, which may lie in the future of a clock that was set back.
func passed(now, then time.Time, d time.Duration) bool { return now.Sub(then) >= d || now.Before(then) }

// endTime is the time for a trial that ends now: later than that of all that ended before, also when the clock was set back, because their order is told
// by their times.
func (a *active) endTime(now time.Time) time.Time {
	for _, t := range a.trials {
		if !now.After(t.Ended) {
			now = t.Ended.Add(time.Nanosecond)
		}
	}
	return now
}

// busy counts trainings.
func (a *active) busy() int {
	n := 0
	for _, s := range a.slots {
		if s.trial >= 0 {
			n++
		}
	}
	return n
}

// training counts the slots whose training is under way; others may wait to try again.
func (a *active) training() int {
	n := 0
	for _, s := range a.slots {
		if s.worker != nil {
			n++
		}
	}
	return n
}

func (a *active) idleSlot() *slot {
	for _, s := range a.slots {
		if s.trial < 0 {
			return s
		}
	}
	return nil
}

// nextQueued is the first trial that waits for a worker.
func (a *active) nextQueued() *Trial {
	for _, t := range a.trials {
		if (t.State == Queued || t.State == Paused) && !a.assigned(t.ID) {
			return t
		}
	}
	return nil
}

func (a *active) assigned(trial int) bool {
	return slices.ContainsFunc(a.slots, func(s *slot) bool { return s.trial == trial })
}

// wantsMore reports whether another proposal is due: failed trials are replaced, up to a limit.
func (a *active) wantsMore() bool {
	if a.spent {
		return false
	}
	if a.Budget == 0 {
		return true
	}
	return len(a.trials)-a.failed < a.Budget && len(a.trials) < a.Budget*maxFailedShare+firstFailures
}

func (a *active) eta(now time.Time, workers []WorkerView) time.Duration {
	ended := float64(a.done + a.stopped)
	if a.State != Running || a.Budget == 0 || ended == 0 || len(workers) == 0 {
		return 0
	}
	var seconds float64
	for _, t := range a.trials {
		if t.State == Done || t.State == Stopped {
			seconds += t.Seconds
		}
	}
	left := (float64(a.Budget) - ended) * seconds / ended
	for _, w := range workers {
		if w.Trial >= 0 && w.Steps > 0 {
			left -= seconds / ended * float64(w.Step) / float64(w.Steps)
		}
	}
	return time.Duration(max(left, 0) / float64(len(workers)) * float64(time.Second))
}

func (a *active) view(now time.Time) RunView {
	v := RunView{
		Run: a.Run, Trials: a.trials, Done: a.done, FailedN: a.failed, StoppedN: a.stopped, Best: a.bestID(), BestSoFar: a.bestSoFar, Frontier: a.frontierIDs(),
		Events: a.events, Surrogate: a.surrogate, Thinking: a.thinking,
	}
	if a.thinking != "" {
		v.Activity = a.doing.view()
	}
	if a.State == Running || a.State == Pausing || a.State == Stopping {
		v.Seconds += max(0, now.Sub(a.since).Seconds())
		for _, s := range a.slots {
			v.Workers = append(v.Workers, s.view(now))
		}
	}
	v.ETA = a.eta(now, v.Workers)
	return v
}
