package search

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"flexi/core/model"
)

// CrossoverOptions choose which pairs are crossed and how many interpolants are kept.
type CrossoverOptions struct {
	Top, Near int // each of the Top best with its Near nearest neighbours, and all pairs of the Top; 5 and 5 in the paper
	Rule      NeighbourRule
	// Limit is the most interpolants that are listed. If there are more, every pair's are sampled; the parents are always kept.
	Limit int
	Seed  uint64 // of the sample
}

// DefaultCrossover is the paper's choice of pairs.
func DefaultCrossover() CrossoverOptions {
	return CrossoverOptions{Top: 5, Near: 5, Rule: BiasedNeighbours, Limit: LibraryLimit}
}

// Crossed is what a crossover made.
type Crossed struct {
	Archs []model.Arch // different by hash, parents first
	Pairs int
	// Total is the number of interpolants of all pairs, those of several pairs counted several times; Listed of them were listed before duplicates
	// were dropped. Total may be inexact above 2^53.
	Total  float64
	Listed int
}

// String says what was made and whether it is a sample.
func (c *Crossed) String() string {
	s := fmt.Sprintf("%d architectures (parent pairs: %d)", len(c.Archs), c.Pairs)
	if float64(c.Listed) < c.Total {
		s += fmt.Sprintf(", a sample of %d from %.0f interpolants", c.Listed, c.Total)
	}
	return s
}

// Crossover makes the architectures of level to between the best of a library of level from (design notes 1.3): ranked are the trained architectures'
// positions, best first.
func Crossover(lib *Library, ranked []int, from, to Level, o CrossoverOptions) (*Crossed, error) {
	if len(ranked) == 0 {
		return nil, fmt.Errorf("crossover: no architecture has a score")
	}
	if to.Stack < 1 || from.Stack%to.Stack != 0 {
		return nil, fmt.Errorf("crossover: stacks of %d layers do not divide into stacks of %d", from.Stack, to.Stack)
	}
	pairs, err := crossoverPairs(lib, ranked, o)
	if err != nil {
		return nil, fmt.Errorf("crossover: %w", err)
	}
	out := &Crossed{Pairs: len(pairs)}
	var parents []model.Arch
	var families []family
	for _, p := range pairs {
		a, b := lib.Archs[p[0]], lib.Archs[p[1]]
		parents = append(parents, a, b)
		families = append(families, between(a, b, from, to)...)
	}
	if len(pairs) == 0 {
		parents = append(parents, lib.Archs[ranked[0]])
	}
	var listed []model.Arch
	for i, quota := range quotas(families, o.Limit) {
		out.Total += families[i].size()
		listed = append(listed, families[i].list(quota, rand.New(rand.NewPCG(o.Seed, uint64(i))))...)
	}
	out.Listed = len(listed)
	out.Archs = distinct(append(parents, listed...))
	return out, nil
}

// crossoverPairs are the pairs of library positions to cross, without repeats: best with neighbours first, then the best among each other.
func crossoverPairs(lib *Library, ranked []int, o CrossoverOptions) ([][2]int, error) {
	near, err := NewNeighbours(lib, o.Rule)
	if err != nil {
		return nil, err
	}
	top := ranked[:min(o.Top, len(ranked))]
	var pairs [][2]int
	add := func(i, j int) {
		if p := [2]int{min(i, j), max(i, j)}; i != j && !slices.Contains(pairs, p) {
			pairs = append(pairs, p)
		}
	}
	for _, i := range top {
		for _, j := range near.Of(i, o.Near) {
			add(i, j)
		}
	}
	for a, i := range top {
		for _, j := range top[:a] {
			add(j, i)
		}
	}
	return pairs, nil
}

// distinct drops architectures whose graph came before.
func distinct(archs []model.Arch) []model.Arch {
	seen := make(map[string]bool, len(archs))
	var out []model.Arch
	for i, hash := range hashAll(archs, 0) {
		if !seen[hash] {
			seen[hash] = true
			out = append(out, archs[i])
		}
	}
	return out
}
