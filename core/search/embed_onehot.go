package search

import (
	"fmt"
	"slices"

	"flexi/core/model"
)

// Encoder turns architectures of a space into 0/1 vectors, for policies that need no distances (trees, TPE). The columns are the number of layers, then per
// layer of the deepest architecture: operation with parameter, heads, hidden size, feed-forward depth, and the width of each feed-forward layer; all zero
// where an architecture has no such layer.
type Encoder struct {
	space   *Space
	columns []string
}

// NewEncoder lists the columns of a space.
func NewEncoder(s *Space) *Encoder {
	e := &Encoder{space: s}
	for _, n := range s.Layers {
		e.columns = append(e.columns, fmt.Sprintf("layers=%d", n))
	}
	for j := range slices.Max(s.Layers) {
		e.addLayer(fmt.Sprintf("layer %d ", j+1))
	}
	return e
}

func (e *Encoder) addLayer(prefix string) {
	for _, o := range e.space.operations() {
		e.columns = append(e.columns, prefix+"operation="+o.String())
	}
	add := func(name string, values []int) {
		for _, v := range values {
			e.columns = append(e.columns, fmt.Sprintf("%s%s=%d", prefix, name, v))
		}
	}
	add("heads", e.space.Heads)
	add("hidden", e.space.Hidden)
	add("depth", e.space.FeedForward.Depths)
	for k := range slices.Max(e.space.FeedForward.Depths) {
		add(fmt.Sprintf("width %d", k+1), e.space.FeedForward.Widths)
	}
}

// Columns are the names of the vector's components, such as "layer 2 heads=4".
func (e *Encoder) Columns() []string { return slices.Clone(e.columns) }

// Encode returns the vector of an architecture, or an error if the space does not hold it.
func (e *Encoder) Encode(a model.Arch) ([]float64, error) {
	if err := e.space.Contains(a); err != nil {
		return nil, fmt.Errorf("encode architecture: %w", err)
	}
	v := make([]float64, 0, len(e.columns))
	v = oneHot(v, e.space.Layers, len(a.Layers))
	for _, l := range a.Layers {
		v = oneHot(v, e.space.operations(), opKind{l.Op, l.Param})
		v = oneHot(v, e.space.Heads, l.Heads)
		v = oneHot(v, e.space.Hidden, l.Hidden)
		v = oneHot(v, e.space.FeedForward.Depths, len(l.FF))
		for k := range slices.Max(e.space.FeedForward.Depths) {
			width := 0 // not a width: all zero
			if k < len(l.FF) {
				width = l.FF[k]
			}
			v = oneHot(v, e.space.FeedForward.Widths, width)
		}
	}
	return append(v, make([]float64, len(e.columns)-len(v))...), nil
}

func oneHot[T comparable](v []float64, values []T, value T) []float64 {
	for _, x := range values {
		if x == value {
			v = append(v, 1)
		} else {
			v = append(v, 0)
		}
	}
	return v
}
