package search

import (
	"context"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"flexi/core/run/pareto"
)

// TestBoxesAreWhatNobodyDominates: where beliefs are knowledge, the gain is the growth of the hypervolume; the boxes do not overlap.
func TestBoxesAreWhatNobodyDominates(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := rapid.IntRange(1, 4).Draw(t, "numbers")
		draw := func(what string) []float64 {
			p := make([]float64, d)
			for k := range p {
				p[k] = float64(rapid.IntRange(1, 5).Draw(t, what))
			}
			return p
		}
		var points [][]float64
		for range rapid.IntRange(1, 8).Draw(t, "points") {
			points = append(points, draw("point"))
		}
		m := newImprovement(points)
		reference := slices.Clone(m.boxes[0].lo)
		for _, b := range m.boxes {
			for k := range reference {
				reference[k] = min(reference[k], b.lo[k])
			}
		}
		for k := range reference { // in one dimension the only box begins at the best
			if low, _ := extent(points, k); d == 1 || reference[k] > low {
				reference[k] = low - 1
			}
		}
		y := draw("candidate")
		before := pareto.Hypervolume(points, reference)
		want := pareto.Hypervolume(append(points[:len(points):len(points)], y), reference) - before
		beliefs := make([]normal, d)
		for k := range y {
			beliefs[k].mean = y[k]
		}
		got := math.Exp(m.log(beliefs))
		if math.Abs(got-want) > 1e-9*max(1, want) {
			t.Fatalf("gain %g, the hypervolume grows by %g", got, want)
		}
	})
}

// TestExpectedImprovementOfHypervolume compares with 200,000 draws, in two and three dimensions, one number being known.
func TestExpectedImprovementOfHypervolume(t *testing.T) {
	for _, c := range []struct {
		points  [][]float64
		beliefs []normal
	}{
		{[][]float64{{0, 2}, {1, 1}, {2, 0}}, []normal{{1.2, 0.7}, {0.9, 0.5}}},
		{[][]float64{{0, 2}, {1, 1}, {2, 0}, {-3, -3}}, []normal{{-0.5, 1}, {2.5, 0}}},
		{[][]float64{{0, 2, 1}, {1, 1, 0}, {2, 0, 2}, {1, 2, -1}}, []normal{{1, 0.5}, {1, 1}, {0.5, 0.8}}},
	} {
		m := newImprovement(c.points)
		reference := make([]float64, len(c.beliefs))
		for k := range reference {
			reference[k] = math.Inf(1)
			for _, b := range m.boxes {
				reference[k] = min(reference[k], b.lo[k])
			}
		}
		rng := seeded(3)
		before := pareto.Hypervolume(c.points, reference)
		var sum, squares float64
		const draws = 200_000
		for range draws {
			y := make([]float64, len(c.beliefs))
			for k, b := range c.beliefs {
				y[k] = b.mean + b.sd*rng.NormFloat64()
			}
			v := pareto.Hypervolume(append(c.points[:len(c.points):len(c.points)], y), reference) - before
			sum, squares = sum+v, squares+v*v
		}
		mean := sum / draws
		se := math.Sqrt((squares/draws - mean*mean) / draws)
		if got := math.Exp(m.log(c.beliefs)); math.Abs(got-mean) > 5*se {
			t.Errorf("%v: %g, %d draws give %g ± %g", c.beliefs, got, draws, mean, se)
		}
	}
}

// TestHopelessCandidatesAreRanked: far below the frontier the logarithm still falls with the distance, without a jump up.
func TestHopelessCandidatesAreRanked(t *testing.T) {
	m := newImprovement([][]float64{{0, 2}, {2, 0}})
	last := math.Inf(1)
	for d := 0.0; d < 200; d += 0.5 {
		v := m.log([]normal{{-d, 1}, {-d, 1}})
		if v >= last || math.IsNaN(v) {
			t.Fatalf("at distance %g: %g after %g", d, v, last)
		}
		last = v
	}
}

func TestLogAbove(t *testing.T) {
	for _, u := range []float64{-30, -20.001, -19.999, -3, 0, 5} {
		want := math.Log(0.5 * math.Erfc(-u/math.Sqrt2))
		if u < -20 {
			want = -u*u/2 - math.Log(-u) - 0.5*math.Log(2*math.Pi)
		}
		if got := (normal{mean: 3 + 2*u, sd: 2}).logAbove(3); math.Abs(got-want) > 3e-3 {
			t.Errorf("%g deviations: %g, want %g", u, got, want)
		}
	}
	if (normal{mean: 1}).logAbove(1) != 0 || !math.IsInf((normal{mean: 1}).logAbove(2), -1) {
		t.Error("knowledge is not certain")
	}
}

// twoGoals is the library of choices with a criterion that grows with the score's choices, as a model's size does, and is measured or known.
func twoGoals(known bool) (lib *Library, scores, sizes []float64, criterion Criterion) {
	lib, scores = choices()
	for i := range scores {
		size := 1.0
		for f, c := range lib.Codes[i] {
			size += float64((c + f) % 4)
		}
		sizes = append(sizes, size*math.Exp(0.05*(scores[i]-70)))
	}
	criterion = Criterion{Name: "size", Minimise: true}
	if known {
		criterion.Known = sizes
	}
	return lib, scores, sizes, criterion
}

// explore runs a policy and returns the points it reached.
func explore(t *testing.T, policy string, queries int, lib *Library, scores, sizes []float64, criteria []Criterion) [][]float64 {
	t.Helper()
	p, err := NewPolicy(policy, lib, PolicyOptions{Seed: 2, Patience: -1, Criteria: criteria})
	if err != nil {
		t.Fatal(err)
	}
	var outcomes []Outcome
	var points [][]float64
	for range queries {
		pick, err := p.Next(context.Background(), outcomes)
		if err != nil {
			t.Fatal(err)
		}
		o := scored(pick.Index, scores[pick.Index])
		o.Values = []float64{sizes[pick.Index]}
		outcomes = append(outcomes, o)
		points = append(points, []float64{scores[pick.Index], gainOf(sizes[pick.Index])})
	}
	return points
}

// TestTwoObjectives: with 40 queries the frontier covers more than that of random search and of the search for the score alone.
func TestTwoObjectives(t *testing.T) {
	for _, known := range []bool{true, false} {
		lib, scores, sizes, criterion := twoGoals(known)
		reference := []float64{slices.Min(scores), gainOf(slices.Max(sizes))}
		volume := func(policy string, criteria []Criterion) float64 {
			return pareto.Hypervolume(explore(t, policy, 40, lib, scores, sizes, criteria), reference)
		}
		both, score, random := volume(gpPolicy, []Criterion{criterion}), volume(gpPolicy, nil), volume("random", nil)
		if both < 1.05*score || both < 1.05*random {
			t.Errorf("known %v: hypervolume %.3f, for the score alone %.3f, at random %.3f", known, both, score, random)
		}
	}
}

// TestConstraintIsLearned: of architectures of which one in 20 is within a bound that only training tells, one of the best three is found; when it is, proposals
// are worth their chance to be better and within, so that not most are.
func TestConstraintIsLearned(t *testing.T) {
	lib, scores, sizes, criterion := twoGoals(false)
	criterion.Minimise, criterion.Max = false, slices.Sorted(slices.Values(sizes))[len(sizes)/20]
	inside, best := 0, math.Inf(-1)
	for n, p := range explore(t, gpPolicy, 50, lib, scores, sizes, []Criterion{criterion}) {
		if p[1] >= gainOf(criterion.Max) && n >= 20 {
			inside++
			best = max(best, p[0])
		}
	}
	better := 0
	for i, s := range scores {
		if sizes[i] <= criterion.Max && s > best {
			better++
		}
	}
	if inside < 3 || better > 2 {
		t.Errorf("%d of 30 are within the bound, and %d architectures within it are better than the best", inside, better)
	}
}

// TestBoundsComeFirst: while everything trained is out of bounds, and so has no score, proposals go where the bound is likeliest kept.
func TestBoundsComeFirst(t *testing.T) {
	lib, _, sizes, criterion := twoGoals(false)
	criterion.Max = slices.Sorted(slices.Values(sizes))[len(sizes)/100]
	p, err := NewPolicy(gpPolicy, lib, PolicyOptions{Seed: 2, Patience: -1, Criteria: []Criterion{criterion}})
	if err != nil {
		t.Fatal(err)
	}
	var outcomes []Outcome
	for range 25 {
		pick, err := p.Next(context.Background(), outcomes)
		if err != nil {
			t.Fatal(err)
		}
		if sizes[pick.Index] <= criterion.Max {
			if pick.Why != "bounds" {
				t.Errorf("found by %s", pick.Why)
			}
			return
		}
		outcomes = append(outcomes, Outcome{Index: pick.Index, Values: []float64{sizes[pick.Index]}})
	}
	t.Error("25 proposals are out of bounds")
}

// TestBoshnasGPResumesExactlyWithCriteria: a policy restored between any two proposals goes on with the same ones.
func TestBoshnasGPResumesExactlyWithCriteria(t *testing.T) {
	lib, scores, sizes, criterion := twoGoals(false)
	criterion.Max = 40
	o := PolicyOptions{Seed: 1, Initial: gpInitial, Patience: -1, Criteria: []Criterion{criterion}}.withDefaults()
	calm := newBoshnasGP(lib, o, standardGP())
	resumed := calm
	var outcomes []Outcome
	for range 25 {
		a, err := calm.Next(context.Background(), outcomes)
		if err != nil {
			t.Fatal(err)
		}
		again := newBoshnasGP(lib, o, standardGP())
		if len(outcomes) > 0 {
			state, err := resumed.State()
			if err != nil {
				t.Fatal(err)
			}
			if err := again.Restore(state); err != nil {
				t.Fatal(err)
			}
		}
		if resumed == calm {
			resumed = newBoshnasGP(lib, o, standardGP())
			again = resumed
		}
		b, err := again.Next(context.Background(), outcomes)
		if err != nil {
			t.Fatal(err)
		}
		if resumed = again; a.Index != b.Index {
			t.Fatalf("after %d outcomes: %d, resumed %d", len(outcomes), a.Index, b.Index)
		}
		out := scored(a.Index, scores[a.Index])
		out.Values = []float64{sizes[a.Index]}
		outcomes = append(outcomes, out)
	}
}
