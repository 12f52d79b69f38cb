package cpu

import (
	"math"

	"flexi/core/device"
	"flexi/core/device/cpu/kern"
)

// maskValue is added to the score of a padded key.
const maskValue = -10000

// AttentionSaved keeps the probabilities before dropout: reading them back costs less than computing them again.
func (d *Device) AttentionSaved(a device.AttentionShape) int {
	if !a.Train {
		return 0
	}
	return a.Batch * a.Heads() * a.Seq * a.Seq
}

// attention is one call of the attention kernel. Its tasks are pairs of a batch row and a head.
type attention struct {
	device.Attention
	d *Device
	// rel is the part of the table that T positions reach, in descending order of distance: rel[j] = R[P+T-2-j], so that the relative terms of a
	// query are contiguous in the key: r(a, b) = q_a·rel[b-a+T-1].
	rel       []float32
	reach     int // 2T-1
	invScale  float32
	scale     float32
	positions int // P
}

func (d *Device) newAttention(a device.Attention, rel []float32) *attention {
	t := &attention{Attention: a, d: d, rel: rel, reach: 2*a.Seq - 1, positions: (a.Rel.Rows + 1) / 2}
	t.scale = float32(1 / math.Sqrt(float64(a.Dim)))
	t.invScale = float32(math.Sqrt(float64(a.Dim)))
	for j := range t.reach {
		copy(rel[j*a.Dim:][:a.Dim], row(a.Rel, t.positions+a.Seq-2-j))
	}
	return t
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

// multiply is C = op(A)·op(B) or C += op(A)·op(B) on the calling worker.
func (d *Device) multiply(worker int, c, a, b dense, transA, transB, accumulate bool) {
	k := a.cols
	if transA {
		k = a.rows
	}
	d.t.GemmSerial(d.pool.Workspace(worker), kern.Gemm{
		M: c.rows, N: c.cols, K: k, TransA: transA, TransB: transB, Accumulate: accumulate,
		A: a.x, LDA: a.ld, B: b.x, LDB: b.ld, C: c.x, LDC: c.ld,
	})
}

// bilinear is the matrix W of head i.
func (t *attention) bilinear(i int) dense {
	return of(t.W.RowsView(t.Bilinear[i]*t.Dim, t.Dim))
}

// AttentionForward computes the context of every batch row and head.
func (d *Device) AttentionForward(a device.Attention) {
	checkAttention(a)
	if a.Seq == 0 || a.Batch == 0 {
		return
	}
	t := d.newAttention(a, d.shared((2*a.Seq-1)*a.Dim))
	d.pool.ParallelFor(a.Batch*a.Heads(), func(task, worker int) { t.forward(task/a.Heads(), task%a.Heads(), worker) })
}

func (t *attention) forward(b, i, worker int) {
	seq, n := t.Seq, t.Seq*t.Seq
	buf := t.d.scratch(worker, seq*t.reach+2*n+seq*t.Dim)
	relative, buf := buf[:seq*t.reach], buf[seq*t.reach:]
	scores, buf := buf[:n], buf[n:]
	dropped, qw := buf[:n], buf[n:]
	if t.Train {
		scores = t.saved(b, i)
	}
	t.scores(b, i, worker, scores, relative, qw)
	probs := scores
	if t.Drop.On() {
		probs = dropped
		t.d.drop(t.Drop, dropped, scores, t.dropIndex(b, i))
	}
	t.d.multiply(worker, of(t.head(t.Out, b, i)), matrix(probs, seq, seq), of(t.head(t.V, b, i)), false, false, false)
}

func (t *attention) saved(b, i int) []float32 {
	n := t.Seq * t.Seq
	return t.Saved.F32()[(b*t.Heads()+i)*n:][:n]
}

func (t *attention) dropIndex(b, i int) int { return (b*t.Heads() + i) * t.Seq * t.Seq }

// scores fills s with the softmax of the scaled, masked scores.
func (t *attention) scores(b, i, worker int, s, relative, qw []float32) {
	seq, q := t.Seq, of(t.head(t.Q, b, i))
	t.d.multiply(worker, matrix(relative, seq, t.reach), q, matrix(t.rel, t.reach, t.Dim), false, true, false)
	switch t.Scores[i] {
	case device.ScorePosition:
		clear(s)
	case device.ScoreBilinear:
		t.d.multiply(worker, matrix(qw, seq, t.Dim), q, t.bilinear(i), false, false, false)
		q = matrix(qw, seq, t.Dim)
		fallthrough
	default:
		t.d.multiply(worker, matrix(s, seq, seq), q, of(t.head(t.K, b, i)), false, true, false)
	}
	length := seq
	if !t.Lengths.Empty() {
		length = int(t.Lengths.I32()[b])
	}
	for a := range seq {
		line := s[a*seq:][:seq]
		t.d.t.Add(line, line, relative[a*t.reach+seq-1-a:][:seq])
		for k := length; k < seq; k++ {
			line[k] += maskValue * t.invScale
		}
		t.d.t.Softmax(line, line, t.scale)
	}
}

// AttentionBackward computes the gradients of Q, K, V, the table and the bilinear matrices. The last two are summed from one partial result per
// task, in the order of the tasks.
func (d *Device) AttentionBackward(g device.AttentionGrad) {
	checkAttention(g.Attention)
	checkAttentionGrad(g)
	if g.Seq == 0 || g.Batch == 0 {
		d.clear(g.DRel)
		d.clear(g.DW)
		return
	}
	heads, reach := g.Heads(), 2*g.Seq-1
	tasks := g.Batch * heads
	relSize, wSize := reach*g.Dim, 0
	if !g.DW.Empty() {
		wSize = g.Dim * g.Dim
	}
	buf := d.shared(relSize + tasks*(relSize+wSize))
	rel, parts := buf[:relSize], buf[relSize:]
	t := &attentionGrad{attention: d.newAttention(g.Attention, rel), g: g, parts: parts, partSize: relSize + wSize}
	d.pool.ParallelFor(tasks, func(task, worker int) { t.backward(task/heads, task%heads, worker) })
	t.sumTable(relSize)
	if wSize > 0 {
		t.sumBilinear(relSize, wSize)
	}
}

type attentionGrad struct {
	*attention
	g        device.AttentionGrad
	parts    []float32
	partSize int
}

func (t *attentionGrad) backward(b, i, worker int) {
	d, seq, n := t.d, t.Seq, t.Seq*t.Seq
	buf := d.scratch(worker, 2*n+seq*t.reach+2*seq*t.Dim)
	probs, ds := t.saved(b, i), buf[:n]
	dropped, buf := buf[n:2*n], buf[2*n:]
	shifted, buf := buf[:seq*t.reach], buf[seq*t.reach:]
	dOut, v := of(t.head(t.g.DOut, b, i)), of(t.head(t.V, b, i))

	p := probs
	if t.Drop.On() {
		p = dropped
		d.drop(t.Drop, dropped, probs, t.dropIndex(b, i))
	}
	d.multiply(worker, of(t.head(t.g.DV, b, i)), matrix(p, seq, seq), dOut, true, false, false)
	d.multiply(worker, matrix(ds, seq, seq), dOut, v, false, true, false)
	if t.Drop.On() {
		d.drop(t.Drop, ds, ds, t.dropIndex(b, i))
	}
	clear(shifted)
	for a := range seq {
		line := ds[a*seq:][:seq]
		d.t.SoftmaxGrad(line, probs[a*seq:][:seq], line, t.scale)
		copy(shifted[a*t.reach+seq-1-a:], line)
	}
	t.relative(b, i, worker, shifted)
	t.keys(b, i, worker, matrix(ds, seq, seq), buf)
}

// relative sets DQ to the gradient through the relative term, and this task's share of the table's gradient.
func (t *attentionGrad) relative(b, i, worker int, shifted []float32) {
	s := matrix(shifted, t.Seq, t.reach)
	t.d.multiply(worker, of(t.head(t.g.DQ, b, i)), s, matrix(t.rel, t.reach, t.Dim), false, false, false)
	share := matrix(t.part(b, i)[:t.reach*t.Dim], t.reach, t.Dim)
	t.d.multiply(worker, share, s, of(t.head(t.Q, b, i)), true, false, false)
}

func (t *attentionGrad) part(b, i int) []float32 {
	return t.parts[(b*t.Heads()+i)*t.partSize:][:t.partSize]
}

// keys adds the gradient through the product with the keys.
func (t *attentionGrad) keys(b, i, worker int, ds dense, buf []float32) {
	d, n := t.d, t.Seq*t.Dim
	if w := t.part(b, i)[t.reach*t.Dim:]; len(w) > 0 {
		clear(w)
	}
	if t.Scores[i] == device.ScorePosition {
		if !t.g.DK.Empty() {
			dk := t.head(t.g.DK, b, i)
			for r := range dk.Rows {
				clear(row(dk, r))
			}
		}
		return
	}
	q, k := of(t.head(t.Q, b, i)), of(t.head(t.K, b, i))
	dq, dk := of(t.head(t.g.DQ, b, i)), of(t.head(t.g.DK, b, i))
	if t.Scores[i] == device.ScoreDot {
		d.multiply(worker, dq, ds, k, false, false, true)
		d.multiply(worker, dk, ds, q, true, false, false)
		return
	}
	// s = (qW)·k: with u = dS·K, dQ += u·Wᵀ and dW += qᵀ·u.
	qw, u := matrix(buf[:n], t.Seq, t.Dim), matrix(buf[n:2*n], t.Seq, t.Dim)
	w := t.bilinear(i)
	d.multiply(worker, qw, q, w, false, false, false)
	d.multiply(worker, dk, ds, qw, true, false, false)
	d.multiply(worker, u, ds, k, false, false, false)
	d.multiply(worker, dq, u, w, false, true, true)
	if share := t.part(b, i)[t.reach*t.Dim:]; len(share) > 0 {
		d.multiply(worker, matrix(share, t.Dim, t.Dim), q, u, true, false, false)
	}
}

// sumTable adds the tasks' shares and puts the rows back into the order of the table; rows out of reach have no gradient.
func (t *attentionGrad) sumTable(relSize int) {
	first := t.positions - t.Seq
	tasks := len(t.parts) / t.partSize
	t.d.each(t.g.DRel, func(_, r int, out []float32) {
		clear(out)
		j := t.positions + t.Seq - 2 - r
		if r < first || j < 0 {
			return
		}
		for p := range tasks {
			t.d.t.Add(out, out, t.parts[p*t.partSize+j*t.Dim:][:t.Dim])
		}
	})
}

func (t *attentionGrad) sumBilinear(relSize, wSize int) {
	heads := t.Heads()
	d := t.d
	for r := range t.g.DW.Rows {
		clear(row(t.g.DW, r))
	}
	for p := range len(t.parts) / t.partSize {
		i := p % heads
		if t.Scores[i] != device.ScoreBilinear {
			continue
		}
		share := t.parts[p*t.partSize+relSize:][:wSize]
		for r := range t.Dim {
			out := row(t.g.DW, t.Bilinear[i]*t.Dim+r)
			d.t.Add(out, out, share[r*t.Dim:][:t.Dim])
		}
	}
}
