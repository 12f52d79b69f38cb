package model

import (
	"errors"
	"fmt"
	"slices"
)

// Family is a sort of pretrained model.
type Family string

// Families. The first three are decoders: pre-norm RMSNorm, rotary positions, grouped-query attention, SwiGLU; the others post-norm encoders with absolute
// positions.
const (
	Llama   Family = "llama"
	Mistral Family = "mistral"
	Qwen2   Family = "qwen2"
	BERT    Family = "bert"
	RoBERTa Family = "roberta"
)

// Families are all of them.
func Families() []Family { return []Family{Llama, Mistral, Qwen2, BERT, RoBERTa} }

// Decoder reports whether the family predicts the next token.
func (f Family) Decoder() bool { return f == Llama || f == Mistral || f == Qwen2 }

// Backbone is the shape of a pretrained model, as its config.json gives it.
type Backbone struct {
	Family       Family
	Vocab        int
	Hidden       int // H
	Intermediate int // I
	Layers       int
	Heads        int // nq
	KVHeads      int // nkv, a divisor of Heads; encoders have as many as Heads
	HeadDim      int // d; in encoders H/Heads
	MaxPositions int // rows of the position table, or the longest sequence of a decoder
	NormEps      float64
	// Biases of decoders: of query, key and value; of the attention's output; of the feed-forward maps. Encoders have all.
	QKVBias, OutputBias, FeedForwardBias bool
	Tied                                 bool // the head's weight is the embedding table
	Rope                                 Rope
	// Window, above 0, lets a query see that many keys, itself included, in the layers from FullLayers on; 0 all.
	Window     int
	FullLayers int
	// Encoders: segment types, the id that padding has (RoBERTa counts positions from the one after it), and dropout rates while training.
	Types                                              int
	Pad                                                int
	HiddenDropout, AttentionDropout, ClassifierDropout float64
}

// Rope is rotary position embedding: angle j of position p is p·f_j with f_j = Theta^(-2j/d).
type Rope struct {
	Theta float64
	// Llama-3's scaling: frequencies whose wavelength is above Original/Low are divided by Factor, those below Original/High are kept, and those between
	// are interpolated. Factor 0 or 1: none.
	Factor, Low, High float64
	Original          int
}

// Validate reports everything that no model can have.
func (b Backbone) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(slices.Contains(Families(), b.Family), "model type %q: the families are %v", b.Family, Families())
	for _, n := range []struct {
		what  string
		value int
	}{
		{"vocabulary", b.Vocab}, {"hidden size", b.Hidden}, {"intermediate size", b.Intermediate}, {"layers", b.Layers}, {"heads", b.Heads},
		{"key and value heads", b.KVHeads}, {"head size", b.HeadDim}, {"positions", b.MaxPositions},
	} {
		check(n.value >= 1, "%s: %d, must be at least 1", n.what, n.value)
	}
	check(b.KVHeads < 1 || b.Heads%b.KVHeads == 0, "%d heads are not a multiple of %d key and value heads", b.Heads, b.KVHeads)
	check(b.NormEps > 0, "normalisation epsilon %v, must be positive", b.NormEps)
	if b.Family.Decoder() {
		check(b.HeadDim%2 == 0, "head size %d is odd; rotary positions turn halves", b.HeadDim)
		check(b.Rope.Theta > 0, "rope theta %v, must be positive", b.Rope.Theta)
		check(b.Rope.Factor <= 1 || b.Rope.Low > 0 && b.Rope.High > b.Rope.Low && b.Rope.Original > 0,
			"rope scaling with factors %v and %v over %d positions", b.Rope.Low, b.Rope.High, b.Rope.Original)
		check(b.Window >= 0, "sliding window %d, must not be negative", b.Window)
	} else {
		check(b.KVHeads == b.Heads && b.HeadDim*b.Heads == b.Hidden, "%d heads of %d for a hidden size of %d", b.Heads, b.HeadDim, b.Hidden)
		check(b.Types >= 1, "%d segment types: at least 1 is needed", b.Types)
		check(b.Family != RoBERTa || b.MaxPositions > b.Pad+1, "%d positions, the first %d of which are not used", b.MaxPositions, b.Pad+1)
	}
	for _, p := range []float64{b.HiddenDropout, b.AttentionDropout, b.ClassifierDropout} {
		check(p >= 0 && p < 1, "dropout %v: it must be at least 0 and below 1", p)
	}
	return errors.Join(errs...)
}

// window is what a layer's queries see.
func (b Backbone) window(layer int) int {
	if layer < b.FullLayers {
		return 0
	}
	return b.Window
}

// longest is the largest number of tokens in a row.
func (b Backbone) longest() int {
	if b.Family == RoBERTa {
		return b.MaxPositions - b.Pad - 1
	}
	return b.MaxPositions
}

// Names of a backbone's tensors are Hugging Face's (with the prefixes model., bert. and roberta.). In memory query, key and value of a layer are one
// matrix, as are gate and up.

// layerOf is the prefix of the names of a layer.
func (b Backbone) layerOf(j int) string {
	if b.Family.Decoder() {
		return fmt.Sprintf("model.layers.%d.", j)
	}
	return fmt.Sprintf("%s.encoder.layer.%d.", b.Family, j)
}

// Names below the prefix of a family.
const (
	decoderEmbedding = "model.embed_tokens"
	decoderNorm      = "model.norm"
	decoderHead      = "lm_head"
	decoderScore     = "score"
)

// under is a name of an encoder behind the family's prefix.
func (b Backbone) under(rest string) string { return string(b.Family) + "." + rest }

func (b Backbone) parameters(o Objective) []parameter {
	if b.Family.Decoder() {
		return b.decoderParameters(o)
	}
	return b.encoderParameters(o)
}

func (b Backbone) decoderParameters(o Objective) []parameter {
	l := parameterList{at: noLayer}
	l.add(decoderEmbedding+".weight", normal, b.Vocab, b.Hidden)
	queries, keys := b.Heads*b.HeadDim, b.KVHeads*b.HeadDim
	for j := range b.Layers {
		l.prefix, l.at = b.layerOf(j), j
		l.add("input_layernorm.weight", ones, b.Hidden)
		l.joined("self_attn.", []string{"q_proj", "k_proj", "v_proj"}, []int{queries, keys, keys}, b.Hidden, b.QKVBias)
		l.dense("self_attn.o_proj", b.Hidden, queries, b.OutputBias)
		l.add("post_attention_layernorm.weight", ones, b.Hidden)
		l.joined("mlp.", []string{"gate_proj", "up_proj"}, []int{b.Intermediate, b.Intermediate}, b.Hidden, b.FeedForwardBias)
		l.dense("mlp.down_proj", b.Hidden, b.Intermediate, b.FeedForwardBias)
	}
	l.prefix, l.at = "", noLayer
	l.add(decoderNorm+".weight", ones, b.Hidden)
	switch {
	case o.Kind == Classify || o.Kind == Regress:
		l.head = true
		l.dense(decoderScore, o.outputs(b.Vocab), b.Hidden, false)
	case !b.Tied:
		l.dense(decoderHead, b.Vocab, b.Hidden, false)
	}
	return l.list
}

func (b Backbone) encoderParameters(o Objective) []parameter {
	l := parameterList{at: noLayer, prefix: b.under("embeddings.")}
	h := b.Hidden
	l.add("word_embeddings.weight", normal, b.Vocab, h)
	l.add("position_embeddings.weight", normal, b.MaxPositions, h)
	l.add("token_type_embeddings.weight", normal, b.Types, h)
	l.norm("LayerNorm", h)
	for j := range b.Layers {
		l.prefix, l.at = b.layerOf(j), j
		l.joined("attention.self.", []string{"query", "key", "value"}, []int{h, h, h}, h, true)
		l.linear("attention.output.dense", h, h)
		l.norm("attention.output.LayerNorm", h)
		l.linear("intermediate.dense", b.Intermediate, h)
		l.linear("output.dense", h, b.Intermediate)
		l.norm("output.LayerNorm", h)
	}
	l.prefix, l.at = "", noLayer
	predicts := o.Kind == MaskedLM
	switch {
	case predicts && b.Family == BERT:
		l.linear(mlmTransform, h, h)
		l.norm(mlmNorm, h)
		l.add("cls.predictions.bias", zeros, b.Vocab)
	case predicts:
		l.linear("lm_head.dense", h, h)
		l.norm("lm_head.layer_norm", h)
		l.add("lm_head.bias", zeros, b.Vocab)
	case b.Family == BERT:
		l.head = true
		l.linear(b.under(poolerDense), h, h)
		l.linear(classifier, o.outputs(b.Vocab), h)
	default:
		l.head = true
		l.linear("classifier.dense", h, h)
		l.linear("classifier.out_proj", o.outputs(b.Vocab), h)
	}
	return l.list
}

// Tensor is the name and shape of a tensor in a model's files.
type Tensor struct {
	Name  string
	Shape []int
	Head  bool // of a head that a task gives the model, not of what was pretrained
}

func (b Backbone) config() Config {
	return Config{Vocab: b.Vocab, MaxPos: b.longest(), Types: max(1, b.Types), Dropout: b.HiddenDropout}
}
