package search

import (
	"cmp"
	"math"
	"slices"

	"flexi/core/run/pareto"
)

// normal is an independent belief in one number; a deviation of 0 is knowledge.
type normal struct{ mean, sd float64 }

// improvement is E max(0, Y - a) = sd (u Phi(u) + phi(u)), u = (mean-a)/sd.
func (n normal) improvement(a float64) float64 {
	d := n.mean - a
	if n.sd == 0 || math.IsInf(d, -1) {
		return max(0, d)
	}
	u := d / n.sd
	return n.sd * (u*0.5*math.Erfc(-u/math.Sqrt2) + math.Exp(-u*u/2)/math.Sqrt(2*math.Pi))
}

// logAbove is the logarithm of P(Y > a); far below, P tends to phi(u)/-u.
func (n normal) logAbove(a float64) float64 {
	u := (n.mean - a) / n.sd
	if n.sd == 0 {
		u = math.Inf(1)
		if n.mean < a {
			u = math.Inf(-1)
		}
	}
	if u < -20 {
		return -u*u/2 - math.Log(-u) - 0.5*math.Log(2*math.Pi)
	}
	return math.Log(0.5 * math.Erfc(-u/math.Sqrt2))
}

// improvement is the expected gain of hypervolume over a frontier, exact for independent normal beliefs (Yang et al. 2019, arXiv 1904.12672): with what no
// result dominates cut into boxes from l to u,
//
//	EHVI = sum over boxes of prod_k (E max(0, Y_k - l_k) - E max(0, Y_k - u_k))
type improvement struct{ boxes []box }

// newImprovement counts hypervolume from the worst of all results, and from a tenth of the frontier's extent below its own worst: from the frontier's worst its
// ends would be worth nothing.
func newImprovement(points [][]float64) *improvement {
	var front [][]float64
	for _, i := range pareto.Front(points) {
		front = append(front, points[i])
	}
	reference := make([]float64, len(points[0]))
	for k := range reference {
		worst, _ := extent(points, k)
		low, high := extent(front, k)
		reference[k] = min(worst, low-0.1*max(high-low, 1e-3))
	}
	return &improvement{nondominated(front, reference)}
}

// extent is the smallest and the largest k-th number.
func extent(points [][]float64, k int) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, p := range points {
		low, high = min(low, p[k]), max(high, p[k])
	}
	return low, high
}

// nondominated cuts what lies above the reference, and is dominated by no point, into boxes: slabs along the last number, each cut in the same way by the
// points that reach it.
func nondominated(points [][]float64, reference []float64) []box {
	last := len(reference) - 1
	if last == 0 {
		_, top := extent(points, 0)
		return []box{{[]float64{max(top, reference[0])}, []float64{math.Inf(1)}}}
	}
	sorted := slices.Clone(points)
	slices.SortStableFunc(sorted, func(a, b []float64) int { return cmp.Compare(b[last], a[last]) })
	var boxes []box
	var reaching [][]float64
	ceiling := math.Inf(1)
	for i := range len(sorted) + 1 {
		floor := reference[last]
		if i < len(sorted) {
			floor = max(floor, sorted[i][last])
		}
		if ceiling > floor {
			for _, b := range nondominated(reaching, reference[:last]) {
				boxes = append(boxes, box{append(b.lo, floor), append(b.hi, ceiling)})
			}
			ceiling = floor
		}
		if i < len(sorted) {
			reaching = append(reaching, sorted[i][:last])
		}
	}
	return boxes
}

// logTiny is below the logarithm of every improvement that can be told from none.
const logTiny = -690

// log is the logarithm of the expected gain for a belief per number. Where that is too small for a float64 it falls with the distance from the frontier,
// so that candidates can still be ranked.
func (m *improvement) log(y []normal) float64 {
	var sum float64
	nearest := math.Inf(-1)
	for _, b := range m.boxes {
		v, tail := 1.0, 0.0
		for k, n := range y {
			v *= n.improvement(b.lo[k]) - n.improvement(b.hi[k])
			tail += n.logAbove(b.lo[k])
		}
		sum, nearest = sum+v, max(nearest, tail)
	}
	if sum > 1e-290 {
		return math.Log(sum)
	}
	return logTiny + min(0, nearest-logTiny)
}
