package search

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/stat"
)

// spy is a network of one parameter that records what training does with it.
type spy struct {
	w                []float64
	trained, checked map[float64]int // by target
	lossAt           float64         // what loss returns
	masks            int
}

func (s *spy) params() [][]float64 { return [][]float64{s.w} }
func (s *spy) refresh()            {}
func (s *spy) maskSize() int       { return 4 }
func (s *spy) accumulate(_ []float64, y float64, mask []float64, grads [][]float64) float64 {
	s.trained[y]++
	s.masks += len(mask)
	grads[0][0]++
	return 1
}

func (s *spy) loss(_ []float64, y float64) float64 {
	s.checked[y]++
	return s.lossAt
}

func (s *spy) graph(int) (*batchGraph, error) { return nil, errors.New("a spy has no graph") }

func spySamples(n int) samples {
	var s samples
	for i := range n {
		s.x, s.y = append(s.x, []float64{0}), append(s.y, float64(i))
	}
	return s
}

// TestTrainingKeepsOneSplit: one fit holds the same fifth out in every epoch, and stops by the rule (B14).
func TestTrainingKeepsOneSplit(t *testing.T) {
	n := &spy{w: []float64{0}, trained: map[float64]int{}, checked: map[float64]int{}, lossAt: 1}
	plan := schedule{batch: 1, epochs: 200, optimizer: newSGD(0.5)}
	if _, err := trainNet(context.Background(), n, spySamples(25), plan, seeded(1)); err != nil {
		t.Fatal(err)
	}
	if len(n.trained) != 20 || len(n.checked) != 5 {
		t.Fatalf("%d samples were trained on and %d held out", len(n.trained), len(n.checked))
	}
	for y, count := range n.trained {
		// A constant validation loss does not fall from the second epoch on; the rule needs more than 10 epochs.
		if count != 11 || n.checked[y] != 0 {
			t.Errorf("sample %g: trained %d times, validated %d times", y, count, n.checked[y])
		}
	}
	if n.w[0] != -0.5*11*20 || n.masks != 4*11*20 {
		t.Errorf("parameter %g, %d mask entries", n.w[0], n.masks)
	}
}

func TestTrainingBoundsAndDivergence(t *testing.T) {
	plan := schedule{batch: 1, epochs: 50, updates: 7, optimizer: newSGD(1)}
	n := &spy{w: []float64{0}, trained: map[float64]int{}, checked: map[float64]int{}, lossAt: 1}
	if _, err := trainNet(context.Background(), n, spySamples(3), plan, seeded(1)); err != nil {
		t.Fatal(err)
	}
	if n.w[0] != -9 { // three epochs of three: the bound is looked at between epochs
		t.Errorf("%g updates, want 9", -n.w[0])
	}
	n.lossAt = math.NaN()
	if _, err := trainNet(context.Background(), n, spySamples(10), plan, seeded(1)); !errors.Is(err, errDiverged) {
		t.Errorf("a loss of NaN gives %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := trainNet(ctx, n, spySamples(3), plan, seeded(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled fit gives %v", err)
	}
}

func TestStopRule(t *testing.T) {
	losses := func(n int, at func(int) float64) []float64 {
		out := make([]float64, n)
		for i := range out {
			out[i] = at(i)
		}
		return out
	}
	for name, c := range map[string]struct {
		losses []float64
		want   int // epoch that stops, 0 never
	}{
		"falling": {losses(60, func(i int) float64 { return -float64(i) }), 0},
		"rising":  {losses(60, func(i int) float64 { return float64(i) }), 11},
		"zigzag":  {losses(60, func(i int) float64 { return float64(i % 2) }), 0},
		"late":    {losses(60, func(i int) float64 { return math.Abs(float64(i - 20)) }), 28},
	} {
		rule, stopped := stopRule{previous: math.Inf(1)}, 0
		for i, l := range c.losses {
			if rule.done(i+1, l) {
				stopped = i + 1
				break
			}
		}
		if stopped != c.want {
			t.Errorf("%s: stopped after epoch %d, want %d", name, stopped, c.want)
		}
	}
}

func TestAdamWSteps(t *testing.T) {
	w := [][]float64{{1}}
	opt := newAdamW(0.1)(w)
	opt.step(w, [][]float64{{4}})
	want := 1 - 0.1*0.01*1 - 0.1*4/(4+1e-8) // bias correction makes the first step the gradient's sign
	if math.Abs(w[0][0]-want) > 1e-12 {
		t.Fatalf("first step to %g, want %g", w[0][0], want)
	}
	opt.step(w, [][]float64{{-2}})
	m, v := (0.9*0.4-0.2)/(1-0.81), (0.999*0.016+0.001*4)/(1-0.999*0.999)
	want -= 0.1*0.01*want + 0.1*m/(math.Sqrt(v)+1e-8)
	if math.Abs(w[0][0]-want) > 1e-12 {
		t.Errorf("second step to %g, want %g", w[0][0], want)
	}
}

func TestTargets(t *testing.T) {
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-12 {
			t.Errorf("%s: %g, want %g", what, got, want)
		}
	}
	span := spanTarget([]float64{60, 70, 80})
	near("best", span.of(80), 0.1)
	near("worst", span.of(60), 0.9)
	near("and back", span.score(span.of(70)), 70)
	near("size", span.size(0.4), 10)
	if outlier := spanTarget([]float64{70, 71, 72, 73, 74, 0}); outlier.of(70) < 0.4 || outlier.of(0) > 0.9+1e-12 {
		t.Errorf("an outlier squeezes the rest: %g %g", outlier.of(70), outlier.of(0))
	}
	equal := spanTarget([]float64{5, 5})
	near("equal scores", equal.score(equal.of(5)), 5)
	paper := paperTarget([]float64{60, 90}, 100)
	near("largest loss", paper.of(60), 1)
	near("other loss", paper.of(90), 0.25)
	near("later, worse", paper.of(20), 2)
	near("perfect initial set", paperTarget([]float64{100}, 100).of(99), 1)
}

// TestSurrogatesLearn fits a smooth function and ranks points that were held out, under both ways of training; the student must see that
// the teacher is surer near the data than away from it.
func TestSurrogatesLearn(t *testing.T) {
	lib := syntheticLibrary(240, 4)
	x, scores := make([][]float64, 120), make([]float64, 120)
	for i := range x {
		x[i], scores[i] = lib.Embeddings[i], syntheticScore(lib, i)
	}
	for name, r := range map[string]recipe{"batches": standardBoshnas().recipe, "samples": handRecipe()} {
		rng := rand.New(rand.NewPCG(5, 5))
		s := newSurrogates(r, 4, rng)
		s.target = spanTarget(scores)
		for range 2 {
			if err := s.fit(context.Background(), x, scores, lib.Embeddings, rng); err != nil {
				t.Fatal(err)
			}
		}
		var means, spreads, taught, truth []float64
		a := acquisition{s: s, explore: 0.5}
		for i := 120; i < 240; i++ {
			b := a.belief(lib.Embeddings[i])
			means, truth = append(means, b.Mean), append(truth, syntheticScore(lib, i))
			spreads, taught = append(spreads, b.Epistemic), append(taught, s.teacher.spread(rng, lib.Embeddings[i], 60))
			if b.Aleatoric <= 0 || b.Epistemic <= 0 || math.Abs(b.Acquisition-b.Mean-0.5*b.Epistemic) > 1e-9 {
				t.Fatalf("%s: belief %+v", name, b)
			}
		}
		if c := stat.Correlation(means, truth, nil); c < 0.85 {
			t.Errorf("%s: predicted means correlate %.3f with the truth", name, c)
		}
		if c := stat.Correlation(spreads, taught, nil); name == "batches" && c < 0.5 {
			t.Errorf("%s: the student's spread correlates %.3f with the teacher's", name, c)
		}
	}
}

// handRecipe trains sample by sample, at rates at which that many updates suffice.
func handRecipe() recipe {
	r := paperBoshnas().recipe
	r.npn = schedule{batch: 1, epochs: 25, optimizer: newAdamW(2e-3)}
	r.teacher.epochs, r.student.epochs = 10, 10
	return r
}
