package search

import (
	"fmt"
	"slices"

	"flexi/core/model"
	"flexi/core/search/gauss"
)

// Feature is one discrete choice of an architecture.
type Feature = gauss.Feature

// Features lists the choices that tell the space's architectures apart: the number of layers, then per layer of the deepest architecture its operation,
// heads, hidden size, feed-forward depth and the width of each feed-forward layer.
func (s *Space) Features() []Feature {
	f := []Feature{{Name: "layers", Values: len(s.Layers), Ordinal: true}}
	for j := range slices.Max(s.Layers) {
		add := func(group int, name string, values int, ordinal bool) {
			f = append(f, Feature{Name: fmt.Sprintf("layer %d %s", j+1, name), Values: values, Ordinal: ordinal, Group: group})
		}
		add(1, "operation", len(s.operations()), false)
		add(2, "heads", len(s.Heads), true)
		add(3, "hidden", len(s.Hidden), true)
		add(4, "depth", len(s.FeedForward.Depths), true)
		for k := range slices.Max(s.FeedForward.Depths) {
			add(5, fmt.Sprintf("width %d", k+1), len(s.FeedForward.Widths), true)
		}
	}
	return f
}

// Codes are an architecture's choices in the order of Features; one outside the space is an error.
func (s *Space) Codes(a model.Arch) ([]int, error) {
	if err := s.Contains(a); err != nil {
		return nil, err
	}
	codes := []int{slices.Index(s.Layers, len(a.Layers))}
	code := func(values []int, v int) {
		at := slices.Index(values, v)
		if at < 0 {
			at = len(values)
		}
		codes = append(codes, at)
	}
	for _, l := range a.Layers {
		codes = append(codes, slices.Index(s.operations(), opKind{l.Op, l.Param}))
		code(s.Heads, l.Heads)
		code(s.Hidden, l.Hidden)
		code(s.FeedForward.Depths, len(l.FF))
		for k := range slices.Max(s.FeedForward.Depths) {
			width := 0 // not a width
			if k < len(l.FF) {
				width = l.FF[k]
			}
			code(s.FeedForward.Widths, width)
		}
	}
	for _, f := range s.Features()[len(codes):] {
		codes = append(codes, f.Values)
	}
	return codes, nil
}
