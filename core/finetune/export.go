package finetune

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"flexi/core/device"
	"flexi/core/device/cpu"
	"flexi/core/model"
	"flexi/core/model/hub"
	"flexi/core/model/safetensors"
	"flexi/core/run"
	"flexi/core/selection"
)

// finished is a finished trial with what it is put on.
type finished struct {
	cfg     Config
	base    *hub.Model
	info    weightsInfo
	detail  Detail
	seed    uint64
	tensors []model.NamedTensor // trained
}

// openFinished reads a trial's weight file and opens its base model.
func openFinished(r run.Run, blob io.Reader) (*finished, error) {
	x := &finished{seed: r.Seed}
	if err := json.Unmarshal(r.Config, &x.cfg); err != nil {
		return nil, fmt.Errorf("read the run's configuration: %w", err)
	}
	file, err := safetensors.Read(blob)
	if err != nil {
		return nil, fmt.Errorf("read the trial's weights: %w", err)
	}
	if err := json.Unmarshal([]byte(file.Metadata[adapterKey]), &x.info); err != nil {
		return nil, fmt.Errorf("read the description of the trial's weights: %w", err)
	}
	if err := json.Unmarshal(x.info.Detail, &x.detail); err != nil {
		return nil, fmt.Errorf("read the trial's layers: %w", err)
	}
	for _, t := range file.Tensors {
		x.tensors = append(x.tensors, model.NamedTensor{Name: t.Name, Shape: t.Shape, Data: t.Data})
	}
	if x.base, err = hub.Open(x.cfg.Model); err != nil {
		return nil, err
	}
	hash, err := x.base.Hash()
	if err == nil && hash != x.cfg.ModelHash {
		err = fmt.Errorf("the weights in %s are not those the run began with; put them back to export what was trained on them", x.cfg.Model)
	}
	return x, err
}

func (x *finished) objective() model.Objective {
	return model.Objective{Kind: x.info.Head, Labels: x.info.Labels}
}

// adapter is the trained adapters as PEFT holds them.
func (x *finished) adapter() Adapter {
	c := x.cfg.LoRA
	a := Adapter{BaseModel: x.cfg.Model, Task: "SEQ_CLS", Rank: c.Rank, Alpha: c.Alpha, Dropout: c.Dropout, RSLoRA: c.RSLoRA, DoRA: c.DoRA}
	if x.info.Head == model.CausalLM {
		a.Task = "CAUSAL_LM"
	}
	data := map[string]model.NamedTensor{}
	for _, t := range x.tensors {
		data[t.Name] = t
	}
	for _, l := range x.base.Model.Linears(x.objective()) {
		rank, ok := x.info.Ranks[l.Name]
		if !ok {
			continue
		}
		l.Rank = rank
		m := AdapterModule{
			Name: l.Name, In: l.In, Out: l.Out, Rank: rank, Alpha: c.Alpha, A: data[l.A()].Data, B: data[l.B()].Data, Magnitude: data[l.Magnitude()].Data,
		}
		if rank != c.Rank { // AdaLoRA's, whose scale is the same for every rank
			m.Alpha = x.info.Scale * float64(rank)
			if c.RSLoRA {
				m.Alpha = x.info.Scale * math.Sqrt(float64(rank))
			}
		}
		a.Modules = append(a.Modules, m)
		for _, name := range []string{l.A(), l.B(), l.Magnitude()} {
			delete(data, name)
		}
	}
	for _, t := range x.tensors {
		if _, rest := data[t.Name]; rest {
			a.Head = append(a.Head, safetensors.Tensor{Name: t.Name, Shape: t.Shape, Data: t.Data})
		}
	}
	return a
}

func (x *finished) linears() []Linear {
	var out []Linear
	for _, l := range x.base.Model.Linears(x.objective()) {
		out = append(out, Linear{Name: l.Name, Out: l.Out, In: l.In})
	}
	return out
}

// ExportPEFT writes a finished trial's adapter into a folder: adapter_config.json, adapter_model.safetensors, flexora.json and the history of alpha. What
// was written is read back, and must compute what the trial's weights do.
func ExportPEFT(ctx context.Context, r run.Run, points []run.Point, blob io.Reader, dir string, style AdapterStyle) error {
	x, err := openFinished(r, blob)
	if err != nil {
		return err
	}
	switch {
	case x.info.Full:
		return errors.New("the trial trained all weights; export it with --format merged")
	case x.base.Model.Backbone == nil:
		return errors.New("PEFT has no class for an encoder of a search; export it with --format merged")
	}
	if err := WriteAdapter(dir, x.adapter(), x.linears(), style); err != nil {
		return err
	}
	if s := x.detail.Selection; s != nil {
		if err := x.writeSidecar(dir, *s, points); err != nil {
			return err
		}
	}
	back, err := ReadAdapter(dir)
	if err != nil {
		return fmt.Errorf("read the exported adapter back: %w", err)
	}
	again := *x
	again.info.Ranks, again.tensors = map[string]int{}, nil
	for _, m := range back.Modules {
		again.info.Ranks[m.Name] = m.Rank
		l := model.AdaptedModule{Name: m.Name}
		again.tensors = append(again.tensors, model.NamedTensor{Name: l.A(), Shape: []int{m.Rank, m.In}, Data: m.A},
			model.NamedTensor{Name: l.B(), Shape: []int{m.Out, m.Rank}, Data: m.B})
		if back.DoRA {
			again.tensors = append(again.tensors, model.NamedTensor{Name: l.Magnitude(), Shape: []int{m.Out}, Data: m.Magnitude})
		}
	}
	for _, t := range back.Head {
		again.tensors = append(again.tensors, model.NamedTensor{Name: t.Name, Shape: t.Shape, Data: t.Data})
	}
	return compareLogits(ctx, x.base.Model, x.net, again.net)
}

// writeSidecar writes flexora.json, and the outer steps beside it.
func (x *finished) writeSidecar(dir string, s selection.Set, points []run.Point) error {
	history := map[int]map[string]any{}
	last := 0
	for _, p := range points {
		name, at := p.Series, p.Step
		if _, isAlpha := selection.LayerOf(name); !isAlpha && name != selection.SearchLoss && name != selection.ValidationLoss {
			continue
		}
		if history[at] == nil {
			history[at] = map[string]any{"step": at}
		}
		history[at][strings.ReplaceAll(name, " ", "_")] = p.Value
		last = max(last, at)
	}
	err := writeWhole(filepath.Join(dir, historyName), func(w io.Writer) error {
		enc := json.NewEncoder(w)
		for at := 1; at <= last; at++ {
			if line, ok := history[at]; ok {
				if err := enc.Encode(line); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	data, err := x.dataHashes()
	if err != nil {
		return err
	}
	return WriteSidecar(dir, Sidecar{
		BaseModel: x.cfg.Model, BaseHash: x.cfg.ModelHash, Layers: x.base.Model.Layers(), Selection: s, Search: x.cfg.Search.BilevelOptions, Data: data,
		Seed: x.seed, History: historyName,
	})
}

// historyName is the file of the outer steps beside an adapter.
const historyName = "history.jsonl"

// dataHashes are the SHA-256 of the task's files, by their path in the data folder; the demo language has none.
func (x *finished) dataHashes() (map[string]string, error) {
	if x.cfg.Data.Dir == "" {
		return nil, nil
	}
	names := x.cfg.Data.Corpora
	if x.cfg.Task != LanguageModelling {
		names = nil
		for _, dir := range []string{"glue/" + x.cfg.Task, "mc/" + strings.ToLower(strings.ReplaceAll(x.cfg.Task, "-", "_")), x.cfg.Task} {
			if _, err := os.Stat(filepath.Join(x.cfg.Data.Dir, dir)); err == nil {
				names = append(names, dir)
				break
			}
		}
	}
	out := map[string]string{}
	for _, name := range names {
		err := filepath.WalkDir(inside(x.cfg.Data.Dir, name), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			h := sha256.New()
			if _, err := io.Copy(h, f); err != nil {
				return err
			}
			rel, err := filepath.Rel(x.cfg.Data.Dir, path)
			if err != nil {
				rel = path
			}
			out[rel] = hex.EncodeToString(h.Sum(nil))
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("hash the task's files: %w", err)
		}
	}
	return out, nil
}

// ExportMerged writes a finished trial as a whole model: the adapters merged into the weights, and the task's head. It is read back, and must compute what
// the trial's weights do.
func ExportMerged(ctx context.Context, r run.Run, blob io.Reader, dir string) error {
	x, err := openFinished(r, blob)
	if err != nil {
		return err
	}
	weights, _, err := x.base.Weights(x.objective())
	if err != nil {
		return err
	}
	var file safetensors.File
	at := map[string]int{}
	put := func(t model.NamedTensor) {
		s := safetensors.Tensor{Name: t.Name, Shape: t.Shape, Data: t.Data}
		if i, ok := at[t.Name]; ok {
			file.Tensors[i] = s
			return
		}
		at[t.Name] = len(file.Tensors)
		file.Tensors = append(file.Tensors, s)
	}
	net, err := x.openNet()
	if err != nil {
		return err
	}
	for _, t := range net.FrozenTensors() { // those that the pretrained model lacked
		put(t)
	}
	net.close()
	for _, t := range weights {
		put(t)
	}
	a := x.adapter()
	for _, m := range a.Modules {
		if err := a.Merge(file.Tensors[at[m.Name+".weight"]].Data, m); err != nil {
			return err
		}
	}
	for _, t := range a.Head {
		put(model.NamedTensor{Name: t.Name, Shape: t.Shape, Data: t.Data})
	}
	file.Metadata = map[string]string{"format": "pt"}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the export folder: %w", err)
	}
	if err := writeWhole(filepath.Join(dir, "model.safetensors"), func(w io.Writer) error { return safetensors.Write(w, file) }); err != nil {
		return err
	}
	if err := x.base.CopyFolder(dir, x.head()); err != nil {
		return err
	}
	again, err := hub.Open(dir)
	if err != nil {
		return fmt.Errorf("read the exported model back: %w", err)
	}
	return compareLogits(ctx, x.base.Model, x.net, func(dev device.Device) (*model.Net, error) {
		net, err := model.NewPretrained(dev, again.Model, x.objective(), nil, 1)
		if err != nil {
			return nil, err
		}
		tensors, _, err := again.Weights(x.objective())
		if err == nil {
			_, _, err = net.SetTensors(tensors)
		}
		return net, err
	})
}

// head is what config.json says of the task.
func (x *finished) head() hub.Head {
	switch x.info.Head {
	case model.Classify:
		return hub.Head{Class: "ForSequenceClassification", Labels: x.info.Labels}
	case model.Regress:
		return hub.Head{Class: "ForSequenceClassification", Labels: 1}
	default:
		return hub.Head{Class: "ForCausalLM"}
	}
}

// onCPU is a net with its device.
type onCPU struct {
	*model.Net
	dev device.Device
}

func (n onCPU) close() {
	n.Close()
	n.dev.Close()
}

func (x *finished) openNet() (onCPU, error) {
	dev, err := cpu.New(1, device.PrecisionF32)
	if err != nil {
		return onCPU{}, err
	}
	net, err := x.net(dev)
	if err != nil {
		dev.Close()
		return onCPU{}, err
	}
	return onCPU{net, dev}, nil
}

// net is the base model with the trained weights.
func (x *finished) net(dev device.Device) (*model.Net, error) {
	var lora *model.LoRA
	if !x.info.Full {
		l := x.cfg.LoRA.adapters(nil, false)
		l.Ranks, l.Gamma = x.info.Ranks, x.info.Scale
		lora = &l
	}
	// Weights that the pretrained model lacked are drawn as they were for the trial.
	net, err := model.NewPretrained(dev, x.base.Model, x.objective(), lora, x.info.Seed)
	if err != nil {
		return nil, err
	}
	weights, _, err := x.base.Weights(x.objective())
	if err == nil {
		_, _, err = net.SetTensors(append(weights, x.tensors...))
	}
	if err != nil {
		net.Close()
		return nil, err
	}
	return net, nil
}

// exportTolerance is how far logits may be apart, of the largest: float32 sums in another order.
const exportTolerance = 1e-4

// compareLogits holds two nets against each other on a batch of token ids that run through the vocabulary.
func compareLogits(ctx context.Context, p model.Pretrained, make1, make2 func(device.Device) (*model.Net, error)) error {
	var out [2][]float32
	vocab := p.Config.Vocab
	if p.Backbone != nil {
		vocab = p.Backbone.Vocab
	}
	const rows, tokens = 2, 8
	b := model.Batch{B: rows, T: tokens, Segments: make([]int32, rows*tokens), Lengths: []int32{tokens, tokens - 3}, Picked: []int32{0, 3, 9, 12}}
	for i := range rows * tokens {
		b.IDs = append(b.IDs, int32(i*vocab/(rows*tokens)))
	}
	for i, open := range []func(device.Device) (*model.Net, error){make1, make2} {
		dev, err := cpu.New(1, device.PrecisionF32)
		if err != nil {
			return err
		}
		net, err := open(dev)
		if err == nil {
			out[i], err = net.Predict(ctx, b)
			net.Close()
		}
		if err = errors.Join(err, dev.Close()); err != nil {
			return fmt.Errorf("check the export: %w", err)
		}
	}
	var apart, size float64
	for i, v := range out[0] {
		apart, size = max(apart, math.Abs(float64(v-out[1][i]))), max(size, math.Abs(float64(v)))
	}
	if !(apart <= exportTolerance*max(size, 1)) {
		return fmt.Errorf("check the export: its logits are up to %s from those of the trial, of at most %s",
			strconv.FormatFloat(apart, 'g', 3, 64), strconv.FormatFloat(size, 'g', 3, 64))
	}
	return nil
}
