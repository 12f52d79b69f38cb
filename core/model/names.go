package model

import (
	"fmt"
	"strconv"
	"strings"
)

// Names of tensors follow Hugging Face's BERT where it has the tensor:
//
//	embeddings.word_embeddings.weight                                V×h₁
//	embeddings.token_type_embeddings.weight                          types×h₁
//	embeddings.LayerNorm.weight, .bias                               h₁
//	encoder.layer.J.attention.query.weight, .bias                    A×h, A   (A = h; h/2 in span convolution; heads·size in hetero layers)
//	encoder.layer.J.attention.key.weight, .bias                      A×h, A   (not in linear-transform layers)
//	encoder.layer.J.attention.value.weight, .bias                    A×h, A
//	encoder.layer.J.attention.distance_embedding.weight              (2P-1)×d, row a-b+P-1 for query position a and key position b
//	encoder.layer.J.attention.bilinear.weight                        d×d      (weighted attention; one per weighted head, stacked, in hetero layers)
//	encoder.layer.J.attention.conv_value.weight, .bias               A×h, A   (span convolution, as the next five)
//	encoder.layer.J.attention.depthwise.weight                       h×k
//	encoder.layer.J.attention.pointwise.weight                       A×h
//	encoder.layer.J.attention.span_bias                              A
//	encoder.layer.J.attention.kernel.weight, .bias                   (heads·k)×A, heads·k
//	encoder.layer.J.attention.head.I.depthwise.weight and so on      the same per convolution head I of a hetero layer: d×k, d×d, d, k×d, k
//	encoder.layer.J.attention.output.dense.weight, .bias             h×A', h  (A' = width of the context)
//	encoder.layer.J.attention.output.LayerNorm.weight, .bias         h
//	encoder.layer.J.intermediate.I.dense.weight, .bias               f_I×f_{I-1}, f_I
//	encoder.layer.J.output.dense.weight, .bias                       h×f, h
//	encoder.layer.J.output.LayerNorm.weight, .bias                   h
//	encoder.layer.J.projection.weight, .bias                         h_{J+1}×h_J, h_{J+1}, where the sizes differ
//	cls.predictions.transform.dense.weight, .bias                    h×h, h   (masked language modelling, as the next two)
//	cls.predictions.transform.LayerNorm.weight, .bias                h
//	cls.predictions.decoder.weight, .bias                            V×h, V
//	pooler.dense.weight, .bias                                       h×h, h   (classification and regression, as the next)
//	classifier.weight, .bias                                         labels×h, labels
//
// In memory query, key, value and conv_value of a layer are one matrix, called attention.query_key_value and the like in Params.
const (
	WordEmbedding = "embeddings.word_embeddings.weight"
	typeEmbedding = "embeddings.token_type_embeddings.weight"
	embeddingNorm = "embeddings.LayerNorm"

	mlmTransform = "cls.predictions.transform.dense"
	mlmNorm      = "cls.predictions.transform.LayerNorm"
	mlmDecoder   = "cls.predictions.decoder"
	poolerDense  = "pooler.dense"
	classifier   = "classifier"

	layerPrefix = "encoder.layer."
)

// Names below a layer's prefix.
const (
	positionTable   = "attention.distance_embedding.weight"
	bilinearMatrix  = "attention.bilinear.weight"
	attentionOutput = "attention.output.dense"
	attentionNorm   = "attention.output.LayerNorm"
	stackOutput     = "output.dense"
	stackNorm       = "output.LayerNorm"
	toNextLayer     = "projection"
)

// layerName is the full name of a tensor of layer j.
func layerName(j int, rest string) string { return fmt.Sprintf("%s%d.%s", layerPrefix, j, rest) }

// stackName is feed-forward map i of the stack.
func stackName(i int) string { return fmt.Sprintf("intermediate.%d.dense", i) }

// fusedName is the projection of a layer that holds several fields.
func fusedName(fields []string) string { return "attention." + strings.Join(fields, "_") }

// convolutionName is the prefix of a convolution's tensors: of the layer, or of head i of a hetero layer.
func convolutionName(mixed bool, i int) string {
	if mixed {
		return fmt.Sprintf("attention.head.%d.", i)
	}
	return "attention."
}

// IsEncoder reports whether a tensor belongs to embeddings or layers, which every objective shares.
func IsEncoder(name string) bool {
	return strings.HasPrefix(name, "embeddings.") || strings.HasPrefix(name, layerPrefix)
}

// splitLayerName takes "encoder.layer.J." off a name.
func splitLayerName(name string) (j int, rest string, isLayer bool) {
	number, rest, ok := strings.Cut(strings.TrimPrefix(name, layerPrefix), ".")
	if !ok || !strings.HasPrefix(name, layerPrefix) {
		return 0, "", false
	}
	j, err := strconv.Atoi(number)
	return j, rest, err == nil
}
