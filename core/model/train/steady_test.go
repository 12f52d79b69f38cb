package train

import (
	"context"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"flexi/core/device"
	"flexi/core/device/cpu"
	"flexi/core/model"
)

// copied is the CPU with attention that copies its values: what attention allocates is not counted here.
type copied struct{ *cpu.Device }

func (c copied) AttentionForward(a device.Attention) { c.Copy(a.Out, a.V) }

func (c copied) AttentionBackward(g device.AttentionGrad) {
	for _, m := range []device.Mat{g.DQ, g.DK, g.DV} {
		if !m.Empty() {
			c.Copy(m, g.DOut)
		}
	}
	for _, m := range []device.Mat{g.DRel, g.DW} {
		if !m.Empty() {
			c.Zero(m.T)
		}
	}
}

// A steady training step allocates nothing on two threads, whatever the layers.
func TestSteadyStepAllocatesNothing(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	hetero := []model.Head{
		{Op: model.SelfAttention, Param: model.ScaledDot, Size: 32},
		{Op: model.LinearTransform, Param: model.DCT, Size: 32},
		{Op: model.SpanConvolution, Param: "5", Size: 32},
		{Op: model.LinearTransform, Param: model.DFT, Size: 32},
	}
	for name, layer := range map[string]model.Layer{
		"hetero": {Mixed: hetero},
		"dft":    {Op: model.LinearTransform, Param: model.DFT}, "dct": {Op: model.LinearTransform, Param: model.DCT},
		"convolution 5": {Op: model.SpanConvolution, Param: "5"}, "convolution 9": {Op: model.SpanConvolution, Param: "9"},
		"dot": {Op: model.SelfAttention, Param: model.ScaledDot}, "wma": {Op: model.SelfAttention, Param: model.Weighted},
	} {
		t.Run(name, func(t *testing.T) {
			layer.Hidden, layer.FF = 128, []int{512, 256}
			if layer.Mixed == nil {
				layer.Heads = 4
			}
			last := layer
			last.Hidden, last.FF = 256, []int{256}
			require.Zero(t, allocations(t, model.Arch{Layers: []model.Layer{layer, last}}))
		})
	}
}

// allocations is how many a step makes once two steps have been made, rounded down: the runtime's own are far fewer than one a step.
func allocations(t *testing.T, a model.Arch) uint64 {
	dev, err := cpu.New(2)
	require.NoError(t, err)
	defer dev.Close()
	net, err := model.NewNet(copied{dev}, a, model.Config{Vocab: 2003, MaxPos: 64, Types: 2, Dropout: 0.1}, model.Objective{Kind: model.MaskedLM}, 1)
	require.NoError(t, err)
	defer net.Close()
	tr := trainer(t, copied{dev}, net, recipe)
	b := large()
	steps := func(n int) {
		for range n {
			_, err := tr.Step(context.Background(), b)
			require.NoError(t, err)
		}
	}
	steps(2)
	const n = 10
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	steps(n)
	runtime.ReadMemStats(&after)
	return (after.Mallocs - before.Mallocs) / n
}

// large is a batch whose kernels have several tasks each.
func large() model.Batch {
	b := model.Batch{B: 8, T: 64}
	for i := range b.B * b.T {
		b.IDs, b.Segments = append(b.IDs, int32(i*7%2003)), append(b.Segments, 0)
		if i%2 == 0 {
			b.Picked, b.Labels = append(b.Picked, int32(i)), append(b.Labels, int32(i*3%2003))
		}
	}
	for range b.B {
		b.Lengths = append(b.Lengths, 60)
	}
	return b
}
