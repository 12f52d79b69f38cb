package model

import (
	"slices"

	"flexi/core/device"
)

// headSize is d, the width of one head.
func (l Layer) headSize() int {
	if l.Mixed != nil {
		return l.Mixed[0].Size
	}
	return l.Hidden / l.Heads
}

// attentionHeads is how many heads attend; half of a span-convolution layer's heads convolve instead.
func (l Layer) attentionHeads() int {
	switch {
	case l.Mixed != nil:
		return len(l.Mixed)
	case l.Op == SpanConvolution:
		return l.Heads / 2
	default:
		return l.Heads
	}
}

// width is A, the width of queries, keys and values.
func (l Layer) width() int { return l.attentionHeads() * l.headSize() }

// Fields of the fused projection.
const (
	fieldQuery     = "query"
	fieldKey       = "key"
	fieldValue     = "value"
	fieldConvValue = "conv_value"
)

// fields are the parts of the fused projection, width columns each. Heads that score by position have no use for keys; in a hetero layer keys are
// made for all heads as soon as one needs them.
func (l Layer) fields() []string {
	switch {
	case l.Mixed != nil && !slices.ContainsFunc(l.Mixed, func(h Head) bool { return h.Op != LinearTransform }), l.Op == LinearTransform:
		return []string{fieldQuery, fieldValue}
	case l.Op == SpanConvolution:
		return []string{fieldQuery, fieldKey, fieldValue, fieldConvValue}
	default:
		return []string{fieldQuery, fieldKey, fieldValue}
	}
}

// scores lists how the attention heads score, and for weighted heads which matrix they use: one for the layer, or one each in hetero layers.
func (l Layer) scores() (scores []device.Score, bilinear []int) {
	scores = make([]device.Score, l.attentionHeads())
	bilinear = make([]int, len(scores))
	matrices := 0
	for i := range scores {
		o, param := l.Op, l.Param
		if l.Mixed != nil {
			o, param = l.Mixed[i].Op, l.Mixed[i].Param
			if o == SpanConvolution {
				o = LinearTransform // like it, a hetero convolution head attends by position beside its transform
			}
		}
		switch {
		case o == LinearTransform:
			scores[i] = device.ScorePosition
		case o == SelfAttention && param == Weighted:
			scores[i] = device.ScoreBilinear
			if l.Mixed != nil {
				bilinear[i] = matrices
				matrices++
			}
		}
	}
	return scores, bilinear
}

// bilinear is how many matrices weighted heads have.
func (l Layer) bilinear() int {
	if l.Mixed == nil {
		if l.Op == SelfAttention && l.Param == Weighted {
			return 1
		}
		return 0
	}
	n := 0
	for _, h := range l.Mixed {
		if h.Op == SelfAttention && h.Param == Weighted {
			n++
		}
	}
	return n
}
