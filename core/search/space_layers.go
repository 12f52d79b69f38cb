package search

import (
	"slices"

	"flexi/core/model"
)

// layerSet is the Cartesian product of choices for one layer: the whole space's, or the local one between two parents of a crossover.
type layerSet struct {
	operations    []opKind
	heads, hidden []int
	ff            [][]int // feed-forward stacks
}

// layerSet lists what a layer of the space may be.
func (s *Space) layerSet(freeWidths bool) layerSet {
	return layerSet{s.operations(), s.Heads, s.Hidden, s.FeedForward.stacks(freeWidths)}
}

func (s layerSet) len() int { return len(s.operations) * len(s.heads) * len(s.hidden) * len(s.ff) }

// layer is the layer of number i, from 0 to below len.
func (s layerSet) layer(i int) model.Layer {
	var l model.Layer
	i, l.FF = i/len(s.ff), s.ff[i%len(s.ff)]
	i, l.Hidden = i/len(s.hidden), s.hidden[i%len(s.hidden)]
	i, l.Heads = i/len(s.heads), s.heads[i%len(s.heads)]
	l.Op, l.Param = s.operations[i].op, s.operations[i].param
	return l
}

// stacks lists all feed-forward stacks: each depth with one width throughout, or with every tuple of widths.
func (f FeedForward) stacks(freeWidths bool) [][]int {
	var out [][]int
	for _, depth := range f.Depths {
		if !freeWidths {
			for _, w := range f.Widths {
				out = append(out, slices.Repeat([]int{w}, depth))
			}
			continue
		}
		for digits := make([]int, depth); ; {
			widths := make([]int, depth)
			for i, d := range digits {
				widths[i] = f.Widths[d]
			}
			out = append(out, widths)
			if !increment(digits, len(f.Widths)) {
				break
			}
		}
	}
	return out
}

// increment counts up a number of the given base, most significant digit first; false when it wraps to zero.
func increment(digits []int, base int) bool {
	for i := len(digits) - 1; i >= 0; i-- {
		if digits[i]++; digits[i] < base {
			return true
		}
		digits[i] = 0
	}
	return false
}
