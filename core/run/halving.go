package run

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Rung is a place in a training where it is compared with the others that came there.
type Rung struct {
	Name  string
	Value float64 // larger is better
	// Rank and Of say how it stood among those that had come by then; Kept whether it went on.
	Rank, Of int
	Kept     bool
}

// Enough ends a training before its end, for a reason that people read. It is no failure: the trial is stopped, and its place in the budget is used.
func Enough(format string, args ...any) error { return enoughError(fmt.Sprintf(format, args...)) }

type enoughError string

func (e enoughError) Error() string { return string(e) }

func isEnough(err error) bool {
	_, ok := errors.AsType[enoughError](err)
	return ok
}

// At is the trial's rung of a name, nil if it has not come there.
func (t *Trial) At(name string) *Rung {
	for i := range t.Rungs {
		if t.Rungs[i].Name == name {
			return &t.Rungs[i]
		}
	}
	return nil
}

// Measured makes what was measured of the training durable.
func (w *worker) Measured(ctx context.Context, measures map[string]float64) error {
	return w.change(ctx, func(t *Trial) { t.Measures = measures }, func() {})
}

// Reached makes a rung durable, decided by judge, which sees all of the run's trials. A training that comes there again, from an earlier checkpoint, meets the
// decision that was made.
func (w *worker) Reached(ctx context.Context, name string, value float64, judge func(trials []Trial) Rung) (Rung, error) {
	var rung Rung
	err := w.change(ctx, func(t *Trial) {
		if old := t.At(name); old != nil {
			rung = *old
			return
		}
		others := w.a.history()
		rung = judge(others)
		rung.Name, rung.Value = name, value
		t.Rungs = append(slices.Clip(t.Rungs), rung)
	}, func() {})
	return rung, err
}
