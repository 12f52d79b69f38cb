package search

import (
	"context"
	"fmt"
	"slices"
	"testing"
)

// ring is a library whose architecture i has the neighbours i-1 and i+1.
func ring(n int) func(int) []int {
	return func(i int) []int { return []int{(i + n - 1) % n, (i + 1) % n} }
}

func TestEvolutionMutatesTheBestOfTheLiving(t *testing.T) {
	lib := syntheticLibrary(40, 3)
	p := quickPolicy(t, "evolution", lib, PolicyOptions{Initial: 3, Population: 3, Tournament: 50, Neighbours: ring(40)})
	// 5 is the best but too old; a tournament of 50 draws from 3 finds the best living one, 20, with probability 1-(2/3)^50.
	outcomes := []Outcome{scored(5, 99), scored(10, 1), scored(20, 3), scored(30, 2), {Index: 19}}
	pick, err := p.Next(context.Background(), outcomes)
	if err != nil {
		t.Fatal(err)
	}
	if pick.Index != 21 || pick.Why != "mutation of 20" {
		t.Errorf("pick %+v, want 21, the only unknown neighbour of 20", pick)
	}
	outcomes = append(outcomes, Outcome{Index: 21, Pending: true})
	if pick, err = p.Next(context.Background(), outcomes); err != nil {
		t.Fatal(err)
	}
	want := nearestUnseen(lib, 20, []int{5, 10, 20, 30, 19, 21})
	if pick.Index != want {
		t.Errorf("with both neighbours known it proposed %d, want %d, the nearest unknown one", pick.Index, want)
	}
}

func nearestUnseen(lib *Library, to int, seen []int) int {
	best := -1
	for i := range lib.Embeddings {
		if slices.Contains(seen, i) {
			continue
		}
		if best < 0 || squaredL2(lib.Embeddings[i], lib.Embeddings[to]) < squaredL2(lib.Embeddings[best], lib.Embeddings[to]) {
			best = i
		}
	}
	return best
}

func TestEvolutionNeighboursInEmbedding(t *testing.T) {
	lib := syntheticLibrary(60, 3)
	e := &evolution{lib: lib, o: PolicyOptions{}.withDefaults()}
	got := e.neighbours(7)
	if len(got) != embeddingNeighbours {
		t.Fatalf("%d neighbours", len(got))
	}
	seen := []int{7}
	for _, i := range got {
		if want := nearestUnseen(lib, 7, seen); i != want {
			t.Fatalf("neighbours %v: %d instead of %d", got, i, want)
		}
		seen = append(seen, i)
	}
}

// TestEvolutionClimbs needs selection and mutation to work: on a ring with a single peak it must get far above random's expectation.
func TestEvolutionClimbs(t *testing.T) {
	const n = 400
	lib := syntheticLibrary(n, 3)
	height := func(i int) float64 { return float64(min(i, n-i)) } // peak n/2
	for seed := range uint64(5) {
		p := quickPolicy(t, "evolution", lib, PolicyOptions{Seed: seed, Initial: 5, Population: 5, Tournament: 3, Neighbours: ring(n)})
		var outcomes []Outcome
		for range 120 {
			pick, err := p.Next(context.Background(), outcomes)
			if err != nil {
				t.Fatal(err)
			}
			outcomes = append(outcomes, scored(pick.Index, height(pick.Index)))
		}
		start := slices.MaxFunc(outcomes[:5], func(a, b Outcome) int { return int(*a.Score - *b.Score) })
		end := slices.MaxFunc(outcomes, func(a, b Outcome) int { return int(*a.Score - *b.Score) })
		if *end.Score < min(n/2, *start.Score+20) {
			t.Errorf("seed %d: climbed from %g to %g", seed, *start.Score, *end.Score)
		}
	}
}

func TestTransferSource(t *testing.T) {
	overlaps := map[string]float64{"9 1": 0.85, "9 2": 0.95, "9 3": 0.95, "8 1": 0.79, "7 4": 0.8}
	o := PolicyOptions{Overlap: func(q, s int) float64 { return overlaps[fmt.Sprint(q, s)] }}.withDefaults()
	h := &history{scored: []result{{1, 50}, {2, 60}, {3, 70}, {4, -5}}}
	for query, want := range map[int]int{9: 3, 8: -1, 7: 4, 6: -1} {
		if got := o.transferSource(query, h); got != want {
			t.Errorf("query %d starts from %d, want %d", query, got, want)
		}
	}
	o.Overlap = nil
	if got := o.transferSource(9, h); got != -1 {
		t.Errorf("without an overlap function the source is %d", got)
	}
}
