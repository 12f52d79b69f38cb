package search

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strconv"
	"strings"

	"flexi/core/model"
)

// hashRounds is the depth of neighbourhood that a node's hash covers; part of the hash's definition.
const hashRounds = 5

// Hash identifies an architecture by its graph (design notes 1.5): SHA-256 over the 2021 scheme for standard models, as in the paper, and over
// the 2022 scheme plus hidden sizes and feed-forward widths for hetero models. Equal up to the order of parallel heads means equal hash.
func Hash(a model.Arch) string {
	if !hasMixed(a) {
		return NewGraph(a, Scheme2021).Hash(sha256.New)
	}
	var hidden []string
	var ff []string
	for _, l := range a.Layers {
		hidden = append(hidden, strconv.Itoa(l.Hidden))
		ff = append(ff, pythonInts(l.FF))
	}
	return digest(sha256.New, NewGraph(a, Scheme2022).Hash(sha256.New)+pythonList(hidden)+pythonList(ff))
}

func hasMixed(a model.Arch) bool {
	return slices.ContainsFunc(a.Layers, func(l model.Layer) bool { return l.Mixed != nil })
}

// Hash is an isomorphism-invariant digest of the graph: five rounds in which every node's hash takes in those of its predecessors and successors, then the
// digest of the sorted node hashes. The exact text that is hashed, in Python's notation, is what makes hashes comparable with the original's.
func (g *Graph) Hash(newHash func() hash.Hash) string {
	n := len(g.Labels)
	in, out := make([][]int, n), make([][]int, n)
	for _, e := range g.Edges {
		out[e[0]] = append(out[e[0]], e[1])
		in[e[1]] = append(in[e[1]], e[0])
	}
	nodes := make([]string, n)
	for v, label := range g.Labels {
		nodes[v] = digest(newHash, fmt.Sprintf("(%d, %d, '%s')", len(out[v]), len(in[v]), label))
	}
	for range hashRounds {
		next := make([]string, n)
		for v := range nodes {
			next[v] = digest(newHash, joinSorted(nodes, in[v])+"|"+joinSorted(nodes, out[v])+"|"+nodes[v])
		}
		nodes = next
	}
	slices.Sort(nodes)
	return digest(newHash, "['"+strings.Join(nodes, "', '")+"']")
}

func digest(newHash func() hash.Hash, text string) string {
	h := newHash()
	h.Write([]byte(text)) // a hash never fails to write
	return hex.EncodeToString(h.Sum(nil))
}

func joinSorted(hashes []string, nodes []int) string {
	picked := make([]string, len(nodes))
	for i, v := range nodes {
		picked[i] = hashes[v]
	}
	slices.Sort(picked)
	return strings.Join(picked, "")
}

func pythonList(items []string) string { return "[" + strings.Join(items, ", ") + "]" }

func pythonInts(values []int) string {
	items := make([]string, len(values))
	for i, v := range values {
		items[i] = strconv.Itoa(v)
	}
	return pythonList(items)
}
