package search

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"math"
	"slices"
)

// refit trains the surrogates on all finished results (B10: the original was always one step behind), from the weights of the last fit.
// Without new results it leaves them.
func (p *boshnas) refit(ctx context.Context, h *history, number int) error {
	results := fingerprint(h.scored)
	if p.fitted && results == p.seen {
		return ctx.Err()
	}
	x, scores := make([][]float64, len(h.scored)), make([]float64, len(h.scored))
	for i, r := range h.scored {
		x[i], scores[i] = p.points[r.index], r.score
	}
	weights, before := cloneArrays(p.s.params()), p.s.target
	switch {
	case p.b.recipe.rescale:
		p.s.target = spanTarget(scores)
	case !p.fitted: // the initial set's, then never changed
		p.s.target = paperTarget(scores, p.o.Perfect)
	}
	err := p.s.fit(ctx, x, scores, p.points, stream(p.o.Seed, streamFit, number))
	if errors.Is(err, errDiverged) { // weights that warm starts have driven astray: once more from fresh ones
		p.s.setParams(p.freshSurrogates().params())
		err = p.s.fit(ctx, x, scores, p.points, stream(p.o.Seed, streamFit, number))
	}
	if err != nil { // as if nothing had been tried, so that an interrupted search goes on like one that was not
		p.s.setParams(weights)
		p.s.target = before
		return err
	}
	p.fitted, p.seen = true, results
	return nil
}

func cloneArrays(a [][]float64) [][]float64 {
	out := make([][]float64, len(a))
	for i := range a {
		out[i] = slices.Clone(a[i])
	}
	return out
}

// fingerprint tells sets of results apart.
func fingerprint(results []result) uint64 {
	sum := fnv.New64a()
	var b [16]byte
	for _, r := range results {
		binary.LittleEndian.PutUint64(b[:8], uint64(r.index))
		binary.LittleEndian.PutUint64(b[8:], math.Float64bits(r.score))
		_, _ = sum.Write(b[:]) // a hash never fails
	}
	return sum.Sum64()
}

// rescaled centres the embeddings and divides all dimensions by one number, so that distances keep their proportions and the mean variance
// of a dimension is 1.
func rescaled(points [][]float64) [][]float64 {
	d, n := len(points[0]), float64(len(points))
	mean := make([]float64, d)
	for _, x := range points {
		addScaled(mean, 1/n, x)
	}
	var variance float64
	for _, x := range points {
		variance += squaredL2(x, mean) / (n * float64(d))
	}
	scale := 1.0
	if variance > 0 {
		scale = 1 / math.Sqrt(variance)
	}
	out := make([][]float64, len(points))
	for i, x := range points {
		out[i] = make([]float64, d)
		for j := range x {
			out[i][j] = scale * (x[j] - mean[j])
		}
	}
	return out
}
