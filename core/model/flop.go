package model

import (
	"math"

	"flexi/core/device"
)

// FLOP is the arithmetic of one training step on batch rows of seq positions, of which picked reach the masked-language head: matrix products count
// 2·M·N·K, transforms as a fast one would (5·n·log₂n), element-wise work not at all; the backward pass counts twice the forward pass.
func (n *Net) FLOP(batch, seq, picked int) float64 {
	const passes = 3
	m, b, t := float64(batch*seq), float64(batch), float64(seq)
	var sum float64
	for j, l := range n.arch.Layers {
		h := float64(l.Hidden)
		sum += m * l.linearFLOP()
		sum += b * l.operationFLOP(t)
		if next := n.arch.nextHidden(j); next != 0 && next != l.Hidden {
			sum += 2 * m * h * float64(next)
		}
	}
	h, out := float64(n.arch.Layers[len(n.arch.Layers)-1].Hidden), float64(n.objective.outputs(n.config.Vocab))
	rows := b
	if n.objective.picks() {
		rows = float64(picked)
	}
	sum += 2 * rows * (h*h + h*out)
	return passes * sum
}

// linearFLOP is the linear maps of a layer for one token.
func (l Layer) linearFLOP() float64 {
	h, a := float64(l.Hidden), float64(l.width())
	context := h
	if l.Mixed != nil {
		context = a
	}
	sum := float64(len(l.fields()))*a*h + context*h
	width := h
	for _, f := range l.FF {
		sum += width * float64(f)
		width = float64(f)
	}
	return 2 * (sum + width*h)
}

// operationFLOP is attention, transforms and convolutions of one row of t positions.
func (l Layer) operationFLOP(t float64) float64 {
	d := float64(l.headSize())
	scores, _ := l.scores()
	var sum float64
	for _, s := range scores {
		sum += 2 * 2 * t * t * d // position term and context
		switch s {
		case device.ScoreDot:
			sum += 2 * t * t * d
		case device.ScoreBilinear:
			sum += 2*t*t*d + 2*t*d*d
		}
	}
	if l.Mixed == nil {
		switch l.Op {
		case LinearTransform:
			sum += transformFLOP(t * float64(l.Hidden))
		case SpanConvolution:
			sum += t * convolutionFLOP(float64(l.Hidden), float64(l.width()), float64(l.attentionHeads()), float64(kernelSize(l.Param)))
		}
		return sum
	}
	for _, h := range l.Mixed {
		switch h.Op {
		case LinearTransform:
			sum += transformFLOP(t * d)
		case SpanConvolution:
			sum += t * convolutionFLOP(d, d, 1, float64(kernelSize(h.Param)))
		}
	}
	return sum
}

func transformFLOP(n float64) float64 { return 5 * n * math.Log2(n) }

// convolutionFLOP is a span convolution for one token: depthwise, pointwise, kernel map, window.
func convolutionFLOP(in, out, heads, k float64) float64 {
	return 2 * (in*k + in*out + out*heads*k + out*k)
}
