package model

import (
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"flexi/core/device"
	"flexi/core/model/safetensors"
)

// peerBackbones are the models of testdata/backbones.py and their objectives.
func peerBackbones() map[string]peerBackbone {
	decoder := Backbone{
		Family: Llama, Vocab: 29, Hidden: 16, Intermediate: 24, Layers: 2, Heads: 4, KVHeads: 2, HeadDim: 4, MaxPositions: 64, NormEps: 1e-6, Rope: Rope{Theta: 10000},
	}
	encoder := Backbone{
		Family: BERT, Vocab: 29, Hidden: 16, Intermediate: 24, Layers: 2, Heads: 4, KVHeads: 4, HeadDim: 4, MaxPositions: 16, NormEps: 1e-12, Types: 2,
		HiddenDropout: 0.1, AttentionDropout: 0.1, ClassifierDropout: 0.1,
	}
	scaled, mistral, qwen, roberta := decoder, decoder, decoder, encoder
	scaled.HeadDim, scaled.Rope = 6, Rope{Theta: 10000, Factor: 8, Low: 1, High: 4, Original: 16}
	scaled.QKVBias, scaled.OutputBias, scaled.FeedForwardBias = true, true, true
	mistral.Family, mistral.Window = Mistral, 5
	qwen.Family, qwen.QKVBias, qwen.Tied = Qwen2, true, true
	roberta.Family, roberta.Pad, roberta.Types = RoBERTa, 1, 1
	causal, classes := Objective{Kind: CausalLM}, Objective{Kind: Classify, Labels: 3}
	return map[string]peerBackbone{
		"llama": {decoder, causal}, "llama-scaled": {scaled, causal}, "llama-score": {decoder, classes}, "mistral": {mistral, causal}, "qwen2": {qwen, causal},
		"bert": {encoder, classes}, "bert-mlm": {encoder, Objective{Kind: MaskedLM}}, "roberta": {roberta, classes},
	}
}

type peerBackbone struct {
	Backbone
	objective Objective
}

// peerTensors are the tensors of a file by the part of their names before the first dot.
func peerTensors(t *testing.T, name string) map[string]map[string]NamedTensor {
	t.Helper()
	f, err := os.Open("testdata/backbones/" + name + ".safetensors")
	require.NoError(t, err)
	defer f.Close()
	file, err := safetensors.Read(f)
	require.NoError(t, err)
	out := map[string]map[string]NamedTensor{}
	for _, x := range file.Tensors {
		part, rest, _ := strings.Cut(x.Name, ".")
		if out[part] == nil {
			out[part] = map[string]NamedTensor{}
		}
		out[part][rest] = NamedTensor{Name: rest, Shape: x.Shape, Data: x.Data}
	}
	return out
}

// batch is the peer's: three rows of 11, 7 and 4 tokens.
func (p peerBackbone) batch(ids []float32) Batch {
	b := Batch{B: 3, T: 11, Lengths: []int32{11, 7, 4}, Segments: make([]int32, 33), Labels: []int32{2, 0, 1}}
	for _, id := range ids {
		b.IDs = append(b.IDs, int32(id))
	}
	if p.objective.picks() {
		b.Labels = nil
		for r, n := range b.Lengths {
			for at := range n - 1 {
				b.Picked, b.Labels = append(b.Picked, int32(r)*11+at), append(b.Labels, b.IDs[int32(r)*11+at+1])
			}
		}
	}
	return b
}

// closeTo compares in the norm max|difference| / max|value|.
func closeTo(t *testing.T, want, got []float32, bound float64, what string) {
	t.Helper()
	require.Len(t, got, len(want), what)
	var diff, scale float64
	for i := range want {
		diff, scale = max(diff, math.Abs(float64(want[i]-got[i]))), max(scale, math.Abs(float64(want[i])))
	}
	if !(diff <= bound*max(scale, 1e-4)) {
		t.Errorf("%s: differs by %.3g of a largest value of %.3g", what, diff, scale)
	}
}

// Logits, loss and every gradient of small models agree with Hugging Face transformers, trained whole and with PEFT's adapters.
func TestBackbonesAgainstTransformers(t *testing.T) {
	for name, p := range peerBackbones() {
		t.Run(name, func(t *testing.T) { compareBackbone(t, name, p) })
	}
}

func compareBackbone(t *testing.T, name string, p peerBackbone) {
	peer := peerTensors(t, name)
	b := p.batch(peer["in"]["ids"].Data)
	pre := Pretrained{Backbone: &p.Backbone}
	targets := []string{"q_proj", "v_proj", "o_proj", "down_proj"}
	if !p.Family.Decoder() {
		targets = []string{"query", "value", "intermediate.dense", "output.dense"}
	}
	for _, form := range []string{"", "lora", "dora"} {
		var lora *LoRA
		given := slices.Collect(maps.Values(peer["model"]))
		if form != "" {
			lora = &LoRA{Rank: 3, Alpha: 5, Targets: targets, Layers: []int{1}, DoRA: form == "dora"}
			given = append(given, slices.Collect(maps.Values(peer[form]))...)
		}
		n, err := NewPretrained(newDevice(t, 2), pre, p.objective, lora, 1)
		require.NoError(t, err)
		defer n.Close()
		missing, unexpected, err := n.SetTensors(given)
		require.NoError(t, err)
		require.Empty(t, missing)
		require.Empty(t, unexpected)

		logits, err := n.Predict(t.Context(), b)
		require.NoError(t, err)
		closeTo(t, peer[form+"out"]["logits"].Data, logits, 2e-5, form+" logits")
		loss, err := n.LayerGradients(t.Context(), b, false, true, 0, 0, nil)
		require.NoError(t, err)
		require.InEpsilon(t, peer[form+"out"]["loss"].Data[0], loss, 1e-5)
		got := exportedGradients(n)
		require.NotEmpty(t, peer[form+"grad"])
		for tensor, want := range peer[form+"grad"] {
			closeTo(t, want.Data, got[tensor], 5e-5, fmt.Sprintf("%s gradient of %s", form, tensor))
		}
	}
}

// The multipliers' gradients agree with central differences of the loss, and a multiplier of zero is a layer without adapters.
func TestMultipliers(t *testing.T) {
	for name, p := range peerBackbones() {
		peer := peerTensors(t, name)
		b := p.batch(peer["in"]["ids"].Data)
		for _, dora := range []bool{false, true} {
			n, err := NewPretrained(newDevice(t, 2), Pretrained{Backbone: &p.Backbone}, p.objective, &LoRA{
				Rank: 2, Alpha: 8, Targets: []string{AllLinear}, Multipliers: true, DoRA: dora,
			}, 1)
			require.NoError(t, err)
			defer n.Close()
			_, _, err = n.SetTensors(slices.Collect(maps.Values(peer["model"])))
			require.NoError(t, err)
			n.InitMagnitudes()
			zero, err := n.Loss(t.Context(), b)
			require.NoError(t, err)
			require.InEpsilon(t, peer["out"]["loss"].Data[0], zero, 1e-4, "B is zero, so the adapters do nothing")
			moved := n.Tensors()
			for _, x := range moved {
				if strings.HasSuffix(x.Name, loraB) {
					normal.fill(x.Data, 9, x.Name, x.Shape)
					for i := range x.Data {
						x.Data[i] *= 10
					}
				}
			}
			_, _, err = n.SetTensors(moved)
			require.NoError(t, err)
			s := []float64{1.5, 0.7}
			layers := make([]float64, 2)
			require.NoError(t, n.SetMultipliers(s))
			_, err = n.LayerGradients(t.Context(), b, false, false, 0, 0, layers)
			require.NoError(t, err)
			if !dora { // whose norm is held fixed, so that differences say something else
				for j := range s {
					const h = 0.02
					at := func(v float64) float64 {
						moved := slices.Clone(s)
						moved[j] = v
						require.NoError(t, n.SetMultipliers(moved))
						loss, err := n.Loss(t.Context(), b)
						require.NoError(t, err)
						return loss
					}
					require.InDelta(t, (at(s[j]+h)-at(s[j]-h))/(2*h), layers[j], 2e-3*max(1, math.Abs(layers[j])), "%s layer %d", name, j)
				}
			}
			require.NoError(t, n.SetMultipliers([]float64{0, 0}))
			none, err := n.Loss(t.Context(), b)
			require.NoError(t, err)
			require.InEpsilon(t, zero, none, 1e-5)
		}
	}
}

func TestLoRARefuses(t *testing.T) {
	p := peerBackbones()["llama"]
	for want, l := range map[string]LoRA{
		"no linear module of the layers is named query; there are down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj": {
			Rank: 2, Alpha: 4, Targets: []string{"q_proj", "query"},
		},
		"name at least one":                  {Rank: 2, Alpha: 4, Targets: []string{"q_proj"}, Layers: []int{}},
		"they must rise from 0 to at most 1": {Rank: 2, Alpha: 4, Targets: []string{"q_proj"}, Layers: []int{0, 2}},
		"rank 0":                             {Alpha: 4, Targets: []string{"q_proj"}},
		"no module is to be adapted":         {Rank: 2, Alpha: 4},
	} {
		_, err := NewPretrained(newDevice(t, 1), Pretrained{Backbone: &p.Backbone}, p.objective, &l, 1)
		require.ErrorContains(t, err, want)
	}
	_, err := NewPretrained(newDevice(t, 1), Pretrained{Backbone: &p.Backbone}, Objective{Kind: MaskedLM}, nil, 1)
	require.ErrorContains(t, err, "a llama model is not for masked language modelling")
	bad := p.Backbone
	bad.HeadDim, bad.Heads = 5, 3
	require.ErrorContains(t, bad.Validate(), "head size 5 is odd")
	require.ErrorContains(t, bad.Validate(), "3 heads are not a multiple of 2")
}

// Adapters on an encoder of a search: only they and the head are trained, and what is frozen stays.
func TestLoRAOnFlexiBERT(t *testing.T) {
	for _, name := range []string{"flexibert-mini", "conv-mini", "fourier-mini", "wma-mini"} {
		arch, err := Reference(name)
		require.NoError(t, err)
		c := DefaultConfig(61)
		lora := &LoRA{Rank: 3, Alpha: 6, Targets: []string{"query", "value"}, Multipliers: true}
		n, err := NewPretrained(newDevice(t, 2), Pretrained{Arch: arch, Config: c}, Objective{Kind: Classify, Labels: 2}, lora, 1)
		require.NoError(t, err)
		defer n.Close()
		require.Len(t, n.Modules(), 2*len(arch.Layers))
		for _, x := range n.Tensors() {
			require.True(t, strings.Contains(x.Name, "lora_") || !IsEncoder(x.Name), x.Name)
		}
		b := Batch{
			B: 2, T: 8, IDs: make([]int32, 16), Segments: make([]int32, 16), Lengths: []int32{8, 5}, Labels: []int32{0, 1},
		}
		for i := range b.IDs {
			b.IDs[i] = int32(i * 3)
		}
		layers := make([]float64, len(arch.Layers))
		_, err = n.LayerGradients(t.Context(), b, true, true, 5, 1, layers)
		require.NoError(t, err)
		for _, g := range layers {
			require.Zero(t, g, "B is zero")
		}
		_, grads, _ := n.Flat()
		require.NotZero(t, device.Tensor(grads).Len)
	}
}
