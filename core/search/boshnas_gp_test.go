package search

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
)

// choices is a library of all architectures with five choices of four values, and their scores: each choice alone, and pairs of them, matter.
func choices() (*Library, []float64) {
	rng := seeded(9)
	lib, alone, pair := &Library{Index: map[string]int{}}, normals(rng, 20), normals(rng, 80)
	for f := range 5 {
		lib.Features = append(lib.Features, Feature{Name: fmt.Sprint(f), Values: 4, Group: f / 3})
	}
	var scores []float64
	for i := range 1024 {
		codes, score := make([]int, 5), 70.0
		for f := range codes {
			codes[f] = i >> (2 * f) & 3
			score += 2 * alone[4*f+codes[f]]
		}
		for f := range 4 {
			score += pair[16*f+4*codes[f]+codes[f+1]]
		}
		lib.Hashes, lib.Codes, scores = append(lib.Hashes, fmt.Sprint(i)), append(lib.Codes, codes), append(scores, score)
		point := make([]float64, 20)
		for f, c := range codes {
			point[4*f+c] = 1
		}
		lib.Embeddings = append(lib.Embeddings, point)
	}
	return lib, scores
}

func newGP(t *testing.T, lib *Library, change func(*gpSettings)) *boshnasGP {
	t.Helper()
	s := standardGP()
	if change != nil {
		change(&s)
	}
	return newBoshnasGP(lib, PolicyOptions{Seed: 1, Initial: gpInitial, Patience: -1}.withDefaults(), s)
}

// TestBoshnasFindsTheBest: of 1,024 architectures random search finds the best in 40 queries once in 26 searches.
func TestBoshnasFindsTheBest(t *testing.T) {
	lib, scores := choices()
	best := math.Inf(-1)
	for _, s := range scores {
		best = max(best, s)
	}
	for name, change := range map[string]func(*gpSettings){
		"default": nil, "moves": func(s *gpSettings) { s.query = queryMoves }, "embedding": func(s *gpSettings) { s.codes, s.embedding = false, true },
	} {
		hits := 0
		for seed := range uint64(5) {
			p := newGP(t, lib, change)
			p.o.Seed = seed
			var outcomes []Outcome
			for range 40 {
				pick, err := p.Next(context.Background(), outcomes)
				if err != nil {
					t.Fatal(err)
				}
				if outcomes = append(outcomes, scored(pick.Index, scores[pick.Index])); scores[pick.Index] == best {
					hits++
					break
				}
			}
		}
		if hits < 4 {
			t.Errorf("%s: the best in %d of 5 searches", name, hits)
		}
	}
}

// fitted is a policy that has seen n scores.
func fitted(t *testing.T, n int, change func(*gpSettings)) (*boshnasGP, *history) {
	t.Helper()
	lib, scores := choices()
	p := newGP(t, lib, change)
	var outcomes []Outcome
	for i := range n {
		at := i * 37 % 1024
		outcomes = append(outcomes, scored(at, scores[at]))
	}
	if _, err := p.Next(context.Background(), outcomes); err != nil {
		t.Fatal(err)
	}
	return p, mustHistory(t, lib.Len(), outcomes)
}

// TestRankingIsThatOfAllImprovements: bounds save solves, never the best; descents and moves find one that is nearly as good.
func TestRankingIsThatOfAllImprovements(t *testing.T) {
	p, h := fitted(t, 30, nil)
	value := func(i int) float64 {
		z, v := p.posterior.Predict(i)
		return LogImprovement(z-p.posterior.Best, v)
	}
	ranked := p.best(h.allUnseen(), false)
	above := 0
	for _, i := range h.allUnseen() {
		if value(i) > value(ranked[0]) {
			t.Fatalf("%d is better than %d", i, ranked[0])
		}
		if value(i) > value(ranked[rankedLimit-1]) {
			above++
		}
	}
	if len(ranked) != rankedLimit || above != rankedLimit-1 {
		t.Errorf("%d ranked, %d better than the last", len(ranked), above)
	}
	p.b.query = queryMoves
	if moved := p.optimise(h, false, seeded(1)); value(moved[0]) < value(ranked[0])-0.2 {
		t.Errorf("moves found log improvement %g, all hold %g", value(moved[0]), value(ranked[0]))
	}
}

// TestDescendImproves: second-order steps end at a better relaxed point than they began.
func TestDescendImproves(t *testing.T) {
	p, h := fitted(t, 30, nil)
	bound := func(x []float64) float64 {
		mean, sd := p.posterior.Expand(x)
		return mean.Value + lowerBound*sd.Value
	}
	lo, hi := p.in.Box()
	better := 0
	for n, x := range p.descend(h, seeded(2)) {
		for q := range x {
			if x[q] < lo[q] || x[q] > hi[q] {
				t.Fatalf("end %d leaves the box: %v", n, x)
			}
		}
		if n == 0 && bound(x) < bound(p.in.Relaxed(h.bestScored(1)[0].index)) {
			t.Error("the descent from the best result ended below it")
		}
		if bound(x) > p.posterior.Best {
			better++
		}
	}
	if better == 0 {
		t.Error("no descent found a promise above the best score")
	}
}

// TestLogImprovement compares with the integral of max(0, gain + sd x) over the normal density.
func TestLogImprovement(t *testing.T) {
	for _, gain := range []float64{-5.9, -3, -0.5, 0, 2} {
		for _, sd := range []float64{0.99, 2} {
			var sum float64
			const h = 1e-3
			for x := -12.0; x < 12; x += h {
				sum += h * max(0, gain+sd*x) * math.Exp(-x*x/2) / math.Sqrt(2*math.Pi)
			}
			if got := LogImprovement(gain, sd*sd); math.Abs(got-math.Log(sum)) > 1e-3 {
				t.Errorf("gain %g, sd %g: %g, want %g", gain, sd, got, math.Log(sum))
			}
		}
	}
	if a, b := LogImprovement(-20.001, 1), LogImprovement(-19.999, 1); math.Abs(b-a-0.04) > 0.001 {
		t.Errorf("a jump from %g to %g where the expansion begins", b, a)
	}
	if v := LogImprovement(-100, 1); math.IsInf(v, 0) || math.IsNaN(v) {
		t.Errorf("far below: %g", v)
	}
}

// TestPendingSpreadProposals: four proposals on the same results are four, and conditioning on them leaves less to learn around each.
func TestPendingSpreadProposals(t *testing.T) {
	lib, scores := choices()
	p := newGP(t, lib, nil)
	var outcomes []Outcome
	for i := range 20 {
		outcomes = append(outcomes, scored(i*37%1024, scores[i*37%1024]))
	}
	for range 4 {
		pick, err := p.Next(context.Background(), outcomes)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range outcomes {
			if o.Index == pick.Index {
				t.Fatalf("%d proposed again", pick.Index)
			}
		}
		before := p.Beliefs([]int{pick.Index})[0]
		outcomes = append(outcomes, Outcome{Index: pick.Index, Pending: true})
		p.condition(mustHistory(t, lib.Len(), outcomes))
		after := p.Beliefs([]int{pick.Index})[0]
		if after.Epistemic > 0.8*before.Epistemic || math.Abs(after.Mean-before.Mean) > 1e-6 {
			t.Errorf("belief %+v became %+v while it trains", before, after)
		}
	}
}

// TestStallWidens: without progress the search looks farther from what it knows.
func TestStallWidens(t *testing.T) {
	uncertainty := func(widen float64) float64 {
		p, h := fitted(t, 40, nil)
		p.widen = widen
		_, v := p.posterior.Predict(p.best(h.allUnseen(), false)[0])
		return v
	}
	if a, b := uncertainty(1), uncertainty(6); b <= a {
		t.Errorf("variance %g of the best at first, %g after a stall", a, b)
	}
}

// TestBeliefsAreInScores: on noisy scores around 70, the two deviations are positive, and of the right size.
func TestBeliefsAreInScores(t *testing.T) {
	lib, scores := choices()
	p := newGP(t, lib, nil)
	if p.Beliefs([]int{0}) != nil {
		t.Error("beliefs before a fit")
	}
	rng := seeded(8)
	var outcomes []Outcome
	for i := range 300 {
		at := i * 37 % 1024
		outcomes = append(outcomes, scored(at, scores[at]+1.5*rng.NormFloat64()))
	}
	if _, err := p.Next(context.Background(), outcomes); err != nil {
		t.Fatal(err)
	}
	var aleatoric, inside float64
	all := make([]int, lib.Len())
	for i := range all {
		all[i] = i
	}
	beliefs := p.Beliefs(all)
	for i, b := range beliefs {
		aleatoric += b.Aleatoric / float64(len(all))
		if math.Abs(b.Mean-scores[i]) < 1.96*b.Epistemic {
			inside += 1 / float64(len(all))
		}
		if b.Epistemic <= 0 || b.Acquisition < 0 || math.IsNaN(b.Acquisition) {
			t.Fatalf("belief %+v", b)
		}
	}
	if aleatoric < 1.1 || aleatoric > 2 {
		t.Errorf("aleatoric deviation %.2f, the noise is 1.5", aleatoric)
	}
	if inside < 0.88 {
		t.Errorf("%.0f%% of the true scores are within the epistemic 95%%", 100*inside)
	}
	if p.Beliefs([]int{lib.Len()}) != nil {
		t.Error("a belief outside the library")
	}
}

func TestBoshnasGPRefusesForeignState(t *testing.T) {
	p, _ := fitted(t, 12, nil)
	state, err := p.State()
	if err != nil {
		t.Fatal(err)
	}
	lib, _ := choices()
	if err := newGP(t, lib, nil).Restore(state); err != nil {
		t.Fatal(err)
	}
	old, err := quickBoshnas(t, "boshnas-net", syntheticLibrary(20, 4), PolicyOptions{}).State()
	if err != nil {
		t.Fatal(err)
	}
	fewer := *lib
	fewer.Features, fewer.Codes = lib.Features[:4], make([][]int, lib.Len())
	for i, c := range lib.Codes {
		fewer.Codes[i] = c[:4]
	}
	for name, c := range map[string]struct {
		p     *boshnasGP
		state []byte
	}{
		"another library": {newGP(t, syntheticLibrary(20, 4), nil), state}, "other choices": {newGP(t, &fewer, nil), state},
		"the networks' state": {newGP(t, lib, nil), old}, "no state": {newGP(t, lib, nil), []byte("x")},
	} {
		if err := c.p.Restore(c.state); err == nil || !strings.Contains(err.Error(), "boshnas") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestBoshnasGPConverges: with patience it stops once that many optimisation steps twice over brought nothing, and not before.
func TestBoshnasGPConverges(t *testing.T) {
	lib, _ := choices()
	p := newGP(t, lib, nil)
	p.o.Patience = 3
	var outcomes []Outcome
	for {
		pick, err := p.Next(context.Background(), outcomes)
		if err == ErrConverged {
			break
		}
		if err != nil || len(outcomes) > 50 {
			t.Fatal(len(outcomes), err)
		}
		outcomes = append(outcomes, scored(pick.Index, 70))
	}
	if got := len(outcomes); got != gpInitial+6 {
		t.Errorf("converged after %d, want %d", got, gpInitial+6)
	}
}

// BenchmarkNextBoshnas is a proposal with a fit, and the beliefs that a view shows, in the paper's space, on one core: 9,312 architectures and the results of the limits.
func BenchmarkNextBoshnas(b *testing.B) {
	space, err := LoadSpace("paper")
	if err != nil {
		b.Fatal(err)
	}
	archs, _, err := space.LevelArchs(space.Levels()[0], LibraryLimit, 1)
	if err != nil {
		b.Fatal(err)
	}
	lib := &Library{Features: space.Features(), Embeddings: syntheticLibrary(len(archs), 16).Embeddings}
	for i, a := range archs {
		codes, err := space.Codes(a)
		if err != nil {
			b.Fatal(err)
		}
		lib.Codes, lib.Hashes = append(lib.Codes, codes), append(lib.Hashes, fmt.Sprint(i))
	}
	rng := seeded(1)
	for _, n := range []int{50, 200, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var outcomes []Outcome
			for _, at := range rng.Perm(lib.Len())[:n] {
				outcomes = append(outcomes, scored(at, 70+float64(lib.Codes[at][0])+float64(lib.Codes[at][1])/3+0.3*rng.NormFloat64()))
			}
			for b.Loop() {
				p := newBoshnasGP(lib, PolicyOptions{Seed: 1, Initial: gpInitial, Patience: -1}.withDefaults(), standardGP())
				if _, err := p.Next(context.Background(), outcomes); err != nil {
					b.Fatal(err)
				}
				p.Beliefs(rng.Perm(lib.Len())[:2*shownCandidates])
			}
		})
	}
}

// TestBoshnasGPResumesExactly: a policy restored between any two proposals, on choices, goes on with the same picks and beliefs.
func TestBoshnasGPResumesExactly(t *testing.T) {
	lib, scores := choices()
	calm, resumed := newGP(t, lib, nil), newGP(t, lib, nil)
	var outcomes []Outcome
	for range 30 {
		state, err := resumed.State()
		if err != nil {
			t.Fatal(err)
		}
		resumed = newGP(t, lib, nil)
		if err := resumed.Restore(state); err != nil {
			t.Fatal(err)
		}
		a, err := calm.Next(context.Background(), outcomes)
		if err != nil {
			t.Fatal(err)
		}
		b, err := resumed.Next(context.Background(), outcomes)
		if err != nil {
			t.Fatal(err)
		}
		if a.Index != b.Index || (a.Predict == nil) != (b.Predict == nil) || a.Predict != nil && *a.Predict != *b.Predict {
			t.Fatalf("after %d outcomes: %+v, resumed %+v", len(outcomes), a, b)
		}
		outcomes = append(outcomes, scored(a.Index, scores[a.Index]))
	}
}
