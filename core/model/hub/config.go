package hub

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"flexi/core/model"
)

// configJSON is the part of a config.json that decides what a model computes, under old and new names.
type configJSON struct {
	ModelType    string      `json:"model_type"`
	Vocab        int         `json:"vocab_size"`
	Hidden       int         `json:"hidden_size"`
	Intermediate int         `json:"intermediate_size"`
	Layers       int         `json:"num_hidden_layers"`
	Heads        int         `json:"num_attention_heads"`
	KVHeads      int         `json:"num_key_value_heads"`
	HeadDim      *int        `json:"head_dim"`
	Activation   string      `json:"hidden_act"`
	Positions    int         `json:"max_position_embeddings"`
	RMSEps       float64     `json:"rms_norm_eps"`
	LayerEps     float64     `json:"layer_norm_eps"`
	Theta        float64     `json:"rope_theta"`
	Scaling      *ropeJSON   `json:"rope_scaling"`
	Rope         *ropeJSON   `json:"rope_parameters"` // since transformers 5, in place of the last two
	QKVBias      *bool       `json:"attention_bias"`
	MLPBias      bool        `json:"mlp_bias"`
	Tied         *bool       `json:"tie_word_embeddings"`
	Window       *int        `json:"sliding_window"`
	UseWindow    *bool       `json:"use_sliding_window"`
	FullLayers   int         `json:"max_window_layers"`
	LayerTypes   []string    `json:"layer_types"`
	Types        *int        `json:"type_vocab_size"`
	PositionType string      `json:"position_embedding_type"`
	Dropout      *float64    `json:"hidden_dropout_prob"`
	AttnDropout  *float64    `json:"attention_probs_dropout_prob"`
	ClsDropout   *float64    `json:"classifier_dropout"`
	BOS          *int        `json:"bos_token_id"`
	EOS          tokenIDs    `json:"eos_token_id"`
	Pad          *int        `json:"pad_token_id"`
	Quantised    any         `json:"quantization_config"`
	Experts      int         `json:"num_local_experts"`
	Dictionary   *model.Arch `json:"model_dict"` // of flexi's own exports, as the next two
	Ortho        bool        `json:"orthonormal_transform"`
	Tokenizer    string      `json:"tokenizer"`
}

type ropeJSON struct {
	Type     string  `json:"rope_type"`
	OldType  string  `json:"type"`
	Theta    float64 `json:"rope_theta"`
	Factor   float64 `json:"factor"`
	Low      float64 `json:"low_freq_factor"`
	High     float64 `json:"high_freq_factor"`
	Original int     `json:"original_max_position_embeddings"`
}

// tokenIDs is one id, a list, or null.
type tokenIDs []int

// UnmarshalJSON reads any of the forms.
func (t *tokenIDs) UnmarshalJSON(b []byte) error {
	var one *int
	if json.Unmarshal(b, &one) == nil {
		*t = nil
		if one != nil {
			*t = []int{*one}
		}
		return nil
	}
	return json.Unmarshal(b, (*[]int)(t))
}

func or[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

// flexiBERT is the model type of flexi's own exports.
const flexiBERT = "flexibert"

func (m *Model) configure(text []byte) error {
	var c configJSON
	if err := json.Unmarshal(text, &c); err != nil {
		return err
	}
	m.BOS, m.Pad, m.EOS = or(c.BOS, -1), or(c.Pad, -1), c.EOS
	if c.ModelType == flexiBERT {
		return m.exported(c)
	}
	family := model.Family(c.ModelType)
	switch {
	case !slices.Contains(model.Families(), family):
		return fmt.Errorf("model type %q is not supported; %v and %s are", c.ModelType, model.Families(), flexiBERT)
	case c.Quantised != nil:
		return fmt.Errorf("the weights are quantised, which is not supported; take the model in float32, float16 or bfloat16")
	case c.Experts > 0:
		return fmt.Errorf("a mixture of %d experts is not supported", c.Experts)
	}
	b := model.Backbone{
		Family: family, Vocab: c.Vocab, Hidden: c.Hidden, Intermediate: c.Intermediate, Layers: c.Layers, Heads: c.Heads, MaxPositions: c.Positions,
	}
	b.KVHeads = cmp.Or(c.KVHeads, c.Heads)
	if c.Heads > 0 {
		b.HeadDim = c.Hidden / c.Heads
	}
	var err error
	if family.Decoder() {
		err = c.decoder(&b)
	} else {
		err = c.encoder(&b)
	}
	if err != nil {
		return err
	}
	m.Model = model.Pretrained{Backbone: &b}
	return b.Validate()
}

func (m *Model) exported(c configJSON) error {
	if c.Dictionary == nil {
		return fmt.Errorf("a %s model without model_dict", flexiBERT)
	}
	m.Tokenizer = c.Tokenizer
	m.Model = model.Pretrained{Arch: *c.Dictionary, Config: model.Config{
		Vocab: c.Vocab, MaxPos: c.Positions, Types: or(c.Types, 2), Dropout: or(c.Dropout, 0.1), Ortho: c.Ortho,
	}}
	return c.Dictionary.Validate()
}

func (c configJSON) decoder(b *model.Backbone) error {
	if act := cmp.Or(c.Activation, "silu"); act != "silu" && act != "swish" {
		return fmt.Errorf("hidden_act %q is not supported in a %s; silu is", act, b.Family)
	}
	b.HeadDim = or(c.HeadDim, b.HeadDim)
	b.NormEps = cmp.Or(c.RMSEps, 1e-6)
	b.Tied = or(c.Tied, false)
	b.QKVBias = or(c.QKVBias, b.Family == model.Qwen2)
	b.OutputBias = b.QKVBias && b.Family == model.Llama
	b.FeedForwardBias = c.MLPBias
	b.Rope.Theta = cmp.Or(c.Theta, 10000)
	for _, r := range []*ropeJSON{c.Scaling, c.Rope} {
		if r == nil {
			continue
		}
		b.Rope.Theta = cmp.Or(r.Theta, b.Rope.Theta)
		switch kind := cmp.Or(r.Type, r.OldType, "default"); kind {
		case "default":
		case "llama3":
			b.Rope.Factor, b.Rope.Low, b.Rope.High, b.Rope.Original = r.Factor, r.Low, r.High, r.Original
		default:
			return fmt.Errorf("rope scaling %q is not supported; llama3 is", kind)
		}
	}
	window := or(c.Window, 0)
	switch b.Family {
	case model.Mistral:
		b.Window = window
	case model.Qwen2:
		if or(c.UseWindow, false) {
			b.Window, b.FullLayers = window, c.FullLayers
		}
	}
	if b.Window > 0 && c.LayerTypes != nil {
		return c.layerTypes(b)
	}
	return nil
}

// layerTypes reads which layers have a window, where they are listed: the first ones may be without.
func (c configJSON) layerTypes(b *model.Backbone) error {
	b.FullLayers = 0
	for j, kind := range c.LayerTypes {
		switch {
		case kind == "full_attention" && b.FullLayers == j:
			b.FullLayers++
		case kind == "sliding_attention":
		default:
			return fmt.Errorf("layer_types: %q in layer %d after layers with a window is not supported", kind, j)
		}
	}
	return nil
}

func (c configJSON) encoder(b *model.Backbone) error {
	if act := cmp.Or(c.Activation, "gelu"); act != "gelu" {
		return fmt.Errorf("hidden_act %q is not supported in a %s; gelu is", act, b.Family)
	}
	if kind := cmp.Or(c.PositionType, "absolute"); kind != "absolute" {
		return fmt.Errorf("position_embedding_type %q is not supported; absolute is", kind)
	}
	types, pad := 2, 0
	if b.Family == model.RoBERTa {
		pad = 1
	}
	b.NormEps = cmp.Or(c.LayerEps, 1e-12)
	b.Types, b.Pad = or(c.Types, types), or(c.Pad, pad)
	b.HiddenDropout, b.AttentionDropout = or(c.Dropout, 0.1), or(c.AttnDropout, 0.1)
	b.ClassifierDropout = or(c.ClsDropout, b.HiddenDropout)
	return nil
}
