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
	p.Check()
	d.call.depthwise.Depthwise = p
	d.call.weights = transposedTaps(p.W, d.shared(p.W.Rows*p.W.Cols))
	d.rows(p.Y, (*Device).depthwiseRow)
}

func (d *Device) depthwiseRow(_, i int, y []float32) {
	p, channels, k := &d.call.depthwise, d.call.depthwise.W.Rows, d.call.depthwise.W.Cols
	b, t := i/p.Seq, i%p.Seq
	clear(y)
	for j := range k {
		if s := t + j - k/2; s >= 0 && s < p.Seq {
			d.t.MulAdd(y, row(p.X, b*p.Seq+s), d.call.weights[j*channels:][:channels])
		}
	}
}

// DepthwiseBackward computes the gradients of input and filters; the filters' is summed from one partial result per batch row.
func (d *Device) DepthwiseBackward(p device.DepthwiseGrad) {
	p.Check()
	channels, k := p.W.Rows, p.W.Cols
	buf, c := d.shared(channels*k*(1+p.Batch)), &d.call
	c.depthwise, c.weights, c.parts = p, transposedTaps(p.W, buf[:channels*k]), buf[channels*k:]
	d.rows(p.DX, (*Device).depthwiseInputRow)
	if p.DW.Empty() {
		return
	}
	d.ranges(p.Batch, 1, (*Device).depthwiseFilters)
	sumParts(d.t, c.weights, c.parts, p.Batch, channels*k, 0)
	for i := range channels {
		out := row(p.DW, i)
		for j := range k {
			out[j] = c.weights[j*channels+i]
		}
	}
}

func (d *Device) depthwiseInputRow(_, i int, dx []float32) {
	p, channels, k := &d.call.depthwise, d.call.depthwise.W.Rows, d.call.depthwise.W.Cols
	b, s := i/p.Seq, i%p.Seq
	clear(dx)
	for j := range k {
		if t := s - j + k/2; t >= 0 && t < p.Seq {
			d.t.MulAdd(dx, row(p.DY, b*p.Seq+t), d.call.weights[j*channels:][:channels])
		}
	}
}

// depthwiseFilters does the share of batch rows [lo, hi) in the gradient of the filters.
func (d *Device) depthwiseFilters(_, lo, hi int) {
	p, channels, k := &d.call.depthwise, d.call.depthwise.W.Rows, d.call.depthwise.W.Cols
	for b := lo; b < hi; b++ {
		part := d.call.parts[b*channels*k:][:channels*k]
		clear(part)
		for t := range p.Seq {
			for j := range k {
				if s := t + j - k/2; s >= 0 && s < p.Seq {
					d.t.MulAdd(part[j*channels:][:channels], row(p.DY, b*p.Seq+t), row(p.X, b*p.Seq+s))
				}
			}
		}
	}
}

// TapsForward is the span-based dynamic convolution behind its kernel logits.
func (d *Device) TapsForward(p device.Taps) {
	p.Check()
	d.call.taps.Taps = p
	d.rows(p.Y, (*Device).tapsRow)
}

func (d *Device) tapsRow(_, i int, y []float32) {
	p := &d.call.taps
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
}

// TapsBackward computes the gradients of the logits and of the values.
func (d *Device) TapsBackward(p device.TapsGrad) {
	p.Check()
	d.call.taps = p
	d.rows(p.DV, (*Device).tapsGradRow)
}

func (d *Device) tapsGradRow(worker, i int, dv []float32) {
	p := &d.call.taps
	b, t, center := i/p.Seq, i%p.Seq, (p.K-1)/2
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
}
