package cuda

import "flexi/core/device"

// DepthwiseForward is y[b,t,c] = Σ_j W[c,j]·x[b, t+j-K/2, c].
func (d *Device) DepthwiseForward(p device.Depthwise) {
	p.Check()
	d.begin("depthwise", p.Batch, p.Seq, p.W.Rows, p.W.Cols)
	each(d, depthwise, p.Y.Rows*p.Y.Cols, &depthwiseArgs{x: in(p.X), w: in(p.W), y: d.out(p.Y), seq: int32(p.Seq)})
}

// DepthwiseBackward computes the gradients of the input and of the filters.
func (d *Device) DepthwiseBackward(p device.DepthwiseGrad) {
	p.Check()
	channels, taps, rows := p.W.Rows, p.W.Cols, p.X.Rows
	d.begin("depthwise gradient", p.Batch, p.Seq, channels, taps)
	a := depthwiseArgs{x: in(p.X), w: in(p.W), dy: in(p.DY), dx: d.out(p.DX), seq: int32(p.Seq)}
	if !p.DX.Empty() {
		each(d, depthwiseDX, rows*channels, &a)
	}
	if p.DW.Empty() {
		return
	}
	groups := ceil(rows, groupRows)
	a.parts = d.take(4 * max(groups, 1) * channels * taps)
	sums := d.take(4 * channels * taps)
	if groups > 0 {
		start(d, depthwiseDW, ceil(channels, 32), groups, &a)
	}
	n := channels * taps
	each(d, addParts, n, &addPartsArgs{out: sums, parts: a.parts, n: int64(n), stride: int64(n), groups: int32(groups)})
	each(d, copyRows, n, &binaryArgs{z: d.out(p.DW), x: view{at: sums, rows: int32(channels), cols: int32(taps), ld: int32(taps)}})
	d.give(a.parts, sums)
}

func (d *Device) tapsOf(p device.Taps) tapsArgs {
	return tapsArgs{v: in(p.V), saved: in(p.Saved), seq: int32(p.Seq), heads: int32(p.Heads), dim: int32(p.Dim), taps: int32(p.K)}
}

// TapsForward is the span-based dynamic convolution.
func (d *Device) TapsForward(p device.Taps) {
	p.Check()
	d.begin("taps", p.Batch, p.Seq, p.Heads, p.K)
	a := d.tapsOf(p)
	a.logits, a.y, a.saved = in(p.Logits), d.out(p.Y), d.out(p.Saved)
	each(d, tapsSoftmax, p.Logits.Rows*p.Heads, &a)
	each(d, tapsForward, p.Y.Rows*p.Y.Cols, &a)
}

// TapsBackward computes the gradients of the logits and of the values.
func (d *Device) TapsBackward(p device.TapsGrad) {
	p.Check()
	d.begin("taps gradient", p.Batch, p.Seq, p.Heads, p.K)
	a := d.tapsOf(p.Taps)
	a.dy, a.dLogits, a.dv = in(p.DY), d.out(p.DLogits), d.out(p.DV)
	if p.DY.Rows > 0 {
		start(d, tapsDLogits, ceil(p.DY.Rows*p.Heads, threads/32), 1, &a)
	}
	each(d, tapsDV, p.DV.Rows*p.DV.Cols, &a)
}
