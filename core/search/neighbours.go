package search

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
)

// NeighbourCount is how many neighbours of an architecture the paper considers as sources of weights.
const NeighbourCount = 100

// NeighbourRule orders the architectures around one of them (design notes 3.6).
type NeighbourRule string

// Neighbour rules.
const (
	// NearestNeighbours orders by Euclidean distance of embeddings.
	NearestNeighbours NeighbourRule = "distance"
	// BiasedNeighbours orders by the length of the common beginning of the two graphs' node lists, longest first, then by distance: what agrees from
	// the input on can share weights. It is the paper's rule.
	BiasedNeighbours NeighbourRule = "biased"
)

// Neighbours answers neighbour queries on a library. It holds the sorted node lists, not the neighbours: a query takes well under a millisecond at 9,312
// architectures.
type Neighbours struct {
	rule   NeighbourRule
	points [][]float64
	// For the biased rule: architectures in the lexical order of their node lists, the place of each in it, and how long a beginning each place
	// shares with the place before it. The longest common beginning of any two is the minimum of what lies between them.
	sorted, place, shared []int
}

// NewNeighbours prepares a library for queries by one rule.
func NewNeighbours(lib *Library, rule NeighbourRule) (*Neighbours, error) {
	n := &Neighbours{rule: rule, points: lib.Embeddings}
	switch rule {
	case NearestNeighbours:
	case BiasedNeighbours:
		n.sortNodeLists(lib)
	default:
		return nil, fmt.Errorf("neighbour rule %q: there are %q and %q", rule, NearestNeighbours, BiasedNeighbours)
	}
	return n, nil
}

func (n *Neighbours) sortNodeLists(lib *Library) {
	lists := make([][]string, lib.Len())
	for i, a := range lib.Archs {
		lists[i] = NewGraph(a, Scheme2021).Labels
	}
	n.sorted, n.place, n.shared = indices(lib.Len()), make([]int, lib.Len()), make([]int, lib.Len())
	sort.SliceStable(n.sorted, func(a, b int) bool { return slices.Compare(lists[n.sorted[a]], lists[n.sorted[b]]) < 0 })
	for p, i := range n.sorted {
		n.place[i] = p
		if p > 0 {
			n.shared[p] = commonBeginning(lists[n.sorted[p-1]], lists[i])
		}
	}
}

func commonBeginning(a, b []string) int {
	k := 0
	for k < len(a) && k < len(b) && a[k] == b[k] {
		k++
	}
	return k
}

// neighbour is a candidate in a query: smaller is nearer, by beginning first.
type neighbour struct {
	index, beginning int
	distance         float64
}

// Of lists the k nearest neighbours of architecture i, nearest first and without itself; ties go to the lower index.
func (n *Neighbours) Of(i, k int) []int {
	var near []neighbour
	if n.rule == BiasedNeighbours {
		near = n.byBeginning(i, k)
	} else {
		for j := range n.points {
			if j != i {
				near = append(near, neighbour{index: j})
			}
		}
	}
	for c := range near {
		near[c].distance = squaredL2(n.points[i], n.points[near[c].index])
	}
	slices.SortFunc(near, func(a, b neighbour) int {
		return cmp.Or(cmp.Compare(b.beginning, a.beginning), cmp.Compare(a.distance, b.distance), cmp.Compare(a.index, b.index))
	})
	out := make([]int, 0, k)
	for _, c := range near[:min(k, len(near))] {
		out = append(out, c.index)
	}
	return out
}

// byBeginning walks from i's place in the sorted lists to both sides, always where the common beginning is longer, until it has k candidates and all those
// that share as long a beginning as the last of them.
func (n *Neighbours) byBeginning(i, k int) []neighbour {
	var out []neighbour
	low, high := n.place[i], n.place[i]+1 // places low..high-1 are taken
	const all = int(^uint(0) >> 1)
	below, above := all, all // common beginning of i with everything taken so far on either side
	for {
		before, after := -1, -1 // common beginning with the next on either side
		if low > 0 {
			before = min(below, n.shared[low])
		}
		if high < len(n.sorted) {
			after = min(above, n.shared[high])
		}
		best := max(before, after)
		if best < 0 || (len(out) >= k && best < out[len(out)-1].beginning) {
			return out
		}
		if before >= after {
			below = before
			low--
			out = append(out, neighbour{index: n.sorted[low], beginning: best})
		} else {
			above = after
			out = append(out, neighbour{index: n.sorted[high], beginning: best})
			high++
		}
	}
}
