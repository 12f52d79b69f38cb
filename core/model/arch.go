// Package model turns architectures of the FlexiBERT design space into Gorgonia graphs, runs them on a device, and moves weights
// between them. The mathematics is that of FlexiBERT (arXiv 2205.11656) as restated in the design notes; dimensions: B batch, T positions,
// h hidden size, n heads, d = h/n, P maximum positions, V vocabulary.
package model

// Op is the operation type of a layer or of a head.
type Op string

// Operation types, by their letters in a model dictionary.
const (
	SelfAttention   Op = "sa"
	LinearTransform Op = "l"
	SpanConvolution Op = "c"
)

// Operation parameters: the score of self-attention, the transform, or (for SpanConvolution) an odd kernel size in decimal.
const (
	ScaledDot = "sdp"
	Weighted  = "wma"
	DFT       = "dft"
	DCT       = "dct"
)

// Head is one head of a hetero layer, written <op>_<param>_<size> in a dictionary ("sa_sdp_64").
type Head struct {
	Op    Op
	Param string
	Size  int
}

// Layer is one encoder layer. A standard layer has Op, Param and Heads (the number of heads, each Hidden/Heads wide);
// a hetero layer has Mixed instead, one entry per head, all of the same size.
type Layer struct {
	Hidden int
	Op     Op
	Param  string
	Heads  int
	Mixed  []Head
	FF     []int // widths of the stacked feed-forward layers, at least one
}

// Arch is an encoder architecture: a model dictionary of the standard or the hetero format (section 1.4 of the design notes).
type Arch struct {
	Layers []Layer
}
