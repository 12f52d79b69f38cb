package model

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"flexi/core/device"
	"flexi/core/device/cpu"
)

func newDevice(t testing.TB, threads int) *cpu.Device {
	t.Helper()
	dev, err := cpu.New(threads, device.PrecisionF32)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	return dev
}

func mustArch(t testing.TB, text string) Arch {
	t.Helper()
	var a Arch
	if err := a.UnmarshalJSON([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return a
}

// smallModels cover every operation, score, transform, head mixture, stack depth and objective.
var smallModels = []struct {
	name, arch string
	goal       Objective
	ortho      bool
}{
	{"attention", `{"l":2,"o":["sa","sa"],"h":[12,12],"n":[3,3],"f":[[7],[9]],"p":["sdp","sdp"]}`, Objective{Kind: MaskedLM}, false},
	{"bilinear", `{"l":1,"o":["sa"],"h":[8],"n":[2],"f":[[7,5,6]],"p":["wma"]}`, Objective{Kind: Classify, Labels: 3}, false},
	{"dft", `{"l":2,"o":["l","l"],"h":[8,8],"n":[2,4],"f":[[7],[7]],"p":["dft","dft"]}`, Objective{Kind: MaskedLM}, false},
	{"dct", `{"l":1,"o":["l"],"h":[10],"n":[2],"f":[[7]],"p":["dct"]}`, Objective{Kind: Regress}, false},
	{"orthonormal", `{"l":2,"o":["l","l"],"h":[10,10],"n":[2,2],"f":[[7],[7]],"p":["dct","dft"]}`, Objective{Kind: Regress}, true},
	{"convolution", `{"l":2,"o":["c","c"],"h":[8,12],"n":[2,4],"f":[[7],[6,6]],"p":[3,"5"]}`, Objective{Kind: MaskedLM}, false},
	{"all kinds", `{"l":4,"o":["sa","c","l","sa"],"h":[12,8,8,6],"n":[2,4,2,2],"f":[[7],[5,6],[4],[5]],"p":["wma",5,"dct","sdp"]}`, Objective{Kind: Classify, Labels: 2}, false},
	{"hetero", `{"l":2,"o":[["sa_sdp_4","l_dct_4","c_3_4","sa_wma_4","l_dft_4","sa_wma_4","c_5_4"],["l_dft_3","l_dct_3"]],"h":[10,6],"f":[[7,5],[6]]}`, Objective{Kind: MaskedLM}, false},
	{"hetero attention", `{"l":1,"o":[["sa_sdp_4","sa_wma_4"]],"h":[6],"f":[[5]]}`, Objective{Kind: Classify, Labels: 2}, false},
	{"hetero convolution", `{"l":1,"o":[["c_3_4","l_dct_4","c_3_4"]],"h":[6],"f":[[5]]}`, Objective{Kind: Regress}, false},
}

// smallConfig has an odd vocabulary and few positions.
func smallConfig(ortho bool) Config {
	return Config{Vocab: 19, MaxPos: 16, Types: 2, Ortho: ortho}
}

// randomWeights replaces all tensors by values large enough to make every part of the model matter.
func randomWeights(t testing.TB, n *Net, seed uint64) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	tensors := n.Tensors()
	for _, w := range tensors {
		isScale := len(w.Shape) == 1 && slices.Contains([]string{"LayerNorm.weight"}, w.Name[max(0, len(w.Name)-len("LayerNorm.weight")):])
		spread := 0.5
		if len(w.Shape) == 2 {
			spread = 1 / math.Sqrt(float64(w.Shape[1]))
		}
		for i := range w.Data {
			w.Data[i] = float32(rng.NormFloat64() * spread)
			if isScale {
				w.Data[i] = 1 + w.Data[i]/2
			}
		}
	}
	if missing, unexpected, err := n.SetTensors(tensors); err != nil || len(missing)+len(unexpected) > 0 {
		t.Fatalf("own tensors do not fit: %v %v %v", missing, unexpected, err)
	}
}

// randomBatch has padded rows, both segments, unlabelled positions and empty picks.
func randomBatch(c Config, o Objective, rows, seq int, seed uint64) Batch {
	rng := rand.New(rand.NewPCG(seed, 2))
	b := Batch{B: rows, T: seq}
	for r := range rows {
		b.Lengths = append(b.Lengths, int32(max(1, seq-r)))
		for range seq {
			b.IDs = append(b.IDs, rng.Int32N(int32(c.Vocab)))
			b.Segments = append(b.Segments, rng.Int32N(int32(c.Types)))
		}
	}
	switch o.Kind {
	case MaskedLM:
		for i, p := range rng.Perm(rows * seq)[:max(1, rows*seq/3)] {
			b.Picked = append(b.Picked, int32(p))
			b.Labels = append(b.Labels, rng.Int32N(int32(c.Vocab)))
			if i == 1 {
				b.Labels[1] = -1
			}
		}
		b.Picked, b.Labels = append(b.Picked, -1), append(b.Labels, -1)
	case Classify:
		for range rows {
			b.Labels = append(b.Labels, rng.Int32N(int32(o.Labels)))
		}
	default:
		for range rows {
			b.Targets = append(b.Targets, float32(rng.NormFloat64()))
		}
	}
	return b
}

func newSmallNet(t testing.TB, threads int, arch string, goal Objective, c Config) *Net {
	t.Helper()
	n, err := NewNet(newDevice(t, threads), mustArch(t, arch), c, goal, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

// float64Model copies a net's weights into the float64 model.
func float64Model(n *Net) *refModel {
	r := &refModel{arch: n.arch, config: n.config, goal: n.objective, w: map[string][]float64{}}
	for _, t := range n.Tensors() {
		for _, v := range t.Data {
			r.w[t.Name] = append(r.w[t.Name], float64(v))
		}
	}
	return r
}

// The output and the loss are those of the plain float64 model, to 2e-5 of the largest output.
func TestForwardAgainstReference(t *testing.T) {
	for _, m := range smallModels {
		for _, size := range [][2]int{{1, 1}, {2, 5}, {3, 9}} {
			t.Run(fmt.Sprintf("%s %dx%d", m.name, size[0], size[1]), func(t *testing.T) {
				n := newSmallNet(t, 1, m.arch, m.goal, smallConfig(m.ortho))
				randomWeights(t, n, 3)
				b := randomBatch(n.config, n.objective, size[0], size[1], 4)
				want, wantLoss := float64Model(n).forward(b)
				got, err := n.Predict(context.Background(), b)
				if err != nil {
					t.Fatal(err)
				}
				flat := slices.Concat(want...)
				if d := relative(got, flat); d > 2e-5 {
					t.Errorf("output differs by %.2g of its largest value", d)
				}
				loss, err := n.Loss(context.Background(), b)
				if err != nil {
					t.Fatal(err)
				}
				if math.Abs(loss-wantLoss) > 2e-5*max(1, math.Abs(wantLoss)) {
					t.Errorf("loss %v, want %v", loss, wantLoss)
				}
			})
		}
	}
}

// relative is the largest difference over the largest wanted value.
func relative(got []float32, want []float64) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	var diff, scale float64
	for i := range want {
		diff = max(diff, math.Abs(float64(got[i])-want[i]))
		scale = max(scale, math.Abs(want[i]))
		if math.IsNaN(float64(got[i])) {
			return math.Inf(1)
		}
	}
	if diff == 0 {
		return 0
	}
	return diff / scale
}

// exportedGradients splits gradients as Tensors does weights.
func exportedGradients(n *Net) map[string][]float32 {
	out := map[string][]float32{}
	for _, p := range n.flat.list {
		for _, e := range p.exported() {
			out[e.name] = make([]float32, e.elements())
			n.dev.DownloadF32(out[e.name], n.grads.Slice(p.offset+e.offset, e.elements()))
		}
	}
	return out
}

// Every gradient agrees with central differences of the float64 model: along a random direction of each tensor, which involves every element, and in
// single elements. The bound is 1e-4 of the tensor's largest gradient (1e-6 of the model's largest for gradients that are zero in exact arithmetic).
func TestGradientsAgainstFiniteDifferences(t *testing.T) { testGradients(t, 0) }

// With dropout the float64 model uses the same masks.
func TestGradientsWithDropout(t *testing.T) { testGradients(t, 0.25) }

func testGradients(t *testing.T, dropout float32) {
	for _, m := range smallModels {
		t.Run(m.name, func(t *testing.T) {
			const seed, step = 11, 3
			c := smallConfig(m.ortho)
			c.Dropout = float64(dropout)
			n := newSmallNet(t, 1, m.arch, m.goal, c)
			randomWeights(t, n, 5)
			b := randomBatch(n.config, n.objective, 2, 7, 6)
			loss, err := n.Gradients(context.Background(), b, seed, step)
			if err != nil {
				t.Fatal(err)
			}
			ref := float64Model(n)
			if dropout > 0 {
				ref.drop = func(site uint32) device.Dropout {
					return device.Dropout{P: dropout, Seed: device.StreamSeed(seed, site, step)}
				}
			}
			if _, want := ref.forward(b); math.Abs(loss-want) > 2e-5*max(1, want) {
				t.Errorf("loss %v, want %v", loss, want)
			}
			grads := exportedGradients(n)
			var largest float64
			for _, g := range grads {
				largest = max(largest, maxAbs(g))
			}
			rng := rand.New(rand.NewPCG(7, 8))
			for _, w := range n.Tensors() {
				checkTensorGradient(t, ref, b, w.Name, grads[w.Name], largest, rng)
			}
		})
	}
}

func checkTensorGradient(t *testing.T, ref *refModel, b Batch, name string, grad []float32, largest float64, rng *rand.Rand) {
	t.Helper()
	bound := max(1e-4*maxAbs(grad), 1e-6*largest)
	values := ref.w[name]
	directions := [][]float64{make([]float64, len(values))}
	for i := range values {
		directions[0][i] = 2*float64(rng.IntN(2)) - 1
	}
	for range 2 {
		one := make([]float64, len(values))
		one[rng.IntN(len(one))] = 1
		directions = append(directions, one)
	}
	for i, d := range directions {
		var got float64
		for k := range d {
			got += d[k] * float64(grad[k])
		}
		want := directional(ref, b, values, d)
		// Rounding errors of a sum of many elements grow with the square root of their number.
		limit := bound
		if i == 0 {
			limit *= math.Sqrt(float64(len(d)))
		}
		if math.Abs(got-want) > limit {
			t.Errorf("%s, direction %d: gradient %.8g, differences %.8g, bound %.2g", name, i, got, want, limit)
		}
	}
}

// directional is the central difference of the loss along d, with Richardson extrapolation.
func directional(ref *refModel, b Batch, values, d []float64) float64 {
	saved := slices.Clone(values)
	at := func(step float64) float64 {
		for i := range values {
			values[i] = saved[i] + step*d[i]
		}
		_, loss := ref.forward(b)
		copy(values, saved)
		return loss
	}
	const h = 1e-4
	slope := func(h float64) float64 { return (at(h) - at(-h)) / (2 * h) }
	return (4*slope(h/2) - slope(h)) / 3
}

func maxAbs(x []float32) float64 {
	var m float64
	for _, v := range x {
		m = max(m, math.Abs(float64(v)))
	}
	return m
}
