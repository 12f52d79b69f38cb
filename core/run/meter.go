package run

import (
	"math"
	"time"
)

// Meter is a running average of tokens per second.
type Meter struct {
	start  time.Time
	last   time.Time
	tokens float64
}

// meterWindow is the time constant of the average.
const meterWindow = 5 * time.Second

// Add counts tokens that were done now, and returns the rate.
func (m *Meter) Add(tokens int) float64 {
	now := time.Now()
	if m.last.IsZero() {
		m.start, m.last = now, now
		return 0
	}
	dt := now.Sub(m.last).Seconds()
	m.last = now
	keep := math.Exp(-dt / meterWindow.Seconds())
	m.tokens = m.tokens*keep + float64(tokens)
	return m.tokens / (meterWindow.Seconds() * (1 - math.Exp(-now.Sub(m.start).Seconds()/meterWindow.Seconds())))
}
