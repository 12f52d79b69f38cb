package gauss

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/optimize"
)

const (
	// fitRows bounds the results that hyperparameters are fitted to: the time of a fit grows with the cube of it.
	fitRows = 120
	// fitIterations is enough from the last fit's values, of which there is one per 12% more results.
	fitIterations = 15
)

// Fit adapts the hyperparameters, from their present values, to scores at points, and returns the posterior on all of them. It fits to fitRows at
// most.
func (m *Model) Fit(in *Inputs, at []int, scores []float64) *Posterior {
	all, allScores := at, scores
	at, scores = subset(at, scores)
	level := make([]float64, len(at))
	if !m.Fixed.Slope && len(at) > 2 {
		level = m.Condition(in, at, scores, nil).latent
	}
	e := newEvidence(in, at, nil, level)
	e.y = m.chooseWarp(e, scores)
	problem := optimize.Problem{
		Func: func(t []float64) float64 {
			at, _ := m.with(t)
			return e.at(at, nil)
		},
		Grad: func(grad, t []float64) {
			at, outside := m.with(t)
			g := m.zero()
			e.at(at, g)
			m.pin(g)
			for i, v := range g.vector() {
				if grad[i] = v; outside[i] {
					grad[i] = 0
				}
			}
		},
	}
	settings := &optimize.Settings{MajorIterations: fitIterations, FuncEvaluations: 3 * fitIterations, GradEvaluations: 3 * fitIterations}
	result, err := optimize.Minimize(problem, m.vector(), settings, &optimize.LBFGS{})
	if result != nil && (err == nil || result.X != nil) { // else the present values stay
		fitted, _ := m.with(result.X)
		*m = *fitted
	}
	p := m.Condition(in, all, allScores, nil)
	m.Inflation = p.leftOut()
	return p
}

// inflationWeight is the number of results that speak for no inflation; inflationLimit bounds what a few outliers can do; leftOutRows bounds the
// time.
const inflationWeight, inflationLimit, leftOutRows = 10, 9, 150

// leftOut is the mean square of the residuals that results have when one alone is left out, in units of their expected deviations: with the inverse
// B of A projected on what is orthogonal to the constant mean, residual i is alpha_i / B_ii with variance 1 / B_ii.
func (p *Posterior) leftOut() float64 {
	n := len(p.alpha)
	m := min(n, leftOutRows)
	sum := float64(inflationWeight)
	for k := range m {
		i := k * n / m
		a := p.alpha[i]
		column := blas64.Vector{N: n, Inc: 1, Data: make([]float64, n)}
		column.Data[i] = 1
		blas64.Trsv(blas.NoTrans, p.factor, column)
		if b := blas64.Dot(column, column) - p.ones[i]*p.ones[i]/p.precision; b > 0 {
			sum += a * a / b
		}
	}
	return min(sum/float64(m+inflationWeight), inflationLimit)
}

// chooseWarp sets the bend with the largest evidence at the present hyperparameters, and returns the scores warped by it.
func (m *Model) chooseWarp(e *evidence, scores []float64) []float64 {
	best, warped := math.Inf(1), []float64(nil)
	for _, bend := range bends {
		w := newWarp(scores, bend)
		e.y = make([]float64, len(scores))
		var slopes float64
		for i, s := range scores {
			e.y[i] = w.Of(s)
			slopes += w.logSlope(s)
		}
		if v := e.at(m, nil) - slopes; v < best {
			best, warped, m.Bend = v, e.y, bend
		}
	}
	return warped
}

// subset takes fitRows of the results, evenly by rank: a choice of the best ones would make noise look small.
func subset(at []int, scores []float64) ([]int, []float64) {
	if len(at) <= fitRows {
		return at, scores
	}
	order := make([]int, len(at))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	subAt, subScores := make([]int, fitRows), make([]float64, fitRows)
	for i := range fitRows {
		k := order[i*(len(order)-1)/(fitRows-1)]
		subAt[i], subScores[i] = at[k], scores[k]
	}
	return subAt, subScores
}
