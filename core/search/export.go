package search

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"flexi/core/model"
	"flexi/core/model/safetensors"
	"flexi/core/run"
)

// hfConfig is the config.json of an exported model: the fields of a Hugging Face BERT configuration that apply, and the model dictionary.
type hfConfig struct {
	ModelType      string     `json:"model_type"`
	Architectures  []string   `json:"architectures"`
	Dictionary     model.Arch `json:"model_dict"`
	VocabSize      int        `json:"vocab_size"`
	MaxPositions   int        `json:"max_position_embeddings"`
	TypeVocab      int        `json:"type_vocab_size"`
	PositionType   string     `json:"position_embedding_type"`
	HiddenAct      string     `json:"hidden_act"`
	LayerNormEps   float64    `json:"layer_norm_eps"`
	HiddenDropout  float64    `json:"hidden_dropout_prob"`
	AttnDropout    float64    `json:"attention_probs_dropout_prob"`
	TieEmbeddings  bool       `json:"tie_word_embeddings"`
	OrthoTransform bool       `json:"orthonormal_transform"`
	Tokenizer      string     `json:"tokenizer"`
}

// ExportHF turns a finished trial's weight file into the two files of a Hugging Face folder: config.json, and a writer of model.safetensors with the
// pre-trained encoder and masked-language head.
func ExportHF(config json.RawMessage, t run.Trial, blob io.Reader) ([]byte, func(io.Writer) error, error) {
	var cfg Config
	if err := json.Unmarshal(config, &cfg); err != nil {
		return nil, nil, fmt.Errorf("read the run's configuration: %w", err)
	}
	var arch model.Arch
	if err := json.Unmarshal(t.Arch, &arch); err != nil {
		return nil, nil, fmt.Errorf("read the trial's architecture: %w", err)
	}
	f, err := safetensors.Read(blob)
	if err != nil {
		return nil, nil, fmt.Errorf("read the trial's weights: %w", err)
	}
	base := groupTensors(f.Tensors)[strings.TrimSuffix(basePrefix, ":")]
	vocab := 0
	for _, b := range base {
		if b.Name == model.WordEmbedding {
			vocab = b.Shape[0]
		}
	}
	if vocab == 0 {
		return nil, nil, fmt.Errorf("the trial's weights have no %s", model.WordEmbedding)
	}
	m := model.DefaultConfig(vocab)
	text, err := json.MarshalIndent(hfConfig{
		ModelType: "flexibert", Architectures: []string{"FlexiBertForMaskedLM"}, Dictionary: arch, VocabSize: vocab, MaxPositions: m.MaxPos, TypeVocab: m.Types,
		PositionType: "relative_key", HiddenAct: "gelu", LayerNormEps: 1e-12, HiddenDropout: cfg.Dropout, AttnDropout: cfg.Dropout,
		OrthoTransform: cfg.Ortho, Tokenizer: cfg.Data.Tokenizer,
	}, "", "  ")
	if err != nil {
		return nil, nil, fmt.Errorf("encode config.json: %w", err)
	}
	file := safetensors.File{Tensors: prefixed("", base), Metadata: map[string]string{"format": "pt"}}
	return append(text, '\n'), func(w io.Writer) error { return safetensors.Write(w, file) }, nil
}
