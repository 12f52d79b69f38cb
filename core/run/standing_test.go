package run

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestStanding compares totals that grew trial by trial with their definitions.
func TestStanding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := Objective{Maximize: rapid.Bool().Draw(t, "maximize")}
		a := newActive(Run{Objective: o}, nil)
		n := rapid.IntRange(0, 30).Draw(t, "n")
		for id := range n {
			a.set(Trial{ID: id, State: Queued, Params: rapid.Int64Range(1, 8).Draw(t, "params")})
		}
		ended := time.Unix(0, 0)
		var finished []*Trial
		for _, id := range rapid.Permutation(indices(n)).Draw(t, "order") {
			u := *a.trials[id]
			ended = ended.Add(time.Second)
			u.Ended = ended
			u.State = Failed
			if rapid.Bool().Draw(t, "done") {
				score := float64(rapid.IntRange(0, 8).Draw(t, "score"))
				u.State, u.Score = Done, &score
				finished = append(finished, &u)
			}
			a.set(u)
		}
		checkStanding(t, a.standing, finished, n, o)
		checkStanding(t, standingOf(a.trials, goals{objective: o}), finished, n, o)
	})
}

func indices(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func checkStanding(t *rapid.T, s standing, finished []*Trial, n int, o Objective) {
	if s.done != len(finished) || s.failed != n-len(finished) || len(s.bestSoFar) != len(finished) {
		t.Fatalf("%d done, %d failed, %d best so far; %d of %d finished", s.done, s.failed, len(s.bestSoFar), len(finished), n)
	}
	best := -1
	for i, f := range finished {
		if best < 0 || o.Better(*f.Score, *finished[best].Score) {
			best = i
		}
		if s.bestSoFar[i] != *finished[best].Score {
			t.Fatalf("best after %d trials is %v, want %v", i+1, s.bestSoFar[i], *finished[best].Score)
		}
	}
	if best >= 0 && s.bestID() != finished[best].ID || best < 0 && s.bestID() != -1 {
		t.Fatalf("best is %d", s.bestID())
	}
	var want []int
	for i, f := range finished {
		beaten := slices.ContainsFunc(finished, func(g *Trial) bool { return g != f && beats(g, f, o) })
		twin := slices.ContainsFunc(finished[:i], func(g *Trial) bool { return g.Params == f.Params && *g.Score == *f.Score })
		if !beaten && !twin {
			want = append(want, f.ID)
		}
	}
	got := s.frontierIDs()
	if !slices.IsSortedFunc(s.frontier, func(x, y *Trial) int { return int(x.Params - y.Params) }) {
		t.Fatalf("frontier %v is not sorted by parameters", got)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatalf("frontier %v, want %v", got, want)
	}
}

// beats: as good with as few parameters, and better or smaller.
func beats(g, f *Trial, o Objective) bool {
	return g.Params <= f.Params && !o.Better(*f.Score, *g.Score) && (g.Params < f.Params || o.Better(*g.Score, *f.Score))
}

func TestLatestPoints(t *testing.T) {
	got := latest([]Point{{"a", 1, 1}, {"a", 2, 2}, {"b", 2, 3}, {"a", 2, 4}, {"a", 3, 5}})
	want := []Point{{"a", 1, 1}, {"a", 2, 4}, {"b", 2, 3}, {"a", 3, 5}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
