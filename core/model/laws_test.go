package model

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"flexi/core/device"
)

// Weighted attention with identity matrices is plain attention.
func TestIdentityWeightsArePlainAttention(t *testing.T) {
	goal := Objective{Kind: Classify, Labels: 3}
	text := `{"l":2,"o":["sa","sa"],"h":[12,8],"n":[3,2],"f":[[7],[7]],"p":["sdp","sdp"]}`
	plain := newSmallNet(t, 1, text, goal, smallConfig(false))
	weighted := newSmallNet(t, 1, strings.ReplaceAll(text, "sdp", "wma"), goal, smallConfig(false))
	randomWeights(t, plain, 1)
	tensors := plain.Tensors()
	for j, d := range []int{4, 4} {
		eye := NamedTensor{Name: layerName(j, bilinearMatrix), Shape: []int{d, d}, Data: make([]float32, d*d)}
		for i := range d {
			eye.Data[i*d+i] = 1
		}
		tensors = append(tensors, eye)
	}
	if missing, _, err := weighted.SetTensors(tensors); err != nil || len(missing) > 0 {
		t.Fatal(missing, err)
	}
	b := randomBatch(plain.config, goal, 3, 7, 2)
	if d := relative(predict(t, weighted, b), widen(predict(t, plain, b))); d > 1e-5 {
		t.Errorf("outputs differ by %.2g", d)
	}
}

func predict(t testing.TB, n *Net, b Batch) []float32 {
	t.Helper()
	out, err := n.Predict(context.Background(), b)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func widen(x []float32) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}

// Rows of a batch do not see each other: permuting them permutes the outputs.
func TestBatchRowsAreIndependent(t *testing.T) {
	for _, m := range smallModels {
		goal := Objective{Kind: Classify, Labels: 3}
		n := newSmallNet(t, 1, m.arch, goal, smallConfig(m.ortho))
		randomWeights(t, n, 1)
		b := randomBatch(n.config, goal, 3, 6, 2)
		reversed := Batch{B: 3, T: 6, Labels: slices.Clone(b.Labels)}
		for r := 2; r >= 0; r-- {
			reversed.IDs = append(reversed.IDs, b.IDs[r*6:(r+1)*6]...)
			reversed.Segments = append(reversed.Segments, b.Segments[r*6:(r+1)*6]...)
			reversed.Lengths = append(reversed.Lengths, b.Lengths[r])
		}
		forwards, backwards := predict(t, n, b), predict(t, n, reversed)
		for r := range 3 {
			if d := relative(backwards[r*3:(r+1)*3], widen(forwards[(2-r)*3:(3-r)*3])); d > 1e-5 {
				t.Errorf("%s: row %d differs by %.2g after a permutation", m.name, r, d)
			}
		}
	}
}

// Attention layers do not see padding: longer rows give the same outputs. (Linear transforms mix padding in, and convolutions reach into it: 2.5, 2.6.)
func TestAttentionIgnoresPadding(t *testing.T) {
	goal := Objective{Kind: Classify, Labels: 3}
	n := newSmallNet(t, 1, `{"l":2,"o":["sa","sa"],"h":[12,8],"n":[3,2],"f":[[7],[7]],"p":["sdp","wma"]}`, goal, smallConfig(false))
	randomWeights(t, n, 1)
	short := randomBatch(n.config, goal, 1, 5, 2)
	long := Batch{
		B: 1, T: 9, Lengths: []int32{5}, IDs: append(slices.Clone(short.IDs), 3, 1, 4, 1), Segments: append(slices.Clone(short.Segments), 0, 1, 0, 1),
	}
	if d := relative(predict(t, n, long), widen(predict(t, n, short))); d > 1e-5 {
		t.Errorf("padding changes the output by %.2g", d)
	}
}

// The same bits for any number of threads, and for any plan that ran before.
func TestSameBitsForAnyNumberOfThreads(t *testing.T) {
	for _, m := range smallModels {
		c := smallConfig(m.ortho)
		c.Dropout = 0.1
		var first []float32
		for _, threads := range []int{1, 2, 3} {
			n := newSmallNet(t, threads, m.arch, m.goal, c)
			randomWeights(t, n, 1)
			b := randomBatch(c, m.goal, 3, 11, 2)
			if threads == 2 {
				// Another size makes the arena grow and leaves other values in it.
				if _, err := n.Gradients(context.Background(), randomBatch(c, m.goal, 5, 16, 3), 5, 6); err != nil {
					t.Fatal(err)
				}
			}
			loss, err := n.Gradients(context.Background(), b, 5, 6)
			if err != nil {
				t.Fatal(err)
			}
			got := append(download(n, n.grads), float32(loss))
			if first == nil {
				first = got
			}
			for i := range got {
				if math.Float32bits(got[i]) != math.Float32bits(first[i]) {
					t.Fatalf("%s: gradient %d is %v with %d threads, %v with 1", m.name, i, got[i], threads, first[i])
				}
			}
		}
	}
}

func download(n *Net, t device.Tensor) []float32 {
	out := make([]float32, t.Len)
	n.dev.DownloadF32(out, t)
	return out
}

// Dropout masks are a function of seed and step.
func TestDropoutFollowsSeedAndStep(t *testing.T) {
	c := smallConfig(false)
	c.Dropout = 0.3
	n := newSmallNet(t, 1, smallModels[0].arch, smallModels[0].goal, c)
	randomWeights(t, n, 1)
	b := randomBatch(c, n.objective, 3, 11, 2)
	loss := func(seed uint64, step int) float64 {
		l, err := n.Gradients(context.Background(), b, seed, step)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	a := loss(1, 2)
	if again := loss(1, 2); again != a {
		t.Errorf("losses %v and %v with the same masks", a, again)
	}
	if loss(1, 3) == a || loss(2, 2) == a {
		t.Error("another seed or step gives the same masks")
	}
}
