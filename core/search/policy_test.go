package search

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// syntheticLibrary has n architectures at random points of d dimensions.
func syntheticLibrary(n, d int) *Library {
	rng := seeded(77)
	lib := &Library{}
	for i := range n {
		lib.Embeddings = append(lib.Embeddings, normals(rng, d))
		lib.Hashes = append(lib.Hashes, fmt.Sprint(i))
	}
	return lib
}

// syntheticScore is a smooth function of the embedding, in percent.
func syntheticScore(lib *Library, i int) float64 {
	x := lib.Embeddings[i]
	return 70 + 5*math.Tanh(x[0]-0.5*x[1]) - 2*(x[2]-0.3)*(x[2]-0.3)
}

func scored(i int, v float64) Outcome { return Outcome{Index: i, Score: &v} }

// quickPolicy is NewPolicy with short fits and searches, for tests of rules rather than of quality.
func quickPolicy(t *testing.T, name string, lib *Library, o PolicyOptions) Policy {
	t.Helper()
	p, err := NewPolicy(name, lib, o)
	if err != nil {
		t.Fatal(err)
	}
	if b, ok := p.(*boshnas); ok {
		for _, s := range []*schedule{&b.b.recipe.teacher, &b.b.recipe.student, &b.b.recipe.npn} {
			s.epochs, s.updates = 3, 6
		}
		b.s.recipe = b.b.recipe
		b.b.query.restarts, b.b.query.steps = 3, 12
	}
	return p
}

// contract runs a test for every policy; a policy passes it on any implementation.
func contract(t *testing.T, run func(t *testing.T, name string)) {
	for _, name := range PolicyNames() {
		t.Run(name, func(t *testing.T) { run(t, name) })
	}
}

func TestNewPolicyRefusesNonsense(t *testing.T) {
	lib := syntheticLibrary(4, 3)
	if _, err := NewPolicy("simulated-annealing", lib, PolicyOptions{}); err == nil || !strings.Contains(err.Error(), strings.Join(PolicyNames(), ", ")) {
		t.Errorf("unknown policy: %v, want the list of names", err)
	}
	ragged := syntheticLibrary(3, 3)
	ragged.Embeddings[2] = ragged.Embeddings[2][:2]
	endless := syntheticLibrary(3, 3)
	endless.Embeddings[1][2] = math.NaN()
	for _, bad := range []*Library{nil, {}, {Hashes: []string{"a", "b"}}, ragged, endless} {
		if _, err := NewPolicy("random", bad, PolicyOptions{}); err == nil {
			t.Errorf("library %+v was accepted", bad)
		}
	}
	if _, err := NewPolicy("evolution", lib, PolicyOptions{Population: -1}); err == nil {
		t.Error("a negative population was accepted")
	}
}

// TestPolicyUsesUpTheLibrary also covers libraries smaller than the initial set, and empty, one- and two-outcome histories.
func TestPolicyUsesUpTheLibrary(t *testing.T) {
	contract(t, func(t *testing.T, name string) {
		for _, size := range []int{1, 2, 5, 14} {
			lib := syntheticLibrary(size, 4)
			p := quickPolicy(t, name, lib, PolicyOptions{Seed: 3, Initial: 6, Patience: -1})
			var outcomes []Outcome
			seen := map[int]bool{}
			for range size {
				pick, err := p.Next(context.Background(), outcomes)
				if err != nil {
					t.Fatalf("size %d, %d outcomes: %v", size, len(outcomes), err)
				}
				if pick.Index < 0 || pick.Index >= size || seen[pick.Index] {
					t.Fatalf("size %d: proposed %d after %v", size, pick.Index, outcomes)
				}
				if pick.Why == "" || pick.Transfer != -1 {
					t.Errorf("pick %+v: want a reason, and no transfer without an overlap", pick)
				}
				seen[pick.Index] = true
				outcomes = append(outcomes, scored(pick.Index, syntheticScore(lib, pick.Index)))
			}
			if _, err := p.Next(context.Background(), outcomes); !errors.Is(err, ErrConverged) {
				t.Errorf("size %d: a used-up library gives %v", size, err)
			}
		}
	})
}

func TestPolicySurvivesEqualScoresAndFailures(t *testing.T) {
	contract(t, func(t *testing.T, name string) {
		for _, every := range []int{1, 2, 100} { // every n-th trial fails
			lib := syntheticLibrary(12, 4)
			p := quickPolicy(t, name, lib, PolicyOptions{Initial: 4, Patience: -1})
			var outcomes []Outcome
			for range lib.Len() {
				pick, err := p.Next(context.Background(), outcomes)
				if err != nil {
					t.Fatalf("after %d outcomes, every %d fails: %v", len(outcomes), every, err)
				}
				o := scored(pick.Index, 50)
				if len(outcomes)%every == 0 {
					o.Score = nil
				}
				outcomes = append(outcomes, o)
			}
		}
	})
}

func TestPolicyNeverProposesPending(t *testing.T) {
	contract(t, func(t *testing.T, name string) {
		lib := syntheticLibrary(16, 4)
		p := quickPolicy(t, name, lib, PolicyOptions{Initial: 4, Patience: -1})
		var outcomes []Outcome
		for len(outcomes) < lib.Len() {
			pick, err := p.Next(context.Background(), outcomes)
			if err != nil && !errors.Is(err, ErrWait) {
				t.Fatal(err)
			}
			if err == nil {
				if slices.ContainsFunc(outcomes, func(o Outcome) bool { return o.Index == pick.Index }) {
					t.Fatalf("%d was proposed twice", pick.Index)
				}
				outcomes = append(outcomes, Outcome{Index: pick.Index, Pending: true})
			}
			pending := slices.IndexFunc(outcomes, func(o Outcome) bool { return o.Pending })
			if running := countPending(outcomes); running > 3 || err != nil { // four workers
				outcomes[pending] = scored(outcomes[pending].Index, syntheticScore(lib, outcomes[pending].Index))
			}
		}
	})
}

func countPending(outcomes []Outcome) int {
	n := 0
	for _, o := range outcomes {
		if o.Pending {
			n++
		}
	}
	return n
}

func TestPolicyRefusesBadOutcomes(t *testing.T) {
	contract(t, func(t *testing.T, name string) {
		p := quickPolicy(t, name, syntheticLibrary(5, 3), PolicyOptions{Initial: 2})
		for _, bad := range []Outcome{scored(0, math.NaN()), scored(0, math.Inf(1)), scored(5, 1), {Index: -1, Pending: true}} {
			if _, err := p.Next(context.Background(), []Outcome{scored(1, 3), bad}); err == nil || errors.Is(err, ErrConverged) || errors.Is(err, ErrWait) {
				t.Errorf("outcome %+v: error %v", bad, err)
			}
		}
	})
}

// TestPolicyResumesExactly interrupts after every proposal: a fresh policy with the stored state makes the same next pick, and equal states
// have equal bytes.
func TestPolicyResumesExactly(t *testing.T) {
	contract(t, func(t *testing.T, name string) {
		lib := syntheticLibrary(30, 5)
		o := PolicyOptions{Seed: 8, Initial: 4, Patience: 4}
		p := quickPolicy(t, name, lib, o)
		var outcomes []Outcome
		for range 12 {
			state, err := p.State()
			if err != nil {
				t.Fatal(err)
			}
			other := quickPolicy(t, name, lib, o)
			if err := other.Restore(state); err != nil {
				t.Fatal(err)
			}
			pick, err := p.Next(context.Background(), outcomes)
			again, err2 := other.Next(context.Background(), outcomes)
			if !errors.Is(err2, err) || !samePick(pick, again) {
				t.Fatalf("after %d outcomes: %+v (%v), resumed %+v (%v)", len(outcomes), pick, err, again, err2)
			}
			a, _ := p.State()
			b, _ := other.State()
			if !bytes.Equal(a, b) {
				t.Fatalf("after %d outcomes the states differ", len(outcomes))
			}
			if err != nil {
				break
			}
			outcomes = append(outcomes, scored(pick.Index, syntheticScore(lib, pick.Index)))
		}
		if len(outcomes) < 8 {
			t.Errorf("only %d proposals were compared", len(outcomes))
		}
	})
}

func samePick(a, b Pick) bool {
	if (a.Predict == nil) != (b.Predict == nil) || a.Predict != nil && *a.Predict != *b.Predict {
		return false
	}
	a.Predict, b.Predict = nil, nil
	return a == b
}

func TestPolicySeedsDiffer(t *testing.T) {
	contract(t, func(t *testing.T, name string) {
		lib := syntheticLibrary(200, 4)
		first := map[int]bool{}
		for seed := range uint64(8) {
			pick, err := quickPolicy(t, name, lib, PolicyOptions{Seed: seed}).Next(context.Background(), nil)
			if err != nil {
				t.Fatal(err)
			}
			first[pick.Index] = true
		}
		if len(first) < 4 {
			t.Errorf("8 seeds start at only %d architectures", len(first))
		}
	})
}

func TestRandomIsUniformWithoutReplacement(t *testing.T) {
	lib := syntheticLibrary(10, 2)
	const seeds = 4000
	count := make([]int, lib.Len())
	for seed := range uint64(seeds) {
		p, err := NewPolicy("random", lib, PolicyOptions{Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		pick, err := p.Next(context.Background(), []Outcome{scored(3, 1), {Index: 7}})
		if err != nil {
			t.Fatal(err)
		}
		count[pick.Index]++
	}
	for i, n := range count {
		want := seeds / 8.0
		if i == 3 || i == 7 {
			want = 0
		}
		if math.Abs(float64(n)-want) > 4*math.Sqrt(want) { // four standard deviations
			t.Errorf("position %d was proposed %d times, want about %g", i, n, want)
		}
	}
}
