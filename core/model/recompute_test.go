package model

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// gradientsOf are loss, gradients and multipliers' gradients of a training step with dropout, and the arena it takes.
func gradientsOf(t *testing.T, p Pretrained, o Objective, lora *LoRA, b Batch) (loss float64, grads map[string][]float32, layers []float64, arena int) {
	t.Helper()
	dev := newDevice(t, 2)
	n, err := NewPretrained(dev, p, o, lora, 1)
	require.NoError(t, err)
	defer n.Close()
	n.InitMagnitudes()
	moved := n.Tensors()
	for _, x := range moved {
		drawn := make([]float32, len(x.Data))
		normal.fill(drawn, 9, x.Name, x.Shape)
		for i, v := range drawn {
			x.Data[i] += 5 * v
		}
	}
	_, _, err = n.SetTensors(moved)
	require.NoError(t, err)
	if lora != nil {
		layers = make([]float64, p.Layers())
	}
	loss, err = n.LayerGradients(t.Context(), b, true, true, 5, 7, layers)
	require.NoError(t, err)
	return loss, exportedGradients(n), layers, n.arena.Bytes()
}

// TestRecomputedGradientsHaveTheSameBits: of every kind of layer, of backbones, with and without adapters.
func TestRecomputedGradientsHaveTheSameBits(t *testing.T) {
	same := func(t *testing.T, p Pretrained, o Objective, lora *LoRA, b Batch) {
		t.Helper()
		loss, grads, layers, _ := gradientsOf(t, p, o, lora, b)
		p.Recompute = true
		again, regrads, relayers, _ := gradientsOf(t, p, o, lora, b)
		require.Equal(t, loss, again)
		require.Equal(t, grads, regrads)
		require.Equal(t, layers, relayers)
	}
	for _, m := range smallModels {
		t.Run(m.name, func(t *testing.T) {
			c := smallConfig(m.ortho)
			c.Dropout = 0.25
			p := Pretrained{Arch: mustArch(t, m.arch), Config: c}
			b := randomBatch(c, m.goal, 3, 7, 11)
			same(t, p, m.goal, nil, b)
			same(t, p, m.goal, &LoRA{Rank: 2, Alpha: 4, Targets: []string{AllLinear}, Dropout: 0.25, Multipliers: true}, b)
		})
	}
	for name, m := range peerBackbones() {
		t.Run(name, func(t *testing.T) {
			b := m.batch(peerTensors(t, name)["in"]["ids"].Data)
			p := Pretrained{Backbone: &m.Backbone}
			same(t, p, m.objective, nil, b)
			for _, dora := range []bool{false, true} {
				same(t, p, m.objective, &LoRA{Rank: 2, Alpha: 4, Targets: []string{AllLinear}, Dropout: 0.25, Multipliers: true, DoRA: dora}, b)
			}
		})
	}
}

// TestRecomputingTakesLessMemory: of eight layers, the activations of hardly more than one at a time.
func TestRecomputingTakesLessMemory(t *testing.T) {
	arch := mustArch(t, `{"l":8,"o":["sa","c","l","sa","sa","c","l","sa"],"h":[32,32,32,32,32,32,32,32],"n":[4,4,4,4,4,4,4,4],
		"f":[[64],[64],[64],[64],[64],[64],[64],[64]],"p":["wma",5,"dct","sdp","wma",5,"dct","sdp"]}`)
	c := smallConfig(false)
	c.Dropout = 0.1
	goal := Objective{Kind: Classify, Labels: 2}
	p := Pretrained{Arch: arch, Config: c}
	b := randomBatch(c, goal, 8, 16, 2)
	_, _, _, whole := gradientsOf(t, p, goal, nil, b)
	p.Recompute = true
	_, _, _, less := gradientsOf(t, p, goal, nil, b)
	t.Logf("activations of a step: %d bytes, recomputed %d", whole, less)
	require.Less(t, less, whole*45/100)
	of := func(p Pretrained) int64 {
		_, n, err := Footprint(newDevice(t, 2), p, goal, nil, 8, 16, 0)
		require.NoError(t, err)
		return n
	}
	require.Equal(t, int64(less), of(p))
}
