package devicetest

import (
	"math"
	"testing"

	"flexi/core/device"
)

func TestRMSNormReference(t *testing.T) {
	rng := newRandom()
	l := rmsNormReference{normal(rng, 5, 7), normal(rng, 1, 7), 1e-3}
	dy := normal(rng, 5, 7)
	checkGradients(t, l.forward, dy, []matrix{l.x, l.gamma}, l.backward(dy))
}

func TestSwiGLUReference(t *testing.T) {
	rng := newRandom()
	s := swigluReference{normal(rng, 5, 14)}
	dy := normal(rng, 5, 7)
	checkGradients(t, s.forward, dy, []matrix{s.x}, []matrix{s.backward(dy)})
}

func TestGroupedReference(t *testing.T) {
	rng := newRandom()
	for _, s := range []device.GroupedShape{
		{Batch: 2, Seq: 5, Heads: 4, KVHeads: 2, Dim: 4, Causal: true},
		{Batch: 2, Seq: 5, Heads: 2, KVHeads: 1, Dim: 2, Window: 2},
	} {
		rows := s.Batch * s.Seq
		a := groupedReference{
			GroupedShape: s, q: normal(rng, rows, s.Heads*s.Dim), k: normal(rng, rows, s.KVHeads*s.Dim), v: normal(rng, rows, s.KVHeads*s.Dim),
			rotary: angles(s.Seq, s.Dim), lengths: []int32{5, 3}, drop: device.Dropout{P: 0.2, Seed: 8},
		}
		dy := normal(rng, rows, s.Heads*s.Dim)
		checkGradients(t, a.forward, dy, []matrix{a.q, a.k, a.v}, a.backward(dy))
	}
}

func TestMagnitudeReference(t *testing.T) {
	rng := newRandom()
	m := magnitudeReference{normal(rng, 5, 3), normal(rng, 1, 3), normal(rng, 1, 3), normal(rng, 1, 3), normal(rng, 5, 3)}
	for j, v := range m.norm.x {
		m.norm.x[j] = math.Abs(v) + 0.5
	}
	dy := normal(rng, 5, 3)
	checkGradients(t, m.forward, dy, []matrix{m.x, m.mag}, m.backward(dy))
}
