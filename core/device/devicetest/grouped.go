package devicetest

import (
	"fmt"
	"math"

	"flexi/core/device"
)

// Bounds of grouped-query attention, relative to the largest element.
const (
	groupedBound     = 4e-6
	groupedGradBound = 1e-5
)

// groupedReference is softmax(q·k/√d)·V over the keys a query sees, with queries and keys turned by their positions.
type groupedReference struct {
	device.GroupedShape
	q, k, v matrix
	rotary  matrix // may be absent
	lengths []int32
	drop    device.Dropout
}

// turned is m with every head of every row rotated, backwards for sign -1.
func (t groupedReference) turned(m matrix, sign float64) matrix {
	if t.rotary.absent() {
		return m
	}
	out, half := zerosLike(m), t.Dim/2
	for i := range m.rows {
		cos, sin := t.rotary.row(i % t.Seq)[:half], t.rotary.row(i % t.Seq)[half:]
		for c := 0; c < m.cols; c += t.Dim {
			for j := range half {
				u, v := m.at(i, c+j), m.at(i, c+half+j)
				out.add(i, c+j, u*cos[j]-sign*v*sin[j])
				out.add(i, c+half+j, v*cos[j]+sign*u*sin[j])
			}
		}
	}
	return out
}

func (t groupedReference) sees(b, a, c int) bool {
	return c < int(t.lengths[b]) && (!t.Causal || c <= a) && (t.Window == 0 || c > a-t.Window)
}

// at is head i of position a of batch row b.
func (t groupedReference) at(m matrix, b, a, i int) []float64 {
	return m.row(b*t.Seq + a)[i*t.Dim:][:t.Dim]
}

func (t groupedReference) group(i int) int { return i / (t.Heads / t.KVHeads) }

// each calls f for every query that sees something, with its probabilities over all keys.
func (t groupedReference) each(f func(b, i, a int, p []float64)) {
	q, k := t.turned(t.q, 1), t.turned(t.k, 1)
	for n := range t.Batch * t.Heads * t.Seq {
		b, i, a := n/(t.Heads*t.Seq), n/t.Seq%t.Heads, n%t.Seq
		p := make([]float64, t.Seq)
		seen := 0
		for c := range p {
			p[c] = math.Inf(-1)
			if t.sees(b, a, c) {
				p[c] = dot(t.at(q, b, a, i), t.at(k, b, c, t.group(i))) / math.Sqrt(float64(t.Dim))
				seen++
			}
		}
		if seen > 0 {
			softmax(p)
			f(b, i, a, p)
		}
	}
}

func (t groupedReference) factor(b, i, a, c int) float64 {
	return factor(t.drop, ((b*t.Heads+i)*t.Seq+a)*t.Seq+c)
}

func (t groupedReference) forward() matrix {
	out := zerosLike(t.q)
	t.each(func(b, i, a int, p []float64) {
		for c, v := range p {
			axpy(t.at(out, b, a, i), t.at(t.v, b, c, t.group(i)), v*t.factor(b, i, a, c))
		}
	})
	return out
}

// backward gives DQ, DK and DV.
func (t groupedReference) backward(dOut matrix) []matrix {
	q, k := t.turned(t.q, 1), t.turned(t.k, 1)
	dq, dk, dv := zerosLike(t.q), zerosLike(t.k), zerosLike(t.v)
	t.each(func(b, i, a int, p []float64) {
		g, do, dp := t.group(i), t.at(dOut, b, a, i), make([]float64, t.Seq)
		for c := range p {
			f := t.factor(b, i, a, c)
			dp[c] = f * dot(do, t.at(t.v, b, c, g))
			axpy(t.at(dv, b, c, g), do, f*p[c])
		}
		for c, ds := range softmaxGrad(p, dp) {
			ds /= math.Sqrt(float64(t.Dim))
			axpy(t.at(dq, b, a, i), t.at(k, b, c, g), ds)
			axpy(t.at(dk, b, c, g), t.at(q, b, a, i), ds)
		}
	})
	return []matrix{t.turned(dq, -1), t.turned(dk, -1), dv}
}

// angles is a table of cosines and sines for more positions than are used.
func angles(seq, dim int) matrix {
	m := zeros(seq+2, dim)
	for i := range m.rows {
		for j := range dim / 2 {
			angle := float64(i) * math.Pow(100, -2*float64(j)/float64(dim))
			m.x[i*dim+j], m.x[i*dim+dim/2+j] = float64(float32(math.Cos(angle))), float64(float32(math.Sin(angle)))
		}
	}
	return m
}

func groupedCases() []kernelCase {
	shapes := []device.GroupedShape{
		{Batch: 1, Seq: 1, Heads: 1, KVHeads: 1, Dim: 2, Causal: true},
		{Batch: 3, Seq: 7, Heads: 4, KVHeads: 2, Dim: 6, Causal: true},
		{Batch: 2, Seq: 13, Heads: 6, KVHeads: 1, Dim: 4, Causal: true, Window: 5},
		{Batch: 2, Seq: 67, Heads: 2, KVHeads: 2, Dim: 10, Causal: true},
		{Batch: 1, Seq: 131, Heads: 3, KVHeads: 3, Dim: 8, Causal: true, Window: 17},
		{Batch: 2, Seq: 66, Heads: 2, KVHeads: 1, Dim: 5},
		{Batch: 3, Seq: 9, Heads: 2, KVHeads: 2, Dim: 7, Window: 3},
	}
	var cases []kernelCase
	for _, s := range shapes {
		for _, drop := range []device.Dropout{{}, {P: 0.2, Seed: 77}} {
			cases = append(cases, groupedCase(s, drop))
		}
	}
	return cases
}

// groupedCase turns queries and keys where the width is even, and fills rows to different lengths; one sees nothing at all where there are three.
func groupedCase(s device.GroupedShape, drop device.Dropout) kernelCase {
	return kernelCase{fmt.Sprintf("%+v drop=%v", s, drop.On()), func(r *rig) {
		rows := s.Batch * s.Seq
		ref := groupedReference{
			GroupedShape: s, q: r.normal(rows, s.Heads*s.Dim), k: r.normal(rows, s.KVHeads*s.Dim), v: r.normal(rows, s.KVHeads*s.Dim), drop: drop,
		}
		for b := range s.Batch {
			ref.lengths = append(ref.lengths, []int32{int32(s.Seq), int32(s.Seq+1) / 2, 0}[b])
		}
		a := device.GroupedAttention{
			GroupedShape: s, Q: r.input(ref.q), K: r.input(ref.k), V: r.input(ref.v), Lengths: r.indices(ref.lengths), Drop: drop,
			Out: r.output(rows, s.Heads*s.Dim),
		}
		if s.Dim%2 == 0 {
			ref.rotary = angles(s.Seq, s.Dim)
			a.Rotary = r.input(ref.rotary)
		}
		r.d.GroupedAttentionForward(a)
		dOut := r.normal(rows, s.Heads*s.Dim)
		g := device.GroupedAttentionGrad{
			GroupedAttention: a, DOut: r.input(dOut), DQ: r.output(rows, s.Heads*s.Dim), DK: r.output(rows, s.KVHeads*s.Dim),
			DV: r.output(rows, s.KVHeads*s.Dim),
		}
		g.Out = device.Mat{}
		r.d.GroupedAttentionBackward(g)
		r.compare(func() []matrix { return append([]matrix{ref.forward()}, ref.backward(dOut)...) },
			result{"Out", a.Out, groupedBound}, result{"DQ", g.DQ, groupedGradBound}, result{"DK", g.DK, groupedGradBound},
			result{"DV", g.DV, groupedGradBound})
	}, false}
}
