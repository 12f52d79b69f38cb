package search

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"flexi/core/search/gauss"
)

// queryRule is how the acquisition function is optimised.
type queryRule int

const (
	// queryAuto scans the library while that is affordable, and uses queryMoves after that.
	queryAuto queryRule = iota
	// queryScan looks at every unseen architecture.
	queryScan
	// queryMoves looks at the architectures around the ends of second-order descents, around the best results, and at random ones.
	queryMoves
	// queryGOBI looks at those nearest to the ends of descents only.
	queryGOBI
)

// Sizes of a search for the best acquisition. A scan of scanPairs takes under 0.1 s.
const (
	scanPairs    = 4_000_000 // results times architectures
	movesParents = 8         // best results whose surroundings are looked at
	movesNear    = 48        // architectures around each of these, and around each end
	movesRandom  = 768
	localResults = 64 // best results that a descent's posterior knows
	rankedLimit  = 16
	exactLimit   = 400 // architectures whose exact variance is worth its time
	lowerBound   = 1   // standard deviations above the mean that a descent looks for
)

// optimise ranks unseen architectures by expected improvement, best first; there is at least one. With aleatoric the noise counts as a chance too.
func (p *boshnasGP) optimise(h *history, aleatoric bool, rng *rand.Rand) []int {
	rule := p.b.query
	if rule == queryAuto {
		rule = queryMoves
		if h.unseen*len(h.scored) <= scanPairs {
			rule = queryScan
		}
	}
	if rule == queryScan {
		return p.best(h.allUnseen(), aleatoric)
	}
	candidates := map[int]bool{}
	for _, r := range p.descend(h, rng) {
		near := movesNear
		if rule == queryGOBI {
			near = 1
		}
		p.around(r, near, h, candidates)
	}
	if rule == queryMoves {
		for _, i := range p.parents(h) {
			p.around(p.in.Relaxed(i), movesNear, h, candidates)
		}
		for range movesRandom {
			candidates[h.randomUnseen(rng)] = true
		}
	}
	list := make([]int, 0, len(candidates))
	for i := range candidates {
		list = append(list, i)
	}
	slices.Sort(list)
	return p.best(list, aleatoric)
}

// parents are the positions that moves start from: the best results, and along the frontier where several objectives are traded off.
func (p *boshnasGP) parents(h *history) []int {
	var out []int
	for _, r := range h.bestScored(movesParents) {
		out = append(out, r.index)
	}
	if p.criteria == nil {
		return out
	}
	n := len(p.criteria.front)
	for k := range min(n, movesParents) {
		out = append(out, p.criteria.front[k*n/min(n, movesParents)])
	}
	return out
}

// best ranks candidates by expected improvement: exactly, among the exactLimit best by a bound from the nearest result alone. With bounded criteria it
// is no bound, because certainty can raise the chance to be within them; the limit of candidates then makes the choice.
func (p *boshnasGP) best(candidates []int, aleatoric bool) []int {
	type scored struct {
		index int
		value float64
	}
	value := func(i int, exact bool) float64 {
		z, v := predict(p.posterior, i, exact)
		v *= p.widen * p.widen
		if aleatoric {
			v += p.posterior.Noise(z)
		}
		if p.criteria != nil {
			return p.criteria.acquisition(i, normal{z, math.Sqrt(v)}, exact)
		}
		return LogImprovement(z-p.posterior.Best, v)
	}
	bounds := make([]scored, len(candidates))
	for n, i := range candidates {
		bounds[n] = scored{i, value(i, false)}
	}
	order := func(a, b scored) int { return cmp.Or(cmp.Compare(b.value, a.value), cmp.Compare(a.index, b.index)) }
	slices.SortFunc(bounds, order)
	var exact []scored
	worst := math.Inf(-1) // of the rankedLimit best
	for n, b := range bounds {
		if n >= exactLimit || n >= rankedLimit && b.value < worst && !p.criteria.bounded() {
			break
		}
		e := scored{b.index, value(b.index, true)}
		at, _ := slices.BinarySearchFunc(exact, e, order)
		if exact = slices.Insert(exact, at, e); len(exact) > rankedLimit {
			exact = exact[:rankedLimit]
		}
		if len(exact) == rankedLimit {
			worst = exact[rankedLimit-1].value
		}
	}
	ranked := make([]int, len(exact))
	for n, e := range exact {
		ranked[n] = e.index
	}
	return ranked
}

// predict is the belief at a point, or a bound of its variance, which takes no solve.
func predict(q *gauss.Posterior, i int, exact bool) (z, v float64) {
	if exact {
		return q.Predict(i)
	}
	return q.Bound(i)
}

// LogImprovement is the logarithm of the expected improvement of a normal variable whose mean exceeds the best by gain:
//
//	EI = sd (u Phi(u) + phi(u)), u = gain/sd; far below, EI tends to sd phi(u) (1/u² - 3/u⁴)
func LogImprovement(gain, variance float64) float64 {
	sd := math.Sqrt(variance)
	u := gain / sd
	logDensity := -u*u/2 - 0.5*math.Log(2*math.Pi)
	if u < -20 {
		return math.Log(sd) + logDensity - 2*math.Log(-u) + math.Log1p(-3/(u*u))
	}
	return math.Log(sd) + math.Log(u*0.5*math.Erfc(-u/math.Sqrt2)+math.Exp(logDensity))
}

// descend runs GOBI: from the best results and from random architectures, second-order steps on relaxed inputs towards a low -(mean + sd).
func (p *boshnasGP) descend(h *history, rng *rand.Rand) [][]float64 {
	local := h.bestScored(localResults)
	at, scores := make([]int, len(local)), make([]float64, len(local))
	for i, r := range local {
		at[i], scores[i] = r.index, r.score
	}
	q := p.model.Condition(p.in, at, scores, nil)
	expand := func(x []float64, out *quadratic) {
		mean, sd := q.Expand(x)
		out.value = -mean.Value - lowerBound*sd.Value
		for i := range x {
			out.grad[i] = -mean.Grad[i] - lowerBound*sd.Grad[i]
			out.diag[i] = -mean.Diag[i] - lowerBound*sd.Diag[i]
		}
	}
	lo, hi := p.in.Box()
	var ends [][]float64
	for n := range p.b.gobi.restarts {
		start := h.randomUnseen(rng)
		if n%2 == 0 {
			start = at[min(n/2, len(at)-1)]
		}
		x, _ := p.b.gobi.minimise(expand, p.in.Relaxed(start), box{lo, hi}, rng)
		ends = append(ends, x)
	}
	return ends
}

// around adds the unseen architectures nearest to a relaxed point.
func (p *boshnasGP) around(r []float64, count int, h *history, candidates map[int]bool) {
	type near struct {
		index    int
		distance float64
	}
	distance := p.posterior.Distance(r)
	nearest := make([]near, 0, count+1)
	for i, seen := range h.proposed {
		if seen {
			continue
		}
		d := near{i, distance(i)}
		if len(nearest) == count && d.distance >= nearest[count-1].distance {
			continue
		}
		at, _ := slices.BinarySearchFunc(nearest, d, func(a, b near) int {
			return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.index, b.index))
		})
		if nearest = slices.Insert(nearest, at, d); len(nearest) > count {
			nearest = nearest[:count]
		}
	}
	for _, n := range nearest {
		candidates[n.index] = true
	}
}

var _ Policy = (*boshnasGP)(nil)
