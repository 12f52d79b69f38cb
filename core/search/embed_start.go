package search

import (
	"math"

	"gonum.org/v1/gonum/mat"
)

// landmarks is how many architectures classical scaling is solved for; the others are placed by their distances to these.
const landmarks = 384

// landmarkStart is landmark MDS (de Silva and Tenenbaum 2004): classical scaling of a random subset, and every other point by triangulation
//
//	x = -1/2 L# (delta^2 - mean delta^2),   L# = rows v_k / sqrt(lambda_k)
//
// with lambda, v the leading eigenpairs of the doubly centred squared distances among the landmarks. It is close enough to the optimum that
// majorisation needs few sweeps.
func landmarkStart(deltas triangle, seed uint64) []point {
	n := len(deltas.rows)
	marks := embedRandom(seed).Perm(n)[:min(n, landmarks)]
	m := len(marks)
	squared := mat.NewDense(m, m, nil)
	mean := make([]float64, m)
	for a, i := range marks {
		for b, j := range marks {
			d := float64(deltas.at(i, j))
			squared.Set(a, b, d*d)
			mean[a] += d * d / float64(m)
		}
	}
	pseudo := pseudoInverse(squared, mean)
	points := make([]point, n)
	for i := range points {
		for a, mark := range marks {
			d := float64(deltas.at(i, mark))
			diff := -0.5 * (d*d - mean[a])
			for k, row := range pseudo {
				points[i][k] += float32(row[a] * diff)
			}
		}
	}
	return points
}

// pseudoInverse returns the rows of L#, at most EmbedDim of them, for those eigenvalues that are positive beyond rounding.
func pseudoInverse(squared *mat.Dense, mean []float64) [][]float64 {
	m := len(mean)
	var grand float64
	for _, v := range mean {
		grand += v / float64(m)
	}
	centred := mat.NewSymDense(m, nil)
	for a := range m {
		for b := a; b < m; b++ {
			centred.SetSym(a, b, -0.5*(squared.At(a, b)-mean[a]-mean[b]+grand))
		}
	}
	var eigen mat.EigenSym
	if !eigen.Factorize(centred, true) {
		return nil // no start is better than a wrong one: all points at the origin are spread by the first sweep's jitter
	}
	values := eigen.Values(nil) // ascending
	var vectors mat.Dense
	eigen.VectorsTo(&vectors)
	var rows [][]float64
	for k := m - 1; k >= 0 && len(rows) < EmbedDim && values[k] > 1e-9*values[m-1] && values[k] > 0; k-- {
		row := mat.Col(nil, k, &vectors)
		for a := range row {
			row[a] /= math.Sqrt(values[k])
		}
		rows = append(rows, row)
	}
	return rows
}
