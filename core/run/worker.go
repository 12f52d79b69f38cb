package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// worker is what a training sees of its slot.
type worker struct {
	c       *Controller
	a       *active
	slot    *slot
	trial   int
	began   time.Time
	spent   float64 // seconds of earlier sessions
	threads int
	slots   int

	frozen atomic.Pointer[string] // Trial.Frozen
	cancel context.CancelFunc
	leave  func()        // Shutdown no longer waits for it
	given  atomic.Bool   // it was given up: what it still does has no effect
	signed atomic.Bool   // since the loop's last look
	silent time.Duration // since the last sign, as far as the loop saw; owned by the loop
}

var _ Worker = (*worker)(nil)

func (w *worker) Slot() int    { return w.slot.id }
func (w *worker) Slots() int   { return w.slots }
func (w *worker) Threads() int { return w.threads }

// ShouldPause is asked at every step, so it is the sign of life.
func (w *worker) ShouldPause() bool {
	w.sign()
	return w.given.Load() || w.a.pause.Load()
}

func (w *worker) Frozen() string { return *w.frozen.Load() }

func (w *worker) sign() { w.signed.Store(true) }

// quiet adds to the time without a sign of life, which a sign ends.
func (w *worker) quiet(gap time.Duration) time.Duration {
	w.silent += gap
	if w.signed.Swap(false) {
		w.silent = 0
	}
	return w.silent
}

func (w *worker) seconds() float64 { return w.spent + max(0, w.c.opts.Clock().Sub(w.began).Seconds()) }

// Progress replaces the progress line; the loop's next snapshot shows it.
func (w *worker) Progress(p Progress) {
	w.sign()
	if w.given.Load() {
		return
	}
	w.slot.mu.Lock()
	defer w.slot.mu.Unlock()
	if w.slot.progress.Step == 0 && p.Step > 0 {
		w.slot.skipped = p.Step - 1
	}
	w.slot.progress = p
	if finite(p.Loss) {
		w.slot.losses = append(w.slot.losses[max(0, len(w.slot.losses)-lossesKept+1):], p.Loss)
	}
}

func (w *worker) Points(p ...Point) {
	w.sign()
	if w.given.Load() {
		return
	}
	if err := w.c.store.AddPoints(w.c.ctx, w.a.ID, w.trial, p); err != nil {
		w.c.log.Error("store curve", "run", w.a.ID, "trial", w.trial, "err", err)
	}
}

func (w *worker) Event(kind, text string) {
	// A line that comes after the end has no reader.
	_ = w.c.do(w.c.ctx, func() {
		if !w.given.Load() {
			w.c.event(w.a, w.trial, kind, text)
		}
	})
}

// Save stores the checkpoint's file first and its record second.
func (w *worker) Save(ctx context.Context, write func(io.Writer) error) error {
	hash, _, err := w.c.store.PutBlob(ctx, write)
	if err != nil {
		return err
	}
	return w.change(ctx, func(t *Trial) {
		if hash != t.Checkpoint {
			t.Checkpoint, t.Earlier = hash, t.Checkpoint
		}
		t.Seconds = w.seconds()
	}, w.tellSave)
}

var errGivenUp = errors.New("the training was given up")

// change applies f to the trial in training, makes it durable, and then tells.
func (w *worker) change(ctx context.Context, f func(*Trial), tell func()) error {
	w.sign()
	var stored error
	if err := w.c.do(ctx, func() {
		if w.given.Load() {
			stored = errGivenUp
			return
		}
		t := *w.a.trials[w.trial]
		f(&t)
		if stored = w.c.store.PutTrial(w.c.ctx, t, nil); stored == nil {
			w.a.set(t)
			w.c.changed = true
			tell()
		}
	}); err != nil {
		return err
	}
	return stored
}

// tellSave writes one line for all checkpoints of a minute.
func (w *worker) tellSave() {
	s, now := w.slot, w.c.opts.Clock()
	s.saves++
	if !passed(now, s.savesTold, checkpointLines) {
		return
	}
	text := "saved"
	if s.saves > 1 {
		text = fmt.Sprintf("saved %d times", s.saves)
	}
	s.saves, s.savesTold = 0, now
	w.c.event(w.a, w.trial, "checkpoint", text)
}

func (w *worker) Open(blob string) (io.ReadCloser, error) { return w.c.store.OpenBlob(blob) }
