package model

import (
	"context"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"flexi/core/device"
)

func TestFlatLayout(t *testing.T) {
	n := newSmallNet(t, 1, smallModels[7].arch, Objective{Kind: MaskedLM}, smallConfig(false))
	values, grads, decayed := n.Flat()
	if values.Len != grads.Len {
		t.Fatalf("%d values, %d gradients", values.Len, grads.Len)
	}
	covered := make([]bool, values.Len)
	for _, p := range n.Params() {
		if matrix := len(p.Shape) == 2; p.Decay != matrix || p.Decay != (p.Value.Off < decayed) {
			t.Errorf("%s %v: decay %v at %d, decayed %d", p.Name, p.Shape, p.Decay, p.Value.Off, decayed)
		}
		if p.Value.Off%flatAlignment != 0 || p.Grad.Off-grads.Off != p.Value.Off-values.Off || p.Value.Len != product(p.Shape) {
			t.Errorf("%s: value at %d, gradient at %d, %d elements", p.Name, p.Value.Off, p.Grad.Off-grads.Off, p.Value.Len)
		}
		for i := range p.Value.Len {
			if covered[p.Value.Off+i] {
				t.Fatalf("%s overlaps another parameter", p.Name)
			}
			covered[p.Value.Off+i] = true
		}
	}
	randomWeights(t, n, 1)
	if _, err := n.Gradients(context.Background(), randomBatch(n.config, n.objective, 2, 5, 1), 1, 1); err != nil {
		t.Fatal(err)
	}
	v, g := download(n, values), download(n, grads)
	for i, c := range covered {
		if !c && (v[i] != 0 || g[i] != 0) {
			t.Fatalf("gap at %d holds value %v, gradient %v", i, v[i], g[i])
		}
	}
}

// Initial values have the spreads of section 2.1, and depend on seed and tensor name alone.
func TestInitialValues(t *testing.T) {
	dev := newDevice(t, 1)
	a := mustArch(t, `{"l":2,"o":["c","sa"],"h":[64,64],"n":[2,2],"f":[[128],[128]],"p":[5,"wma"]}`)
	n, err := NewNet(dev, a, smallConfig(false), Objective{Kind: MaskedLM}, 9)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	for _, w := range n.Tensors() {
		var sum, squares, top float64
		for _, v := range w.Data {
			sum += float64(v)
			squares += float64(v) * float64(v)
			top = max(top, math.Abs(float64(v)))
		}
		count := float64(len(w.Data))
		mean, deviation := sum/count, math.Sqrt(squares/count)
		switch {
		case strings.HasSuffix(w.Name, "LayerNorm.weight"):
			if mean != 1 || top != 1 {
				t.Errorf("%s: mean %v, largest %v; want 1", w.Name, mean, top)
			}
		case strings.HasSuffix(w.Name, bilinearMatrix):
			if top > 0.1 || math.Abs(deviation-0.1/math.Sqrt(3)) > 0.004 {
				t.Errorf("%s: largest %v, deviation %v; want uniform up to 0.1", w.Name, top, deviation)
			}
		case len(w.Shape) == 1:
			if top != 0 {
				t.Errorf("%s: largest %v, want 0", w.Name, top)
			}
		default:
			// Five standard errors of mean and deviation.
			if math.Abs(mean) > 5*0.02/math.Sqrt(count) || math.Abs(deviation-0.02) > 5*0.02/math.Sqrt(2*count) {
				t.Errorf("%s: mean %v, deviation %v; want 0 and 0.02", w.Name, mean, deviation)
			}
		}
	}
	other, err := NewNet(dev, Arch{Layers: a.Layers[:1]}, smallConfig(false), Objective{Kind: Classify, Labels: 2}, 9)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	own := tensorsByName(n)
	for _, w := range other.Tensors() {
		if mine, ok := own[w.Name]; ok && !reflect.DeepEqual(mine, w) {
			t.Errorf("%s depends on the rest of the model", w.Name)
		}
	}
}

func tensorsByName(n *Net) map[string]NamedTensor {
	out := map[string]NamedTensor{}
	for _, w := range n.Tensors() {
		out[w.Name] = w
	}
	return out
}

func TestSetTensors(t *testing.T) {
	n := newSmallNet(t, 1, smallModels[5].arch, Objective{Kind: MaskedLM}, smallConfig(false))
	randomWeights(t, n, 1)
	before := tensorsByName(n)
	query, key := layerName(0, "attention.query.weight"), layerName(0, "attention.key.weight")
	changed := slices.Repeat([]float32{7}, len(before[key].Data))
	missing, unexpected, err := n.SetTensors([]NamedTensor{{key, before[key].Shape, changed}, {"pooler.dense.weight", []int{1}, []float32{1}}})
	if err != nil {
		t.Fatal(err)
	}
	if len(missing) != len(before)-1 || slices.Contains(missing, key) || !slices.Equal(unexpected, []string{"pooler.dense.weight"}) {
		t.Errorf("missing %v, unexpected %v", missing, unexpected)
	}
	after := tensorsByName(n)
	if !slices.Equal(after[key].Data, changed) || !slices.Equal(after[query].Data, before[query].Data) {
		t.Error("the key matrix was not set, or the query matrix was")
	}
	_, _, err = n.SetTensors([]NamedTensor{{query, before[query].Shape, make([]float32, len(changed))}, {key, []int{1, 1}, []float32{1}}})
	if err == nil || !strings.Contains(err.Error(), key) {
		t.Errorf("wrong shape: error %v", err)
	}
	if got := tensorsByName(n)[query]; !slices.Equal(got.Data, before[query].Data) {
		t.Error("a refused import changed another tensor")
	}
}

// Every name in files starts with one of the documented prefixes, is unique, and layer names split.
func TestNames(t *testing.T) {
	for _, m := range smallModels {
		n := newSmallNet(t, 1, m.arch, m.goal, smallConfig(false))
		seen := map[string]bool{}
		for _, w := range n.Tensors() {
			if seen[w.Name] {
				t.Errorf("%s: %s appears twice", m.name, w.Name)
			}
			seen[w.Name] = true
			j, rest, isLayer := splitLayerName(w.Name)
			if isLayer && layerName(j, rest) != w.Name {
				t.Errorf("%s splits into %d and %s", w.Name, j, rest)
			}
			head := slices.ContainsFunc([]string{"cls.predictions.", "pooler.", "classifier."}, func(p string) bool { return strings.HasPrefix(w.Name, p) })
			if head == IsEncoder(w.Name) || (isLayer && head) {
				t.Errorf("%s: head %v, encoder %v, layer %v", w.Name, head, IsEncoder(w.Name), isLayer)
			}
		}
	}
	for _, name := range []string{"encoder.layer.x.output.dense.weight", "encoder.layer.3", "embeddings.LayerNorm.bias"} {
		if _, _, isLayer := splitLayerName(name); isLayer {
			t.Errorf("%s is taken for a layer's tensor", name)
		}
	}
}

func TestSwitchObjectiveKeepsTheEncoder(t *testing.T) {
	n := newSmallNet(t, 1, smallModels[6].arch, Objective{Kind: MaskedLM}, smallConfig(false))
	randomWeights(t, n, 1)
	m, err := n.SwitchObjective(Objective{Kind: Classify, Labels: 4}, 5)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	before := tensorsByName(n)
	encoder := 0
	for _, w := range m.Tensors() {
		old, ok := before[w.Name]
		if IsEncoder(w.Name) {
			encoder++
			if !reflect.DeepEqual(old, w) {
				t.Errorf("%s changed", w.Name)
			}
		} else if ok {
			t.Errorf("%s is in both heads", w.Name)
		}
	}
	if encoder == 0 {
		t.Error("no encoder tensors")
	}
	if out := predict(t, m, randomBatch(m.config, m.objective, 2, 5, 1)); len(out) != 8 {
		t.Errorf("%d outputs, want 2×4", len(out))
	}
}

func TestFirstNonFiniteNamesThePlace(t *testing.T) {
	n := newSmallNet(t, 1, smallModels[0].arch, smallModels[0].goal, smallConfig(false))
	randomWeights(t, n, 1)
	b := randomBatch(n.config, n.objective, 2, 5, 1)
	find := func() string {
		where, err := n.FirstNonFinite(context.Background(), b)
		if err != nil {
			t.Fatal(err)
		}
		return where
	}
	if where := find(); where != "" {
		t.Errorf("%q in a finite model", where)
	}
	// Finite weights whose product overflows.
	name := layerName(1, "intermediate.0.dense.weight")
	w := tensorsByName(n)[name]
	for i := range w.Data {
		w.Data[i] = 3e38 // for some units; the others would overflow to -Inf, which GELU turns into 0
		if i/w.Shape[1]%2 == 1 {
			w.Data[i] = -3e38
		}
	}
	if _, _, err := n.SetTensors([]NamedTensor{w}); err != nil {
		t.Fatal(err)
	}
	if where := find(); where != "layer 2 feed-forward: linear gelu" {
		t.Errorf("overflow found in %q", where)
	}
	w.Data[3] = float32(math.NaN())
	if _, _, err := n.SetTensors([]NamedTensor{w}); err != nil {
		t.Fatal(err)
	}
	if where := find(); where != "parameter "+name {
		t.Errorf("NaN found in %q", where)
	}
}

func TestBatchErrors(t *testing.T) {
	masked := newSmallNet(t, 1, smallModels[0].arch, Objective{Kind: MaskedLM}, smallConfig(false))
	classify := newSmallNet(t, 1, smallModels[0].arch, Objective{Kind: Classify, Labels: 3}, smallConfig(false))
	regress := newSmallNet(t, 1, smallModels[0].arch, Objective{Kind: Regress}, smallConfig(false))
	tests := []struct {
		net    *Net
		change func(b *Batch)
		want   string
	}{
		{masked, func(b *Batch) { b.IDs[3] = 19 }, "token id 19 at 3: it must be from 0 to 18"},
		{masked, func(b *Batch) { b.IDs = b.IDs[1:] }, "9 values of token id: 10 are needed"},
		{masked, func(b *Batch) { b.Segments[0] = 2 }, "segment 2 at 0"},
		{masked, func(b *Batch) { b.Lengths[1] = 6 }, "length 6 at 1: it must be from 1 to 5"},
		{masked, func(b *Batch) { b.Lengths[1] = 0 }, "length 0 at 1"},
		{masked, func(b *Batch) { b.Picked[0] = 10 }, "picked position 10 at 0"},
		{masked, func(b *Batch) { b.Picked = nil }, "without picked positions"},
		{masked, func(b *Batch) { b.Labels[0] = -2 }, "label -2 at 0"},
		{masked, func(b *Batch) { b.T = 17 }, "17 positions: the model has 16"},
		{masked, func(b *Batch) { b.B = 0 }, "batch of 0 rows"},
		{classify, func(b *Batch) { b.Labels[1] = 3 }, "label 3 at 1: it must be from -1 to 2"},
		{regress, func(b *Batch) { b.Targets = nil }, "0 targets: 2 are needed"},
	}
	for _, c := range tests {
		b := randomBatch(c.net.config, c.net.objective, 2, 5, 1)
		if _, err := c.net.Loss(context.Background(), b); err != nil {
			t.Fatal(err)
		}
		c.change(&b)
		if _, err := c.net.Gradients(context.Background(), b, 1, 1); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q in it", err, c.want)
		}
	}
}

func TestNewNetErrors(t *testing.T) {
	dev := newDevice(t, 1)
	good := mustArch(t, smallModels[0].arch)
	tests := []struct {
		arch   Arch
		config Config
		goal   Objective
		want   string
	}{
		{Arch{}, smallConfig(false), Objective{}, "no layers"},
		{good, Config{Vocab: 0, MaxPos: 1, Types: 1}, Objective{}, "vocabulary of 0"},
		{good, Config{Vocab: 1, MaxPos: 0, Types: 1}, Objective{}, "0 positions"},
		{good, Config{Vocab: 1, MaxPos: 1, Types: 0}, Objective{}, "0 segment types"},
		{good, Config{Vocab: 1, MaxPos: 1, Types: 1, Dropout: 1}, Objective{}, "dropout 1"},
		{good, Config{Vocab: 1, MaxPos: 1, Types: 1, Dropout: math.NaN()}, Objective{}, "dropout NaN"},
		{good, smallConfig(false), Objective{Kind: Classify, Labels: 1}, "at least 2"},
		{good, smallConfig(false), Objective{Kind: 9}, "objective 9 is not known"},
	}
	for _, c := range tests {
		if _, err := NewNet(dev, c.arch, c.config, c.goal, 1); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q in it", err, c.want)
		}
	}
}

func TestCancelledContextStops(t *testing.T) {
	n := newSmallNet(t, 1, smallModels[0].arch, smallModels[0].goal, smallConfig(false))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := n.Gradients(ctx, randomBatch(n.config, n.objective, 2, 5, 1), 1, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestTimings(t *testing.T) {
	n := newSmallNet(t, 1, smallModels[5].arch, smallModels[5].goal, smallConfig(false))
	b := randomBatch(n.config, n.objective, 2, 5, 1)
	run := func() {
		if _, err := n.Gradients(context.Background(), b, 1, 1); err != nil {
			t.Fatal(err)
		}
	}
	n.Timings(true)
	run()
	timings := n.Timings(false)
	for _, op := range []string{"linear gelu", "linear gelu gradient", "attention", "taps gradient", "layer norm", "linear cross-entropy"} {
		if timings[op] <= 0 {
			t.Errorf("%s took %v", op, timings[op])
		}
	}
	run()
	if left := n.Timings(false); len(left) != 0 {
		t.Errorf("timings %v after they were switched off", left)
	}
}

// The model and its executor allocate nothing in a training step; what remains is the device's own. A device whose kernels do nothing shows it.
func TestStepAllocatesNothing(t *testing.T) {
	for _, m := range smallModels {
		c := smallConfig(m.ortho)
		c.Dropout = 0.1
		n, err := NewNet(idle{newDevice(t, 1)}, mustArch(t, m.arch), c, m.goal, 1)
		if err != nil {
			t.Fatal(err)
		}
		b := randomBatch(c, m.goal, 2, 5, 1)
		ctx := context.Background()
		allocs := testing.AllocsPerRun(20, func() {
			if _, err := n.Gradients(ctx, b, 1, 1); err != nil {
				t.Fatal(err)
			}
		})
		if allocs != 0 {
			t.Errorf("%s: %v allocations per step", m.name, allocs)
		}
		n.Close()
	}
}

// idle is a device that computes nothing.
type idle struct{ device.Device }

func (idle) LinearForward(device.Linear)                  {}
func (idle) LinearBackward(device.LinearGrad)             {}
func (idle) EmbeddingForward(device.Embedding)            {}
func (idle) EmbeddingBackward(device.EmbeddingGrad)       {}
func (idle) LayerNormForward(device.LayerNorm)            {}
func (idle) LayerNormBackward(device.LayerNormGrad)       {}
func (idle) AttentionForward(device.Attention)            {}
func (idle) AttentionBackward(device.AttentionGrad)       {}
func (idle) Mix(device.Mix)                               {}
func (idle) DepthwiseForward(device.Depthwise)            {}
func (idle) DepthwiseBackward(device.DepthwiseGrad)       {}
func (idle) TapsForward(device.Taps)                      {}
func (idle) TapsBackward(device.TapsGrad)                 {}
func (idle) Mul(_, _, _ device.Mat)                       {}
func (idle) Add(_, _, _ device.Mat)                       {}
func (idle) Copy(_, _ device.Mat)                         {}
func (idle) Zero(device.Tensor)                           {}
func (idle) Dropout(_, _ device.Mat, _ device.Dropout)    {}
func (idle) Gather(_, _ device.Mat, _ device.Tensor)      {}
func (idle) Scatter(_, _ device.Mat, _ device.Tensor)     {}
func (idle) CrossEntropy(device.CrossEntropy)             {}
func (idle) SquaredErrorForward(device.SquaredError)      {}
func (idle) SquaredErrorBackward(device.SquaredErrorGrad) {}

// FLOP of a training step of BERT-Mini, added up by hand for one token count.
func TestFLOP(t *testing.T) {
	n := benchmarkNet(t, "bert-mini", 1000, 1)
	const b, s, picked, h, f = 2, 8, 3, 256, 1024
	tokens := float64(b * s)
	perLayer := 2*tokens*(4*h*h+2*h*f) + 3*2*b*s*s*h
	want := 3 * (4*perLayer + 2*picked*(h*h+h*1000))
	if got := n.FLOP(b, s, picked); math.Abs(got-want) > 1 {
		t.Errorf("%v operations, want %v", got, want)
	}
}
