// Package finetunetest makes pretrained models and tasks that are small enough to fine-tune within a test.
package finetunetest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"flexi/core/model"
	"flexi/core/model/hub"
	"flexi/core/model/safetensors"
)

// Words make the sentences of the test task: the first half means label 0, the other 1.
var Words = strings.Fields("bad dull poor weak cold good fine rich warm bright")

// WriteFolder makes a model of random weights, a tokenizer, and a task whose label the Words tell.
func WriteFolder(t testing.TB, config string, o model.Objective, change func([]safetensors.Tensor)) (folder, data string) {
	t.Helper()
	folder, data = t.TempDir(), t.TempDir()
	file := func(dir, name, content string) {
		require.NoError(t, os.MkdirAll(filepath.Join(data, "glue", "SST-2"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	file(folder, "config.json", config)
	file(folder, "vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"+strings.Join(Words, "\n"))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "model.safetensors"), nil, 0o600))
	m, err := hub.Open(folder)
	require.NoError(t, err)
	r := rand.New(rand.NewPCG(4, 4))
	var f safetensors.File
	for _, x := range m.Model.Tensors(o) {
		n := 1
		for _, d := range x.Shape {
			n *= d
		}
		values := make([]float32, n)
		for i := range values {
			values[i] = float32(0.2 * r.NormFloat64())
			if strings.Contains(x.Name, "LayerNorm.weight") || strings.Contains(x.Name, "norm") {
				values[i]++
			}
		}
		if !x.Head {
			f.Tensors = append(f.Tensors, safetensors.Tensor{Name: x.Name, Shape: x.Shape, Data: values})
		}
	}
	if change != nil {
		change(f.Tensors)
	}
	w, err := os.Create(filepath.Join(folder, "model.safetensors"))
	require.NoError(t, err)
	require.NoError(t, safetensors.Write(w, f))
	require.NoError(t, w.Close())
	for part, n := range map[string]int{"train": 60, "dev": 20} {
		rows := "sentence\tlabel\n"
		for i := range n {
			label := i % 2
			var s []string
			for range 3 + r.IntN(4) {
				s = append(s, Words[label*5+r.IntN(5)])
			}
			rows += fmt.Sprintf("%s\t%d\n", strings.Join(s, " "), label)
		}
		file(filepath.Join(data, "glue", "SST-2"), part+".tsv", rows)
	}
	return folder, data
}

// TinyBERT is the configuration of an encoder of four layers.
const TinyBERT = `{"model_type":"bert","vocab_size":15,"hidden_size":16,"intermediate_size":24,"num_hidden_layers":4,"num_attention_heads":2,
	"max_position_embeddings":32}`
