package model

import (
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"

	"flexi/core/device"
	"flexi/core/model/op"
)

// layer is operation, output map, feed-forward stack and projection (design notes 2.7):
//
//	y = LN(x + Drop(context·W_O));  w = LN(y + Drop(GELU(...GELU(y·F_1)...)·F_out));  w·Π if the next hidden size differs
func (b *builder) layer(j int, x *gorgonia.Node) *gorgonia.Node {
	l := b.net.arch.Layers[j]
	name := func(rest string) string { return layerName(j, rest) }
	b.At(fmt.Sprintf("layer %d attention", j+1))
	context := b.context(j, l, x)
	y := b.norm(b.residual(x, context, name(attentionOutput)), name(attentionNorm), 0)

	b.At(fmt.Sprintf("layer %d feed-forward", j+1))
	z := y
	for i := range l.FF {
		z = b.activated(z, name(stackName(i)), device.GELU)
	}
	w := b.norm(b.residual(y, z, name(stackOutput)), name(stackNorm), 0)

	if next := b.net.arch.nextHidden(j); next != 0 && next != l.Hidden {
		b.At(fmt.Sprintf("layer %d projection", j+1))
		w = b.linear(w, name(toNextLayer))
	}
	return w
}

// context is the operation of a layer: attention, and what goes with or beside it.
func (b *builder) context(j int, l Layer, x *gorgonia.Node) *gorgonia.Node {
	fields := l.fields()
	fused := b.linear(x, layerName(j, fusedName(fields)))
	field := map[string]*gorgonia.Node{}
	for i, f := range fields {
		field[f] = b.Window(fused, i*l.width(), l.width())
	}
	attention := b.attention(j, l, field)
	switch {
	case l.Mixed != nil:
		return b.mixedHeads(j, l, field, attention)
	case l.Op == LinearTransform:
		return b.mix(x, attention, l.Param)
	case l.Op == SpanConvolution:
		// The kernels come from the whole layer input, the values from a projection of their own (2.6).
		conv := b.convolution(layerName(j, convolutionName(false, 0)), convolved{
			source: x, query: field[fieldQuery], value: field[fieldConvValue], heads: l.attentionHeads(), dim: l.headSize(), k: kernelSize(l.Param),
		})
		return b.Join(attention, conv)
	default:
		return attention
	}
}

// attention is the multi-head attention of all three operations; heads differ in their scores (2.3-2.6).
func (b *builder) attention(j int, l Layer, field map[string]*gorgonia.Node) *gorgonia.Node {
	scores, bilinear := l.scores()
	a := op.Attention{
		Q: field[fieldQuery], V: field[fieldValue], Rel: b.param(layerName(j, positionTable)), Lengths: b.lengths,
		Batch: b.size.B, Seq: b.size.T, Dim: l.headSize(), Scores: scores, Bilinear: bilinear, Dropout: b.drop,
	}
	if slices.ContainsFunc(scores, func(s device.Score) bool { return s != device.ScorePosition }) {
		a.K = field[fieldKey]
	}
	if l.bilinear() > 0 {
		a.W = b.param(layerName(j, bilinearMatrix))
	}
	return b.Attention(a)
}

// mix adds a linear transform of x over positions and channels to base (2.5).
func (b *builder) mix(x, base *gorgonia.Node, param string) *gorgonia.Node {
	kind := device.MixDFT
	if param == DCT {
		kind = device.MixDCT
	}
	return b.Mix(op.Mix{X: x, Base: base, Kind: kind, Ortho: b.net.config.Ortho, Batch: b.size.B, Seq: b.size.T})
}

// convolved is what a span-based dynamic convolution works on.
type convolved struct {
	source       *gorgonia.Node // input of the separable convolution
	query, value *gorgonia.Node
	heads, dim   int
	k            int
}

// convolution is 2.6: span key by separable convolution, product with the query, kernels by a linear map, weighted window of values.
func (b *builder) convolution(prefix string, c convolved) *gorgonia.Node {
	span := b.Depthwise(c.source, b.param(prefix+"depthwise.weight"), b.size.B, b.size.T)
	span = b.Linear(op.Linear{X: span, W: b.param(prefix + "pointwise.weight"), Bias: b.param(prefix + "span_bias")})
	logits := b.linear(b.Mul(span, c.query), prefix+"kernel")
	return b.Taps(op.Taps{Logits: logits, V: c.value, Batch: b.size.B, Seq: b.size.T, Heads: c.heads, Dim: c.dim, K: c.k})
}

// mixedHeads adds to every head of a hetero layer the transform of its own slice (2.9): a 2-D transform of its values, or a convolution with its
// query, key and value.
func (b *builder) mixedHeads(j int, l Layer, field map[string]*gorgonia.Node, attention *gorgonia.Node) *gorgonia.Node {
	if !slices.ContainsFunc(l.Mixed, func(h Head) bool { return h.Op != SelfAttention }) {
		return attention
	}
	d := l.headSize()
	heads := make([]*gorgonia.Node, len(l.Mixed))
	for i, h := range l.Mixed {
		slice := func(n *gorgonia.Node) *gorgonia.Node { return b.Window(n, i*d, d) }
		heads[i] = slice(attention)
		switch h.Op {
		case LinearTransform:
			heads[i] = b.mix(slice(field[fieldValue]), heads[i], h.Param)
		case SpanConvolution:
			conv := b.convolution(layerName(j, convolutionName(true, i)), convolved{
				source: slice(field[fieldKey]), query: slice(field[fieldQuery]), value: slice(field[fieldValue]), heads: 1, dim: d, k: kernelSize(h.Param),
			})
			heads[i] = b.Add(heads[i], conv)
		}
	}
	return b.Join(heads...)
}
