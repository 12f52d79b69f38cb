package finetune

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"flexi/core/model/safetensors"
	"flexi/core/selection"
)

// No adapter_config.json panics, whatever tensors it comes with; an adapter that is taken has a rank and modules.
func FuzzAdapterConfig(f *testing.F) {
	f.Add([]byte(`{"peft_type":"LORA","r":2,"lora_alpha":4,"target_modules":["query"],"layers_to_transform":[0],"layers_pattern":"layer"}`), "base_model.model.bert.encoder.layer.0.attention.self.query.lora_A.weight", 2, 4)
	f.Add([]byte(`{"peft_type":"LORA","r":1,"lora_alpha":1,"target_modules":"all-linear","use_dora":true,"rank_pattern":{"x":3},"alpha_pattern":{"y":2}}`), "base_model.model.model.layers.1.mlp.up_proj.lora_magnitude_vector", 3, 1)
	f.Fuzz(func(t *testing.T, text []byte, name string, rows, cols int) {
		c, err := parseConfig(text)
		if err != nil || rows < 0 || cols < 0 || rows > 64 || cols > 64 {
			return
		}
		a, err := c.adapter([]safetensors.Tensor{{Name: name, Shape: []int{rows, cols}, Data: make([]float32, rows*cols)}})
		if err == nil {
			require.Positive(t, a.Rank)
		}
	})
}

// No flexora.json panics, and one that is taken names layers of the model.
func FuzzSidecar(f *testing.F) {
	dir := f.TempDir()
	set, err := selection.Rule{Name: "topk", Value: 2}.Select([]float64{0.5, -1, 0.2}, []int{10, 10, 10})
	require.NoError(f, err)
	require.NoError(f, WriteSidecar(dir, Sidecar{BaseModel: "b", BaseHash: "h", Layers: 3, Selection: set, Search: DefaultBilevel(), Seed: 42}))
	good, err := os.ReadFile(filepath.Join(dir, sidecarName))
	require.NoError(f, err)
	f.Add(good)
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := parseSidecar(text)
		if err != nil {
			return
		}
		require.NotEmpty(t, s.Selection.Layers)
		for _, l := range s.Selection.Layers {
			require.True(t, l >= 0 && l < s.Layers)
		}
	})
}
