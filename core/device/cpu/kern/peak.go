package kern

import "time"

// A sample is long enough for the clock frequency to settle, and the best of a few is hardly disturbed by other programs.
const (
	peakSamples    = 5
	peakSampleTime = 20 * time.Millisecond
)

// PeakFlops measures the float32 operations per second (a multiply-add is two) that the multiply-add units of p's threads reach together
// at this level, with operands in registers: what a matrix product is compared with. It takes about a tenth of a second.
func (t *Table) PeakFlops(p *Pool) float64 {
	rounds := t.calibrate()
	flopPerRound := 2 * float64(t.tiles.rows*t.tiles.columns)
	best := 0.0
	for range peakSamples {
		start := time.Now()
		p.ParallelFor(p.Threads(), func(int, int) { t.tiles.peak(rounds) })
		flop := flopPerRound * float64(rounds) * float64(p.Threads())
		best = max(best, flop/time.Since(start).Seconds())
	}
	return best
}

// calibrate is the number of rounds that take about one sample's time.
func (t *Table) calibrate() int {
	for rounds := 1024; ; rounds *= 2 {
		start := time.Now()
		t.tiles.peak(rounds)
		if time.Since(start) >= peakSampleTime {
			return rounds
		}
	}
}
