package search

import (
	"fmt"
	"slices"

	"flexi/core/model"
)

// layerKinds numbers the different layers of a list of architectures and holds what aligning any two of them costs.
type layerKinds struct {
	scheme Scheme
	number map[string]int32
	edges  [][]string // one entry "from>to" per edge
	// replace is a square table of the edges that only one of two kinds has; remove is all edges of a kind.
	replace, remove []int32
}

func newLayerKinds(scheme Scheme) *layerKinds {
	return &layerKinds{scheme: scheme, number: map[string]int32{}}
}

// of numbers the layers of an architecture.
func (k *layerKinds) of(a model.Arch) []int32 {
	out := make([]int32, len(a.Layers))
	for j, l := range a.Layers {
		key := fmt.Sprint(headLabels(l), l.FF)
		n, ok := k.number[key]
		if !ok {
			n = int32(len(k.edges))
			k.number[key] = n
			k.edges = append(k.edges, layerEdges(l, k.scheme))
		}
		out[j] = n
	}
	return out
}

// layerEdges lists the edges of one layer by the labels of their ends: those of the parallel heads sorted, as heads have no order, then those of the
// feed-forward stack in order. The node before the layer counts as add_norm, also for the first layer.
func layerEdges(l model.Layer, scheme Scheme) []string {
	g := NewGraph(model.Arch{Layers: []model.Layer{l}}, scheme)
	g.Labels[0] = normLabel
	var edges []string
	for _, e := range g.Edges[:len(g.Edges)-1] { // the last leads to the output
		edges = append(edges, g.Labels[e[0]]+">"+g.Labels[e[1]])
	}
	slices.Sort(edges[:2*len(headLabels(l))+1])
	return edges
}

// compare fills the tables once all kinds are known.
func (k *layerKinds) compare() {
	n := len(k.edges)
	k.remove, k.replace = make([]int32, n), make([]int32, n*n)
	for a := range n {
		k.remove[a] = int32(len(k.edges[a]))
		for b := range a {
			cost := mismatch(k.edges[a], k.edges[b])
			k.replace[a*n+b], k.replace[b*n+a] = cost, cost
		}
	}
}

// mismatch is the number of edges that only one of two layers has, in order: what is outside their longest common subsequence.
func mismatch(a, b []string) int32 {
	row := make([]int32, len(b)+1)
	for j := range row {
		row[j] = int32(j)
	}
	for i, edge := range a {
		diagonal := row[0]
		row[0] = int32(i + 1)
		for j, other := range b {
			cost := min(row[j], row[j+1]) + 1
			if edge == other {
				cost = diagonal
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

// align is the cheapest alignment of two sequences of layers, by the usual dynamic program
//
//	cost(i, j) = min(cost(i-1, j-1) + replace, cost(i-1, j) + remove, cost(i, j-1) + remove)
//
// with one row kept. Layers at both ends that are equal are aligned first: some best alignment always does.
func (k *layerKinds) align(a, b []int32) int {
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	var buffer [maxLayers + 1]int32
	row := buffer[:min(len(b), maxLayers)+1]
	if len(b) >= len(row) {
		row = make([]int32, len(b)+1) // deeper than any space
	}
	for j, kind := range b {
		row[j+1] = row[j] + k.remove[kind]
	}
	n := len(k.remove)
	for _, kind := range a {
		replace := k.replace[int(kind)*n : int(kind)*n+n]
		remove := k.remove[kind]
		diagonal := row[0]
		row[0] += remove
		for j, other := range b {
			cost := min(diagonal+replace[other], row[j+1]+remove, row[j]+k.remove[other])
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return int(row[len(b)])
}
