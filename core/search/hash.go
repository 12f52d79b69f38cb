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
	d := digester{hash: sha256.New()}
	return d.of([]byte(NewGraph(a, Scheme2022).Hash(sha256.New) + pythonList(hidden) + pythonList(ff)))
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
	d := digester{hash: newHash()}
	nodes, next := make([]string, n), make([]string, n)
	for v, label := range g.Labels {
		nodes[v] = d.of(fmt.Appendf(d.text[:0], "(%d, %d, '%s')", len(out[v]), len(in[v]), label))
	}
	for range hashRounds {
		for v := range nodes {
			if v > 0 && nodes[v] == nodes[v-1] && slices.Equal(in[v], in[v-1]) && slices.Equal(out[v], out[v-1]) {
				next[v] = next[v-1] // parallel heads of one kind
				continue
			}
			text := d.appendSorted(d.text[:0], nodes, in[v])
			text = d.appendSorted(append(text, '|'), nodes, out[v])
			next[v] = d.of(append(append(text, '|'), nodes[v]...))
		}
		nodes, next = next, nodes
	}
	slices.Sort(nodes)
	return d.of([]byte("['" + strings.Join(nodes, "', '") + "']"))
}

// digester makes hexadecimal digests and keeps its buffers: a library takes a million digests.
type digester struct {
	hash   hash.Hash
	text   []byte
	sum    []byte
	picked []string
}

// of is the digest of a text, which becomes the buffer of the next.
func (d *digester) of(text []byte) string {
	d.text = text
	d.hash.Reset()
	d.hash.Write(text) // a hash never fails to write
	d.sum = d.hash.Sum(d.sum[:0])
	return hex.EncodeToString(d.sum)
}

func (d *digester) appendSorted(text []byte, hashes []string, nodes []int) []byte {
	d.picked = d.picked[:0]
	for _, v := range nodes {
		d.picked = append(d.picked, hashes[v])
	}
	slices.Sort(d.picked)
	for _, h := range d.picked {
		text = append(text, h...)
	}
	return text
}

func pythonList(items []string) string { return "[" + strings.Join(items, ", ") + "]" }

func pythonInts(values []int) string {
	items := make([]string, len(values))
	for i, v := range values {
		items[i] = strconv.Itoa(v)
	}
	return pythonList(items)
}
