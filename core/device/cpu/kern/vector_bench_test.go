package kern

import (
	"math/rand/v2"
	"testing"
)

// BenchmarkVector runs each kernel on 4096 elements, which stay in the cache; the metric is elements per nanosecond.
func BenchmarkVector(b *testing.B) {
	const n = 4096
	r := rand.New(rand.NewPCG(1, 2))
	x, y, z, w := randomFloats(r, n), randomFloats(r, n), make([]float32, n), make([]float32, n)
	c := NewAdamW(1e-3, 0.9, 0.999, 1e-8, 0.01, 1, 1)
	for _, level := range Levels() {
		t, err := For(level)
		if err != nil {
			b.Fatal(err)
		}
		for _, kernel := range []struct {
			name string
			run  func()
		}{
			{"exp", func() { t.Exp(w, x) }},
			{"erf", func() { t.Erf(w, x) }},
			{"tanh", func() { t.Tanh(w, x) }},
			{"gelu", func() { t.GELU(w, x) }},
			{"geluGrad", func() { t.GELUGrad(w, x, y) }},
			{"add", func() { t.Add(w, x, y) }},
			{"dropout", func() { t.Dropout(w, x, 1, 2, 1<<30, 2) }},
			{"sum", func() { t.Sum(x) }},
			{"dot", func() { t.Dot(x, y) }},
			{"sumSquares", func() { t.SumSquares(x) }},
			{"softmax", func() { t.Softmax(w, x, 1) }},
			{"meanVar", func() { t.MeanVar(x) }},
			{"normalize", func() { t.Normalize(w, x, y, z, 0, 1) }},
			{"normGrad", func() { t.NormGrad(w, x, y, z, 0, 1) }},
			{"adamW", func() { t.AdamW(w, x, y, z, &c) }},
		} {
			b.Run(level.String()+"/"+kernel.name, func(b *testing.B) {
				for b.Loop() {
					kernel.run()
				}
				b.ReportMetric(n*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "elements/ns")
			})
		}
	}
}
