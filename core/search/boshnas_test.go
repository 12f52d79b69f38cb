package search

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

func quickBoshnas(t *testing.T, name string, lib *Library, o PolicyOptions) *boshnas {
	t.Helper()
	b, ok := quickPolicy(t, name, lib, o).(*boshnas)
	if !ok {
		t.Fatalf("%s is not BOSHNAS", name)
	}
	return b
}

func outcomesOf(lib *Library, indices ...int) []Outcome {
	var out []Outcome
	for _, i := range indices {
		out = append(out, scored(i, syntheticScore(lib, i)))
	}
	return out
}

// TestIdleStepsCountsOptimisationOnly is B12: sampling steps and failures leave the counter alone, a better score resets it.
func TestIdleStepsCountsOptimisationOnly(t *testing.T) {
	b := &boshnas{steps: []int{10, 11, 12, 13}}
	for name, c := range map[string]struct {
		scored []result
		want   int
	}{
		"none":                 {nil, 0},
		"initial set":          {[]result{{1, 5}, {2, 4}, {3, 3}}, 0},
		"optimisation":         {[]result{{1, 5}, {10, 4}, {11, 5}}, 2},
		"sampling in between":  {[]result{{1, 5}, {10, 4}, {2, 3}, {3, 1}, {11, 2}, {4, 0}}, 2},
		"improved by a step":   {[]result{{1, 5}, {10, 4}, {11, 6}, {12, 1}}, 1},
		"improved by sampling": {[]result{{1, 5}, {10, 4}, {2, 6}, {12, 1}}, 1},
	} {
		if got := b.idleSteps(&history{scored: c.scored}); got != c.want {
			t.Errorf("%s: %d idle steps, want %d", name, got, c.want)
		}
	}
}

// TestBoshnasConverges: with nothing to find it stops after 2*patience optimisation steps, and waits first for what is still in training.
func TestBoshnasConverges(t *testing.T) {
	lib := syntheticLibrary(60, 4)
	b := quickBoshnas(t, "boshnas-net", lib, PolicyOptions{Initial: 4, Patience: 2})
	var outcomes []Outcome
	optimised := 0
	for {
		pick, err := b.Next(context.Background(), outcomes)
		if errors.Is(err, ErrConverged) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if pick.Why == "optimise" {
			optimised++
		}
		outcomes = append(outcomes, scored(pick.Index, 50))
	}
	if optimised != 4 {
		t.Errorf("converged after %d optimisation steps, want 4", optimised)
	}
	spare := b.unexplored(mustHistory(t, lib.Len(), outcomes), 0)
	if _, err := b.Next(context.Background(), append(outcomes, Outcome{Index: spare, Pending: true})); !errors.Is(err, ErrWait) {
		t.Errorf("converged with a trial in training: %v, want ErrWait", err)
	}
	if _, err := b.Next(context.Background(), append(outcomes, scored(spare, 51))); err != nil {
		t.Errorf("a better result does not revive the search: %v", err)
	}
}

func mustHistory(t *testing.T, size int, outcomes []Outcome) *history {
	t.Helper()
	h, err := readHistory(size, outcomes)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestBoshnasInitialSet: failures are replaced; the paper's preset waits for the whole set, the default goes on exploring until half is in.
func TestBoshnasInitialSet(t *testing.T) {
	lib := syntheticLibrary(50, 4)
	standard := quickBoshnas(t, "boshnas-net", lib, PolicyOptions{Initial: 6})
	paper := quickBoshnas(t, "boshnas-paper", lib, PolicyOptions{Initial: 6})
	for _, b := range []*boshnas{standard, paper} {
		var outcomes []Outcome
		for i := range 6 {
			pick, err := b.Next(context.Background(), outcomes)
			if err != nil || pick.Why != "initial" || pick.Predict != nil {
				t.Fatalf("%s, %d: %+v, %v", b.name, i, pick, err)
			}
			outcomes = append(outcomes, Outcome{Index: pick.Index, Pending: true})
		}
		pick, err := b.Next(context.Background(), outcomes)
		if b == paper && !errors.Is(err, ErrWait) {
			t.Errorf("paper: %+v, %v with nothing finished", pick, err)
		}
		if b == standard && (err != nil || pick.Why != "diversity") {
			t.Errorf("default: %+v, %v with nothing finished", pick, err)
		}
		outcomes[0].Pending = false // failed
		if pick, err = b.Next(context.Background(), outcomes); err != nil || pick.Why != "initial" {
			t.Errorf("%s: the failed member is not replaced: %+v, %v", b.name, pick, err)
		}
		if b.Beliefs([]int{1}) != nil {
			t.Errorf("%s has beliefs before a fit", b.name)
		}
	}
}

// TestBoshnasRefitsBeforePicking is B10: a pick rests on all results that are in, and on a fit of these only once.
func TestBoshnasRefitsBeforePicking(t *testing.T) {
	lib := syntheticLibrary(50, 4)
	b := quickBoshnas(t, "boshnas-net", lib, PolicyOptions{Initial: 3, Patience: -1})
	outcomes := outcomesOf(lib, 1, 2, 3, 4)
	next := func() Pick {
		pick, err := b.Next(context.Background(), outcomes)
		if err != nil {
			t.Fatal(err)
		}
		if b.seen != fingerprint(mustHistory(t, lib.Len(), outcomes).scored) {
			t.Fatal("the surrogates have not seen the latest results")
		}
		return pick
	}
	next()
	probe := []int{7, 8, 9}
	before := b.Beliefs(probe)
	outcomes = append(outcomes, Outcome{Index: 5, Pending: true})
	if pick := next(); pick.Predict == nil || !slices.Equal(b.Beliefs(probe), before) {
		t.Errorf("a pending trial changed the beliefs, or pick %+v has none", pick)
	}
	outcomes[4] = scored(5, 71)
	next()
	if slices.Equal(b.Beliefs(probe), before) {
		t.Error("a new result did not change the beliefs")
	}
	if b.Beliefs([]int{50}) != nil {
		t.Error("there are beliefs about a position outside the library")
	}
}

// lateContext is cancelled after its Err has been asked a number of times.
type lateContext struct {
	context.Context
	left int
}

func (c *lateContext) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

func TestBoshnasInterruptedFitLeavesNoTrace(t *testing.T) {
	lib := syntheticLibrary(50, 4)
	b := quickBoshnas(t, "boshnas-net", lib, PolicyOptions{Initial: 3})
	if _, err := b.Next(context.Background(), outcomesOf(lib, 1, 2, 3)); err != nil {
		t.Fatal(err)
	}
	before, _ := b.State()
	for _, calls := range []int{0, 1, 3, 5, 8} { // before the fit, and in each of the three networks' epochs
		if _, err := b.Next(&lateContext{context.Background(), calls}, outcomesOf(lib, 1, 2, 3, 4)); !errors.Is(err, context.Canceled) {
			t.Fatalf("after %d calls: error %v", calls, err)
		}
		if after, _ := b.State(); !slices.Equal(before, after) {
			t.Errorf("a fit interrupted after %d calls changed the state", calls)
		}
	}
}

// TestChoose covers the fallback (B11: only untrained architectures) and the preset's preference for transferable queries.
func TestChoose(t *testing.T) {
	lib := syntheticLibrary(40, 4)
	o := PolicyOptions{Initial: 3, Overlap: func(q, s int) float64 {
		if q == 30 && s == 2 {
			return 0.9
		}
		return 0
	}}
	for name, transferFirst := range map[string]bool{"boshnas-net": false, "boshnas-paper": true} {
		b := quickBoshnas(t, name, lib, o)
		h := mustHistory(t, lib.Len(), outcomesOf(lib, 1, 2, 3))
		a := acquisition{s: b.s, explore: 0.5}
		best, other := 20, 30
		if a.at(b.points[other]) < a.at(b.points[best]) {
			best, other = other, best
		}
		index, source := b.choose([]int{1, 20, 30, 2}, h, a)
		want, wantSource := best, -1
		if transferFirst {
			want, wantSource = 30, 2
		}
		if index != want || source != wantSource {
			t.Errorf("%s chose %d from %d, want %d from %d", name, index, source, want, wantSource)
		}
		near := 1
		if a.at(b.points[3]) < a.at(b.points[1]) {
			near = 3
		}
		index, _ = b.choose([]int{3, 1}, h, a)
		if wantNear := nearestUnseen(&Library{Embeddings: b.points}, near, []int{1, 2, 3}); index != wantNear {
			t.Errorf("%s with known queries only chose %d, want %d next to %d", name, index, wantNear, near)
		}
	}
}

func TestBoshnasStepsInProportion(t *testing.T) {
	lib := syntheticLibrary(400, 3)
	b := quickBoshnas(t, "boshnas-net", lib, PolicyOptions{Initial: 3, Patience: -1})
	b.b.query.steps, b.b.query.restarts = 1, 1
	outcomes := outcomesOf(lib, 1, 2, 3)
	why := map[string]int{}
	const n = 300
	for range n {
		pick, err := b.Next(context.Background(), outcomes)
		if err != nil {
			t.Fatal(err)
		}
		why[pick.Why]++
		outcomes = append(outcomes, Outcome{Index: pick.Index}) // fails: no refit
	}
	for _, kind := range []string{"uncertainty", "diversity"} {
		if share := float64(why[kind]) / n; math.Abs(share-0.1) > 0.06 {
			t.Errorf("%s makes %.2f of the steps, want 0.1: %v", kind, share, why)
		}
	}
}

func TestSpreadDesign(t *testing.T) {
	// Four tight groups far apart: a design of four has one of each.
	rng := seeded(6)
	var points [][]float64
	for i := range 80 {
		x := normals(rng, 3)
		for j := range x {
			x[j] *= 0.1
		}
		x[i%4%3] += float64(20 * (1 + i%4))
		points = append(points, x)
	}
	for seed := range uint64(5) {
		design := spreadDesign(points, 4, seeded(seed))
		groups := map[int]bool{}
		for _, i := range design {
			groups[i%4] = true
		}
		if len(design) != 4 || len(groups) < 3 { // k-means++ may seed two centres in one group
			t.Errorf("seed %d: design %v", seed, design)
		}
	}
	same := [][]float64{{1}, {1}, {1}}
	design := spreadDesign(same, 3, seeded(1))
	slices.Sort(design)
	if !slices.Equal(design, []int{0, 1, 2}) {
		t.Errorf("design of equal points: %v", design)
	}
}

func TestBoshnasRefusesForeignState(t *testing.T) {
	lib := syntheticLibrary(20, 4)
	b := quickBoshnas(t, "boshnas-net", lib, PolicyOptions{})
	state, err := b.State()
	if err != nil {
		t.Fatal(err)
	}
	for what, other := range map[string]*boshnas{
		"policy":    quickBoshnas(t, "boshnas-paper", lib, PolicyOptions{}),
		"library":   quickBoshnas(t, "boshnas-net", syntheticLibrary(21, 4), PolicyOptions{}),
		"dimension": quickBoshnas(t, "boshnas-net", syntheticLibrary(20, 5), PolicyOptions{}),
	} {
		if err := other.Restore(state); err == nil || !strings.Contains(err.Error(), "restore") {
			t.Errorf("state of another %s: %v", what, err)
		}
	}
	if err := b.Restore(state[:10]); err == nil {
		t.Error("half a state was accepted")
	}
}

// BenchmarkNext is a whole proposal, with a refit, on the paper's level 1: 9,312 architectures and 200 results.
func BenchmarkNext(b *testing.B) {
	lib := syntheticLibrary(9312, 16)
	for _, name := range []string{"boshnas-net", "boshnas-paper"} {
		b.Run(name, func(b *testing.B) {
			p, err := NewPolicy(name, lib, PolicyOptions{Patience: -1})
			if err != nil {
				b.Fatal(err)
			}
			var outcomes []Outcome
			for i := range 200 {
				outcomes = append(outcomes, scored(i*7, syntheticScore(lib, i*7)))
			}
			for b.Loop() {
				pick, err := p.Next(context.Background(), outcomes)
				if err != nil {
					b.Fatal(err)
				}
				outcomes = append(outcomes, scored(pick.Index, syntheticScore(lib, pick.Index)))
			}
		})
	}
}
