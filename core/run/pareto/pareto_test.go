package pareto

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// grid draws points of few values, so that there are ties.
func grid(t *rapid.T) [][]float64 {
	d := rapid.IntRange(1, 4).Draw(t, "numbers")
	n := rapid.IntRange(1, 12).Draw(t, "points")
	points := make([][]float64, n)
	for i := range points {
		points[i] = make([]float64, d)
		for k := range d {
			points[i][k] = float64(rapid.IntRange(0, 4).Draw(t, "value"))
		}
	}
	return points
}

// TestHypervolumeCountsCells: with whole numbers the volume is the number of unit cells whose upper corner some point reaches.
func TestHypervolumeCountsCells(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		points := grid(t)
		d := len(points[0])
		reference := make([]float64, d)
		cells := 0
		for c := range int(math.Pow(4, float64(d))) {
			corner := make([]float64, d)
			for k := range d {
				corner[k] = float64(c>>(2*k)&3) + 1
			}
			if slices.ContainsFunc(points, func(p []float64) bool { return slices.Equal(p, corner) || Dominates(p, corner) }) {
				cells++
			}
		}
		if v := Hypervolume(points, reference); v != float64(cells) {
			t.Fatalf("volume %g, %d cells", v, cells)
		}
		var front [][]float64
		for _, i := range Front(points) {
			front = append(front, points[i])
		}
		if v := Hypervolume(front, reference); v != float64(cells) {
			t.Fatalf("volume %g of the front, %d cells", v, cells)
		}
	})
}

// TestFrontIsAnAntichain: no point of the front beats another, and every other point is beaten or equalled by one of it.
func TestFrontIsAnAntichain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		points := grid(t)
		front := Front(points)
		for i, p := range points {
			covered := slices.ContainsFunc(front, func(j int) bool { return Dominates(points[j], p) || j < i && slices.Equal(points[j], p) })
			if covered == slices.Contains(front, i) {
				t.Fatalf("point %d of %v, front %v", i, points, front)
			}
		}
	})
}

// TestOrderRespectsDominance: whoever is dominated comes later, and with one number the order is that number's.
func TestOrderRespectsDominance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		points := grid(t)
		order := Order(points)
		if sorted := slices.Sorted(slices.Values(order)); len(sorted) != len(points) || sorted[len(sorted)-1] != len(points)-1 {
			t.Fatalf("order %v", order)
		}
		for a, i := range order {
			for _, j := range order[a+1:] {
				if Dominates(points[j], points[i]) {
					t.Fatalf("%d before %d in %v", i, j, points)
				}
			}
		}
		if len(points[0]) == 1 && !slices.IsSortedFunc(order, func(a, b int) int { return int(points[b][0] - points[a][0]) }) {
			t.Fatalf("order %v of %v", order, points)
		}
	})
}

// TestOrderSpreads: on one front the ends come first, and then who has most room.
func TestOrderSpreads(t *testing.T) {
	points := [][]float64{{1, 9}, {2, 8}, {2.1, 7.9}, {6, 4}, {9, 1}}
	if got := Order(points); !slices.Equal(got, []int{0, 4, 3, 2, 1}) {
		t.Errorf("order %v", got)
	}
}

func BenchmarkHypervolume3(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	points := make([][]float64, 100)
	for i := range points {
		x, y := rng.Float64(), rng.Float64()
		points[i] = []float64{x, y, math.Sqrt(max(0, 2-x*x-y*y))}
	}
	for b.Loop() {
		Hypervolume(points, []float64{0, 0, 0})
	}
}
