package hub

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"flexi/core/device"
	"flexi/core/device/cpu"
	"flexi/core/model"
	"flexi/core/model/safetensors"
)

const sharedWeights = "../../../../shared/data/weights"

// Logits and losses of real checkpoints: tinystories-656k by transformers 5.23 (AutoModelForCausalLM, float32), stories260k by a float64 program of a few
// lines with llama2.c's formulas, neighbouring elements turned together.
func TestRealCheckpoints(t *testing.T) {
	ids := []int32{1, 403, 407, 261, 378, 35, 47, 112, 300, 511, 5, 96, 44, 230, 77, 18}
	for _, c := range []struct {
		path, copied string
		loss         float64
		last, fourth []float32 // logits 0 to 5 behind the last token, 100 to 105 behind the fourth
	}{
		{"tinystories-656k", "", 11.914015769958496, []float32{-4.05172, -1.60592, -6.04847, 2.48968, 5.51794, 6.37605}, []float32{7.02404, 0.97276, 5.778, 1.89137, 5.97841, 2.99059}},
		{"stories260k/stories260K.bin.gz", "", 18.521888369092753, []float32{-13.38831, 2.80777, -13.3885, -13.38944, -13.38834, -13.38859}, []float32{-6.71432, -6.71414, -6.71474, -6.71404, -6.71377, -6.71411}},
	} {
		t.Run(c.path, func(t *testing.T) {
			path := filepath.Join(sharedWeights, c.path)
			if _, err := os.Stat(path); err != nil {
				t.Skip("the shared data are not here")
			}
			net := load(t, path, model.Objective{Kind: model.CausalLM})
			b := model.Batch{B: 1, T: len(ids), IDs: ids, Segments: make([]int32, len(ids)), Lengths: []int32{int32(len(ids))}}
			for i, id := range ids[1:] {
				b.Picked, b.Labels = append(b.Picked, int32(i)), append(b.Labels, id)
			}
			loss, err := net.Loss(t.Context(), b)
			require.NoError(t, err)
			require.InDelta(t, c.loss, loss, 1e-4)
			b.Picked = []int32{int32(len(ids)) - 1, 3}
			logits, err := net.Predict(t.Context(), b)
			require.NoError(t, err)
			require.InDeltaSlice(t, c.last, logits[:6], 1e-3)
			require.InDeltaSlice(t, c.fourth, logits[len(logits)/2+100:][:6], 1e-3)
		})
	}
}

func load(t *testing.T, path string, o model.Objective) *model.Net {
	t.Helper()
	m, err := Open(path)
	require.NoError(t, err)
	dev, err := cpu.New(2, device.PrecisionF32)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, dev.Close()) })
	net, err := model.NewPretrained(dev, m.Model, o, nil, 1)
	require.NoError(t, err)
	t.Cleanup(net.Close)
	tensors, fresh, err := m.Weights(o)
	require.NoError(t, err)
	require.Empty(t, fresh)
	missing, unexpected, err := net.SetTensors(tensors)
	require.NoError(t, err)
	require.Empty(t, append(missing, unexpected...))
	return net
}

func configured(t *testing.T, config string) (*Model, error) {
	t.Helper()
	m := &Model{}
	return m, m.configure([]byte(config))
}

func TestConfigurations(t *testing.T) {
	const llama = `"vocab_size":32,"hidden_size":64,"intermediate_size":96,"num_hidden_layers":3,"num_attention_heads":8,"max_position_embeddings":128`
	m, err := configured(t, `{"model_type":"llama",`+llama+`,"num_key_value_heads":2,"rms_norm_eps":1e-5,"eos_token_id":[2,7],"bos_token_id":1,"rope_theta":500000,
		"rope_scaling":{"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4,"original_max_position_embeddings":8192}}`)
	require.NoError(t, err)
	require.Equal(t, model.Backbone{
		Family: model.Llama, Vocab: 32, Hidden: 64, Intermediate: 96, Layers: 3, Heads: 8, KVHeads: 2, HeadDim: 8, MaxPositions: 128, NormEps: 1e-5,
		Rope: model.Rope{Theta: 500000, Factor: 8, Low: 1, High: 4, Original: 8192},
	}, *m.Model.Backbone)
	require.Equal(t, []int{2, 7}, m.EOS)
	require.Equal(t, 1, m.BOS)
	require.Equal(t, -1, m.Pad)

	newer, err := configured(t, `{"model_type":"llama",`+llama+`,"num_key_value_heads":2,"rms_norm_eps":1e-5,"dtype":"bfloat16","head_dim":null,
		"rope_parameters":{"rope_type":"llama3","rope_theta":500000,"factor":8,"low_freq_factor":1,"high_freq_factor":4,"original_max_position_embeddings":8192}}`)
	require.NoError(t, err)
	require.Equal(t, m.Model, newer.Model, "names of transformers 5")

	m, err = configured(t, `{"model_type":"qwen2",`+llama+`,"tie_word_embeddings":true,"head_dim":16,"use_sliding_window":true,"sliding_window":32,"max_window_layers":2}`)
	require.NoError(t, err)
	b := m.Model.Backbone
	require.True(t, b.QKVBias && !b.OutputBias && b.Tied)
	require.Equal(t, []int{16, 32, 2, 8}, []int{b.HeadDim, b.Window, b.FullLayers, b.KVHeads})
	m, err = configured(t, `{"model_type":"mistral",`+llama+`,"sliding_window":null}`)
	require.NoError(t, err)
	require.Zero(t, m.Model.Backbone.Window)

	m, err = configured(t, `{"model_type":"roberta",`+llama+`,"type_vocab_size":1,"layer_norm_eps":1e-5,"classifier_dropout":null,"hidden_dropout_prob":0.2}`)
	require.NoError(t, err)
	require.Equal(t, 1, m.Model.Backbone.Pad)
	require.Equal(t, 0.2, m.Model.Backbone.ClassifierDropout)

	for want, config := range map[string]string{
		`model type "gpt2" is not supported`:   `{"model_type":"gpt2"}`,
		"the weights are quantised":            `{"model_type":"llama",` + llama + `,"quantization_config":{"bits":4}}`,
		"vocabulary: 0, must be at least 1":    `{"model_type":"llama"}`,
		`rope scaling "yarn" is not supported`: `{"model_type":"llama",` + llama + `,"rope_scaling":{"type":"yarn","factor":2}}`,
		`hidden_act "relu" is not supported`:   `{"model_type":"bert",` + llama + `,"hidden_act":"relu"}`,
		`"relative_key" is not supported`:      `{"model_type":"bert",` + llama + `,"position_embedding_type":"relative_key"}`,
		"cannot unmarshal":                     `{"model_type":"bert","vocab_size":"many"}`,
		"64 heads of 1 for a hidden size of 65": `{"model_type":"bert","vocab_size":3,"hidden_size":65,"intermediate_size":9,"num_hidden_layers":1,
			"num_attention_heads":64,"max_position_embeddings":8}`,
		"without model_dict": `{"model_type":"flexibert"}`,
	} {
		_, err := configured(t, config)
		require.ErrorContains(t, err, want)
	}
}

const bertConfig = `{"model_type":"bert","vocab_size":11,"hidden_size":8,"intermediate_size":12,"num_hidden_layers":2,"num_attention_heads":2,"max_position_embeddings":16}`

// bertFiles are the tensors of a small BERT with a masked-language head and random values.
func bertFiles(t *testing.T) []safetensors.Tensor {
	t.Helper()
	m, err := configured(t, bertConfig)
	require.NoError(t, err)
	var out []safetensors.Tensor
	for _, o := range []model.Objective{{Kind: model.MaskedLM}} {
		for i, x := range m.Model.Tensors(o) {
			n := 1
			for _, d := range x.Shape {
				n *= d
			}
			data := make([]float32, n)
			for k := range data {
				data[k] = float32(i) + float32(k)/100
			}
			out = append(out, safetensors.Tensor{Name: x.Name, Shape: x.Shape, Data: data})
		}
	}
	return out
}

func write(t *testing.T, path string, tensors []safetensors.Tensor) {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, safetensors.Write(&b, safetensors.File{Tensors: tensors}))
	if strings.HasSuffix(path, ".gz") {
		var z bytes.Buffer
		w := gzip.NewWriter(&z)
		_, err := w.Write(b.Bytes())
		require.NoError(t, err)
		require.NoError(t, w.Close())
		b = z
	}
	require.NoError(t, os.WriteFile(path, b.Bytes(), 0o600))
}

func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte(bertConfig), 0o600))
	return dir
}

var classify = model.Objective{Kind: model.Classify, Labels: 2}

func TestWeightsOfOldNamesBareNamesAndShards(t *testing.T) {
	all := bertFiles(t)
	dir := folder(t)
	write(t, filepath.Join(dir, "model.safetensors.gz"), all)
	plain, err := Open(dir)
	require.NoError(t, err)
	want, fresh, err := plain.Weights(classify)
	require.NoError(t, err)
	require.Equal(t, []string{"bert.pooler.dense.bias", "bert.pooler.dense.weight", "classifier.bias", "classifier.weight"}, fresh)
	hash, err := plain.Hash()
	require.NoError(t, err)
	require.Len(t, hash, 64)

	old := folder(t)
	index := map[string]string{}
	shards := [2][]safetensors.Tensor{}
	for i, x := range all {
		x.Name = strings.TrimPrefix(strings.NewReplacer("LayerNorm.weight", "LayerNorm.gamma", "LayerNorm.bias", "LayerNorm.beta").Replace(x.Name), "bert.")
		shards[i%2] = append(shards[i%2], x)
		index[x.Name] = fmt.Sprintf("model-%d.safetensors", i%2)
	}
	for i, s := range shards {
		write(t, filepath.Join(old, fmt.Sprintf("model-%d.safetensors", i)), s)
	}
	text, err := json.Marshal(map[string]any{"metadata": map[string]int{"total_size": 1}, "weight_map": index})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(old, "model.safetensors.index.json"), text, 0o600))
	m, err := Open(old)
	require.NoError(t, err)
	got, _, err := m.Weights(classify)
	require.NoError(t, err)
	require.ElementsMatch(t, want, got)

	require.NoError(t, os.Remove(filepath.Join(old, "model-1.safetensors")))
	_, err = Open(old)
	require.ErrorContains(t, err, "model-1.safetensors is missing")
	require.NoError(t, os.WriteFile(filepath.Join(old, "model.safetensors.index.json"), []byte(`{"weight_map":{"a":"../secret"}}`), 0o600))
	_, err = Open(old)
	require.ErrorContains(t, err, "which is not a file of the folder")
}

func TestWeightsThatDoNotFit(t *testing.T) {
	all := bertFiles(t)
	dir := folder(t)
	path := filepath.Join(dir, "model.safetensors")
	bad := append([]safetensors.Tensor(nil), all[1:]...)
	bad[0].Name = "bert.encoder.layer.9.output.dense.weight"
	bad[3] = safetensors.Tensor{Name: bad[3].Name, Shape: []int{4}, Data: make([]float32, 4)}
	write(t, path, bad)
	m, err := Open(dir)
	require.NoError(t, err)
	_, _, err = m.Weights(classify)
	require.EqualError(t, err, "the weights of "+dir+` do not fit its configuration:
  bert.embeddings.position_embeddings.weight: missing
  bert.embeddings.word_embeddings.weight: missing
  bert.embeddings.LayerNorm.bias: shape [4], the configuration says [8]
  bert.encoder.layer.9.output.dense.weight: the model has no such tensor`)

	write(t, path, all)
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, whole[:len(whole)-3], 0o600))
	_, _, err = m.Weights(classify)
	require.ErrorIs(t, err, safetensors.ErrFormat)

	_, err = Open(filepath.Join(dir, "nothing"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = Open(t.TempDir())
	require.ErrorContains(t, err, "no config.json")
	_, err = Open(folder(t))
	require.ErrorContains(t, err, "neither model.safetensors nor")
	torch := folder(t)
	require.NoError(t, os.WriteFile(filepath.Join(torch, "pytorch_model.bin"), []byte{1}, 0o600))
	_, err = Open(torch)
	require.ErrorContains(t, err, "convert it with transformers")
	_, err = Open(path)
	require.ErrorContains(t, err, "neither a model folder nor a llama2.c checkpoint")
}

// No file of llama2.c's that ends early, and no header, panics or allocates what is not there.
func FuzzLlama2c(f *testing.F) {
	f.Add([]byte{8, 0, 0, 0, 12, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 4, 0, 0, 0, 1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "m.bin")
		require.NoError(t, os.WriteFile(path, b, 0o600))
		if m, err := Open(path); err == nil && m.Model.Backbone.Layers < 100 {
			_, _, _ = m.Weights(model.Objective{Kind: model.CausalLM})
		}
	})
}

// No configuration panics, and one that is taken is valid.
func FuzzConfiguration(f *testing.F) {
	f.Add([]byte(bertConfig))
	f.Add([]byte(`{"model_type":"llama","vocab_size":32,"hidden_size":64,"intermediate_size":96,"num_hidden_layers":3,"num_attention_heads":8,"max_position_embeddings":8}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m := &Model{}
		if m.configure(b) == nil && m.Model.Backbone != nil {
			require.NoError(t, m.Model.Backbone.Validate())
		}
	})
}
