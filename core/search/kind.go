package search

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"flexi/core/device"
	"flexi/core/device/choose"
	"flexi/core/model"
	"flexi/core/run"
)

// KindName is what Run.Kind holds for a search.
const KindName = "search"

// Kind makes search jobs.
type Kind struct{ on choose.Choice }

var (
	_ run.Kind       = (*Kind)(nil)
	_ run.Describer  = (*Kind)(nil)
	_ run.Configurer = (*Kind)(nil)
	_ run.Comparer   = (*Kind)(nil)
	_ run.Changer    = (*job)(nil)
)

// NewKind prepares searches on a device.
func NewKind(on choose.Choice) *Kind { return &Kind{on} }

// Device says in one line what is trained on.
func (k *Kind) Device() string { return k.on.Describe }

// Name is KindName.
func (k *Kind) Name() string { return KindName }

// Open prepares a search. It returns at once: data and library are made by whoever needs them first, because they take seconds.
func (k *Kind) Open(_ context.Context, r run.Run, trials []run.Trial, state []byte) (run.Job, error) {
	var cfg Config
	if err := json.Unmarshal(r.Config, &cfg); err != nil {
		return nil, fmt.Errorf("read the configuration of %s: %w", r.ID, err)
	}
	j := &job{on: k.on, cfg: cfg, run: r, state: state, wishes: wishes{r.Pinned, r.Skipped}, weights: map[int]string{}, archs: map[int]model.Arch{}}
	return j, j.remember(trials)
}

// job is an open search.
type job struct {
	on     choose.Choice
	cfg    Config  // changed under mu, see recipe
	run    run.Run // likewise
	state  []byte  // what State last returned in an earlier session
	wishes wishes

	dataMu sync.Mutex
	data   *Data

	proposer proposer // made by the first Next

	mu      sync.Mutex
	weights map[int]string // weight files of finished trials
	archs   map[int]model.Arch
}

// remember keeps what trainings need of other trials.
func (j *job) remember(trials []run.Trial) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, t := range trials {
		if _, known := j.archs[t.ID]; !known {
			var a model.Arch
			if err := json.Unmarshal(t.Arch, &a); err != nil {
				return fmt.Errorf("read the architecture of trial %d: %w", t.ID, err)
			}
			j.archs[t.ID] = a
		}
		if t.State == run.Done && t.Weights != "" {
			j.weights[t.ID] = t.Weights
		}
	}
	return nil
}

// load reads the data once; the first caller does the work and reports it.
func (j *job) load(ctx context.Context, report Report) (*Data, error) {
	j.dataMu.Lock()
	defer j.dataMu.Unlock()
	if j.data == nil {
		cfg, seed := j.recipe()
		d, err := LoadData(ctx, cfg, seed, report)
		if err != nil {
			return nil, err
		}
		j.data = d
	}
	return j.data, nil
}

// Next proposes an architecture and, where one overlaps enough, the trained candidate whose weights it starts from.
func (j *job) Next(ctx context.Context, trials []run.Trial) (run.Trial, error) {
	if err := j.remember(trials); err != nil {
		return run.Trial{}, err
	}
	data, err := j.load(ctx, func(what string, done, total int) { run.Report(ctx, what, done, total) })
	if err != nil {
		return run.Trial{}, err
	}
	if j.proposer == nil {
		if j.proposer, err = j.newProposer(ctx, data, trials); err != nil {
			return run.Trial{}, err
		}
	}
	t, arch, err := j.proposer.next(ctx, trials)
	if err != nil {
		return run.Trial{}, err
	}
	if t.Arch, err = json.Marshal(arch); err != nil {
		return run.Trial{}, fmt.Errorf("encode architecture: %w", err)
	}
	vocab := data.Tokenizer.Size()
	t.Hash, t.Title, t.Layers, t.Params = Hash(arch), arch.Title(), layerRows(arch, vocab), arch.Count(vocab).Encoder()
	return t, nil
}

// State is what a later session needs to propose as this one would.
func (j *job) State() ([]byte, error) {
	if j.proposer == nil {
		return j.state, nil
	}
	return j.proposer.save()
}

// View is the surrogate's picture after the last proposal.
func (j *job) View() *run.Surrogate {
	if j.proposer == nil {
		return nil
	}
	return j.proposer.surrogate()
}

// Train trains one candidate, on its slot's share of the processor where that is the device.
func (j *job) Train(ctx context.Context, t run.Trial, w run.Worker) (run.Result, error) {
	data, err := j.load(ctx, func(what string, done, total int) { w.Progress(run.Progress{Phase: what, Step: done, Steps: total}) })
	if err != nil {
		return run.Result{}, err
	}
	cfg, _ := j.recipe()
	dev, err := j.on.Open(w.Threads(), cmp.Or(cfg.Precision, device.PrecisionF32)) // runs of earlier versions name none
	if err != nil {
		return run.Result{}, err
	}
	defer dev.Close()
	if dev.Precision() != device.PrecisionBF16 && cfg.Precision == device.PrecisionBF16 {
		w.Event("precision", fmt.Sprintf("trial %d is trained in f32: this processor has no bfloat16 instructions", t.ID))
	}
	return j.trainOn(ctx, dev, data, t, w)
}

func (j *job) trainOn(ctx context.Context, dev device.Device, data *Data, t run.Trial, w run.Worker) (run.Result, error) {
	var arch model.Arch
	if err := json.Unmarshal(t.Arch, &arch); err != nil {
		return run.Result{}, fmt.Errorf("read the trial's architecture: %w", err)
	}
	source, err := j.source(t, w)
	if err != nil {
		return run.Result{}, err
	}
	cfg, seed := j.recipe()
	c := &candidate{cfg: cfg, data: data, arch: arch, trial: t, worker: w, dev: dev, seed: trialSeed(seed, t)}
	return c.train(ctx, source)
}

// confirmSite keeps the seeds of retrainings apart from those of the search.
const confirmSite = 1

// trialSeed is the seed of a trial's initial weights and dropout; a second attempt has the same, and so have the two arms of a retraining.
func trialSeed(seed uint64, t run.Trial) uint64 {
	if t.Arm == run.ArmSearch {
		return device.StreamSeed(seed, 0, uint32(t.ID))
	}
	return device.StreamSeed(device.StreamSeed(seed, confirmSite, uint32(t.Of)), 0, uint32(t.Repeat))
}

// Inspect describes a trial's architecture and what lies around it in its level's library.
func (j *job) Inspect(t run.Trial, trials []run.Trial) (run.Inspection, error) {
	var arch model.Arch
	if err := json.Unmarshal(t.Arch, &arch); err != nil {
		return run.Inspection{}, fmt.Errorf("read the trial's architecture: %w", err)
	}
	j.dataMu.Lock()
	data := j.data
	j.dataMu.Unlock()
	if data == nil {
		return ofTrial(t, arch), nil
	}
	in, err := inspection(arch, data.Tokenizer.Size())
	if err != nil || j.proposer == nil {
		return in, err
	}
	in.Neighbours = j.proposer.neighbours(t, trials)
	in.Map = j.proposer.chart(t, trials, in.Neighbours)
	return in, nil
}

// Describe implements run.Describer: without the run's data nothing is known but what the trial holds, and its graph.
func (k *Kind) Describe(_ run.Run, t run.Trial) (run.Inspection, error) {
	var arch model.Arch
	if err := json.Unmarshal(t.Arch, &arch); err != nil {
		return run.Inspection{}, fmt.Errorf("read the trial's architecture: %w", err)
	}
	return ofTrial(t, arch), nil
}

func ofTrial(t run.Trial, arch model.Arch) run.Inspection {
	return run.Inspection{Hash: t.Hash, Title: t.Title, Arch: t.Arch, Layers: t.Layers, Params: t.Params, Graph: GraphLines(arch)}
}

// Close has nothing to free: devices belong to trainings.
func (j *job) Close() error { return nil }
