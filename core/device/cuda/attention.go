package cuda

import (
	"fmt"
	"math"
	"slices"
	"unsafe"

	"flexi/core/device"
)

// AttentionSaved keeps the logarithm of the sum of exponentials of every query and head; scores are computed again from it.
func (d *Device) AttentionSaved(a device.AttentionShape) int {
	if !a.Train {
		return 0
	}
	return a.Batch * a.Heads() * a.Seq
}

// attentionTile is the rows of a tile in each precision, and padding the elements behind the rows of a tile.
func (d *Device) attentionTile() (rows, padding, bytes int) {
	if d.precision == device.PrecisionBF16 {
		return 64, 8, 2
	}
	return 32, 1, 4
}

// reservedShared is shared memory that is left to the driver.
const reservedShared = 1024

// maxDim is the widest head the kernels are made for.
const maxDim = 128

func checkWidth(dim int) {
	if dim > maxDim {
		panic(fmt.Sprintf("cuda: heads of %d columns, the kernels are made for up to %d", dim, maxDim))
	}
}

func (d *Device) checkAttention(a device.Attention) {
	a.Check()
	checkWidth(a.Dim)
	switch n := d.AttentionSaved(a.AttentionShape); {
	case a.Heads() > maxHeads:
		panic(fmt.Sprintf("cuda: %d heads, the kernels are made for up to %d", a.Heads(), maxHeads))
	case a.Saved.Len < n:
		panic(fmt.Sprintf("cuda: Saved has %d elements, must have %d", a.Saved.Len, n))
	}
}

// attentionOf fills the arguments that both passes share, and computes q·W of bilinear heads into working memory, which is returned.
func (d *Device) attentionOf(a device.Attention) (attentionArgs, device.Mat) {
	k := attentionArgs{
		q: in(a.Q), k: in(a.K), v: in(a.V), rel: in(a.Rel), lengths: address(a.Lengths), lse: address(a.Saved), drop: dropOf(a.Drop),
		seq: int32(a.Seq), dim: int32(a.Dim), heads: int32(a.Heads()), batch: int32(a.Batch), scale: float32(1 / math.Sqrt(float64(a.Dim))),
	}
	if a.Train {
		k.train = 1
	}
	for i, s := range a.Scores {
		k.score[i] = uint8(s)
	}
	var u device.Mat
	if slices.Contains(a.Scores, device.ScoreBilinear) {
		u = d.working(a.Q.Rows, a.Q.Cols)
		k.u = in(u)
		for i, s := range a.Scores {
			if s == device.ScoreBilinear {
				d.gemm(device.Gemm{A: head(a.Q, a.Dim, i), B: a.W.RowsView(a.Bilinear[i]*a.Dim, a.Dim), C: head(u, a.Dim, i)})
			}
		}
	}
	return k, u
}

// working is a matrix in working memory, to be given back by its address.
func (d *Device) working(rows, cols int) device.Mat {
	m := &device.Memory{Addr: d.take(4 * rows * cols), Bytes: 4 * rows * cols}
	d.changed(m.Addr, m.Bytes)
	return device.NewTensor(m, 0, rows*cols, device.F32).Mat(rows, cols)
}

// head is the columns of head i.
func head(m device.Mat, dim, i int) device.Mat { return m.Columns(i*dim, dim) }

// whole says that all rows of the views are aligned groups of four.
func whole(dim int32, views ...view) int32 {
	for _, v := range views {
		if v.at%16 != 0 || v.ld%4 != 0 {
			return 0
		}
	}
	if dim%4 != 0 {
		return 0
	}
	return 1
}

// startTiles queues a kernel made for the head's width.
func startTiles[A any](d *Device, f32, bf16 kernel, blocks, shared, dim int, args *A) {
	if most := d.drv.info().sharedBytes - reservedShared; shared > most {
		panic(fmt.Sprintf("cuda: heads of %d columns need %d bytes of shared memory, this GPU has %d: use narrower heads or --device cpu", dim, shared, most))
	}
	rows, _, _ := d.attentionTile()
	first := f32
	if d.precision == device.PrecisionBF16 {
		first = bf16
	}
	d.start(launch{
		kernel: first + kernel(widthClass(dim)), columns: blocks, rows: 1, block: 2 * rows, shared: shared, args: unsafe.Pointer(args),
		size: int(unsafe.Sizeof(*args)),
	})
}

// widthClass is 0, 1 or 2 for heads of up to 32, 64 or 128 columns.
func widthClass(dim int) int {
	switch {
	case dim <= 32:
		return 0
	case dim <= 64:
		return 1
	}
	return 2
}

// tileBytes is what a block needs of shared memory: tiles of the head's width and of scores, and vectors of float32.
func (d *Device) tileBytes(dim, wide, square, vectors int) int {
	rows, padding, bytes := d.attentionTile()
	width := 32<<widthClass(dim) + padding
	return bytes*rows*(wide*width+square*(rows+padding)) + 4*rows*vectors
}

// relativeVectors are the vectors that hold a tile's relative terms.
func (d *Device) relativeVectors() int {
	rows, _, _ := d.attentionTile()
	return rows + 17
}

// AttentionForward computes the context of every batch row and head; a block does a tile of queries.
func (d *Device) AttentionForward(a device.Attention) {
	d.checkAttention(a)
	d.begin("attention", a.Batch, a.Seq, a.Heads(), a.Dim)
	if a.Seq == 0 || a.Batch == 0 {
		return
	}
	k, u := d.attentionOf(a)
	k.out = d.out(a.Out)
	d.outTensor(a.Saved)
	k.vector = whole(k.dim, k.q, k.u, k.k, k.v, k.rel)
	rows, _, _ := d.attentionTile()
	wide := 5
	if !u.Empty() {
		wide++
	}
	startTiles(d, attentionF32, attentionBF16, a.Batch*a.Heads()*ceil(a.Seq, rows), d.tileBytes(a.Dim, wide, 1, d.relativeVectors()), a.Dim, &k)
	d.discard(u)
}

func (d *Device) discard(ms ...device.Mat) {
	for _, m := range ms {
		if !m.Empty() {
			d.changed(m.T.Mem.Addr, m.T.Mem.Bytes)
			d.give(m.T.Mem.Addr)
		}
	}
}

// AttentionBackward computes the gradients of Q, K, V, the table and the bilinear matrices; a block does a head of a batch row.
func (d *Device) AttentionBackward(g device.AttentionGrad) {
	d.checkAttention(g.Attention)
	g.Check()
	d.begin("attention gradient", g.Batch, g.Seq, g.Heads(), g.Dim)
	if g.Seq == 0 || g.Batch == 0 {
		d.clear(g.DRel)
		d.clear(g.DW)
		return
	}
	k, u := d.attentionOf(g.Attention)
	pairs, wide := g.Batch*g.Heads(), 6
	var du device.Mat
	if !u.Empty() {
		du = d.working(u.Rows, u.Cols)
		wide++
	}
	parts := 4 * pairs * (2*g.Seq - 1) * g.Dim
	k.out, k.dOut, k.dq, k.du, k.dk, k.dv = in(g.Out), in(g.DOut), d.out(g.DQ), in(du), d.out(g.DK), d.out(g.DV)
	k.delta, k.relParts = d.take(4*pairs*g.Seq), d.take(parts)
	k.vector = whole(k.dim, k.q, k.u, k.k, k.v, k.rel, k.dOut)
	d.fill(k.relParts, 0, parts)
	start(d, attentionDelta, ceil(pairs*g.Seq, threads/32), 1, &k)
	startTiles(d, attentionGradF32, attentionGradBF16, pairs, d.tileBytes(g.Dim, wide, 2, d.relativeVectors()+2), g.Dim, &k)
	each(d, sumTable, g.DRel.Rows*g.DRel.Cols, &tableArgs{dRel: d.out(g.DRel), parts: k.relParts, pairs: int32(pairs), seq: int32(g.Seq)})
	d.bilinearGrad(g, du)
	d.give(k.delta, k.relParts)
	d.discard(u, du)
}

// bilinearGrad takes the gradient of u = q·W apart: dq += du·Wᵀ and dW = qᵀ·du.
func (d *Device) bilinearGrad(g device.AttentionGrad, du device.Mat) {
	written := map[int]bool{}
	for i, s := range g.Scores {
		if s != device.ScoreBilinear {
			continue
		}
		matrix := g.Bilinear[i]
		w, part := g.W.RowsView(matrix*g.Dim, g.Dim), head(du, g.Dim, i)
		d.gemm(device.Gemm{A: part, B: w, C: head(g.DQ, g.Dim, i), TransB: true, Accumulate: true})
		if !g.DW.Empty() {
			d.gemm(device.Gemm{A: head(g.Q, g.Dim, i), B: part, C: g.DW.RowsView(matrix*g.Dim, g.Dim), TransA: true, Accumulate: written[matrix]})
			written[matrix] = true
		}
	}
	for m := 0; !g.DW.Empty() && m*g.Dim < g.DW.Rows; m++ {
		if !written[m] {
			d.clear(g.DW.RowsView(m*g.Dim, min(g.Dim, g.DW.Rows-m*g.Dim)))
		}
	}
}
