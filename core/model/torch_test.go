package model

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// peerVocab is small, so that the decoder does not drown the rest of the model.
const peerVocab = 97

// peerDriver imports the peer once and dumps every case given as [model, batch, seq, file].
const peerDriver = `
import json, sys
sys.path.insert(0, sys.argv[1])
cases, vocab = json.loads(sys.argv[2]), sys.argv[3]
import torch_flexibert as peer
for model, batch, seq, out in cases:
    sys.argv = ['peer', 'dump', '--model', model, '--vocab', vocab, '--batch', str(batch), '--seq', str(seq), '--threads', '2', '--out', out]
    peer.main()
`

// One step of every model agrees with PyTorch (shared/bench/torch_flexibert.py): logits, loss and every gradient, in the norm
// max|difference| / max|value| of each tensor.
func TestStepAgainstTorch(t *testing.T) {
	testAgainstPeer(t, []string{"bert-tiny", "bert-mini", "flexibert-mini", "conv-mini", "fourier-mini", "wma-mini"})
}

func testAgainstPeer(t *testing.T, models []string) {
	python := peerPython(t)
	folder := t.TempDir()
	sizes := [][2]int{{2, 32}, {3, 37}}
	var cases [][]any
	file := func(model string, size [2]int) string {
		return filepath.Join(folder, fmt.Sprintf("%s-%dx%d.npz", model, size[0], size[1]))
	}
	for _, m := range models {
		for _, s := range sizes {
			cases = append(cases, []any{m, s[0], s[1], file(m, s)})
		}
	}
	text, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python, "-c", peerDriver, peerFolder(t), string(text), fmt.Sprint(peerVocab))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("run the PyTorch peer: %v\n%s", err, out)
	}
	for _, m := range models {
		for _, s := range sizes {
			t.Run(fmt.Sprintf("%s %dx%d", m, s[0], s[1]), func(t *testing.T) { compareStep(t, m, s, file(m, s)) })
		}
	}
}

// peerFolder is shared/bench beside the repository.
func peerFolder(t *testing.T) string {
	t.Helper()
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			break
		}
		if folder == filepath.Dir(folder) {
			t.Fatal("no go.mod above the test")
		}
		folder = filepath.Dir(folder)
	}
	bench := filepath.Join(folder, "..", "shared", "bench")
	if _, err := os.Stat(filepath.Join(bench, "torch_flexibert.py")); err != nil {
		t.Skipf("the PyTorch peer is not there: %v", err)
	}
	return bench
}

func peerPython(t *testing.T) string {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed")
	}
	if out, err := exec.CommandContext(t.Context(), python, "-c", "import importlib.util, sys; sys.exit(importlib.util.find_spec('torch') is None)").CombinedOutput(); err != nil {
		t.Skipf("python3 has no torch: %v %s", err, out)
	}
	return python
}

func compareStep(t *testing.T, name string, s [2]int, file string) {
	arrays, err := readNPZ(file)
	if err != nil {
		t.Fatal(err)
	}
	arch, err := Reference(name)
	if err != nil {
		t.Fatal(err)
	}
	c := DefaultConfig(peerVocab)
	c.Dropout = 0
	n, err := NewNet(newDevice(t, 2), arch, c, Objective{Kind: MaskedLM}, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	grads := loadPeer(t, n, arrays)

	b := Batch{
		B: s[0], T: s[1], IDs: integers(arrays["ids"].values), Segments: make([]int32, s[0]*s[1]),
		Lengths: slices.Repeat([]int32{int32(s[1])}, s[0]), Picked: integers(arrays["picked"].values), Labels: integers(arrays["labels"].values),
	}
	logits, err := n.Predict(context.Background(), b)
	if err != nil {
		t.Fatal(err)
	}
	if d := relative(logits, arrays["logits"].values); d > 1e-4 {
		t.Errorf("logits differ by %.2g of the largest", d)
	}
	loss, err := n.Gradients(context.Background(), b, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if want := arrays["loss"].values[0]; math.Abs(loss-want) > 1e-4*want {
		t.Errorf("loss %v, PyTorch has %v", loss, want)
	}
	compareGradients(t, exportedGradients(n), grads)
}

// loadPeer gives the net the peer's weights and returns the peer's gradients under our names.
func loadPeer(t *testing.T, n *Net, arrays map[string]npy) map[string][]float64 {
	t.Helper()
	grads := map[string][]float64{}
	var weights []NamedTensor
	own := map[string][]int{}
	for _, w := range n.Tensors() {
		own[w.Name] = w.Shape
	}
	for key, a := range arrays {
		name, isWeight := strings.CutPrefix(key, "weight/")
		if !isWeight {
			continue
		}
		ours := ourName(name)
		shape, ok := own[ours]
		if !ok {
			if strings.Contains(ours, "attention.key") {
				continue // unused keys of a linear-transform layer
			}
			t.Fatalf("%s (%s) is not a parameter of ours", name, ours)
		}
		data := make([]float32, len(a.values))
		for i, v := range a.values {
			data[i] = float32(v)
		}
		weights = append(weights, NamedTensor{Name: ours, Shape: shape, Data: data})
		grads[ours] = arrays["grad/"+name].values
	}
	if missing, unexpected, err := n.SetTensors(weights); err != nil || len(missing)+len(unexpected) > 0 {
		t.Fatalf("the peer's weights do not fit: missing %v, unexpected %v, %v", missing, unexpected, err)
	}
	return grads
}

// Tensors whose gradient is zero in exact arithmetic: a bias of the keys shifts all scores of a query alike, and softmax does not see it.
var zeroGradient = regexp.MustCompile(`attention\.key\.bias$`)

func compareGradients(t *testing.T, got map[string][]float32, want map[string][]float64) {
	t.Helper()
	var largest, worst float64
	for _, g := range want {
		for _, v := range g {
			largest = max(largest, math.Abs(v))
		}
	}
	worstName := ""
	for name, w := range want {
		g := got[name]
		if zeroGradient.MatchString(name) {
			if m := maxAbs(g); m > 1e-6*largest {
				t.Errorf("%s: gradient up to %.2g, want 0", name, m)
			}
			continue
		}
		d := relative(g, w)
		if d > worst {
			worst, worstName = d, name
		}
		if d > 1e-4 {
			t.Errorf("%s: gradients differ by %.2g of the largest", name, d)
		}
	}
	t.Logf("%d tensors, worst difference %.2g in %s", len(want), worst, worstName)
}

var peerNames = []struct{ theirs, ours string }{
	{`^tok\.weight$`, WordEmbedding},
	{`^seg\.weight$`, typeEmbedding},
	{`^norm\.`, embeddingNorm + "."},
	{`^transform\.`, mlmTransform + "."},
	{`^tnorm\.`, mlmNorm + "."},
	{`^decoder\.`, mlmDecoder + "."},
	{`^layers\.(\d+)\.op\.rel\.table$`, layerPrefix + "$1." + positionTable},
	{`^layers\.(\d+)\.op\.wma$`, layerPrefix + "$1." + bilinearMatrix},
	{`^layers\.(\d+)\.op\.out\.`, layerPrefix + "$1." + attentionOutput + "."},
	{`^layers\.(\d+)\.op\.norm\.`, layerPrefix + "$1." + attentionNorm + "."},
	{`^layers\.(\d+)\.op\.`, layerPrefix + "$1.attention."},
	{`^layers\.(\d+)\.ff\.(\d+)\.`, layerPrefix + "$1.intermediate.$2.dense."},
	{`^layers\.(\d+)\.ff_out\.`, layerPrefix + "$1." + stackOutput + "."},
	{`^layers\.(\d+)\.norm\.`, layerPrefix + "$1." + stackNorm + "."},
	{`^layers\.(\d+)\.project\.`, layerPrefix + "$1." + toNextLayer + "."},
}

func ourName(name string) string {
	for _, p := range peerNames {
		re := regexp.MustCompile(p.theirs)
		if re.MatchString(name) {
			return re.ReplaceAllString(name, strings.ReplaceAll(p.ours, "$1.", "${1}."))
		}
	}
	return name
}

func integers(values []float64) []int32 {
	out := make([]int32, len(values))
	for i, v := range values {
		out[i] = int32(v)
	}
	return out
}
