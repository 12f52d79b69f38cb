package kern

import (
	"math/rand/v2"
	"testing"
	"time"
)

// A product must not be faster than the peak, or the peak is no peak. Other programs may slow a measurement down, so it gets three tries.
func TestPeakBoundsGemm(t *testing.T) {
	forEachLevel(t, func(t *testing.T, table *Table) {
		pool := NewPool(1)
		defer pool.Close()
		const n = 192
		p := randomProduct(rand.New(rand.NewPCG(1, 2)), n, n, n, false, true, false, 0)
		var peak, reached float64
		for range 3 {
			peak = table.PeakFlops(pool, false)
			start := time.Now()
			table.Gemm(pool, p.Gemm)
			reached = 2 * n * n * n / time.Since(start).Seconds()
			if reached <= 1.1*peak {
				t.Logf("%.1f of %.1f GFLOP/s", reached/1e9, peak/1e9)
				return
			}
		}
		t.Errorf("a product reaches %.1f GFLOP/s, above the peak of %.1f", reached/1e9, peak/1e9)
	})
}

func BenchmarkPeak(b *testing.B) {
	for _, level := range Levels() {
		table, err := For(level)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(level.String(), func(b *testing.B) {
			pool := NewPool(1)
			defer pool.Close()
			best := 0.0
			for b.Loop() {
				best = max(best, table.PeakFlops(pool, false))
			}
			b.ReportMetric(best/1e9, "GFLOP/s")
		})
	}
}
