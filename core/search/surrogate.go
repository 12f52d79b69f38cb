package search

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// recipe says how the three surrogates are trained.
type recipe struct {
	teacher, student, npn schedule
	factor                float64 // of the squared error in the natural-parameter network's loss
	// elsewhere is the number of random library points that the student learns the teacher's spread at, besides the trained ones.
	elsewhere int
	// rescale centres the embeddings and scales them to a mean variance of 1; the target then spans the scores seen so far.
	rescale bool
}

// teacherPasses is the number of stochastic passes whose standard deviation the student learns.
const teacherPasses = 10

// surrogates predict the target y, which is lower for better models: the natural-parameter network its mean and aleatoric variance, the
// teacher (by dropout) and its student (without sampling) the epistemic standard deviation.
type surrogates struct {
	recipe  recipe
	teacher *mlp
	student *mlp
	npn     *npn
	target  target
}

func newSurrogates(r recipe, in int, rng *rand.Rand) *surrogates {
	return &surrogates{recipe: r, teacher: newMLP(rng, in, teacherDropout), student: newMLP(rng, in, 0), npn: newNPN(rng, in, r.factor), target: target{Slope: -1, Floor: math.Inf(-1)}}
}

// fit trains teacher, student and natural-parameter network, in this order, from their present weights. x are the embeddings of the
// scored architectures, library those the student may be asked about.
func (s *surrogates) fit(ctx context.Context, x [][]float64, scores []float64, library [][]float64, rng *rand.Rand) error {
	data := samples{x: x, y: make([]float64, len(scores))}
	for i, score := range scores {
		data.y[i] = s.target.of(score)
	}
	if _, err := trainNet(ctx, s.teacher, data, s.recipe.teacher, rng); err != nil {
		return fmt.Errorf("fit teacher: %w", err)
	}
	spread := samples{x: slices.Clone(x)}
	for range min(s.recipe.elsewhere, len(library)) {
		spread.x = append(spread.x, library[rng.IntN(len(library))])
	}
	// Plain numbers: no gradient flows back into the teacher (B14).
	for _, at := range spread.x {
		spread.y = append(spread.y, s.teacher.spread(rng, at, teacherPasses))
	}
	if _, err := trainNet(ctx, s.student, spread, s.recipe.student, rng); err != nil {
		return fmt.Errorf("fit student: %w", err)
	}
	if _, err := trainNet(ctx, s.npn, data, s.recipe.npn, rng); err != nil {
		return fmt.Errorf("fit natural-parameter network: %w", err)
	}
	return nil
}

// params are the parameters of all three, in a fixed order.
func (s *surrogates) params() [][]float64 {
	return slices.Concat(s.teacher.params(), s.student.params(), s.npn.params())
}

// setParams copies values of the shape of params.
func (s *surrogates) setParams(values [][]float64) {
	for i, own := range s.params() {
		copy(own, values[i])
	}
	s.npn.refresh()
}

// acquisition is z = mu - k (s [+ v]), to be minimised: the lower confidence bound of the target. s is a standard deviation and v a
// variance, summed as they are in the original.
type acquisition struct {
	s         *surrogates
	explore   float64 // k
	aleatoric bool
}

func (a acquisition) at(x []float64) float64 {
	mean, variance := a.s.npn.forward(x)
	z := mean - a.explore*a.s.student.forward(x, nil)
	if a.aleatoric {
		z -= a.explore * variance
	}
	return z
}

// expand writes value, gradient and Hessian of z at x to q.
func (a acquisition) expand(x []float64, q *quadratic) {
	q.reset()
	var byVariance float64
	if a.aleatoric {
		byVariance = -a.explore
	}
	a.s.npn.expand(x, 1, byVariance, q)
	a.s.student.expand(x, -a.explore, q)
	q.mirror()
}

// belief translates the surrogates' prediction at x into the scores' units.
func (a acquisition) belief(x []float64) Belief {
	mean, variance := a.s.npn.forward(x)
	t := a.s.target
	return Belief{
		Mean: t.score(mean), Aleatoric: t.size(math.Sqrt(variance)), Epistemic: t.size(a.s.student.forward(x, nil)),
		Acquisition: t.score(a.at(x)),
	}
}
