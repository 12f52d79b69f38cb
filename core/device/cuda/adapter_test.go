package cuda_test

import (
	"math"
	"slices"
	"testing"

	"flexi/core/device"
	"flexi/core/device/cpu"
	"flexi/core/device/cuda"
	"flexi/core/model"
)

// decoder is a Llama shape with every part that has kernels of its own: grouped heads, a window, scaled rotary positions.
var decoder = model.Backbone{
	Family: model.Llama, Vocab: 19, Hidden: 16, Intermediate: 24, Layers: 2, Heads: 4, KVHeads: 2, HeadDim: 4, MaxPositions: 16, NormEps: 1e-5, Window: 4,
	FullLayers: 1, QKVBias: true, Rope: model.Rope{Theta: 1e4, Factor: 2, Low: 1, High: 4, Original: 8},
}

// adapted is a step of Flexora on a device: the loss, the multipliers' gradients, and those of the adapters. terms is the size of a multiplier's gradient
// before its terms cancel: it is the sum of those of A times A.
func adapted(t *testing.T, dev device.Device, p model.Pretrained, o model.Objective, lora model.LoRA) (out []float64, terms float64) {
	t.Helper()
	n, err := model.NewPretrained(dev, p, o, &lora, 5)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	values, grads, _ := n.Flat()
	host := make([]float32, values.Len)
	for i := range host {
		host[i] = float32(0.3 * math.Sin(float64(i)))
	}
	dev.UploadF32(values, host)
	given := slices.Clone(host)
	n.InitMagnitudes()
	layers := make([]float64, p.Layers())
	b := batch(3)
	if o.Kind == model.CausalLM {
		clear(b.Segments)
	}
	for range 3 { // the third is a replayed graph
		loss, err := n.LayerGradients(t.Context(), b, true, true, 5, 7, layers)
		if err != nil {
			t.Fatal(err)
		}
		dev.DownloadF32(host, grads)
		out = append(append(out[:0], loss), layers...)
	}
	for i, g := range host {
		out = append(out, float64(g))
		terms += math.Abs(float64(g*given[i])) / float64(2*len(layers))
	}
	return out, terms
}

// LoRA, DoRA and recomputation on decoders and encoders give on both devices the same but for rounding.
func TestAdaptersAgreeWithTheCPU(t *testing.T) {
	var arch model.Arch
	if err := arch.UnmarshalJSON([]byte(models["attention"])); err != nil {
		t.Fatal(err)
	}
	lora := model.LoRA{Rank: 2, Alpha: 4, Targets: []string{model.AllLinear}, Dropout: 0.25, Multipliers: true}
	dora := lora
	dora.DoRA = true
	for name, c := range map[string]struct {
		model.Pretrained
		model.Objective
		model.LoRA
	}{
		"decoder with LoRA":      {model.Pretrained{Backbone: &decoder}, model.Objective{Kind: model.CausalLM}, lora},
		"decoder with DoRA":      {model.Pretrained{Backbone: &decoder}, model.Objective{Kind: model.CausalLM}, dora},
		"decoder and recomputed": {model.Pretrained{Backbone: &decoder, Recompute: true}, model.Objective{Kind: model.CausalLM}, lora},
		"encoder with LoRA": {
			model.Pretrained{Arch: arch, Config: model.Config{Vocab: 19, MaxPos: 16, Types: 2, Dropout: 0.1}}, model.Objective{Kind: model.MaskedLM}, lora,
		},
	} {
		host, err := cpu.New(1, device.PrecisionF32)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { host.Close() })
		want, terms := adapted(t, host, c.Pretrained, c.Objective, c.LoRA)
		for precision, bound := range map[device.Precision]float64{device.PrecisionF32: 2e-4, device.PrecisionBF16: 6e-2} {
			t.Run(name+" "+string(precision), func(t *testing.T) {
				got, _ := adapted(t, cuda.NewOnProcessor(t, precision), c.Pretrained, c.Objective, c.LoRA)
				if math.Abs(got[0]-want[0]) > bound*want[0] {
					t.Errorf("loss %v, on the CPU %v", got[0], want[0])
				}
				layers := 1 + c.Pretrained.Layers()
				var top float64
				for _, g := range want[layers:] {
					top = max(top, math.Abs(g))
				}
				for i := 1; i < len(want); i++ {
					scale := top
					if i < layers {
						scale = terms
					}
					if !(math.Abs(got[i]-want[i]) <= bound*scale) {
						t.Errorf("gradient %d of %d: %v, on the CPU %v, of a scale of %v", i, len(want), got[i], want[i], scale)
					}
				}
			})
		}
	}
}
