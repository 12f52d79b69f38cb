package devicetest

import (
	"math"

	"flexi/core/device"
)

// attentionReference is context = Drop(softmax(score/√d + mask))·V for every batch row and head.
type attentionReference struct {
	device.AttentionShape
	q, k, v, rel, w matrix // k and w may be absent
	lengths         []int32
	drop            device.Dropout
}

// place is where a head of a token lies: the row of token a of batch row b, and the head's columns.
func (t attentionReference) place(m matrix, b, a, i int) []float64 {
	return m.row(b*t.Seq + a)[i*t.Dim:][:t.Dim]
}

// table is R[a-c+P-1].
func (t attentionReference) table(m matrix, a, c int) []float64 {
	return m.row(a - c + (m.rows+1)/2 - 1)
}

// bilinear is row r of the matrix of head i.
func (t attentionReference) bilinear(m matrix, i, r int) []float64 {
	return m.row(t.Bilinear[i]*t.Dim + r)
}

// throughW is q_a·W as a row vector.
func (t attentionReference) throughW(q []float64, i int) []float64 {
	out := make([]float64, t.Dim)
	for r, v := range q {
		for c, w := range t.bilinear(t.w, i, r) {
			out[c] += v * w
		}
	}
	return out
}

// probabilities of head i of batch row b for query a, before dropout.
func (t attentionReference) probabilities(b, i, a int) []float64 {
	q := t.place(t.q, b, a, i)
	s := make([]float64, t.Seq)
	for c := range s {
		s[c] = dot(q, t.table(t.rel, a, c))
		switch t.Scores[i] {
		case device.ScoreDot:
			s[c] += dot(q, t.place(t.k, b, c, i))
		case device.ScoreBilinear:
			s[c] += dot(t.throughW(q, i), t.place(t.k, b, c, i))
		}
		s[c] /= math.Sqrt(float64(t.Dim))
		if c >= int(t.lengths[b]) {
			s[c] -= 10000
		}
	}
	softmax(s)
	return s
}

// factor is dropout's for query a and key c.
func (t attentionReference) factor(b, i, a, c int) float64 {
	return factor(t.drop, ((b*t.Heads()+i)*t.Seq+a)*t.Seq+c)
}

// each calls f for every query.
func (t attentionReference) each(f func(b, i, a int)) {
	for b := range t.Batch {
		for i := range t.Heads() {
			for a := range t.Seq {
				f(b, i, a)
			}
		}
	}
}

func (t attentionReference) forward() matrix {
	out := zerosLike(t.q)
	t.each(func(b, i, a int) {
		for c, p := range t.probabilities(b, i, a) {
			axpy(t.place(out, b, a, i), t.place(t.v, b, c, i), p*t.factor(b, i, a, c))
		}
	})
	return out
}

func axpy(y, x []float64, by float64) {
	for i, v := range x {
		y[i] += by * v
	}
}

// backward gives DQ, DK, DV, DRel and DW.
func (t attentionReference) backward(dOut matrix) []matrix {
	dq, dk, dv, dRel, dw := zerosLike(t.q), zerosLike(t.q), zerosLike(t.v), zerosLike(t.rel), zeros(0, 0)
	if !t.w.absent() {
		dw = zerosLike(t.w)
	}
	t.each(func(b, i, a int) {
		p, dp := t.probabilities(b, i, a), make([]float64, t.Seq)
		do := t.place(dOut, b, a, i)
		for c := range p {
			f := t.factor(b, i, a, c)
			dp[c] = f * dot(do, t.place(t.v, b, c, i))
			axpy(t.place(dv, b, c, i), do, f*p[c])
		}
		for c, ds := range softmaxGrad(p, dp) {
			ds /= math.Sqrt(float64(t.Dim))
			q := t.place(t.q, b, a, i)
			axpy(t.place(dq, b, a, i), t.table(t.rel, a, c), ds)
			axpy(t.table(dRel, a, c), q, ds)
			t.throughKey(b, i, a, c, ds, dq, dk, dw)
		}
	})
	return []matrix{dq, dk, dv, dRel, dw}
}

// throughKey adds the gradient of the product of query a with key c.
func (t attentionReference) throughKey(b, i, a, c int, ds float64, dq, dk, dw matrix) {
	if t.Scores[i] == device.ScorePosition {
		return
	}
	q, k := t.place(t.q, b, a, i), t.place(t.k, b, c, i)
	if t.Scores[i] == device.ScoreDot {
		axpy(t.place(dq, b, a, i), k, ds)
		axpy(t.place(dk, b, c, i), q, ds)
		return
	}
	axpy(t.place(dk, b, c, i), t.throughW(q, i), ds)
	for r := range t.Dim {
		t.place(dq, b, a, i)[r] += ds * dot(t.bilinear(t.w, i, r), k)
		axpy(t.bilinear(dw, i, r), k, ds*q[r])
	}
}
