package finetune

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"flexi/core/finetune/finetunetest"
	"flexi/core/model"
	"flexi/core/model/safetensors"
	"flexi/core/run"
	"flexi/core/text"
)

const tinyLlama = `{"model_type":"llama","vocab_size":257,"hidden_size":16,"intermediate_size":24,"num_hidden_layers":3,"num_attention_heads":4,
	"num_key_value_heads":2,"max_position_embeddings":64,"eos_token_id":256,"tie_word_embeddings":true}`

// llamaRun is a run on text with a decoder of bytes.
func llamaRun(t *testing.T, change func(*Config)) run.Run {
	t.Helper()
	folder, data := finetunetest.WriteFolder(t, tinyLlama, model.Objective{Kind: model.CausalLM}, nil)
	require.NoError(t, os.Remove(filepath.Join(folder, "vocab.txt")))
	vocab := map[string]int{"<|endoftext|>": 256}
	id := 0
	add := func(lo, hi rune) {
		for c := lo; c <= hi; c++ {
			vocab[string(c)] = id
			id++
		}
	}
	add('!', '~')
	add('¡', '¬')
	add('®', 'ÿ')
	add(256, 256+67)
	require.Equal(t, 256, id, "every byte has a character")
	table, err := json.Marshal(vocab)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "vocab.json"), table, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "merges.txt"), []byte("#version: 0.2\n"), 0o600))
	var stories strings.Builder
	for i := range 60 {
		fmt.Fprintf(&stories, "the %s %s and the %s one\n<|endoftext|>\n", finetunetest.Words[i%5], finetunetest.Words[5+i%5], finetunetest.Words[(i+3)%10])
	}
	require.NoError(t, os.MkdirAll(filepath.Join(data, "lm", "own"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(data, "lm", "own", "text.txt"), []byte(stories.String()), 0o600))
	return tinyRun(t, folder, data, func(c *Config) {
		c.Task, c.Data.Corpora, c.MaxSeq, c.Search.Held = LanguageModelling, []string{"lm/own"}, 32, 8
		c.Selectors = []string{SelectFlexora, SelectAdaLoRA}
		if change != nil {
			change(c)
		}
	})
}

// Every exported adapter, and every merged model, computes what the trial's own weights do: the export compares them itself.
func TestExport(t *testing.T) {
	folder, data := finetunetest.WriteFolder(t, finetunetest.TinyBERT, model.Objective{Kind: model.Classify, Labels: 2}, func(all []safetensors.Tensor) {})
	for name, r := range map[string]run.Run{
		"bert":  tinyRun(t, folder, data, func(c *Config) { c.Selectors = []string{SelectFlexora, SelectAdaLoRA, SelectFull} }),
		"dora":  tinyRun(t, folder, data, func(c *Config) { c.Selectors, c.LoRA.DoRA, c.LoRA.RSLoRA = []string{SelectAll}, true, true }),
		"llama": llamaRun(t, nil),
	} {
		t.Run(name, func(t *testing.T) {
			trials, weights := trainRun(t, r)
			for i, tr := range trials {
				for _, style := range []AdapterStyle{LayerStyle, ModuleStyle} {
					dir := t.TempDir()
					err := ExportPEFT(t.Context(), r, nil, bytes.NewReader(weights[i]), dir, style)
					if tr.Title == SelectFull {
						require.ErrorContains(t, err, "--format merged")
						continue
					}
					if tr.Title == SelectAdaLoRA && style == LayerStyle && err != nil {
						require.ErrorContains(t, err, "style")
						continue
					}
					require.NoError(t, err)
					if tr.Title == SelectFlexora {
						s, err := ReadSidecar(dir)
						require.NoError(t, err)
						require.NotEmpty(t, s.Data)
					}
					if i == 0 && style == LayerStyle {
						inPEFT(t, r, weights[i], dir)
					}
				}
				require.NoError(t, ExportMerged(t.Context(), r, bytes.NewReader(weights[i]), t.TempDir()))
			}
		})
	}
}

// inPEFT compares the logits of the real PEFT with ours, where Python has it.
func inPEFT(t *testing.T, r run.Run, weights []byte, dir string) {
	t.Helper()
	if testing.Short() {
		return
	}
	python, err := exec.LookPath("python3")
	if err != nil || exec.Command(python, "-c", "import peft, transformers").Run() != nil {
		t.Log("not compared with PEFT: python3 has none")
		return
	}
	rows := [][]int32{{2, 5, 7, 9, 11, 3}, {2, 6, 8, 3}}
	ids, err := json.Marshal(rows)
	require.NoError(t, err)
	cmd := exec.Command(python, "../../scripts/peft_logits.py", dir, string(ids))
	cmd.Env = append(os.Environ(), "HF_HUB_OFFLINE=1", "OMP_NUM_THREADS=1")
	out, err := cmd.Output()
	require.NoError(t, err)
	line := out[bytes.IndexByte(out, '['):]

	x, err := openFinished(r, bytes.NewReader(weights))
	require.NoError(t, err)
	net, err := x.openNet()
	require.NoError(t, err)
	defer net.close()
	b := model.Batch{B: 2, T: 6, Segments: make([]int32, 12), Lengths: []int32{6, 4}, IDs: []int32{2, 5, 7, 9, 11, 3, 2, 6, 8, 3, 0, 0}}
	b.Picked = []int32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	got, err := net.Predict(t.Context(), b)
	require.NoError(t, err)
	var want []float32
	if x.info.Head == model.CausalLM {
		var logits [][][]float32
		require.NoError(t, json.Unmarshal(line, &logits))
		for i, row := range logits {
			for j, position := range row {
				if j < len(rows[i]) {
					want = append(want, position...)
				}
			}
		}
	} else {
		var logits [][]float32
		require.NoError(t, json.Unmarshal(line, &logits))
		for _, row := range logits {
			want = append(want, row...)
		}
	}
	require.InDeltaSlice(t, want, got, 1e-4)
}

// Tuning a decoder lowers its held-back loss, the more the more is trained.
func TestDecoderRun(t *testing.T) {
	r := llamaRun(t, func(c *Config) {
		c.Selectors, c.Tune.Epochs, c.Tune.FullLR, c.LoRA.Targets = []string{SelectAll, SelectFull}, 6, 5e-3, []string{model.AllLinear}
	})
	var c Config
	require.NoError(t, json.Unmarshal(r.Config, &c))
	trials, weights := trainRun(t, r)
	x, err := openFinished(r, bytes.NewReader(weights[0]))
	require.NoError(t, err)
	task, err := readExamples(c, x.base, byteTokenizer(t, c.Model), 1, func(string) {})
	require.NoError(t, err)
	e, err := task.divide(1)
	require.NoError(t, err)
	x.tensors, x.info.Ranks = nil, map[string]int{}
	net, err := x.openNet()
	require.NoError(t, err)
	defer net.close()
	_, before, err := e.score(t.Context(), net)
	require.NoError(t, err)
	require.Less(t, *trials[0].Score, before-0.1, "adapters")
	require.Less(t, *trials[1].Score, before-0.1, "all weights")
}

func byteTokenizer(t *testing.T, folder string) text.Tokenizer {
	t.Helper()
	tok, err := text.LoadTokenizer(folder)
	require.NoError(t, err)
	return tok
}
