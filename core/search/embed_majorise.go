package search

import (
	"context"
	"math"
	"slices"
)

// The embedding is found in three stages: a sample of architectures is embedded to convergence, the others are placed one by one against the fixed
// sample, and sweeps over all pairs polish the whole. At 9,312 architectures full sweeps alone need
// more than a hundred to come as far.
const (
	sampleSize  = 600
	placeRounds = 15

	sampleSweeps    = 300
	sampleTolerance = 1e-4
	polishSweeps    = 8
	polishTolerance = 3e-3
)

// partials is the number of partial sums of a sweep. Rows are dealt to them by number and they are added in order, so that the result does not
// depend on how many threads there are.
const partials = 8

// majorisation is the embedding of a list of architectures by SMACOF.
type majorisation struct {
	EmbedOptions
	sample int // architectures embedded first
	fit    Fit
}

func (m *majorisation) run(ctx context.Context, deltas triangle) ([]point, Fit, error) {
	n := len(deltas.rows)
	marks := embedRandom(m.Seed).Perm(n)[:min(n, m.sample)]
	slices.Sort(marks)
	sample := deltas.sub(marks)
	fixed := landmarkStart(sample, m.Seed)
	spread(fixed, sample, m.Seed)
	if err := m.descend(ctx, sample, fixed, sampleSweeps, sampleTolerance); err != nil || len(marks) == n {
		return fixed, m.fit, err
	}
	points := make([]point, n)
	inBlocks(n, 32, m.Threads, func(i int) { points[i] = place(i, deltas, marks, fixed) })
	for a, i := range marks {
		points[i] = fixed[a]
	}
	err := m.descend(ctx, deltas, points, polishSweeps, polishTolerance)
	return points, m.fit, err
}

// descend lowers the stress by the Guttman transform of SMACOF,
//
//	x_i <- 1/n sum over j of (x_j + delta_ij (x_i - x_j) / |x_i - x_j|),
//
// written as x_i + step/n * force_i, force_i = sum over j of (delta_ij/d_ij - 1)(x_i - x_j). A held-out pair has no force, which is majorisation with its
// distance imputed by the current one. A step of 2 (de Leeuw and Heiser 1980) halves the number of sweeps and still never raises the stress. It ends when a
// sweep lowers the squared error by less than the share tolerance, or after so many sweeps.
func (m *majorisation) descend(ctx context.Context, deltas triangle, points []point, sweeps int, tolerance float64) error {
	last := math.MaxFloat64
	for s := 1; ; s++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		forces, loss, scale := sweep(deltas, points, m.Threads)
		m.fit.Stress = math.Sqrt(loss / max(scale, math.SmallestNonzeroFloat64))
		m.fit.Sweeps++
		if m.Progress != nil {
			m.Progress(m.fit.Sweeps, sampleSweeps+polishSweeps, m.fit.Stress)
		}
		// The loss is that of the points before this sweep's step; leaving the last step out keeps the reported stress exact.
		if loss >= (1-tolerance)*last || s == sweeps {
			return nil
		}
		last = loss
		step := 2 / float32(len(points))
		for i := range points {
			for k := range points[i] {
				points[i][k] += step * forces[i][k]
			}
		}
	}
}

// place finds the position of architecture i against fixed points by the same transform, from where the nearest of them is.
func place(i int, deltas triangle, marks []int, fixed []point) point {
	x, nearest := fixed[0], float32(math.MaxFloat32)
	for a, mark := range marks {
		if d := deltas.at(i, mark); d < nearest && !heldOut(i, mark) {
			x, nearest = fixed[a], d
		}
	}
	for range placeRounds {
		var force, reaction point
		for a, mark := range marks {
			d := pointDistance(&x, &fixed[a])
			if d > 0 && !heldOut(i, mark) {
				pull(&force, &reaction, &x, &fixed[a], (deltas.at(i, mark)-d)/d)
			}
		}
		for k := range x {
			x[k] += 2 / float32(len(marks)) * force[k]
		}
	}
	return x
}

// spread moves points by a ten-thousandth of the mean distance at random: coincident points exert no force on each other and would never separate.
func spread(points []point, deltas triangle, seed uint64) {
	var mean float64
	for i := 1; i < len(points); i++ {
		mean += float64(deltas.at(i-1, i)) / float64(len(points)-1)
	}
	rng := embedRandom(seed)
	for i := range points {
		for k := range points[i] {
			points[i][k] += float32(1e-4 * mean * rng.NormFloat64())
		}
	}
}

// partial is one of the sums that make up a sweep.
type partial struct {
	forces      []point
	loss, scale float64
}

// sweep computes the force on every point, the squared error and the sum of squared distances over all pairs that are not held out.
func sweep(deltas triangle, points []point, threads int) (forces []point, loss, scale float64) {
	n := len(points)
	var sums [partials]partial
	// Blocks of rows are dealt in turn, because later rows are shorter.
	const rows = 16
	inBlocks(partials, 1, threads, func(p int) {
		s := &sums[p]
		s.forces = make([]point, n)
		for from := p * rows; from < n; from += partials * rows {
			for i := from; i < min(from+rows, n); i++ {
				s.row(i, deltas, points)
			}
		}
	})
	forces = sums[0].forces
	for p := range sums {
		loss += sums[p].loss
		scale += sums[p].scale
		if p > 0 {
			for i := range forces {
				for k := range forces[i] {
					forces[i][k] += sums[p].forces[i][k]
				}
			}
		}
	}
	return forces, loss, scale
}

// row adds the pairs (i, j) for all j > i.
func (s *partial) row(i int, deltas triangle, points []point) {
	phase := holdOutPhase(deltas.ids[i])
	x := points[i]
	var force point
	var loss, scale float32
	for k, delta := range deltas.rows[i] {
		j := i + 1 + k
		if deltas.ids[j]%holdOut == phase {
			continue
		}
		y := &points[j]
		d := pointDistance(&x, y)
		gap := delta - d
		loss += gap * gap
		scale += delta * delta
		if d > 0 {
			pull(&force, &s.forces[j], &x, y, gap/d)
		}
	}
	for k := range force {
		s.forces[i][k] += force[k]
	}
	s.loss += float64(loss)
	s.scale += float64(scale)
}

// pull adds w(x - y) to f and subtracts it from g; unrolled like squaredDistance.
func pull(f, g, x, y *point, w float32) {
	for k := 0; k < EmbedDim; k += 4 {
		a, b, c, d := w*(x[k]-y[k]), w*(x[k+1]-y[k+1]), w*(x[k+2]-y[k+2]), w*(x[k+3]-y[k+3])
		f[k] += a
		f[k+1] += b
		f[k+2] += c
		f[k+3] += d
		g[k] -= a
		g[k+1] -= b
		g[k+2] -= c
		g[k+3] -= d
	}
}
