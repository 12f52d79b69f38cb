package search

import (
	"embed"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"flexi/core/model"
)

// Space is a design space: the values each hyper-parameter of an architecture may take (design notes 1.1). Lists are ascending and without duplicates.
type Space struct {
	Name   string `yaml:"name"`
	Layers []int  `yaml:"layers"` // numbers of encoder layers
	// Stack is how many consecutive layers are equal at level 1; it divides every number of layers.
	Stack       int         `yaml:"stack"`
	Hidden      []int       `yaml:"hidden"` // hidden sizes, per layer
	Heads       []int       `yaml:"heads"`  // numbers of heads, per layer; each divides every hidden size
	Operations  Operations  `yaml:"operations"`
	FeedForward FeedForward `yaml:"feed_forward"`
}

// Operations are the operation parameters that a layer may have, by type of operation. A type without parameters is not in the space.
type Operations struct {
	SelfAttention   []string `yaml:"self_attention"`   // model.ScaledDot, model.Weighted
	LinearTransform []string `yaml:"linear_transform"` // model.DFT, model.DCT
	SpanConvolution []int    `yaml:"span_convolution"` // odd kernel sizes
}

// FeedForward are the choices of a layer's feed-forward stack.
type FeedForward struct {
	Depths []int `yaml:"depths"` // numbers of stacked layers
	Widths []int `yaml:"widths"`
}

//go:embed spaces/*.yaml
var builtinSpaces embed.FS

// SpaceNames are the built-in design spaces: that of the paper, two wider ones of its code, and one of very small models.
func SpaceNames() []string { return []string{"paper", "small", "large", "demo"} }

// ReadSpace returns the YAML text of a built-in space or of a file. The text, not the name, belongs in a run's record: files change.
func ReadSpace(nameOrFile string) (string, error) {
	if slices.Contains(SpaceNames(), nameOrFile) {
		text, err := builtinSpaces.ReadFile("spaces/" + nameOrFile + ".yaml")
		return string(text), err
	}
	text, err := os.ReadFile(nameOrFile)
	if err != nil {
		return "", fmt.Errorf("read design space %q (built in are %s): %w", nameOrFile, strings.Join(SpaceNames(), ", "), err)
	}
	return string(text), nil
}

// LoadSpace reads and parses a built-in space or a file.
func LoadSpace(nameOrFile string) (*Space, error) {
	text, err := ReadSpace(nameOrFile)
	if err != nil {
		return nil, err
	}
	return ParseSpace(nameOrFile, text)
}

// opKind is one operation type with one parameter.
type opKind struct {
	op    model.Op
	param string
}

// operations lists the space's operations by rising computational weight: transform, attention, convolution.
func (s *Space) operations() []opKind {
	var out []opKind
	for _, p := range s.Operations.LinearTransform {
		out = append(out, opKind{model.LinearTransform, p})
	}
	for _, p := range s.Operations.SelfAttention {
		out = append(out, opKind{model.SelfAttention, p})
	}
	for _, k := range s.Operations.SpanConvolution {
		out = append(out, opKind{model.SpanConvolution, strconv.Itoa(k)})
	}
	return out
}

// Contains returns nil if the space holds the architecture, otherwise an error that names the first value outside and what is allowed there.
func (s *Space) Contains(a model.Arch) error {
	if !slices.Contains(s.Layers, len(a.Layers)) {
		return fmt.Errorf("%d layers: space %s has %v", len(a.Layers), s.Name, s.Layers)
	}
	for j, l := range a.Layers {
		if err := s.containsLayer(l); err != nil {
			return fmt.Errorf("layer %d: %w", j+1, err)
		}
	}
	return nil
}

func (s *Space) containsLayer(l model.Layer) error {
	switch {
	case l.Mixed != nil:
		return fmt.Errorf("heads of different kinds: space %s has one operation per layer", s.Name)
	case !slices.Contains(s.operations(), opKind{l.Op, l.Param}):
		return fmt.Errorf("operation %s with parameter %s: space %s has %v", l.Op, l.Param, s.Name, s.operations())
	case !slices.Contains(s.Hidden, l.Hidden):
		return fmt.Errorf("hidden size %d: space %s has %v", l.Hidden, s.Name, s.Hidden)
	case !slices.Contains(s.Heads, l.Heads):
		return fmt.Errorf("%d heads: space %s has %v", l.Heads, s.Name, s.Heads)
	case !slices.Contains(s.FeedForward.Depths, len(l.FF)):
		return fmt.Errorf("%d feed-forward layers: space %s has %v", len(l.FF), s.Name, s.FeedForward.Depths)
	}
	for _, f := range l.FF {
		if !slices.Contains(s.FeedForward.Widths, f) {
			return fmt.Errorf("feed-forward width %d: space %s has %v", f, s.Name, s.FeedForward.Widths)
		}
	}
	return nil
}

// String is the operation as a graph label writes it, without its hidden size.
func (o opKind) String() string { return string(o.op) + "/" + o.param }
