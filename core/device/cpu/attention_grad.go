package cpu

import (
	"flexi/core/device"
	"flexi/core/device/cpu/kern"
)

// attentionGrad is one call of the backward kernel.
type attentionGrad struct {
	device.AttentionGrad
	heads    int       // to a task
	parts    []float32 // per task: the gradients of rel and of its heads' bilinear matrices
	partSize int
}

// manyRows is the batch size from which a task is a batch row with all its heads, so that there are fewer partial results to keep and to add.
const manyRows = 16

// AttentionBackward computes the gradients of Q, K, V, the table and the bilinear matrices. The last two are summed from one partial result per
// task, in the order of the tasks.
func (d *Device) AttentionBackward(a device.AttentionGrad) {
	d.checkAttention(a.Attention)
	a.Check()
	if a.Seq == 0 || a.Batch == 0 {
		d.clear(a.DRel)
		d.clear(a.DW)
		return
	}
	t, g := d.newAttention(a.Attention, true), &d.call.attentionGrad
	*g = attentionGrad{AttentionGrad: a, heads: 1}
	if a.Batch >= manyRows {
		g.heads = a.Heads()
	}
	g.partSize = t.relRows * a.Dim
	if !a.DW.Empty() {
		g.partSize += g.heads * a.Dim * a.Dim
	}
	tasks := a.Batch * a.Heads() / g.heads
	g.parts = grown(&d.parts, tasks*g.partSize)
	d.ranges(tasks, 1, (*Device).attendBack)
	d.rows(a.DRel, (*Device).relRow)
	d.rows(a.DW, (*Device).bilinearRow)
}

// attendBack does one task.
func (d *Device) attendBack(worker, task, _ int) {
	t, g := &d.call.attention, &d.call.attentionGrad
	part := g.parts[task*g.partSize:][:g.partSize]
	clear(part)
	share, rest := part[:t.relRows*t.Dim], part[t.relRows*t.Dim:]
	buf := d.scratch(worker, t.block*(t.band+t.Seq+t.Dim)+t.Seq*t.Dim+alignment+2*d.panelSpace(t))
	// The cells outside of the band's diagonals stay zero.
	band := matrix(carve(&buf, t.block*t.band), t.block, t.band)
	clear(band.x)
	for n := range g.heads {
		head := task*g.heads + n
		var dw []float32
		if len(rest) > 0 {
			dw = rest[n*t.Dim*t.Dim:][:t.Dim*t.Dim]
		}
		h := headGrad{b: head / t.Heads(), i: head % t.Heads(), band: band, share: share, dw: dw}
		d.headBack(worker, &h, buf)
	}
}

// headGrad is the work on one head.
type headGrad struct {
	b, i   int
	band   dense
	q, qk  dense // queries, and what is multiplied with keys
	keys   kern.Panels
	share  []float32 // of the gradient of rel
	dw     []float32 // of the gradient of W, if wanted
	u      []float32 // block×Dim
	values kern.Panels
	probs  []float32 // block×Seq
}

func (d *Device) headBack(worker int, h *headGrad, buf []float32) {
	t, g := &d.call.attention, &d.call.attentionGrad
	h.probs, h.u = carve(&buf, t.block*t.Seq), carve(&buf, t.block*t.Dim)
	h.q = of(t.head(t.Q, h.b, h.i))
	h.qk = d.queries(worker, h.b, h.i, carve(&buf, t.Seq*t.Dim))
	h.values = d.panels(&buf, of(t.head(t.V, h.b, h.i)), true)
	if t.Scores[h.i] != device.ScorePosition {
		h.keys = d.panels(&buf, of(t.head(t.K, h.b, h.i)), false)
	} else if !g.DK.Empty() {
		dk := t.head(g.DK, h.b, h.i)
		for r := range dk.Rows {
			clear(row(dk, r))
		}
	}
	for block := range t.blocks() {
		d.blockBack(worker, h, block)
	}
}

// blockBack does the queries of one block.
func (d *Device) blockBack(worker int, h *headGrad, block int) {
	t, g := &d.call.attention, &d.call.attentionGrad
	first := block * t.block
	n := min(t.block, t.Seq-first)
	band, later := h.band.from(0, n), block > 0
	ds, q := t.cells(band, n), h.q.from(first, n)
	dOut := of(t.head(g.DOut, h.b, h.i)).from(first, n)

	d.productOf(worker, ds, dOut, h.values, false)
	p := d.scoreGrad(h, first, ds)
	d.product(worker, of(t.head(g.DV, h.b, h.i)), p, dOut, true, false, later)

	dq, start := of(t.head(g.DQ, h.b, h.i)).from(first, n), t.relStart(block)
	d.productOf(worker, dq, band, t.rel.From(start, 0), false)
	d.product(worker, matrix(h.share[start*t.Dim:], t.band, t.Dim), band, q, true, false, true)
	if t.Scores[h.i] == device.ScorePosition {
		return
	}
	d.product(worker, of(t.head(g.DK, h.b, h.i)), ds, h.qk.from(first, n), true, false, later)
	if t.Scores[h.i] == device.ScoreDot {
		d.productOf(worker, dq, ds, h.keys, true)
		return
	}
	// s = (qW)·k: with u = dS·K, dQ += u·Wᵀ and dW += qᵀ·u.
	u := matrix(h.u, n, t.Dim)
	d.productOf(worker, u, ds, h.keys, false)
	d.product(worker, dq, u, t.bilinear(h.i), false, true, true)
	if len(h.dw) > 0 {
		d.product(worker, matrix(h.dw, t.Dim, t.Dim), q, u, true, false, true)
	}
}

// scoreGrad turns the gradient of probabilities into that of scores, and returns the probabilities behind dropout.
func (d *Device) scoreGrad(h *headGrad, first int, ds dense) dense {
	t := &d.call.attention
	for r := range ds.rows {
		line, probs := ds.x[r*ds.ld:][:t.Seq], t.saved(h.b, h.i, first+r)
		if t.Drop.On() {
			at := t.index(h.b, h.i, first+r)
			d.drop(t.Drop, h.probs[r*t.Seq:][:t.Seq], probs, at)
			d.drop(t.Drop, line, line, at)
		}
		d.t.SoftmaxGrad(line, probs, line, t.scale)
	}
	if t.Drop.On() {
		return matrix(h.probs, ds.rows, t.Seq)
	}
	return matrix(t.Saved.F32()[t.index(h.b, h.i, first):], ds.rows, t.Seq)
}

// relRow adds the tasks' shares of a row of the table; rows out of reach have no gradient.
func (d *Device) relRow(_, r int, out []float32) {
	t, g := &d.call.attention, &d.call.attentionGrad
	clear(out)
	j := t.tableRow(r)
	if j < 0 || j >= t.relRows {
		return
	}
	for p := 0; p < len(g.parts); p += g.partSize {
		d.t.Add(out, out, g.parts[p+j*t.Dim:][:t.Dim])
	}
}

// bilinearRow adds the tasks' shares of a row of the stacked bilinear matrices.
func (d *Device) bilinearRow(_, r int, out []float32) {
	t, g := &d.call.attention, &d.call.attentionGrad
	clear(out)
	size := t.Dim * t.Dim
	for head := range t.Batch * t.Heads() {
		if i := head % t.Heads(); t.Scores[i] == device.ScoreBilinear && t.Bilinear[i] == r/t.Dim {
			at := head/g.heads*g.partSize + t.relRows*t.Dim + head%g.heads*size
			d.t.Add(out, out, g.parts[at+r%t.Dim*t.Dim:][:t.Dim])
		}
	}
}
