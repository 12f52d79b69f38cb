package search

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Points on a tilted ellipse of known axes: the plane finds the long one first, and distances along it are kept.
func TestPlaneFindsTheLongAxes(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	dirs := [3][]float64{{0.6, 0.8, 0}, {-0.8, 0.6, 0}, {0, 0, 1}} // standard deviations 5, 2, 0.1
	var points [][]float64
	for range 4000 {
		x := make([]float64, 3)
		for a, sd := range []float64{5, 2, 0.1} {
			r := rng.NormFloat64() * sd
			for k := range x {
				x[k] += r * dirs[a][k]
			}
		}
		points = append(points, x)
	}
	p := newPlane(points)
	for a := range 2 {
		var dot float64
		for k := range 3 {
			dot += p.axes[a][k] * dirs[a][k]
		}
		if math.Abs(math.Abs(dot)-1) > 1e-3 {
			t.Errorf("axis %d is %v, want %v or its opposite", a, p.axes[a], dirs[a])
		}
	}
	u0, v0 := p.at([]float64{0, 0, 0})
	u1, v1 := p.at([]float64{3, 4, 0}) // 5 along the long axis
	if d := math.Hypot(u1-u0, v1-v0); math.Abs(d-5) > 0.02 {
		t.Errorf("a distance of 5 is seen as %v", d)
	}
}

func TestPlaneOfFew(t *testing.T) {
	for _, points := range [][][]float64{{{1}}, {{1}, {2}, {4}}, {{1, 1}, {1, 1}}} {
		u, v := newPlane(points).at(points[0])
		if math.IsNaN(u) || math.IsNaN(v) {
			t.Errorf("%v: %v, %v", points, u, v)
		}
	}
}
