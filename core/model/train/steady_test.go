package train

import (
	"context"
	"math"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"flexi/core/device"
	"flexi/core/device/cpu"
	"flexi/core/model"
)

// A steady training step allocates nothing on two threads, whatever the layers.
func TestSteadyStepAllocatesNothing(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	hetero := []model.Head{
		{Op: model.SelfAttention, Param: model.ScaledDot, Size: 16},
		{Op: model.LinearTransform, Param: model.DCT, Size: 16},
		{Op: model.SpanConvolution, Param: "5", Size: 16},
		{Op: model.LinearTransform, Param: model.DFT, Size: 16},
	}
	for name, layer := range map[string]model.Layer{
		"hetero": {Mixed: hetero},
		"dft":    {Op: model.LinearTransform, Param: model.DFT}, "dct": {Op: model.LinearTransform, Param: model.DCT},
		"convolution 5": {Op: model.SpanConvolution, Param: "5"}, "convolution 9": {Op: model.SpanConvolution, Param: "9"},
		"dot": {Op: model.SelfAttention, Param: model.ScaledDot}, "wma": {Op: model.SelfAttention, Param: model.Weighted},
	} {
		t.Run(name, func(t *testing.T) {
			layer.Hidden, layer.FF = 64, []int{96, 64}
			if layer.Mixed == nil {
				layer.Heads = 4
			}
			last := layer
			last.Hidden, last.FF = 128, []int{32}
			require.Zero(t, allocations(t, model.Arch{Layers: []model.Layer{layer, last}}))
		})
	}
}

// allocations is how many a step makes in the end, rounded down: the runtime's own are far fewer than one a step. A worker's scratch memory grows
// when it gets its first task of a kind, which may be late on a busy machine; hence the rounds.
func allocations(t *testing.T, a model.Arch) uint64 {
	dev, err := cpu.New(2, device.PrecisionF32)
	require.NoError(t, err)
	defer dev.Close()
	net, err := model.NewNet(dev, a, model.Config{Vocab: 307, MaxPos: 64, Types: 2, Dropout: 0.1}, model.Objective{Kind: model.MaskedLM}, 1)
	require.NoError(t, err)
	defer net.Close()
	tr := trainer(t, dev, net, recipe)
	b := large()
	steps := func(n int) {
		for range n {
			_, err := tr.Step(context.Background(), b)
			require.NoError(t, err)
		}
	}
	const n, rounds = 3, 10
	least := uint64(math.MaxUint64)
	for round := 0; round < rounds && least > 0; round++ {
		steps(n)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		steps(n)
		runtime.ReadMemStats(&after)
		least = min(least, (after.Mallocs-before.Mallocs)/n)
	}
	return least
}

// large is a batch whose kernels have several tasks each.
func large() model.Batch {
	b := model.Batch{B: 8, T: 64}
	for i := range b.B * b.T {
		b.IDs, b.Segments = append(b.IDs, int32(i*7%307)), append(b.Segments, 0)
		if i%2 == 0 {
			b.Picked, b.Labels = append(b.Picked, int32(i)), append(b.Labels, int32(i*3%307))
		}
	}
	for range b.B {
		b.Lengths = append(b.Lengths, 60)
	}
	return b
}
