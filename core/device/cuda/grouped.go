package cuda

import (
	"math"

	"flexi/core/device"
)

// GroupedAttentionForward computes the context of every batch row and head; a block does a tile of queries.
func (d *Device) GroupedAttentionForward(a device.GroupedAttention) {
	a.Check()
	checkWidth(a.Dim)
	d.begin("grouped attention", a.Batch, a.Seq, a.Heads, a.Dim)
	if a.Seq == 0 || a.Batch == 0 {
		return
	}
	k, turned := d.groupedOf(a)
	k.out, k.vector = d.out(a.Out), whole(k.dim, k.q, k.k, k.v)
	d.startGrouped(groupedF32, groupedBF16, a.Heads, d.tileBytes(a.Dim, 3, 1, 0), &k)
	d.discard(turned...)
}

// GroupedAttentionBackward computes the gradients of queries, keys and values.
func (d *Device) GroupedAttentionBackward(g device.GroupedAttentionGrad) {
	g.Check()
	checkWidth(g.Dim)
	d.begin("grouped attention gradient", g.Batch, g.Seq, g.Heads, g.Dim)
	if g.Seq == 0 || g.Batch == 0 {
		return
	}
	k, turned := d.groupedOf(g.GroupedAttention)
	k.dOut, k.dq, k.dk, k.dv = in(g.DOut), d.out(g.DQ), d.out(g.DK), d.out(g.DV)
	k.vector = whole(k.dim, k.q, k.k, k.v, k.dOut)
	n := 4 * g.Batch * g.Heads * g.Seq
	k.lse, k.delta = d.take(n), d.take(n)
	d.startGrouped(groupedStatsF32, groupedStatsBF16, g.Heads, d.tileBytes(g.Dim, 3, 1, 0), &k)
	d.startGrouped(groupedKeysF32, groupedKeysBF16, g.KVHeads, d.tileBytes(g.Dim, 4, 2, 2), &k)
	d.startGrouped(groupedQueryF32, groupedQueryBF16, g.Heads, d.tileBytes(g.Dim, 4, 1, 2), &k)
	if !g.Rotary.Empty() {
		d.turn(g.DQ, g.DQ, g.GroupedAttention, -1)
		d.turn(g.DK, g.DK, g.GroupedAttention, -1)
	}
	d.give(k.lse, k.delta)
	d.discard(turned...)
}

// groupedOf fills the arguments that both passes share, and turns queries and keys into working memory, which is returned.
func (d *Device) groupedOf(a device.GroupedAttention) (groupedArgs, []device.Mat) {
	k := groupedArgs{
		q: in(a.Q), k: in(a.K), v: in(a.V), lengths: address(a.Lengths), drop: dropOf(a.Drop), seq: int32(a.Seq), dim: int32(a.Dim),
		heads: int32(a.Heads), kvHeads: int32(a.KVHeads), batch: int32(a.Batch), window: int32(a.Window), scale: float32(1 / math.Sqrt(float64(a.Dim))),
	}
	if a.Causal {
		k.causal = 1
	}
	if a.Rotary.Empty() {
		return k, nil
	}
	q, keys := d.working(a.Q.Rows, a.Q.Cols), d.working(a.K.Rows, a.K.Cols)
	d.turn(q, a.Q, a, 1)
	d.turn(keys, a.K, a, 1)
	k.q, k.k = in(q), in(keys)
	return k, []device.Mat{q, keys}
}

// turn rotates every head of every row of x by its position's angles, backwards for sign -1; z may be x.
func (d *Device) turn(z, x device.Mat, a device.GroupedAttention, sign float32) {
	each(d, turn, z.Rows*z.Cols/2, &turnArgs{z: d.out(z), x: in(x), table: in(a.Rotary), seq: int32(a.Seq), dim: int32(a.Dim), sign: sign})
}

// startGrouped queues a block for every tile of rows, head and batch row.
func (d *Device) startGrouped(f32, bf16 kernel, heads, shared int, k *groupedArgs) {
	rows, _, _ := d.attentionTile()
	startTiles(d, f32, bf16, ceil(int(k.seq), rows)*heads*int(k.batch), shared, int(k.dim), k)
}
