package search

import (
	"fmt"
	"strconv"

	"flexi/core/model"
)

// Scheme says how the feed-forward part of a layer is drawn as a graph (design notes 3.1).
type Scheme int

const (
	// Scheme2022 is one chain of feed-forward nodes with one residual around it: the networks as they are built.
	Scheme2022 Scheme = iota
	// Scheme2021 gives every feed-forward node its own add_norm and residual: the scheme of the paper's hashes and libraries.
	Scheme2021
)

// Labels of the nodes that every architecture has.
const (
	inputLabel  = "input"
	outputLabel = "output"
	normLabel   = "add_norm"
)

// Graph is the computational graph of an architecture: labelled nodes in topological order, and edges from lower to higher node numbers.
type Graph struct {
	Labels []string
	Edges  [][2]int
}

// NewGraph draws an architecture: per layer its heads in parallel, a residual connection around them, and the feed-forward stack.
func NewGraph(a model.Arch, scheme Scheme) *Graph {
	g := &Graph{Labels: []string{inputLabel}}
	last := 0
	for _, l := range a.Layers {
		last = g.addHeads(last, headLabels(l))
		if scheme == Scheme2021 {
			for _, f := range l.FF {
				last = g.addChain(last, []int{f})
			}
		} else {
			last = g.addChain(last, l.FF)
		}
	}
	g.connect(last, g.add(outputLabel))
	return g
}

func (g *Graph) add(label string) int {
	g.Labels = append(g.Labels, label)
	return len(g.Labels) - 1
}

func (g *Graph) connect(from, to int) { g.Edges = append(g.Edges, [2]int{from, to}) }

// addHeads adds parallel nodes, their add_norm and its residual edge; it returns the add_norm.
func (g *Graph) addHeads(from int, labels []string) int {
	first := len(g.Labels)
	for _, label := range labels {
		g.connect(from, g.add(label))
	}
	norm := g.add(normLabel)
	for head := first; head < norm; head++ {
		g.connect(head, norm)
	}
	g.connect(from, norm)
	return norm
}

// addChain adds feed-forward nodes one after the other, their add_norm and its residual edge; it returns the add_norm.
func (g *Graph) addChain(from int, widths []int) int {
	end := from
	for _, w := range widths {
		node := g.add(widthLabel(w))
		g.connect(end, node)
		end = node
	}
	norm := g.add(normLabel)
	g.connect(end, norm)
	g.connect(from, norm)
	return norm
}

func widthLabel(width int) string { return "f" + strconv.Itoa(width) }

// opLabel is the label of a head of a standard layer.
func opLabel(op model.Op, param string, hidden int) string {
	return string(op) + "_h" + strconv.Itoa(hidden) + "_p-" + param
}

// headLabels are the labels of a layer's operation nodes. Those of a hetero layer are the dictionary's head strings, which do not hold the hidden size.
func headLabels(l model.Layer) []string {
	var labels []string
	for _, h := range l.Mixed {
		labels = append(labels, string(h.Op)+"_"+h.Param+"_"+strconv.Itoa(h.Size))
	}
	if l.Mixed == nil {
		label := opLabel(l.Op, l.Param, l.Hidden)
		for range l.Heads {
			labels = append(labels, label)
		}
	}
	return labels
}

// Check verifies what every computational graph must be: upper triangular without repeated edges, with one input and one output, and every other node
// on a path between the two.
func (g *Graph) Check() error {
	n := len(g.Labels)
	in, out := make([]int, n), make([]int, n)
	seen := map[[2]int]bool{}
	for _, e := range g.Edges {
		if e[0] < 0 || e[0] >= e[1] || e[1] >= n {
			return fmt.Errorf("graph: edge %d to %d does not go forward among %d nodes", e[0], e[1], n)
		}
		if seen[e] {
			return fmt.Errorf("graph: edge %d to %d is there twice", e[0], e[1])
		}
		seen[e] = true
		out[e[0]]++
		in[e[1]]++
	}
	for v, label := range g.Labels {
		// In a graph whose edges go forward, a node with a predecessor is reached from a source, and one with a successor reaches a sink.
		if (in[v] == 0) != (v == 0) || (out[v] == 0) != (v == n-1) {
			return fmt.Errorf("graph: node %d (%s) is not on a path from input to output", v, label)
		}
	}
	if n < 2 || g.Labels[0] != inputLabel || g.Labels[n-1] != outputLabel {
		return fmt.Errorf("graph: it does not begin with %s and end with %s", inputLabel, outputLabel)
	}
	return nil
}
