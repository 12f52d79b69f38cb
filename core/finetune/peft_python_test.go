package finetune

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"flexi/core/model/safetensors"
)

// TestRealPEFT runs testdata/peft_check.py: PEFT loads what flexi wrote, and flexi reads what PEFT wrote, for every family, with LoRA, rsLoRA, DoRA
// and ranks of their own. The logits of the adapted model must be those of the merged weights, to 1e-4.
func TestRealPEFT(t *testing.T) {
	python := pythonWithPEFT(t)
	dir := t.TempDir()
	script := func(command string) string {
		cmd := exec.Command(python, filepath.Join("testdata", "peft_check.py"), command, dir)
		cmd.Env = append(os.Environ(), "HF_HUB_OFFLINE=1", "OMP_NUM_THREADS=1")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		return string(out)
	}
	script("make")
	families, err := os.ReadDir(dir)
	require.NoError(t, err)
	adapters := 0
	for _, f := range families {
		folder := filepath.Join(dir, f.Name())
		model := readLinears(t, folder)
		for _, name := range append(peftWritten(t, folder), flexiWritten(t, folder, model)...) {
			a, err := ReadAdapter(filepath.Join(folder, name))
			require.NoError(t, err)
			require.NoError(t, a.Fits(model))
			mergeInto(t, folder, name, a)
			adapters++
		}
	}
	require.Equal(t, 6*4+5*5+4, adapters, "the backbone has no style of layers")
	report := script("check")
	require.Equal(t, adapters, strings.Count(report, "ok  "), report)
	t.Log("\n" + report)
}

// pythonWithPEFT is a Python that has everything the script needs; without one the test is skipped, and says what is missing.
func pythonWithPEFT(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("takes half a minute of Python")
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("needs python3 with torch, transformers and peft: no python3 on the path")
	}
	if out, err := exec.Command(python, "-c", "import torch, transformers, peft, safetensors").CombinedOutput(); err != nil {
		said := strings.Split(strings.TrimSpace(string(out)), "\n")
		t.Skipf("needs python3 with torch, transformers and peft (pip install torch transformers peft): %s", said[len(said)-1])
	}
	return python
}

func readLinears(t *testing.T, folder string) []Linear {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(folder, "linears.json"))
	require.NoError(t, err)
	var raw []struct {
		Name string
		Out  int
		Into int
	}
	require.NoError(t, json.Unmarshal(b, &raw))
	var out []Linear
	for _, l := range raw {
		out = append(out, Linear{l.Name, l.Out, l.Into})
	}
	return out
}

func peftWritten(t *testing.T, folder string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(folder, "peft-*"))
	require.NoError(t, err)
	for i, p := range paths {
		paths[i] = filepath.Base(p)
	}
	return paths
}

// flexiWritten exports adapters of random values on layers 1 and 11, in both styles where the model allows it.
func flexiWritten(t *testing.T, folder string, model []Linear) []string {
	t.Helper()
	var names []string
	for i, v := range []struct {
		name  string
		style AdapterStyle
		make  func(a *Adapter)
	}{
		{"layers", LayerStyle, func(*Adapter) {}},
		{"modules", ModuleStyle, func(*Adapter) {}},
		{"rslora", ModuleStyle, func(a *Adapter) { a.RSLoRA = true }},
		{"dora", ModuleStyle, func(a *Adapter) { a.DoRA = true }},
		{"ranks", ModuleStyle, func(a *Adapter) { a.Modules[0].Rank, a.Modules[0].Alpha, a.Modules[3].Alpha = 5, 3, 11 }},
	} {
		if v.style == LayerStyle && strings.HasSuffix(folder, "backbone") {
			continue
		}
		a := adapterFor(t, folder, model)
		v.make(&a)
		randomise(rand.New(rand.NewPCG(uint64(i), 3)), &a)
		path := filepath.Join(folder, "flexi-"+v.name)
		require.NoError(t, WriteAdapter(path, a, model, v.style))
		back, err := ReadAdapter(path)
		require.NoError(t, err)
		slices.SortFunc(a.Head, func(x, y safetensors.Tensor) int { return strings.Compare(x.Name, y.Name) })
		require.Equal(t, a, back)
		names = append(names, "flexi-"+v.name)
	}
	return names
}

// adapterFor adapts the query and value modules of layers 1 and 11, and the head of a classifier.
func adapterFor(t *testing.T, folder string, model []Linear) Adapter {
	t.Helper()
	a := Adapter{BaseModel: filepath.Join(folder, "base"), Rank: 4, Alpha: 8, Task: "CAUSAL_LM"}
	if strings.HasSuffix(folder, "backbone") {
		a.Task = "FEATURE_EXTRACTION"
	}
	for _, l := range model {
		_, _, layer, rest, err := layerPath(l.Name)
		last := rest[strings.LastIndex(rest, ".")+1:]
		if err == nil && (layer == 1 || layer == 11) && slices.Contains([]string{"q_proj", "v_proj", "query", "value"}, last) {
			a.Modules = append(a.Modules, AdapterModule{Name: l.Name, In: l.In, Out: l.Out, Rank: a.Rank, Alpha: a.Alpha})
		}
		if strings.HasPrefix(l.Name, "classifier") {
			a.Task = "SEQ_CLS"
			a.Head = append(a.Head, safetensors.Tensor{Name: l.Name + ".weight", Shape: []int{l.Out, l.In}},
				safetensors.Tensor{Name: l.Name + ".bias", Shape: []int{l.Out}})
		}
	}
	require.Len(t, a.Modules, 4)
	return a
}

func randomise(rng *rand.Rand, a *Adapter) {
	fill := func(n int, mean, scale float32) []float32 {
		out := make([]float32, n)
		for i := range out {
			out[i] = mean + scale*float32(rng.NormFloat64())
		}
		return out
	}
	for i := range a.Modules {
		m := &a.Modules[i]
		m.A, m.B = fill(m.Rank*m.In, 0, 0.2), fill(m.Out*m.Rank, 0, 0.2)
		if a.DoRA {
			m.Magnitude = fill(m.Out, 1.5, 0.2)
		}
	}
	for i := range a.Head {
		t := &a.Head[i]
		n := 1
		for _, d := range t.Shape {
			n *= d
		}
		t.Data = fill(n, 0, 0.3)
	}
}

// mergeInto writes the base model's weights with the adapter merged, and its head, beside the adapter.
func mergeInto(t *testing.T, folder, name string, a Adapter) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(folder, "base", "model.safetensors"))
	require.NoError(t, err)
	file, err := safetensors.Read(bytes.NewReader(b))
	require.NoError(t, err)
	find := func(name string) []float32 {
		i := slices.IndexFunc(file.Tensors, func(t safetensors.Tensor) bool { return t.Name == name })
		require.GreaterOrEqual(t, i, 0, name)
		return file.Tensors[i].Data
	}
	for _, m := range a.Modules {
		require.NoError(t, a.Merge(find(m.Name+".weight"), m))
	}
	for _, h := range a.Head {
		copy(find(h.Name), h.Data)
	}
	require.NoError(t, writeWholeFile(filepath.Join(folder, name+".merged.safetensors"), file))
}

func writeWholeFile(path string, file safetensors.File) error {
	var b bytes.Buffer
	if err := safetensors.Write(&b, file); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o600)
}
