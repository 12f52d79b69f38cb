package run

import (
	"context"
	"sync"
	"time"
)

// Activity is a long step of a run beside its trainings: reading, tokenising, embedding, fitting.
type Activity struct {
	What        string
	Done, Total int // in the step's own units; Total is 0 if it cannot be told
	Since       time.Time
	Rate        float64       // units per second since it began; 0 if unknown
	Left        time.Duration // at that rate; 0 if unknown
}

// activities is where a job's reports arrive; they come from its own goroutines.
type activities struct {
	clock func() time.Time

	mu  sync.Mutex
	now Activity
}

type activitiesKey struct{}

func (a *activities) within(ctx context.Context) context.Context {
	return context.WithValue(ctx, activitiesKey{}, a)
}

// Report tells viewers how far a long step of Kind.Open or Job.Next has come; ctx is the one these were called with. Without a receiver it does nothing.
func Report(ctx context.Context, what string, done, total int) {
	a, ok := ctx.Value(activitiesKey{}).(*activities)
	if !ok {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.now.What != what {
		a.now = Activity{What: what, Since: a.clock()}
	}
	a.now.Done, a.now.Total = done, total
}

// view is the step as it stands; What is "" if there is none. It reads the clock beside the step: a time taken before the last report gives a wrong rate.
func (a *activities) view() Activity {
	if a == nil {
		return Activity{}
	}
	a.mu.Lock()
	v, now := a.now, a.clock()
	a.mu.Unlock()
	if seconds := now.Sub(v.Since).Seconds(); seconds > 0 && v.Done > 0 {
		v.Rate = float64(v.Done) / seconds
		if v.Total > v.Done {
			v.Left = time.Duration(float64(v.Total-v.Done) / v.Rate * float64(time.Second))
		}
	}
	return v
}
