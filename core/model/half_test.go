package model

import (
	"testing"

	"github.com/stretchr/testify/require"

	"flexi/core/device"
	"flexi/core/device/cpu"
)

// wide is a device whose frozen weights stay in float32.
type wide struct{ *cpu.Device }

func (wide) TakesHalfWeights() bool { return false }

// TestHalfWeightsGiveTheSameBits: the linear maps of a frozen model take half the memory in bfloat16, and losses and gradients are those of weights that
// are rounded in every product. DoRA's norms are of the rounded weights.
func TestHalfWeightsGiveTheSameBits(t *testing.T) {
	dev, err := cpu.New(2, device.PrecisionBF16)
	require.NoError(t, err)
	defer dev.Close()
	if !dev.TakesHalfWeights() {
		t.Skip("this processor has no products in bfloat16")
	}
	step := func(dev device.Device, p Pretrained, o Objective, lora LoRA, b Batch) (float64, map[string][]float32, []float64, int) {
		n, err := NewPretrained(dev, p, o, &lora, 1)
		require.NoError(t, err)
		defer n.Close()
		n.InitMagnitudes()
		layers := make([]float64, p.Layers())
		loss, err := n.LayerGradients(t.Context(), b, true, true, 5, 7, layers)
		require.NoError(t, err)
		return loss, exportedGradients(n), layers, n.frozenBytes()
	}
	compare := func(t *testing.T, p Pretrained, o Objective, b Batch) {
		lora := LoRA{Rank: 2, Alpha: 4, Targets: []string{AllLinear}, Dropout: 0.25, Multipliers: true}
		loss, grads, layers, bytes := step(dev, p, o, lora, b)
		wideLoss, wideGrads, wideLayers, wideBytes := step(wide{dev}, p, o, lora, b)
		require.Equal(t, wideLoss, loss)
		require.Equal(t, wideGrads, grads)
		require.Equal(t, wideLayers, layers)
		require.Less(t, bytes, wideBytes)

		lora.DoRA = true
		loss, grads, _, _ = step(dev, p, o, lora, b)
		wideLoss, wideGrads, _, _ = step(wide{dev}, p, o, lora, b)
		require.InEpsilon(t, wideLoss, loss, 0.01)
		for name, g := range wideGrads {
			closeTo(t, g, grads[name], 0.05, name)
		}
	}
	for _, m := range smallModels {
		t.Run(m.name, func(t *testing.T) {
			c := smallConfig(m.ortho)
			c.Dropout = 0.25
			compare(t, Pretrained{Arch: mustArch(t, m.arch), Config: c}, m.goal, randomBatch(c, m.goal, 3, 7, 11))
		})
	}
	for name, m := range peerBackbones() {
		t.Run(name, func(t *testing.T) {
			compare(t, Pretrained{Backbone: &m.Backbone}, m.objective, m.batch(peerTensors(t, name)["in"]["ids"].Data))
		})
	}
}

// TestFrozenTensorsAreRounded: what is set comes back as the device has it, under its name.
func TestFrozenTensorsAreRounded(t *testing.T) {
	dev, err := cpu.New(1, device.PrecisionBF16)
	require.NoError(t, err)
	defer dev.Close()
	p := Pretrained{Arch: mustArch(t, smallModels[0].arch), Config: smallConfig(false)}
	n, err := NewPretrained(dev, p, Objective{Kind: Classify, Labels: 2}, &LoRA{Rank: 2, Alpha: 4, Targets: []string{AllLinear}}, 1)
	require.NoError(t, err)
	defer n.Close()
	given := n.FrozenTensors()
	require.NotEmpty(t, given)
	for _, x := range given {
		for i := range x.Data {
			x.Data[i] = 1 + float32(i)/1000
		}
	}
	missing, unexpected, err := n.SetTensors(append(n.Tensors(), given...))
	require.NoError(t, err)
	require.Empty(t, missing)
	require.Empty(t, unexpected)
	half := map[string]bool{}
	for _, q := range n.half.list {
		for _, e := range q.exported() {
			half[e.name] = true
		}
	}
	require.Equal(t, dev.TakesHalfWeights(), len(half) > 0)
	for i, x := range n.FrozenTensors() {
		require.Equal(t, given[i].Name, x.Name)
		for j, v := range given[i].Data {
			if half[x.Name] {
				v = device.FromBF16(device.ToBF16(v))
			}
			require.Equal(t, v, x.Data[j], x.Name)
		}
	}
}
