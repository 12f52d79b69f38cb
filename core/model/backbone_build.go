package model

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"

	"flexi/core/device"
	"flexi/core/model/op"
)

// table is rows of the cosines of the d/2 angles of a position, then their sines.
func (r Rope) table(positions, d int) []float32 {
	out := make([]float32, positions*d)
	half := d / 2
	for j := range half {
		f := r.frequency(j, d)
		for p := range positions {
			sin, cos := math.Sincos(float64(p) * f)
			out[p*d+j], out[p*d+half+j] = float32(cos), float32(sin)
		}
	}
	return out
}

// frequency of angle j, with Llama-3's scaling.
func (r Rope) frequency(j, d int) float64 {
	f := math.Pow(r.Theta, -2*float64(j)/float64(d))
	if r.Factor <= 1 {
		return f
	}
	wavelength := 2 * math.Pi / f
	switch original := float64(r.Original); {
	case wavelength < original/r.High:
		return f
	case wavelength > original/r.Low:
		return f / r.Factor
	default:
		u := (original/wavelength - r.Low) / (r.High - r.Low)
		return (1-u)*f/r.Factor + u*f
	}
}

// positions are the rows of an encoder's position table: 0, 1, ..., or RoBERTa's, which begin behind the padding's id, and are that id for padding.
func (b Backbone) positions(batch Batch) []int32 {
	out := make([]int32, batch.B*batch.T)
	for r := range batch.B {
		for t := range batch.T {
			at := t
			if b.Family == RoBERTa {
				at = b.Pad
				if t < int(batch.Lengths[r]) {
					at += t + 1
				}
			}
			out[r*batch.T+t] = int32(at)
		}
	}
	return out
}

// decoder is x + attention(norm(x)), then x + feedforward(norm(x)), per layer.
func (b *builder) decoder(m Backbone) {
	s := b.size
	b.ids, b.lengths = b.Int("ids", s.B*s.T), b.Int("lengths", s.B)
	b.rotary = b.Frozen("rotary positions", s.T, m.HeadDim)
	b.At("embeddings")
	x := b.Lookup(b.ids, b.param(decoderEmbedding+".weight"))
	rms := func(x *gorgonia.Node, name string) *gorgonia.Node {
		return b.RMSNorm(x, b.param(name+".weight"), float32(m.NormEps))
	}
	for j := range m.Layers {
		name := m.layerOf(j)
		b.At(fmt.Sprintf("layer %d attention", j+1))
		context := b.grouped(m, j, rms(x, name+"input_layernorm"), name+"self_attn.q_proj_k_proj_v_proj", 0)
		x = b.apply(op.Linear{X: context, Residual: x}, name+"self_attn.o_proj")
		b.At(fmt.Sprintf("layer %d feed-forward", j+1))
		both := b.linear(rms(x, name+"post_attention_layernorm"), name+"mlp.gate_proj_up_proj")
		x = b.end(b.apply(op.Linear{X: b.SwiGLU(both), Residual: x}, name+"mlp.down_proj"))
	}
	b.At("head")
	b.rows = b.Int("rows", s.rows)
	x = rms(b.Gather(x, b.rows), decoderNorm)
	head := decoderHead
	switch {
	case b.net.objective.Kind != CausalLM:
		head = decoderScore
	case m.Tied:
		head = decoderEmbedding
	}
	b.predict(x, head, head)
}

// grouped is attention over the joined projections of query, key and value.
func (b *builder) grouped(m Backbone, layer int, x *gorgonia.Node, name string, drop float32) *gorgonia.Node {
	joined := b.linear(x, name)
	queries, keys := m.Heads*m.HeadDim, m.KVHeads*m.HeadDim
	return b.GroupedAttention(op.GroupedAttention{
		Q: b.Window(joined, 0, queries), K: b.Window(joined, queries, keys), V: b.Window(joined, queries+keys, keys), Rotary: b.rotary, Lengths: b.lengths,
		Shape: device.GroupedShape{
			Batch: b.size.B, Seq: b.size.T, Heads: m.Heads, KVHeads: m.KVHeads, Dim: m.HeadDim, Causal: m.Family.Decoder(), Window: m.window(layer),
		},
		Dropout: drop,
	})
}

// encoder is norm(x + attention(x)), then norm(x + feedforward(x)), per layer.
func (b *builder) encoder(m Backbone) {
	s := b.size
	b.ids, b.segments, b.positions, b.lengths = b.Int("ids", s.B*s.T), b.Int("segments", s.B*s.T), b.Int("positions", s.B*s.T), b.Int("lengths", s.B)
	eps := float32(m.NormEps)
	rate := func(p float64) float32 {
		if !s.mode.drop {
			return 0
		}
		return float32(p)
	}
	norm := func(x *gorgonia.Node, name string, drop float32) *gorgonia.Node {
		gamma, beta := b.weightAndBias(name)
		return b.LayerNorm(x, gamma, beta, eps, drop)
	}
	at := func(name string) string { return m.under("embeddings." + name) }
	b.At("embeddings")
	x := b.Add(
		b.Embedding(b.ids, b.segments, b.param(at("word_embeddings.weight")), b.param(at("token_type_embeddings.weight"))),
		b.Lookup(b.positions, b.param(at("position_embeddings.weight"))),
	)
	x = norm(x, at("LayerNorm"), b.drop)
	for j := range m.Layers {
		name := m.layerOf(j)
		b.At(fmt.Sprintf("layer %d attention", j+1))
		context := b.grouped(m, j, x, name+"attention.self.query_key_value", rate(m.AttentionDropout))
		y := norm(b.residual(x, context, name+attentionOutput), name+attentionNorm, 0)
		b.At(fmt.Sprintf("layer %d feed-forward", j+1))
		z := b.activated(y, name+"intermediate.dense", device.GELU)
		x = b.end(norm(b.residual(y, z, name+stackOutput), name+stackNorm, 0))
	}
	b.At("head")
	b.rows = b.Int("rows", s.rows)
	x = b.Gather(x, b.rows)
	words := at("word_embeddings")
	drop := rate(m.ClassifierDropout)
	switch {
	case b.net.objective.Kind == MaskedLM && m.Family == BERT:
		b.predict(norm(b.activated(x, mlmTransform, device.GELU), mlmNorm, 0), words, "cls.predictions")
	case b.net.objective.Kind == MaskedLM:
		b.predict(norm(b.activated(x, "lm_head.dense", device.GELU), "lm_head.layer_norm", 0), words, "lm_head")
	case m.Family == BERT:
		b.predict(b.Dropout(b.activated(x, m.under(poolerDense), device.Tanh), drop), classifier, classifier)
	default:
		x = b.activated(b.Dropout(x, drop), "classifier.dense", device.Tanh)
		b.predict(b.Dropout(x, drop), "classifier.out_proj", "classifier.out_proj")
	}
}
