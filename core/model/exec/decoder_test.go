package exec_test

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"

	"flexi/core/device"
	"flexi/core/model/op"
)

// frozen adds a variable of random values that is not trained.
func (b *bench) frozen(name string, dims ...int) *gorgonia.Node {
	return b.fill(b.Frozen(name, dims...), name, dims)
}

// lengths adds the lengths of three rows of four positions.
func (b *bench) lengths() *gorgonia.Node {
	n := b.Int("lengths", 3)
	t := device.NewTensor(b.memory, b.used, 3, device.I32)
	b.used += 16
	b.dev.UploadI32(t, []int32{4, 2, 3})
	b.values[n] = t
	return n
}

// adapters adapts columns 1 to 3 and 4 to 6 of a map to 7 columns.
func adapters(b *bench, in int, dora bool) []op.Adapter {
	out := []op.Adapter{
		{A: b.param("a0", 2, in), B: b.param("b0", 2, 2), Column: 1, Scale: 0.7},
		{A: b.param("a1", 3, in), B: b.param("b1", 2, 3), Column: 4, Scale: 0.4},
	}
	if dora {
		out[0].Magnitude, out[1].Magnitude = b.param("m0", 2), b.param("m1", 2)
	}
	return out
}

// The gradients of the ops of decoders and of LoRA, below and beside frozen variables, are held against differences of the loss.
func TestDecoderGradients(t *testing.T) {
	graphs := map[string]func(b *bench) *gorgonia.Node{
		"rms norm":           func(b *bench) *gorgonia.Node { return b.RMSNorm(b.param("x", 3, 6), b.param("gamma", 6), 1e-3) },
		"rms norm, frozen":   func(b *bench) *gorgonia.Node { return b.RMSNorm(b.param("x", 3, 6), b.frozen("gamma", 6), 1e-3) },
		"rms norm of frozen": func(b *bench) *gorgonia.Node { return b.RMSNorm(b.frozen("x", 3, 6), b.param("gamma", 6), 1e-3) },
		"swiglu":             func(b *bench) *gorgonia.Node { return b.SwiGLU(b.param("x", 3, 10)) },
		"layer norm of frozen": func(b *bench) *gorgonia.Node {
			return b.LayerNorm(b.frozen("x", 3, 6), b.frozen("g", 6), b.param("b", 6), 1e-5, 0)
		},
		"linear, frozen": func(b *bench) *gorgonia.Node {
			return b.Linear(op.Linear{X: b.param("x", 3, 5), W: b.frozen("w", 4, 5), Bias: b.frozen("b", 4)})
		},
		"linear of frozen": func(b *bench) *gorgonia.Node {
			return b.Linear(op.Linear{X: b.frozen("x", 3, 5), W: b.frozen("w", 4, 5), Bias: b.param("b", 4)})
		},
		"join with frozen": func(b *bench) *gorgonia.Node {
			x := b.param("x", 3, 4)
			return b.Mul(b.Join(x, b.frozen("y", 3, 2)), b.Join(b.Window(b.frozen("z", 3, 5), 1, 4), b.Window(x, 1, 2)))
		},
		"attention": func(b *bench) *gorgonia.Node {
			s := device.GroupedShape{Batch: 3, Seq: 4, Heads: 2, KVHeads: 1, Dim: 4, Causal: true}
			x := b.param("x", 12, 16)
			return b.GroupedAttention(op.GroupedAttention{
				Q: b.Window(x, 0, 8), K: b.Window(x, 8, 4), V: b.Window(x, 12, 4), Rotary: b.frozen("rotary", 5, 4), Lengths: b.lengths(), Shape: s,
			})
		},
		"attention to frozen": func(b *bench) *gorgonia.Node {
			s := device.GroupedShape{Batch: 3, Seq: 4, Heads: 2, KVHeads: 2, Dim: 3}
			return b.GroupedAttention(op.GroupedAttention{
				Q: b.frozen("q", 12, 6), K: b.frozen("k", 12, 6), V: b.param("v", 12, 6), Lengths: b.lengths(), Shape: s,
			})
		},
		"adapted": func(b *bench) *gorgonia.Node {
			return b.Adapted(op.Adapted{
				X: b.param("x", 3, 5), W: b.frozen("w", 7, 5), Bias: b.frozen("bias", 7), Residual: b.param("r", 3, 7), S: b.param("s", 1),
				Adapters: adapters(b, 5, false),
			})
		},
		"adapted, input frozen": func(b *bench) *gorgonia.Node {
			return b.Adapted(op.Adapted{X: b.frozen("x", 3, 5), W: b.frozen("w", 7, 5), S: b.param("s", 1), Adapters: adapters(b, 5, false)})
		},
		"multipliers alone": func(b *bench) *gorgonia.Node {
			s := b.param("s", 1)
			fixed := func(in int) []op.Adapter {
				return []op.Adapter{{A: b.frozen("a", 2, in), B: b.frozen("b", 3, 2), Column: 1, Scale: 0.7}}
			}
			x := b.Adapted(op.Adapted{X: b.frozen("x", 3, 5), W: b.frozen("w", 4, 5), S: s, Adapters: fixed(5)})
			return b.Adapted(op.Adapted{X: x, W: b.frozen("v", 5, 4), S: s, Adapters: fixed(4)})
		},
	}
	for name, build := range graphs {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, newCPU(t))
			x := build(b)
			require.NoError(t, b.Err())
			loss := b.loss(x)
			plan, grads := b.train(loss)
			checkAllDifferences(t, b, plan, loss, grads, b.params)
		})
	}
}

// With its norms held fixed, DoRA is LoRA whose columns are multiplied by magnitude / norm.
func TestDoRAGradients(t *testing.T) {
	b := newBench(t, newCPU(t))
	x, w, s := b.param("x", 3, 5), b.frozen("w", 7, 5), b.frozen("s", 1)
	d := adapters(b, 5, true)
	bias, residual := b.frozen("bias", 7), b.frozen("residual", 3, 7)
	loss := b.loss(b.Adapted(op.Adapted{X: x, W: w, S: s, Bias: bias, Residual: residual, Adapters: d}))
	plan, grads := b.train(loss)
	checkAllDifferences(t, b, plan, loss, grads, gorgonia.Nodes{d[0].Magnitude, d[1].Magnitude, x})
	value := b.run(plan, loss)
	factor := slices.Repeat([]float32{1}, 7)
	for _, a := range d {
		for j, m := range b.values[a.Magnitude].F32() {
			factor[a.Column+j] = m / float32(adaptedNorm(b, w, a, j, float64(b.values[s].F32()[0])))
		}
	}

	plain := newBench(t, newCPU(t))
	x, w, s = plain.param("x", 3, 5), plain.frozen("w", 7, 5), plain.frozen("s", 1)
	y := plain.Adapted(op.Adapted{X: x, W: w, S: s, Adapters: adapters(plain, 5, false)})
	factors, shift := plain.frozen("factors", 3, 7), plain.frozen("residual", 3, 7)
	plain.dev.UploadF32(plain.values[factors], slices.Repeat(factor, 3))
	for i, v := range slices.Repeat(b.values[bias].F32(), 3) {
		plain.values[shift].F32()[i] += v
	}
	plainLoss := plain.loss(plain.Add(plain.Mul(y, factors), shift))
	plainPlan, want := plain.train(plainLoss)
	require.InDelta(t, plain.run(plainPlan, plainLoss), value, 1e-5*value)
	for _, p := range plain.params {
		i := slices.IndexFunc(b.params, func(n *gorgonia.Node) bool { return n.Name() == p.Name() })
		require.InDeltaSlice(t, want[p].F32(), grads[b.params[i]].F32(), 1e-4, p.Name())
	}
}

// adaptedNorm is the length of row j of an adapter's weight.
func adaptedNorm(b *bench, w *gorgonia.Node, a op.Adapter, j int, s float64) float64 {
	in, rank := w.Shape()[1], a.A.Shape()[0]
	var sum float64
	for c := range in {
		v := float64(b.values[w].F32()[(a.Column+j)*in+c])
		for k := range rank {
			v += s * float64(a.Scale) * float64(b.values[a.B].F32()[j*rank+k]) * float64(b.values[a.A].F32()[k*in+c])
		}
		sum += v * v
	}
	return math.Sqrt(sum)
}
