package search

import (
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"

	"flexi/core/run"
)

// plane is the embedding of a library seen along its first two principal components.
type plane struct {
	centre []float64
	axes   [2][]float64
}

// newPlane finds the two directions in which points spread most. Signs are such that the largest weight of a direction is positive, so that maps of the
// same library look the same. Points have at least one dimension; the second direction of one-dimensional points is zero.
func newPlane(points [][]float64) *plane {
	n, d := len(points), len(points[0])
	p := &plane{centre: make([]float64, d), axes: [2][]float64{make([]float64, d), make([]float64, d)}}
	all := mat.NewDense(n, d, nil)
	for i, x := range points {
		all.SetRow(i, x)
		for k, v := range x {
			p.centre[k] += v / float64(n)
		}
	}
	if n < 2 {
		return p
	}
	var covariance mat.SymDense
	stat.CovarianceMatrix(&covariance, all, nil)
	var eigen mat.EigenSym
	if !eigen.Factorize(&covariance, true) {
		return p
	}
	var vectors mat.Dense
	eigen.VectorsTo(&vectors) // ascending eigenvalues
	for a := range min(2, d) {
		axis := mat.Col(p.axes[a], d-1-a, &vectors)
		largest := 0
		for k, v := range axis {
			if v*v > axis[largest]*axis[largest] {
				largest = k
			}
		}
		if axis[largest] < 0 {
			for k := range axis {
				axis[k] = -axis[k]
			}
		}
	}
	return p
}

// at is the place of a point on the plane.
func (p *plane) at(x []float64) (u, v float64) {
	for k, c := range p.centre {
		u += (x[k] - c) * p.axes[0][k]
		v += (x[k] - c) * p.axes[1][k]
	}
	return u, v
}

// shownPlaces bounds how many trials a map shows, the newest ones.
const shownPlaces = 300

func (s *searching) chart(t run.Trial, trials []run.Trial, near []run.Neighbour) []run.Place {
	lib := s.h.Library(t.Level)
	if lib == nil {
		return nil
	}
	if s.maps[t.Level] == nil {
		s.maps[t.Level] = newPlane(lib.Embeddings)
	}
	var out []run.Place
	add := func(hash string, trial int) {
		if i, ok := lib.Index[hash]; ok {
			u, v := s.maps[t.Level].at(lib.Embeddings[i])
			out = append(out, run.Place{Hash: hash, Trial: trial, X: u, Y: v})
		}
	}
	var level []run.Trial
	for _, other := range trials {
		if other.Level == t.Level && other.Arm == run.ArmSearch {
			level = append(level, other)
		}
	}
	shown := level[max(0, len(level)-shownPlaces):]
	if len(shown) > 0 && t.ID < shown[0].ID {
		add(t.Hash, t.ID)
	}
	for _, other := range shown {
		add(other.Hash, other.ID)
	}
	for _, n := range near {
		if n.Trial < 0 {
			add(n.Hash, -1)
		}
	}
	return out
}
