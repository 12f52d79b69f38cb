package cpu

import (
	"math"

	"flexi/core/device"
	"flexi/core/device/cpu/kern"
)

// maskValue is added to the score of a padded key.
const maskValue = -10000

// queryBlock is how many queries are worked on at a time: their scores stay in the cache. A multiple of kern.PanelAlign.
const queryBlock = 2 * kern.PanelAlign

// AttentionSaved keeps the probabilities before dropout: reading them back costs less than computing them again.
func (d *Device) AttentionSaved(a device.AttentionShape) int {
	if !a.Train {
		return 0
	}
	return a.Batch * a.Heads() * a.Seq * a.Seq
}

// attention is one call of the attention kernel. Its tasks are pairs of a batch row and a head, or batch rows with all their heads.
//
// The relative term of query a and key b is q_a·rel[b-a+T-1], rel being the table in descending order of distance. For the queries from a0 on the
// products with a run of rows of rel are a band: row r has key b in column b-r+block-1. So the cells of the band are, seen with a row stride that
// is one less, a matrix of queries and keys: the product with the keys is added to it, and in the backward pass its gradient written to it, where it
// stands.
type attention struct {
	device.Attention
	scale, invScale float32
	positions       int // P
	block           int // queries in a block
	band            int // columns of a band
	relRows         int // of rel: 2T-1, and those before them that only unused cells of the last block's band reach
	rel             kern.Panels
}

// newAttention prepares a call. backward says which way rel is multiplied.
func (d *Device) newAttention(a device.Attention, backward bool) *attention {
	t := &d.call.attention
	*t = attention{Attention: a, positions: (a.Rel.Rows + 1) / 2, block: min(a.Seq, queryBlock)}
	t.scale = float32(1 / math.Sqrt(float64(a.Dim)))
	t.invScale = float32(math.Sqrt(float64(a.Dim)))
	t.band = t.block + a.Seq - 1
	t.relRows = t.relStart(0) + t.band
	rows, cols := a.Dim, t.relRows
	if backward {
		rows, cols = cols, rows
	}
	buf := d.shared(t.relRows*a.Dim + alignment/4 + d.t.PanelsLen(rows, cols, d.bf16))
	rel := carve(&buf, t.relRows*a.Dim)
	for j := range t.relRows {
		if r := t.tableRow(j); r < a.Rel.Rows {
			copy(rel[j*a.Dim:][:a.Dim], row(a.Rel, r))
		} else {
			clear(rel[j*a.Dim:][:a.Dim])
		}
	}
	t.rel = d.t.Pack(buf, rel, a.Dim, rows, cols, !backward, d.bf16)
	return t
}

// blocks is the number of query blocks.
func (t *attention) blocks() int { return (t.Seq + t.block - 1) / t.block }

// relStart is the row of rel that the band of a block of queries starts with.
func (t *attention) relStart(block int) int { return (t.blocks() - 1 - block) * t.block }

// tableRow is the row of the table R that is row j of rel; too large where there is none.
func (t *attention) tableRow(j int) int { return t.positions + t.blocks()*t.block - 2 - j }

// carve takes n floats off a buffer, rounded up so that what follows is aligned.
func carve(buf *[]float32, n int) []float32 {
	const unit = alignment / 4
	taken := (*buf)[:n]
	*buf = (*buf)[min(len(*buf), (n+unit-1)/unit*unit):]
	return taken
}

// head is the part of a (Batch·Seq)×(Heads·Dim) matrix that belongs to batch row b and head i.
func (t *attention) head(m device.Mat, b, i int) device.Mat {
	return m.RowsView(b*t.Seq, t.Seq).Columns(i*t.Dim, t.Dim)
}

// dense is worker scratch as a matrix argument.
type dense struct {
	x    []float32
	ld   int
	rows int
	cols int
}

func of(m device.Mat) dense { return dense{data(m), m.Stride, m.Rows, m.Cols} }

func matrix(x []float32, rows, cols int) dense { return dense{x, cols, rows, cols} }

// from is the matrix of n rows from row r on.
func (m dense) from(r, n int) dense { return dense{m.x[r*m.ld:], m.ld, n, m.cols} }

// multiply is C = op(A)·op(B) or C += op(A)·op(B) in float32 on the calling worker.
func (d *Device) multiply(worker int, c, a, b dense, transA, transB, accumulate bool) {
	d.serial(worker, false, kern.Gemm{B: b.x, LDB: b.ld, TransA: transA, TransB: transB, Accumulate: accumulate}, c, a)
}

// product is multiply in the device's precision.
func (d *Device) product(worker int, c, a, b dense, transA, transB, accumulate bool) {
	d.serial(worker, d.bf16, kern.Gemm{B: b.x, LDB: b.ld, TransA: transA, TransB: transB, Accumulate: accumulate}, c, a)
}

// productOf is product with a packed B.
func (d *Device) productOf(worker int, c, a dense, b kern.Panels, accumulate bool) {
	d.serial(worker, d.bf16, kern.Gemm{Packed: b, Accumulate: accumulate}, c, a)
}

func (d *Device) serial(worker int, bf16 bool, g kern.Gemm, c, a dense) {
	g.M, g.N, g.K = c.rows, c.cols, a.cols
	if g.TransA {
		g.K = a.rows
	}
	g.BF16, g.A, g.LDA, g.C, g.LDC = bf16, a.x, a.ld, c.x, c.ld
	d.t.GemmSerial(d.pool.Workspace(worker), g)
}

// panels packs a matrix as the B of products, in space taken off a buffer.
func (d *Device) panels(buf *[]float32, m dense, trans bool) kern.Panels {
	rows, cols := m.rows, m.cols
	if trans {
		rows, cols = cols, rows
	}
	return d.t.Pack(carve(buf, d.t.PanelsLen(rows, cols, d.bf16)), m.x, m.ld, rows, cols, trans, d.bf16)
}

// panelSpace is what panels takes at most for a head, either way.
func (d *Device) panelSpace(t *attention) int {
	return max(d.t.PanelsLen(t.Seq, t.Dim, d.bf16), d.t.PanelsLen(t.Dim, t.Seq, d.bf16)) + alignment/4
}

// bilinear is the matrix W of head i.
func (t *attention) bilinear(i int) dense {
	return of(t.W.RowsView(t.Bilinear[i]*t.Dim, t.Dim))
}

func (d *Device) checkAttention(a device.Attention) {
	a.Check()
	if n := d.AttentionSaved(a.AttentionShape); a.Saved.Len < n {
		fail("Saved has %d elements, must have %d", a.Saved.Len, n)
	}
}

// AttentionForward computes the context of every batch row and head.
func (d *Device) AttentionForward(a device.Attention) {
	d.checkAttention(a)
	if a.Seq == 0 || a.Batch == 0 {
		return
	}
	d.newAttention(a, false)
	d.ranges(a.Batch*a.Heads(), 1, (*Device).attend)
}

// attend does the heads [lo, hi) of all batch rows.
func (d *Device) attend(worker, lo, hi int) {
	t := &d.call.attention
	space := d.scratch(worker, t.block*t.band+t.Seq*t.Dim+alignment/2+2*d.panelSpace(t))
	for n := lo; n < hi; n++ {
		b, i, buf := n/t.Heads(), n%t.Heads(), space
		band := matrix(carve(&buf, t.block*t.band), t.block, t.band)
		q := d.queries(worker, b, i, carve(&buf, t.Seq*t.Dim))
		var keys kern.Panels
		if t.Scores[i] != device.ScorePosition {
			keys = d.panels(&buf, of(t.head(t.K, b, i)), true)
		}
		values := d.panels(&buf, of(t.head(t.V, b, i)), false)
		out := of(t.head(t.Out, b, i))
		for block := range t.blocks() {
			first := block * t.block
			n := min(t.block, t.Seq-first)
			d.scores(worker, b, i, block, band.from(0, n), of(t.head(t.Q, b, i)).from(first, n), q.from(first, n), keys)
			d.productOf(worker, out.from(first, n), d.probabilities(b, i, first, t.cells(band, n)), values, false)
		}
	}
}

// queries is what head i multiplies with keys: Q, or Q·W in space.
func (d *Device) queries(worker, b, i int, space []float32) dense {
	t := &d.call.attention
	q := of(t.head(t.Q, b, i))
	if t.Scores[i] != device.ScoreBilinear {
		return q
	}
	qw := matrix(space, t.Seq, t.Dim)
	d.product(worker, qw, q, t.bilinear(i), false, false, false)
	return qw
}

// cells is the n queries by Seq keys of a band.
func (t *attention) cells(band dense, n int) dense {
	return dense{band.x[t.block-1:], t.band - 1, n, t.Seq}
}

// scores fills a band with relative terms, and adds the products with the keys.
func (d *Device) scores(worker, b, i, block int, band, q, qk dense, keys kern.Panels) {
	t := &d.call.attention
	d.productOf(worker, band, q, t.rel.From(0, t.relStart(block)), false)
	s := t.cells(band, band.rows)
	if t.Scores[i] != device.ScorePosition {
		d.productOf(worker, s, qk, keys, true)
	}
	length := t.Seq
	if !t.Lengths.Empty() {
		length = int(t.Lengths.I32()[b])
	}
	for r := range s.rows {
		for k := length; k < t.Seq; k++ {
			s.x[r*s.ld+k] += maskValue * t.invScale
		}
	}
}

// probabilities turns scores into probabilities behind dropout: in place, or, where there is no dropout, as they were saved for the backward pass.
func (d *Device) probabilities(b, i, first int, s dense) dense {
	t := &d.call.attention
	for r := range s.rows {
		line := s.x[r*s.ld:][:t.Seq]
		probs := line
		if t.Train {
			probs = t.saved(b, i, first+r)
		}
		d.t.Softmax(probs, line, t.scale)
		if t.Drop.On() {
			d.drop(t.Drop, line, probs, t.index(b, i, first+r))
		}
	}
	if t.Train && !t.Drop.On() {
		return matrix(t.Saved.F32()[t.index(b, i, first):], s.rows, t.Seq)
	}
	return s
}

// index is the place of the first key of a query in Saved, which is its dropout index too.
func (t *attention) index(b, i, query int) int { return ((b*t.Heads()+i)*t.Seq + query) * t.Seq }

func (t *attention) saved(b, i, query int) []float32 {
	return t.Saved.F32()[t.index(b, i, query):][:t.Seq]
}
