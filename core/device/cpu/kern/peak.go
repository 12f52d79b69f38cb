package kern

import "time"

// A sample is long enough for the clock frequency to settle, and the best of a few is hardly disturbed by other programs.
const (
	peakSamples    = 5
	peakSampleTime = 20 * time.Millisecond
)

// PeakFlops measures the operations per second (a multiply-add is two) that the multiply-add units of p's threads reach together at this level, in
// float32 or in bfloat16, with operands in registers: what a matrix product is compared with. It takes about a tenth of a second.
func (t *Table) PeakFlops(p *Pool, bf16 bool) float64 {
	s := t.tileSet(bf16)
	rounds := s.calibrate()
	flopPerRound := 2 * float64(s.rows*s.columns*s.perWord)
	best := 0.0
	for range peakSamples {
		start := time.Now()
		p.ParallelFor(p.Threads(), func(int, int) { s.peak(rounds) })
		flop := flopPerRound * float64(rounds) * float64(p.Threads())
		best = max(best, flop/time.Since(start).Seconds())
	}
	return best
}

// calibrate is the number of rounds that take about one sample's time.
func (s *tileSet) calibrate() int {
	for rounds := 1024; ; rounds *= 2 {
		start := time.Now()
		s.peak(rounds)
		if time.Since(start) >= peakSampleTime {
			return rounds
		}
	}
}
