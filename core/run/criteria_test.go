package run

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"flexi/core/run/pareto"
)

// TestFrontierOfCriteria compares the frontier that grew trial by trial with its definition: what is within the bounds and not dominated.
func TestFrontierOfCriteria(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := goals{Objective{Maximize: rapid.Bool().Draw(t, "maximize")}, []Criterion{{Name: StepSeconds, Minimize: true}, {Name: MemoryMB, Minimize: true, Max: 4}, {Name: Params, Max: 6}}}
		var trials []*Trial
		var points [][]float64
		var ids []int
		for id := range rapid.IntRange(1, 25).Draw(t, "n") {
			number := func(what string) float64 { return float64(rapid.IntRange(1, 6).Draw(t, what)) }
			u := finishedTrial(id, number("score"), ArmSearch, 0, 0)
			u.Measures = map[string]float64{StepSeconds: number("step"), MemoryMB: number("memory")}
			u.Params = int64(rapid.IntRange(1, 9).Draw(t, "params"))
			trials = append(trials, u)
			if u.Params <= 6 && u.Measures[MemoryMB] <= 4 {
				score := *u.Score
				if !g.objective.Maximize {
					score = -score
				}
				points, ids = append(points, []float64{score, -u.Measures[StepSeconds], -u.Measures[MemoryMB]}), append(ids, id)
			}
		}
		s := standingOf(trials, g)
		var want []int
		for _, i := range pareto.Front(points) {
			want = append(want, ids[i])
		}
		got := s.frontierIDs()
		if !slices.IsSortedFunc(got, func(a, b int) int { return int(trials[a].Measures[StepSeconds] - trials[b].Measures[StepSeconds]) }) {
			t.Fatalf("frontier %v is not sorted", got)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("frontier %v, want %v", got, want)
		}
		if s.best != nil && !g.feasible(s.best) {
			t.Fatalf("the best, %d, is outside the bounds", s.best.ID)
		}
	})
}

// TestTradeoff: of a box from (score 70, 8 M) to (80, 2 M), (80, 8 M) dominates nothing, (75, 4 M) a quarter, (70, 2 M) nothing.
func TestTradeoff(t *testing.T) {
	trial := func(id int, score float64, params int64) *Trial {
		u := finishedTrial(id, score, ArmSearch, 0, 0)
		u.Params = params
		return u
	}
	v := RunView{Run: Run{Objective: Objective{Name: "GLUE", Maximize: true}, Criteria: []Criterion{{Name: Params, Minimize: true, Max: 8e6}}}}
	v.Trials = []*Trial{trial(0, 80, 8e6), trial(1, 75, 4e6), trial(2, 70, 2e6), trial(3, 90, 9e6), finishedTrial(4, 99, ArmConfirm, 0, 0)}
	x := TradeoffOf(&v)
	if x == nil || math.Abs(x.Hypervolume-0.25) > 1e-12 || !slices.Equal(x.Worst, []float64{70, 8e6}) || !slices.Equal(x.Best, []float64{80, 2e6}) || x.Names[1] != Params {
		t.Fatalf("%+v", x)
	}
	if v.Trials = v.Trials[:1]; TradeoffOf(&v) != nil {
		t.Error("a box of one result")
	}
	v.Criteria = nil
	if TradeoffOf(&v) != nil {
		t.Error("a tradeoff with one objective")
	}
}
