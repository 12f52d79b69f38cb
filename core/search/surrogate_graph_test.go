package search

import (
	"math"
	"testing"
)

// Both kinds of surrogate can be trained.
var (
	_ trainable = (*mlp)(nil)
	_ trainable = (*npn)(nil)
)

// TestGraphGradientEqualsBackward compares two independent derivations: Gorgonia's and ours, over a padded batch, before and after a
// parameter update and with the row weights that training uses.
func TestGraphGradientEqualsBackward(t *testing.T) {
	for name, n := range map[string]trainable{
		"student": newMLP(seeded(1), 5, 0), "teacher": newMLP(seeded(2), 5, teacherDropout), "npn": roughNPN(5),
	} {
		t.Run(name, func(t *testing.T) {
			const rows, used = 7, 4
			g, err := n.graph(rows)
			if err != nil {
				t.Fatal(err)
			}
			defer g.close()
			for round := range 3 {
				got, want := zerosLike(n.params()), zerosLike(n.params())
				loss := fillBatch(n, g, used, uint64(round), want)
				graphLoss, err := g.run(got)
				if err != nil {
					t.Fatal(err)
				}
				if math.Abs(graphLoss-loss) > 1e-10*(1+math.Abs(loss)) {
					t.Errorf("round %d: loss %g, by hand %g", round, graphLoss, loss)
				}
				for p := range want {
					for i := range want[p] {
						if math.Abs(got[p][i]-want[p][i]) > 1e-9*(1+math.Abs(want[p][i])) {
							t.Fatalf("round %d: gradient of %d[%d] %g, by hand %g", round, p, i, got[p][i], want[p][i])
						}
					}
					addScaled(n.params()[p], -0.05, want[p])
				}
				if r, ok := n.(interface{ refresh() }); ok {
					r.refresh()
				}
			}
		})
	}
}

// fillBatch puts random rows into the graph and accumulates the same by hand, scaled by the row weight.
func fillBatch(n trainable, g *batchGraph, used int, seed uint64, grads [][]float64) float64 {
	rng := seeded(seed)
	var total float64
	for i := range g.rows {
		g.weight[i] = 0
	}
	for i := range used {
		x, y := normals(rng, g.in), rng.Float64()
		mask := make([]float64, n.maskSize())
		drawMask(rng, teacherDropout, mask)
		g.setRow(i, x, y, 0.25, mask)
		own := zerosLike(n.params())
		var m []float64
		if len(mask) > 0 {
			m = mask
		}
		total += 0.25 * n.accumulate(x, y, m, own)
		for p := range own {
			addScaled(grads[p], 0.25, own[p])
		}
	}
	return total
}

func benchmarkGradient(b *testing.B, n trainable, rows int, byGraph bool) {
	g, err := n.graph(rows)
	if err != nil {
		b.Fatal(err)
	}
	defer g.close()
	grads := zerosLike(n.params())
	x, mask := normals(seeded(4), g.in), make([]float64, n.maskSize())
	for b.Loop() {
		for i := range rows {
			if byGraph {
				g.setRow(i, x, 0.5, 1, mask)
			} else {
				n.accumulate(x, 0.5, nil, grads)
			}
		}
		if byGraph {
			if _, err := g.run(grads); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*rows), "us/row")
}

// BenchmarkGradient is the measurement behind training batches on Gorgonia and single samples by hand.
func BenchmarkGradient(b *testing.B) {
	for _, net := range []struct {
		name string
		n    trainable
	}{{"mlp", newMLP(seeded(1), 16, teacherDropout)}, {"npn", roughNPN(16)}} {
		for _, c := range []struct {
			name  string
			rows  int
			graph bool
		}{{"graph1", 1, true}, {"hand1", 1, false}, {"graph32", 32, true}, {"hand32", 32, false}, {"graph128", 128, true}} {
			b.Run(net.name+"/"+c.name, func(b *testing.B) { benchmarkGradient(b, net.n, c.rows, c.graph) })
		}
	}
}
