package devicetest

import (
	"fmt"

	"flexi/core/device"
)

// Bounds of convolutions, relative to the largest element.
const (
	convolutionBound     = 1e-6
	convolutionGradBound = 4e-6
)

// depthwiseReference is y[b,t,c] = sum_j W[c,j]·x[b, t+j-K/2, c].
type depthwiseReference struct {
	batch, seq int
	x, w       matrix
}

// each calls f for every pair of an output row and an input row that tap j of the filters connects.
func (p depthwiseReference) each(f func(to, from, j int)) {
	eachTap(p.batch, p.seq, p.w.cols, p.w.cols/2, f)
}

func eachTap(batch, seq, taps, center int, f func(to, from, j int)) {
	for b := range batch {
		for t := range seq {
			for j := range taps {
				if s := t + j - center; s >= 0 && s < seq {
					f(b*seq+t, b*seq+s, j)
				}
			}
		}
	}
}

func (p depthwiseReference) forward() matrix {
	y := zerosLike(p.x)
	p.each(func(to, from, j int) {
		for c := range p.x.cols {
			y.add(to, c, p.w.at(c, j)*p.x.at(from, c))
		}
	})
	return y
}

// backward gives DX and DW.
func (p depthwiseReference) backward(dy matrix) []matrix {
	dx, dw := zerosLike(p.x), zerosLike(p.w)
	p.each(func(to, from, j int) {
		for c := range p.x.cols {
			dx.add(from, c, p.w.at(c, j)*dy.at(to, c))
			dw.add(c, j, dy.at(to, c)*p.x.at(from, c))
		}
	})
	return []matrix{dx, dw}
}

// tapsReference is y[t,i,c] = sum_j P[t,i,j]·v[t+j-(K-1)/2, i, c], P the softmax of the logits of a token and head.
type tapsReference struct {
	batch, seq, heads, dim, k int
	logits, v                 matrix
}

func (p tapsReference) each(f func(to, from, j int)) { eachTap(p.batch, p.seq, p.k, (p.k-1)/2, f) }

func (p tapsReference) probabilities() matrix {
	out := p.logits.clone()
	for at := 0; at < len(out.x); at += p.k {
		softmax(out.x[at:][:p.k])
	}
	return out
}

func (p tapsReference) forward() matrix {
	y, probs := zerosLike(p.v), p.probabilities()
	p.each(func(to, from, j int) {
		for c := range p.v.cols {
			y.add(to, c, probs.at(to, c/p.dim*p.k+j)*p.v.at(from, c))
		}
	})
	return y
}

// backward gives DLogits and DV.
func (p tapsReference) backward(dy matrix) []matrix {
	probs := p.probabilities()
	dProbs, dv := zerosLike(probs), zerosLike(p.v)
	p.each(func(to, from, j int) {
		for c := range p.v.cols {
			tap := c/p.dim*p.k + j
			dProbs.add(to, tap, dy.at(to, c)*p.v.at(from, c))
			dv.add(from, c, dy.at(to, c)*probs.at(to, tap))
		}
	})
	dLogits := zerosLike(probs)
	for at := 0; at < len(probs.x); at += p.k {
		copy(dLogits.x[at:], softmaxGrad(probs.x[at:][:p.k], dProbs.x[at:][:p.k]))
	}
	return []matrix{dLogits, dv}
}

func convolutionCases() []kernelCase {
	var cases []kernelCase
	// Batch, positions, channels, taps; also an even number of taps and more taps than positions.
	for _, s := range [][4]int{{1, 1, 1, 1}, {2, 3, 5, 7}, {3, 13, 7, 3}, {2, 5, 37, 4}, {3, 37, 13, 9}, {5, 67, 131, 5}} {
		cases = append(cases, depthwiseCase(s[0], s[1], s[2], s[3]))
	}
	// Batch, positions, heads, head width, taps.
	for _, s := range [][5]int{{1, 1, 1, 1, 1}, {2, 3, 2, 5, 7}, {3, 13, 3, 7, 3}, {2, 5, 1, 37, 4}, {2, 37, 5, 3, 9}, {5, 67, 7, 13, 5}} {
		cases = append(cases, tapsCase(s[0], s[1], s[2], s[3], s[4]))
	}
	return cases
}

func depthwiseCase(batch, seq, channels, k int) kernelCase {
	return kernelCase{fmt.Sprintf("depthwise %dx%dx%d taps=%d", batch, seq, channels, k), func(r *rig) {
		rows := batch * seq
		ref := depthwiseReference{batch, seq, r.normal(rows, channels), r.normal(channels, k)}
		p := device.Depthwise{Batch: batch, Seq: seq, X: r.input(ref.x), W: r.input(ref.w), Y: r.output(rows, channels)}
		r.d.DepthwiseForward(p)
		r.compare(func() []matrix { return []matrix{ref.forward()} }, result{"Y", p.Y, convolutionBound})
		dy := r.normal(rows, channels)
		g := device.DepthwiseGrad{Depthwise: p, DY: r.input(dy), DX: r.output(rows, channels), DW: r.output(channels, k)}
		r.d.DepthwiseBackward(g)
		r.compare(func() []matrix { return ref.backward(dy) }, result{"DX", g.DX, convolutionGradBound}, result{"DW", g.DW, convolutionGradBound})
	}, false}
}

func tapsCase(batch, seq, heads, dim, k int) kernelCase {
	return kernelCase{fmt.Sprintf("taps %dx%d heads=%dx%d taps=%d", batch, seq, heads, dim, k), func(r *rig) {
		rows := batch * seq
		ref := tapsReference{batch, seq, heads, dim, k, r.normal(rows, heads*k), r.normal(rows, heads*dim)}
		p := device.Taps{
			Batch: batch, Seq: seq, Heads: heads, Dim: dim, K: k, Logits: r.input(ref.logits), V: r.input(ref.v),
			Y: r.output(rows, heads*dim), Saved: r.output(rows, heads*k),
		}
		r.d.TapsForward(p)
		r.compare(func() []matrix { return []matrix{ref.forward(), ref.probabilities()} },
			result{"Y", p.Y, convolutionBound}, result{"Saved", p.Saved, convolutionBound})
		dy := r.normal(rows, heads*dim)
		g := device.TapsGrad{Taps: p, DY: r.input(dy), DLogits: r.output(rows, heads*k), DV: r.output(rows, heads*dim)}
		r.d.TapsBackward(g)
		r.compare(func() []matrix { return ref.backward(dy) },
			result{"DLogits", g.DLogits, convolutionGradBound}, result{"DV", g.DV, convolutionGradBound})
	}, false}
}
