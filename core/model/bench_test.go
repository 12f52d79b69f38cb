package model

import (
	"context"
	"math/rand/v2"
	"runtime"
	"testing"
)

// benchmarkBatch is random tokens without padding, 15% of them picked.
func benchmarkBatch(vocab, rows, seq int) Batch {
	rng := rand.New(rand.NewPCG(1, 2))
	b := Batch{B: rows, T: seq, Segments: make([]int32, rows*seq)}
	for range rows * seq {
		b.IDs = append(b.IDs, rng.Int32N(int32(vocab)))
	}
	for range rows {
		b.Lengths = append(b.Lengths, int32(seq))
	}
	for _, p := range rng.Perm(rows * seq)[:max(1, (15*rows*seq+50)/100)] {
		b.Picked = append(b.Picked, int32(p))
		b.Labels = append(b.Labels, rng.Int32N(int32(vocab)))
	}
	return b
}

func benchmarkNet(tb testing.TB, name string, vocab, threads int) *Net {
	tb.Helper()
	a, err := Reference(name)
	if err != nil {
		tb.Fatal(err)
	}
	n, err := NewNet(newDevice(tb, threads), a, DefaultConfig(vocab), Objective{Kind: MaskedLM}, 1)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(n.Close)
	return n
}

// Forward and backward pass with dropout, without the optimiser.
func BenchmarkGradients(b *testing.B) {
	for _, name := range []string{"bert-mini", "flexibert-mini", "conv-mini", "fourier-mini", "wma-mini"} {
		b.Run(name, func(b *testing.B) {
			n := benchmarkNet(b, name, 30522, runtime.NumCPU())
			batch := benchmarkBatch(30522, 32, 128)
			step := 0
			run := func() {
				if _, err := n.Gradients(context.Background(), batch, 1, step); err != nil {
					b.Fatal(err)
				}
				step++
			}
			run()
			for b.Loop() {
				run()
			}
			b.ReportMetric(n.FLOP(32, 128, len(batch.Picked))*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
	}
}

// Building the graph of a new batch size, differentiating and planning it.
func BenchmarkCompile(b *testing.B) {
	for _, name := range []string{"bert-mini", "bert-base"} {
		b.Run(name, func(b *testing.B) {
			n := benchmarkNet(b, name, 97, 1)
			for b.Loop() {
				if _, err := n.compile(size{mode: training, B: 32, T: 128, rows: 614}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
