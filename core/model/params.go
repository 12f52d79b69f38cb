package model

import (
	"slices"
	"strings"

	"flexi/core/device"
)

// Param is a tensor that is trained, as it is in memory.
type Param struct {
	Name  string
	Shape []int
	// Decay says that weight decay applies: to matrices and embeddings, not to biases and LayerNorms.
	Decay       bool
	Value, Grad device.Tensor
}

// initial is a rule for initial values (design notes 2.1).
type initial uint8

const (
	normal  initial = iota // N(0, 0.02)
	zeros                  // biases, and LayerNorm's shift
	ones                   // LayerNorm's scale
	uniform                // U(-0.1, 0.1), the matrices of weighted attention
	kaiming                // U(-1/√in, 1/√in), the A of adapters
)

// parameter describes a tensor before it has memory.
type parameter struct {
	name   string
	shape  []int
	init   initial
	pieces []piece // groups of rows that it is exported as; nil: itself
	offset int     // in the flat tensors
	linear bool    // the weight of a linear module
	head   bool    // belongs to a task's head, which is trained beside adapters
	layer  int     // noLayer outside the layers
}

// piece is a group of rows of a fused parameter.
type piece struct {
	name string
	rows int
}

// noLayer is the layer of embeddings and heads.
const noLayer = -1

func (p parameter) decay() bool { return len(p.shape) == 2 }

func (p parameter) elements() int {
	n := 1
	for _, d := range p.shape {
		n *= d
	}
	return n
}

// flatAlignment keeps every parameter at a multiple of 64 bytes; the gaps stay zero in values, gradients and moments.
const flatAlignment = 16

// flat is the parameters of a model in the order of memory: those with weight decay first.
type flat struct {
	list    []parameter
	index   map[string]int
	decayed int // elements before the first parameter without decay
	size    int
}

func newFlat(list []parameter) flat {
	slices.SortStableFunc(list, func(a, b parameter) int {
		switch {
		case a.decay() == b.decay():
			return 0
		case a.decay():
			return -1
		default:
			return 1
		}
	})
	f := flat{list: list, index: map[string]int{}}
	for i := range list {
		p := &list[i]
		p.offset = f.size
		f.index[p.name] = i
		f.size += (p.elements() + flatAlignment - 1) / flatAlignment * flatAlignment
		if p.decay() {
			f.decayed = f.size
		}
	}
	return f
}

// Stored is how many values a model of this architecture trains and stores; parameters that nothing uses are not among them.
func (a Arch) Stored(c Config, o Objective) int64 {
	var n int64
	for _, p := range parameters(a, c, o) {
		n += int64(p.elements())
	}
	return n
}

// parameters lists the tensors of a model.
func parameters(a Arch, c Config, o Objective) []parameter {
	l := parameterList{at: noLayer}
	h := a.Layers[0].Hidden
	l.add(WordEmbedding, normal, c.Vocab, h)
	l.add(typeEmbedding, normal, c.Types, h)
	l.norm(embeddingNorm, h)
	for j := range a.Layers {
		l.prefix, l.at = layerName(j, ""), j
		l.layer(a.Layers[j], a.nextHidden(j), 2*c.MaxPos-1)
	}
	l.prefix, l.at = "", noLayer
	h = a.Layers[len(a.Layers)-1].Hidden
	if o.Kind == MaskedLM {
		l.linear(mlmTransform, h, h)
		l.norm(mlmNorm, h)
		l.linear(mlmDecoder, c.Vocab, h)
	} else {
		l.head = true
		l.linear(poolerDense, h, h)
		l.linear(classifier, o.outputs(c.Vocab), h)
	}
	return l.list
}

// parameterList is a list in the making; prefix, at and head are of what is added next.
type parameterList struct {
	prefix string
	at     int // layer
	head   bool
	list   []parameter
}

func (l *parameterList) add(name string, init initial, shape ...int) {
	l.list = append(l.list, parameter{name: l.prefix + name, shape: shape, init: init, layer: l.at, head: l.head})
}

// linear adds weight [out, in] and bias.
func (l *parameterList) linear(name string, out, in int) { l.dense(name, out, in, true) }

// dense is linear, perhaps without a bias.
func (l *parameterList) dense(name string, out, in int, bias bool) {
	l.add(name+".weight", normal, out, in)
	l.list[len(l.list)-1].linear = true
	if bias {
		l.add(name+".bias", zeros, out)
	}
}

func (l *parameterList) norm(name string, h int) {
	l.add(name+".weight", ones, h)
	l.add(name+".bias", zeros, h)
}

func (l *parameterList) layer(y Layer, next, positions int) {
	h, a, d := y.Hidden, y.width(), y.headSize()
	l.fused(y.fields(), a, h)
	l.add(positionTable, normal, positions, d)
	if n := y.bilinear(); n > 0 {
		l.add(bilinearMatrix, uniform, n*d, d)
	}
	switch {
	case y.Mixed != nil:
		for i, head := range y.Mixed {
			if head.Op == SpanConvolution {
				l.convolution(convolutionName(true, i), d, d, 1, kernelSize(head.Param))
			}
		}
	case y.Op == SpanConvolution:
		l.convolution(convolutionName(false, 0), h, a, y.attentionHeads(), kernelSize(y.Param))
	}
	context := h
	if y.Mixed != nil {
		context = a
	}
	l.linear(attentionOutput, h, context)
	l.norm(attentionNorm, h)
	width := h
	for i, f := range y.FF {
		l.linear(stackName(i), f, width)
		width = f
	}
	l.linear(stackOutput, h, width)
	l.norm(stackNorm, h)
	if next != 0 && next != h {
		l.linear(toNextLayer, next, h)
	}
}

// fused adds one projection for several fields, a rows each, and how it is exported.
func (l *parameterList) fused(fields []string, a, h int) {
	rows := make([]int, len(fields))
	for i := range rows {
		rows[i] = a
	}
	l.joined("attention.", fields, rows, h, true)
}

// joined adds one linear map for several modules of the same input.
func (l *parameterList) joined(prefix string, names []string, rows []int, in int, bias bool) {
	total := 0
	for _, r := range rows {
		total += r
	}
	first := len(l.list)
	l.dense(prefix+strings.Join(names, "_"), total, in, bias)
	for i := range l.list[first:] {
		p := &l.list[first+i]
		suffix := p.name[strings.LastIndexByte(p.name, '.'):]
		for k, name := range names {
			p.pieces = append(p.pieces, piece{l.prefix + prefix + name + suffix, rows[k]})
		}
	}
}

// convolution adds the separable convolution that predicts kernels of k taps for a number of heads: from in to out channels.
func (l *parameterList) convolution(prefix string, in, out, heads, k int) {
	l.add(prefix+"depthwise.weight", normal, in, k)
	l.add(prefix+"pointwise.weight", normal, out, in)
	l.add(prefix+"span_bias", zeros, out)
	l.linear(prefix+"kernel", heads*k, out)
}

// blockSizes is the number of stored parameters of a layer's blocks.
type blockSizes struct{ attention, feedForward, output, projection int64 }

// blockParams counts layer j.
func (a Arch) blockParams(j int) blockSizes {
	l := parameterList{at: j}
	l.layer(a.Layers[j], a.nextHidden(j), 2*DefaultConfig(1).MaxPos-1)
	var s blockSizes
	for _, p := range l.list {
		n := int64(p.elements())
		switch {
		case strings.HasPrefix(p.name, "attention."):
			s.attention += n
		case strings.HasPrefix(p.name, "intermediate."):
			s.feedForward += n
		case strings.HasPrefix(p.name, "output."):
			s.output += n
		default:
			s.projection += n
		}
	}
	return s
}
