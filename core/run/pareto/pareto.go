// Package pareto compares results by several numbers at once, all of which are to be large: dominance, fronts, and the hypervolume that a front dominates.
package pareto

import (
	"cmp"
	"math"
	"slices"
)

// Dominates reports whether a is at least as good as b in every number and better in one.
func Dominates(a, b []float64) bool {
	better := false
	for k, v := range a {
		if v < b[k] {
			return false
		}
		better = better || v > b[k]
	}
	return better
}

// Front lists the points that no other dominates, in their order; of equal ones the first.
func Front(points [][]float64) []int {
	var front []int
	for i, p := range points {
		out := slices.ContainsFunc(front, func(j int) bool { return Dominates(points[j], p) || slices.Equal(points[j], p) })
		if out {
			continue
		}
		front = slices.DeleteFunc(front, func(j int) bool { return Dominates(p, points[j]) })
		front = append(front, i)
	}
	return front
}

// Order lists the points from best to worst by non-dominated sorting with crowding distance (NSGA-II, Deb et al. 2002): by the front that they are on after
// all better fronts are taken away, within it those with the most room around them first, of equals the earlier. With one number it is the order by it.
func Order(points [][]float64) []int {
	left := make([]int, len(points))
	for i := range left {
		left[i] = i
	}
	var order []int
	for len(left) > 0 {
		front := slices.DeleteFunc(slices.Clone(left), func(i int) bool {
			return slices.ContainsFunc(left, func(j int) bool { return Dominates(points[j], points[i]) })
		})
		left = slices.DeleteFunc(left, func(i int) bool { return slices.Contains(front, i) })
		room := crowding(points, front)
		slices.SortStableFunc(front, func(a, b int) int { return cmp.Compare(room[b], room[a]) })
		order = append(order, front...)
	}
	return order
}

// crowding is, per point of a front, the sum over the numbers of the distance between its two neighbours, as a share of the front's range; infinite at the
// ends.
func crowding(points [][]float64, front []int) map[int]float64 {
	room := make(map[int]float64, len(front))
	for k := range points[front[0]] {
		sorted := slices.Clone(front)
		slices.SortStableFunc(sorted, func(a, b int) int { return cmp.Compare(points[a][k], points[b][k]) })
		last := len(sorted) - 1
		span := points[sorted[last]][k] - points[sorted[0]][k]
		if span == 0 {
			continue
		}
		room[sorted[0]], room[sorted[last]] = math.Inf(1), math.Inf(1)
		for i := 1; i < last; i++ {
			room[sorted[i]] += (points[sorted[i+1]][k] - points[sorted[i-1]][k]) / span
		}
	}
	return room
}

// Hypervolume is the volume between the reference point and what the points dominate. Points that are not above the reference in every number add
// nothing. It slices along the last number: time grows with the points' number to the power of dimensions less one, which serves fronts of a search.
func Hypervolume(points [][]float64, reference []float64) float64 {
	var above [][]float64
	for _, p := range points {
		inside := true
		for k, v := range p {
			inside = inside && v > reference[k]
		}
		if inside {
			above = append(above, p)
		}
	}
	return slice(above, reference)
}

func slice(points [][]float64, reference []float64) float64 {
	last := len(reference) - 1
	if len(points) == 0 {
		return 0
	}
	if last == 0 {
		best := slices.MaxFunc(points, func(a, b []float64) int { return cmp.Compare(a[0], b[0]) })
		return best[0] - reference[0]
	}
	sorted := slices.Clone(points)
	slices.SortStableFunc(sorted, func(a, b []float64) int { return cmp.Compare(b[last], a[last]) })
	var volume float64
	var tops [][]float64 // of the slab, without the last number
	for i, p := range sorted {
		tops = append(tops, p[:last])
		floor := reference[last]
		if i+1 < len(sorted) {
			floor = sorted[i+1][last]
		}
		if thick := p[last] - floor; thick > 0 {
			volume += thick * slice(reduce(tops), reference[:last])
		}
	}
	return volume
}

// reduce leaves dominated points out.
func reduce(points [][]float64) [][]float64 {
	front := Front(points)
	out := make([][]float64, len(front))
	for i, j := range front {
		out[i] = points[j]
	}
	return out
}
