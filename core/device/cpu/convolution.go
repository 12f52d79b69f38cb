package cpu

import (
	"flexi/core/device"
)

// transposedTaps lays the C×K filters out as K rows of C channels, so that channels are contiguous.
func transposedTaps(w device.Mat, into []float32) []float32 {
	for c := range w.Rows {
		for j, v := range row(w, c) {
			into[j*w.Rows+c] = v
		}
	}
	return into
}

// DepthwiseForward is y[b,t,c] = Σ_j W[c,j]·x[b, t+j-K/2, c].
func (d *Device) DepthwiseForward(p device.Depthwise) {
	checkDepthwise(p)
	channels, k := p.W.Rows, p.W.Cols
	w := transposedTaps(p.W, d.shared(channels*k))
	d.each(p.Y, func(_, i int, y []float32) {
		b, t := i/p.Seq, i%p.Seq
		clear(y)
		for j := range k {
			if s := t + j - k/2; s >= 0 && s < p.Seq {
				d.t.MulAdd(y, row(p.X, b*p.Seq+s), w[j*channels:][:channels])
			}
		}
	})
}

// DepthwiseBackward computes the gradients of input and filters; the filters' is summed from one partial result per batch row.
func (d *Device) DepthwiseBackward(p device.DepthwiseGrad) {
	checkDepthwiseGrad(p)
	channels, k := p.W.Rows, p.W.Cols
	buf := d.shared(channels * k * (1 + p.Batch))
	w, parts := transposedTaps(p.W, buf[:channels*k]), buf[channels*k:]
	d.each(p.DX, func(_, i int, dx []float32) {
		b, s := i/p.Seq, i%p.Seq
		clear(dx)
		for j := range k {
			if t := s - j + k/2; t >= 0 && t < p.Seq {
				d.t.MulAdd(dx, row(p.DY, b*p.Seq+t), w[j*channels:][:channels])
			}
		}
	})
	if p.DW.Empty() {
		return
	}
	d.pool.ParallelFor(p.Batch, func(b, _ int) {
		part := parts[b*channels*k:][:channels*k]
		clear(part)
		for t := range p.Seq {
			for j := range k {
				if s := t + j - k/2; s >= 0 && s < p.Seq {
					d.t.MulAdd(part[j*channels:][:channels], row(p.DY, b*p.Seq+t), row(p.X, b*p.Seq+s))
				}
			}
		}
	})
	sumParts(d.t, w, parts, p.Batch, channels*k, 0)
	for c := range channels {
		out := row(p.DW, c)
		for j := range k {
			out[j] = w[j*channels+c]
		}
	}
}

// TapsForward is the span-based dynamic convolution behind its kernel logits.
func (d *Device) TapsForward(p device.Taps) {
	checkTaps(p)
	shaped("Y", p.Y, p.V.Rows, p.V.Cols)
	d.each(p.Y, func(_, i int, y []float32) {
		b, t := i/p.Seq, i%p.Seq
		clear(y)
		logits, probs := row(p.Logits, i), row(p.Saved, i)
		for h := range p.Heads {
			taps := probs[h*p.K:][:p.K]
			d.t.Softmax(taps, logits[h*p.K:][:p.K], 1)
			out := y[h*p.Dim:][:p.Dim]
			for j, w := range taps {
				if s := t + j - (p.K-1)/2; s >= 0 && s < p.Seq {
					d.t.Axpy(out, row(p.V, b*p.Seq+s)[h*p.Dim:][:p.Dim], w)
				}
			}
		}
	})
}

// TapsBackward computes the gradients of the logits and of the values.
func (d *Device) TapsBackward(p device.TapsGrad) {
	checkTapsGrad(p)
	center := (p.K - 1) / 2
	d.each(p.DV, func(worker, i int, dv []float32) {
		b, t := i/p.Seq, i%p.Seq
		dTaps := d.scratch(worker, p.K)
		dy, probs, dLogits := row(p.DY, i), row(p.Saved, i), row(p.DLogits, i)
		clear(dv)
		for h := range p.Heads {
			lo := h * p.Dim
			for j := range p.K {
				dTaps[j] = 0
				if s := t + j - center; s >= 0 && s < p.Seq {
					dTaps[j] = d.t.Dot(dy[lo:lo+p.Dim], row(p.V, b*p.Seq+s)[lo:lo+p.Dim])
				}
				// Position t is tap j of position t-j+center.
				if s := t - j + center; s >= 0 && s < p.Seq {
					from := b*p.Seq + s
					d.t.Axpy(dv[lo:lo+p.Dim], row(p.DY, from)[lo:lo+p.Dim], row(p.Saved, from)[h*p.K+j])
				}
			}
			d.t.SoftmaxGrad(dLogits[h*p.K:][:p.K], probs[h*p.K:][:p.K], dTaps, 1)
		}
	})
}
