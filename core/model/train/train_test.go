package train

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"flexi/core/device"
	"flexi/core/device/cpu"
	"flexi/core/model"
	"flexi/core/model/safetensors"
)

var arch = model.Arch{Layers: []model.Layer{
	{Hidden: 16, Op: model.SelfAttention, Param: model.ScaledDot, Heads: 2, FF: []int{24}},
	{Hidden: 12, Op: model.LinearTransform, Param: model.DCT, Heads: 2, FF: []int{24, 16}},
}}

func open(t *testing.T) (*cpu.Device, *model.Net) {
	t.Helper()
	dev, err := cpu.New(1, device.PrecisionF32)
	require.NoError(t, err)
	net, err := model.NewNet(dev, arch, model.Config{Vocab: 31, MaxPos: 16, Types: 2, Dropout: 0.1}, model.Objective{Kind: model.MaskedLM}, 1)
	require.NoError(t, err)
	t.Cleanup(func() {
		net.Close()
		require.NoError(t, dev.Close())
	})
	return dev, net
}

// batch is a copying task that can be learned: the label is the token itself.
func batch(step int) model.Batch {
	b := model.Batch{B: 3, T: 7}
	for i := range 21 {
		b.IDs = append(b.IDs, int32((i*5+step)%31))
		b.Segments = append(b.Segments, 0)
	}
	b.Lengths = []int32{7, 5, 6}
	for _, at := range []int32{1, 4, 8, 15} {
		b.Picked = append(b.Picked, at)
		b.Labels = append(b.Labels, b.IDs[at])
	}
	return b
}

var recipe = Optimizer{LR: 5e-3, Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8, Decay: 0.01, Clip: 1, Warmup: 4, Steps: 60}

func trainer(t *testing.T, dev device.Device, net *model.Net, o Optimizer) *Trainer {
	t.Helper()
	tr, err := New(dev, net, o, 7)
	require.NoError(t, err)
	t.Cleanup(tr.Close)
	return tr
}

func TestRate(t *testing.T) {
	o := Optimizer{LR: 1, Warmup: 4, Steps: 12}
	for step, want := range map[int]float64{0: 0.25, 3: 1, 4: 1, 8: 0.5, 11: 0.125, 12: 0, 20: 0} {
		require.InDelta(t, want, o.Rate(step), 1e-12, "step %d", step)
	}
	require.Equal(t, 1.0, Optimizer{LR: 1}.Rate(100), "without a length the rate is constant")
}

func TestTrainingLearns(t *testing.T) {
	dev, net := open(t)
	tr := trainer(t, dev, net, recipe)
	var first, last float64
	for i := range recipe.Steps {
		loss, err := tr.Step(context.Background(), batch(0))
		require.NoError(t, err)
		if i == 0 {
			first = loss
		}
		last = loss
	}
	require.Equal(t, recipe.Steps, tr.Steps())
	require.Less(t, last, first/2)
}

func optimizerOf(t *testing.T, tr *Trainer) []safetensors.Tensor {
	t.Helper()
	tensors, err := tr.Tensors()
	require.NoError(t, err)
	return tensors
}

func TestClippingBoundsTheUpdate(t *testing.T) {
	// With a first step, m/(1-β1) is the clipped gradient itself, so the moments show its norm.
	dev, net := open(t)
	o := recipe
	o.Clip = 0.25
	tr := trainer(t, dev, net, o)
	_, err := tr.Step(context.Background(), batch(0))
	require.NoError(t, err)
	for _, s := range optimizerOf(t, tr) {
		if s.Name != firstMoment {
			continue
		}
		var sum float64
		for _, v := range s.Data {
			sum += float64(v) * float64(v)
		}
		require.InDelta(t, 0.25*(1-o.Beta1), math.Sqrt(sum), 1e-5)
	}
}

func TestRestoredTrainingGoesOnToTheBit(t *testing.T) {
	ctx := context.Background()
	dev, net := open(t)
	straight := trainer(t, dev, net, recipe)
	const half = 9
	var saved []model.NamedTensor
	for i := range 2 * half {
		if i == half {
			saved = net.Tensors()
		}
		_, err := straight.Step(ctx, batch(i))
		require.NoError(t, err)
	}

	dev2, net2 := open(t)
	tr := trainer(t, dev2, net2, recipe)
	for i := range half {
		_, err := tr.Step(ctx, batch(i))
		require.NoError(t, err)
	}
	require.Equal(t, saved, net2.Tensors())
	dev3, net3 := open(t)
	_, _, err := net3.SetTensors(saved)
	require.NoError(t, err)
	resumed := trainer(t, dev3, net3, recipe)
	require.NoError(t, resumed.Restore(half, optimizerOf(t, tr)))
	for i := half; i < 2*half; i++ {
		_, err := resumed.Step(ctx, batch(i))
		require.NoError(t, err)
	}
	require.Equal(t, net.Tensors(), net3.Tensors())
}

func TestNonFiniteStopsAndNamesThePlace(t *testing.T) {
	dev, net := open(t)
	tr := trainer(t, dev, net, recipe)
	tensors := net.Tensors()
	for i := range tensors {
		if tensors[i].Name == "encoder.layer.1.output.dense.weight" {
			tensors[i].Data[3] = float32(math.NaN())
		}
	}
	_, _, err := net.SetTensors(tensors)
	require.NoError(t, err)
	_, err = tr.Step(context.Background(), batch(0))
	var bad *NonFiniteError
	require.ErrorAs(t, err, &bad)
	require.Equal(t, "loss", bad.What)
	require.Contains(t, bad.Where, "1")
	require.Equal(t, 0, tr.Steps(), "no update was made")
}

func TestExplodingTrainingIsStopped(t *testing.T) {
	dev, net := open(t)
	o := recipe
	o.LR, o.Clip = 1e30, 0
	tr := trainer(t, dev, net, o)
	var err error
	for i := 0; i < 20 && err == nil; i++ {
		_, err = tr.Step(context.Background(), batch(i))
	}
	var bad *NonFiniteError
	require.ErrorAs(t, err, &bad)
	require.NotEmpty(t, bad.Where)
}

func TestRestoreRefusesWhatDoesNotFit(t *testing.T) {
	dev, net := open(t)
	tr := trainer(t, dev, net, recipe)
	require.ErrorContains(t, tr.Restore(1, nil), "lacks its moments")
	short := optimizerOf(t, tr)
	short[0].Data = short[0].Data[:3]
	require.Error(t, tr.Restore(1, short))
}
