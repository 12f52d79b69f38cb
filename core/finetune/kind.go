package finetune

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"flexi/core/device"
	"flexi/core/device/choose"
	"flexi/core/model"
	"flexi/core/model/hub"
	"flexi/core/run"
	"flexi/core/selection"
	"flexi/core/text"
	"flexi/core/text/demo"
)

// KindName is what Run.Kind holds for a Flexora run. Its trials are selectors of layers: each chooses layers, tunes adapters on them and is scored.
const KindName = "flexora"

// Kind makes Flexora jobs.
type Kind struct{ on choose.Choice }

var _ run.Kind = (*Kind)(nil)

// NewKind prepares Flexora runs on a device.
func NewKind(on choose.Choice) *Kind { return &Kind{on} }

// Name is KindName.
func (k *Kind) Name() string { return KindName }

// FreezeRule checks a rule by which a layer search would end; "" is the configuration's. A trial that searches no layers has none.
func (k *Kind) FreezeRule(r run.Run, t run.Trial, rule string) (string, error) {
	p, err := planOf(t)
	if err != nil || p.Selector != SelectFlexora {
		return "", err
	}
	if rule == "" {
		var cfg Config
		if err := json.Unmarshal(r.Config, &cfg); err != nil {
			return "", fmt.Errorf("read the configuration of %s: %w", r.ID, err)
		}
		rule = cfg.Search.Rule
	}
	params := make([]int, len(t.Layers))
	for i, l := range t.Layers {
		params[i] = int(l.Params)
	}
	return rule, applicable(rule, params)
}

// applicable reports a rule that cannot be written so, or that no alphas of this model could meet.
func applicable(rule string, params []int) error {
	r, err := selection.ParseRule(rule)
	if err != nil {
		return err
	}
	_, err = r.Select(make([]float64, len(params)), params)
	return err
}

// Open prepares a run. Model and data are read by whoever needs them first.
func (k *Kind) Open(_ context.Context, r run.Run, _ []run.Trial, _ []byte) (run.Job, error) {
	var cfg Config
	if err := json.Unmarshal(r.Config, &cfg); err != nil {
		return nil, fmt.Errorf("read the configuration of %s: %w", r.ID, err)
	}
	base, err := hub.Open(cfg.Model)
	if err != nil {
		return nil, err
	}
	base.Model.Recompute = cfg.Recompute
	return &job{on: k.on, cfg: cfg, run: r, base: base}, nil
}

// Complete checks everything that can be checked without reading data, and writes out what the run must remember: the model's hash, its own modules, and
// the precision that the device computes in.
func (c Config) Complete(on choose.Choice) (Config, error) {
	if err := c.Validate(); err != nil {
		return c, err
	}
	base, err := hub.Open(c.Model)
	if err != nil {
		return c, err
	}
	if c.Model, err = filepath.Abs(c.Model); err != nil {
		return c, err
	}
	if c.ModelHash, err = base.Hash(); err != nil {
		return c, err
	}
	if c.Precision, err = on.Resolve(c.Precision); err != nil {
		return c, err
	}
	if len(c.LoRA.Targets) == 0 {
		c.LoRA.Targets = defaultTargets(base)
	}
	if err := c.checkTask(base); err != nil {
		return c, err
	}
	if _, err := base.Model.Adapted(c.objective(base), c.LoRA.adapters(nil, false)); err != nil {
		return c, fmt.Errorf("lora.targets: %w", err)
	}
	if n := base.Model.Layers(); c.Layers > n {
		return c, fmt.Errorf("layers: %d, the model has %d", c.Layers, n)
	}
	if slices.Contains(c.Selectors, SelectFlexora) {
		if err := applicable(c.Search.Rule, c.layerParams(base)); err != nil {
			return c, fmt.Errorf("search.rule: %w", err)
		}
	}
	return c, nil
}

// defaultTargets are the modules that PEFT adapts in a family by itself.
func defaultTargets(m *hub.Model) []string {
	if decoder(m) {
		return []string{"q_proj", "v_proj"}
	}
	return []string{"query", "value"}
}

func decoder(m *hub.Model) bool { return m.Model.Backbone != nil && m.Model.Backbone.Family.Decoder() }

// labelledTasks are those of encoders.
func (c Config) labelledTasks() []string {
	if c.Data.Dir == "" {
		return demo.TaskNames()
	}
	return text.TaskNames()
}

// checkTask reports a task that the model cannot do.
func (c Config) checkTask(base *hub.Model) error {
	switch labelled := containsFold(c.labelledTasks(), c.Task); {
	case !labelled && c.Task != LanguageModelling && !containsFold(text.ChoiceTaskNames(), c.Task):
		return fmt.Errorf("task: there is no %q; tasks are %v, %v and %s", c.Task, c.labelledTasks(), text.ChoiceTaskNames(), LanguageModelling)
	case labelled && decoder(base):
		return fmt.Errorf("task: %s is for encoders, and %s is a decoder; take a multiple-choice task or %s", c.Task, c.Model, LanguageModelling)
	case !labelled && !decoder(base):
		return fmt.Errorf("task: %s is for decoders, and %s is an encoder; take one of %v", c.Task, c.Model, c.labelledTasks())
	}
	return nil
}

// objective is that of the task as far as it decides which modules there are.
func (c Config) objective(base *hub.Model) model.Objective {
	if decoder(base) {
		return model.Objective{Kind: model.CausalLM}
	}
	return model.Objective{Kind: model.Regress}
}

// adapters is the form of the adapters on some layers, nil all of them.
func (c LoRAConfig) adapters(layers []int, multipliers bool) model.LoRA {
	return model.LoRA{
		Rank: c.Rank, Alpha: c.Alpha, Dropout: c.Dropout, RSLoRA: c.RSLoRA, DoRA: c.DoRA, Targets: c.Targets, Layers: layers, Multipliers: multipliers,
	}
}

// Objective is what a run improves.
func (c Config) Objective() run.Objective {
	if c.Task == LanguageModelling {
		return run.Objective{Name: "loss", Maximize: false}
	}
	return run.Objective{Name: c.Task, Maximize: true}
}

// job is an open run.
type job struct {
	on   choose.Choice
	cfg  Config
	run  run.Run
	base *hub.Model

	mu      sync.Mutex // guards the rest
	task    *readTask
	weights map[model.ObjectiveKind]*pretrained
	divided map[int]*examples // by repeat
}

// pretrained are the weights that every trial starts from.
type pretrained struct {
	tensors []model.NamedTensor
	fresh   []string
}

// plan is Trial.Arch: what a trial does.
type plan struct {
	Selector string `json:"selector"`
	Repeat   int    `json:"repeat"`
	// Layers is how many a counted selector takes, 0 as many as trial Of selected.
	Layers int `json:"layers,omitempty"`
	Of     int `json:"of"` // -1 for none
}

func planOf(t run.Trial) (plan, error) {
	var p plan
	if err := json.Unmarshal(t.Arch, &p); err != nil {
		return p, fmt.Errorf("read the plan of trial %d: %w", t.ID, err)
	}
	return p, nil
}

// Next proposes the selectors in the order of the configuration, one repeat after the other; those that need another trial's number wait for it.
func (j *job) Next(ctx context.Context, trials []run.Trial) (run.Trial, error) {
	done := map[plan]int{}
	for _, t := range trials {
		p, err := planOf(t)
		if err != nil {
			return run.Trial{}, err
		}
		done[plan{Selector: p.Selector, Repeat: p.Repeat}] = t.ID
	}
	waiting := false
	for repeat := range j.cfg.Repeats {
		for _, name := range j.order() {
			if _, ok := done[plan{Selector: name, Repeat: repeat}]; ok {
				continue
			}
			p := plan{Selector: name, Repeat: repeat, Of: -1}
			if selectors[name].counted {
				p.Layers = j.cfg.Layers
				if p.Layers == 0 {
					of, proposed := done[plan{Selector: SelectFlexora, Repeat: repeat}]
					if !proposed || !ended(trials[of].State) {
						waiting = true
						continue
					}
					p.Of = of
					p.Layers = int(trials[of].Scores[layersScore])
				}
			}
			return j.propose(ctx, p)
		}
	}
	if waiting {
		return run.Trial{}, run.ErrWait
	}
	return run.Trial{}, run.ErrDone
}

func ended(s run.State) bool { return s == run.Done || s == run.Failed }

// order is the selectors with flexora first, since others need its number.
func (j *job) order() []string {
	names := slices.Clone(j.cfg.Selectors)
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(first(a), first(b)) })
	return names
}

func first(name string) int {
	if name == SelectFlexora {
		return 0
	}
	return 1
}

func (j *job) propose(_ context.Context, p plan) (run.Trial, error) {
	arch, err := json.Marshal(p)
	if err != nil {
		return run.Trial{}, fmt.Errorf("encode the plan: %w", err)
	}
	sum := sha256.Sum256(fmt.Append(nil, p.Selector, p.Repeat))
	t := run.Trial{Arch: arch, Hash: hex.EncodeToString(sum[:]), Title: p.Selector, Why: "repeat " + strconv.Itoa(p.Repeat+1), Level: 1, Parent: -1}
	if j.cfg.Repeats == 1 {
		t.Why = "selector"
	}
	t.Layers, t.Params = j.layerRows(p)
	return t, nil
}

// layerRows are the layers with the parameters that their adapters have, and the largest number that the trial may train.
func (j *job) layerRows(p plan) ([]run.LayerRow, int64) {
	m := j.base.Model
	counts := j.cfg.layerParams(j.base)
	var total int64
	rows := make([]run.LayerRow, len(counts))
	for i, n := range counts {
		total += int64(n)
		rows[i] = run.LayerRow{Name: strconv.Itoa(i), Op: "attention", Params: int64(n)}
		if b := m.Backbone; b != nil {
			rows[i].Hidden, rows[i].Heads, rows[i].FF = b.Hidden, b.Heads, strconv.Itoa(b.Intermediate)
		} else {
			l := m.Arch.Layers[i]
			rows[i].Op, rows[i].Hidden, rows[i].Heads = string(l.Op), l.Hidden, l.Heads
		}
	}
	if p.Selector == SelectFull {
		total = 0
		for _, t := range m.Tensors(j.cfg.objective(j.base)) {
			n := int64(1)
			for _, d := range t.Shape {
				n *= int64(d)
			}
			total += n
		}
	} else if p.Layers > 0 && len(counts) > 0 {
		total = total * int64(p.Layers) / int64(len(counts))
	}
	return rows, total
}

// layerParams are the parameters of the adapters on each layer; none where the targets name no module.
func (c Config) layerParams(base *hub.Model) []int {
	out := make([]int, base.Model.Layers())
	modules, err := base.Model.Adapted(c.objective(base), c.LoRA.adapters(nil, false))
	if err != nil {
		return nil
	}
	for _, m := range modules {
		out[m.Layer] += int(c.LoRA.params(m))
	}
	return out
}

// params is the number of an adapter's parameters.
func (c LoRAConfig) params(m model.AdaptedModule) int64 {
	n := int64(c.Rank) * int64(m.In+m.Out)
	if c.DoRA {
		n += int64(m.Out)
	}
	return n
}

// State is nothing: proposals follow from the trials.
func (j *job) State() ([]byte, error) { return nil, nil }

// View is nothing: there is no surrogate.
func (j *job) View() *run.Surrogate { return nil }

// Inspect describes a trial.
func (j *job) Inspect(t run.Trial, _ []run.Trial) (run.Inspection, error) { return j.cfg.describe(t) }

// Describe describes a trial of a run that is not open.
func (k *Kind) Describe(r run.Run, t run.Trial) (run.Inspection, error) {
	var cfg Config
	if err := json.Unmarshal(r.Config, &cfg); err != nil {
		return run.Inspection{}, fmt.Errorf("read the configuration of %s: %w", r.ID, err)
	}
	return cfg.describe(t)
}

func (c Config) describe(t run.Trial) (run.Inspection, error) {
	p, err := planOf(t)
	if err != nil {
		return run.Inspection{}, err
	}
	choice := &run.LayerChoice{}
	if p.Selector == SelectFlexora || p.Selector == SelectOutput {
		s := c.Search
		choice.Steps, choice.Mode, choice.InnerSteps, choice.InnerRate, choice.AlphaRate = s.OuterSteps, string(s.Mode), s.InnerSteps, s.Inner.Rate, s.AlphaRate
	}
	if p.Selector == SelectFlexora {
		choice.Rule, choice.Average = cmp.Or(t.Frozen, c.Search.Rule), max(1, c.Search.Average)
	}
	if len(t.Detail) > 0 {
		var d Detail
		if err := json.Unmarshal(t.Detail, &d); err != nil {
			return run.Inspection{}, fmt.Errorf("read the result of trial %d: %w", t.ID, err)
		}
		if choice.Chosen = d.Layers; d.Selection != nil {
			choice.Warning = d.Selection.Warning
		}
	}
	return run.Inspection{Hash: t.Hash, Title: t.Title, Arch: t.Arch, Layers: t.Layers, Params: t.Params, Choice: choice}, nil
}

// Close has nothing to free: devices belong to trainings.
func (j *job) Close() error { return nil }

// tokenizer is the model's; that of an encoder of a search is in the data folder, or the demo language's.
func (j *job) tokenizer() (text.Tokenizer, error) {
	vocab := j.base.Model.Config.Vocab
	if b := j.base.Model.Backbone; b != nil {
		vocab = b.Vocab
	}
	if j.cfg.Data.Dir == "" {
		tok := demo.Tokenizer()
		if j.base.Model.Backbone != nil || tok.Size() != vocab {
			return nil, fmt.Errorf("%s was not trained on the demo language: name the data folder (--data)", j.base.Path)
		}
		return tok, nil
	}
	path := j.base.Tokenizer
	if path == "" {
		return nil, fmt.Errorf("%s was trained on the demo language, whose tasks are %s; they need no data folder (--data)", j.base.Path, strings.Join(demo.TaskNames(), ", "))
	}
	if path != j.base.Path {
		path = inside(j.cfg.Data.Dir, path)
	}
	tok, err := text.LoadTokenizer(path)
	if err == nil && tok.Size() > vocab {
		err = fmt.Errorf("the tokenizer %s has %d tokens, the model %d: they do not belong together", path, tok.Size(), vocab)
	}
	return tok, err
}

// examplesOf reads the task once, and divides it once per repeat.
func (j *job) examplesOf(repeat int, report func(string)) (*examples, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.task == nil {
		report("loading the tokenizer")
		tok, err := j.tokenizer()
		if err != nil {
			return nil, err
		}
		if j.task, err = readExamples(j.cfg, j.base, tok, j.run.Seed, report); err != nil {
			return nil, err
		}
		j.divided = map[int]*examples{}
	}
	if e, ok := j.divided[repeat]; ok {
		return e, nil
	}
	report("tokenising " + j.cfg.Task)
	e, err := j.task.divide(j.seed(repeat))
	if err == nil {
		j.divided[repeat] = e
	}
	return e, err
}

// weightsOf reads the model's weights once.
func (j *job) weightsOf(o model.Objective, report func(string)) (*pretrained, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if w, ok := j.weights[o.Kind]; ok {
		return w, nil
	}
	report("reading " + j.cfg.Model)
	hash, err := j.base.Hash()
	if err != nil {
		return nil, err
	}
	if hash != j.cfg.ModelHash {
		return nil, fmt.Errorf("the weights in %s are not those the run began with (SHA-256 %.12s, then %.12s); put them back, or start a new run",
			j.cfg.Model, hash, j.cfg.ModelHash)
	}
	w := &pretrained{}
	if w.tensors, w.fresh, err = j.base.Weights(o); err != nil {
		return nil, err
	}
	if j.weights == nil {
		j.weights = map[model.ObjectiveKind]*pretrained{}
	}
	j.weights[o.Kind] = w
	return w, nil
}

// seed is a repeat's; all selectors have the same.
func (j *job) seed(repeat int) uint64 { return device.StreamSeed(j.run.Seed, uint32(repeat), 0) }

// Train makes one trial.
func (j *job) Train(ctx context.Context, t run.Trial, w run.Worker) (run.Result, error) {
	p, err := planOf(t)
	if err != nil {
		return run.Result{}, err
	}
	if p.Of >= 0 && p.Layers == 0 {
		return run.Result{}, run.Final(fmt.Errorf("trial %d, which should have said how many layers to take, failed", p.Of))
	}
	report := func(what string) { w.Progress(run.Progress{Phase: what}) }
	data, err := j.examplesOf(p.Repeat, report)
	if err != nil {
		return run.Result{}, err
	}
	weights, err := j.weightsOf(data.objective, report)
	if err != nil {
		return run.Result{}, err
	}
	dev, err := j.on.Open(w.Threads(), cmp.Or(j.cfg.Precision, device.PrecisionF32))
	if err != nil {
		return run.Result{}, err
	}
	defer dev.Close()
	tr := &tuner{cfg: j.cfg, base: j.base, weights: weights, data: data, plan: p, trial: t, worker: w, dev: dev, seed: j.seed(p.Repeat)}
	return tr.run(ctx)
}
