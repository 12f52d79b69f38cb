package cpu

import (
	"math"
	"unsafe"

	"flexi/core/device"
)

// grouped is one call of grouped-query attention. Its tasks are pairs of a batch row and a head; in the backward pass, of a batch row and a head of
// keys, so that gradients of keys and values are summed by one task.
type grouped struct {
	device.GroupedAttentionGrad
	q, k    device.Mat // turned by their positions
	turned  device.Mat // the rows that are being turned, forwards or back
	source  device.Mat
	sign    float32
	scale   float32
	lengths []int32
}

// GroupedAttentionForward computes the context of every batch row and head.
func (d *Device) GroupedAttentionForward(a device.GroupedAttention) {
	a.Check()
	if a.Batch == 0 || a.Seq == 0 {
		return
	}
	d.startGrouped(device.GroupedAttentionGrad{GroupedAttention: a})
	d.ranges(a.Batch*a.Heads, 1, (*Device).groupedTask)
}

// GroupedAttentionBackward computes the gradients of queries, keys and values.
func (d *Device) GroupedAttentionBackward(g device.GroupedAttentionGrad) {
	g.Check()
	if g.Batch == 0 || g.Seq == 0 {
		return
	}
	d.startGrouped(g)
	d.ranges(g.Batch*g.KVHeads, 1, (*Device).groupedGradTask)
	if !g.Rotary.Empty() {
		d.turn(g.DQ, g.DQ, -1)
		d.turn(g.DK, g.DK, -1)
	}
}

// startGrouped turns queries and keys by their positions.
func (d *Device) startGrouped(g device.GroupedAttentionGrad) {
	t := &d.call.grouped
	*t = grouped{GroupedAttentionGrad: g, q: g.Q, k: g.K, scale: float32(1 / math.Sqrt(float64(g.Dim)))}
	if !g.Lengths.Empty() {
		t.lengths = g.Lengths.I32()[:g.Batch]
		for b, n := range t.lengths {
			if n < 0 || int(n) > g.Seq {
				fail("length %d of row %d: %d positions", n, b, g.Seq)
			}
		}
	}
	if g.Rotary.Empty() {
		return
	}
	rows, queries := g.Q.Rows, g.Q.Rows*g.Q.Cols
	all := d.sharedTensor(queries + rows*g.K.Cols)
	t.q, t.k = all.Slice(0, queries).Mat(rows, g.Q.Cols), all.Slice(queries, rows*g.K.Cols).Mat(rows, g.K.Cols)
	d.turn(t.q, g.Q, 1)
	d.turn(t.k, g.K, 1)
}

// sharedTensor is shared as a view.
func (d *Device) sharedTensor(n int) device.Tensor {
	buf := d.shared(n)
	d.call.common = device.Memory{Host: unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(buf))), 4*n), Bytes: 4 * n}
	return device.NewTensor(&d.call.common, 0, n, device.F32)
}

// turn rotates every head of every row of x by its position's angles, backwards for sign -1; z may be x.
func (d *Device) turn(z, x device.Mat, sign float32) {
	t := &d.call.grouped
	t.turned, t.source, t.sign = z, x, sign
	d.rows(z, (*Device).turnRow)
}

// turnRow maps (u, v), the halves of a head, to (u·cos - v·sin, v·cos + u·sin).
func (d *Device) turnRow(_, i int, z []float32) {
	t := &d.call.grouped
	half := t.Dim / 2
	angles := row(t.Rotary, i%t.Seq)
	cos, sin := angles[:half], angles[half:t.Dim]
	x := row(t.source, i)
	for h := 0; h < len(z); h += t.Dim {
		u, v := x[h:][:half], x[h+half:][:half]
		zu, zv := z[h:][:half], z[h+half:][:half]
		for j, c := range cos {
			s := t.sign * sin[j]
			a, b := u[j], v[j]
			zu[j], zv[j] = a*c-b*s, b*c+a*s
		}
	}
}

// head is the part of a matrix that belongs to batch row b and head i.
func (t *grouped) head(m device.Mat, b, i int) device.Mat {
	return m.RowsView(b*t.Seq, t.Seq).Columns(i*t.Dim, t.Dim)
}

// seen is the range of keys that query a of batch row b sees; it may be empty.
func (t *grouped) seen(b, a int) (lo, hi int) {
	hi = t.Seq
	if t.lengths != nil {
		hi = int(t.lengths[b])
	}
	if t.Causal {
		hi = min(hi, a+1)
	}
	if t.Window > 0 {
		lo = max(0, a-t.Window+1)
	}
	return min(lo, hi), hi
}

// block is the queries [a0, a1) of one batch row and head, and the keys [k0, k1) that they see together.
type block struct{ b, i, a0, a1, k0, k1 int }

func (t *grouped) block(b, i, a0 int) block {
	a1 := min(a0+queryBlock, t.Seq)
	k0, _ := t.seen(b, a0)
	_, k1 := t.seen(b, a1-1)
	return block{b, i, a0, a1, min(k0, k1), k1}
}

func (c block) queries() int { return c.a1 - c.a0 }
func (c block) keys() int    { return c.k1 - c.k0 }

// dropIndex is that of query a and the block's first key.
func (t *grouped) dropIndex(c block, a int) int { return ((c.b*t.Heads+c.i)*t.Seq+a)*t.Seq + c.k0 }

// group is the head of keys and values that head i reads.
func (t *grouped) group(i int) int { return i / (t.Heads / t.KVHeads) }

// groupedTask does the heads [lo, hi) of all batch rows.
func (d *Device) groupedTask(worker, lo, hi int) {
	t := &d.call.grouped
	buf := d.scratch(worker, queryBlock*t.Seq)
	for task := lo; task < hi; task++ {
		d.groupedHead(worker, task/t.Heads, task%t.Heads, buf)
	}
}

func (d *Device) groupedHead(worker, b, i int, buf []float32) {
	t := &d.call.grouped
	out, v := t.head(t.Out, b, i), t.head(t.V, b, t.group(i))
	for a0 := 0; a0 < t.Seq; a0 += queryBlock {
		c := t.block(b, i, a0)
		context := out.RowsView(c.a0, c.queries())
		if c.keys() == 0 {
			for r := range context.Rows {
				clear(row(context, r))
			}
			continue
		}
		p := d.groupedProbabilities(worker, c, buf)
		d.dropBlock(c, p, p)
		d.product(worker, of(context), p, of(v.RowsView(c.k0, c.keys())), false, false, false)
	}
}

// groupedProbabilities of a block, zero where a query does not see a key.
func (d *Device) groupedProbabilities(worker int, c block, buf []float32) dense {
	t := &d.call.grouped
	p := matrix(buf[:c.queries()*c.keys()], c.queries(), c.keys())
	q, k := t.head(t.q, c.b, c.i).RowsView(c.a0, c.queries()), t.head(t.k, c.b, t.group(c.i)).RowsView(c.k0, c.keys())
	d.product(worker, p, of(q), of(k), false, true, false)
	for r := range p.rows {
		lo, hi := t.seen(c.b, c.a0+r)
		line := p.x[r*p.cols:][:p.cols]
		lo, hi = lo-c.k0, hi-c.k0
		clear(line[:lo])
		clear(line[hi:])
		if lo < hi {
			d.t.Softmax(line[lo:hi], line[lo:hi], t.scale)
		}
	}
	return p
}

// dropBlock applies dropout to a block of probabilities or of their gradient.
func (d *Device) dropBlock(c block, dst, src dense) {
	t := &d.call.grouped
	if !t.Drop.On() {
		return
	}
	for r := range src.rows {
		d.drop(t.Drop, dst.x[r*dst.cols:][:dst.cols], src.x[r*src.cols:][:src.cols], t.dropIndex(c, c.a0+r))
	}
}

// groupedGradTask does the heads of keys [lo, hi) of all batch rows.
func (d *Device) groupedGradTask(worker, lo, hi int) {
	t := &d.call.grouped
	for task := lo; task < hi; task++ {
		d.groupedGradHeads(worker, task/t.KVHeads, task%t.KVHeads)
	}
}

// groupedGradHeads does all heads that read one head of keys.
func (d *Device) groupedGradHeads(worker, b, g int) {
	t := &d.call.grouped
	for _, m := range []device.Mat{t.head(t.DK, b, g), t.head(t.DV, b, g)} {
		for r := range m.Rows {
			clear(row(m, r))
		}
	}
	each := t.Heads / t.KVHeads
	for i := g * each; i < (g+1)*each; i++ {
		for a0 := 0; a0 < t.Seq; a0 += queryBlock {
			d.groupedGradBlock(worker, t.block(b, i, a0), g)
		}
	}
}

// groupedGradBlock is dV += Pᵀ·dOut, dS = softmax'(dOut·Vᵀ), dQ = dS·K, dK += dSᵀ·Q for a block.
func (d *Device) groupedGradBlock(worker int, c block, g int) {
	t := &d.call.grouped
	dq := t.head(t.DQ, c.b, c.i).RowsView(c.a0, c.queries())
	if c.keys() == 0 {
		for r := range dq.Rows {
			clear(row(dq, r))
		}
		return
	}
	rows, keys := c.queries(), c.keys()
	n := rows * keys
	buf := d.scratch(worker, 3*queryBlock*t.Seq)
	p, ds, dropped := d.groupedProbabilities(worker, c, buf), matrix(buf[n:2*n], rows, keys), matrix(buf[2*n:3*n], rows, keys)
	key := func(m device.Mat) dense { return of(t.head(m, c.b, g).RowsView(c.k0, keys)) }
	dOut := of(t.head(t.DOut, c.b, c.i).RowsView(c.a0, rows))
	kept := p
	if t.Drop.On() {
		kept = dropped
		d.dropBlock(c, kept, p)
	}
	d.product(worker, key(t.DV), kept, dOut, true, false, true)
	d.product(worker, ds, dOut, key(t.V), false, true, false)
	d.dropBlock(c, ds, ds)
	for r := range rows {
		lo, hi := t.seen(c.b, c.a0+r)
		line, probs := ds.x[r*keys:][:keys], p.x[r*keys:][:keys]
		lo, hi = lo-c.k0, hi-c.k0
		clear(line[:lo])
		clear(line[hi:])
		if lo < hi {
			d.t.SoftmaxGrad(line[lo:hi], probs[lo:hi], line[lo:hi], t.scale)
		}
	}
	q := of(t.head(t.q, c.b, c.i).RowsView(c.a0, rows))
	d.product(worker, of(dq), ds, key(t.k), false, false, false)
	d.product(worker, key(t.DK), ds, q, true, false, true)
}
