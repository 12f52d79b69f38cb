package finetune

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"flexi/core/device"
	"flexi/core/model"
	"flexi/core/model/hub"
	"flexi/core/model/train"
	"flexi/core/run"
	"flexi/core/selection"
)

// Parts of a trial's score beside those of the task.
const (
	layersScore  = "layers"             // with an adapter
	trainedScore = "trained parameters" // those of the head left out
)

// tunerState is where a trial stands; with the tensors of its checkpoint it is everything needed to go on.
type tunerState struct {
	Tuning    bool           `json:"tuning"` // the second stage
	Search    searchState    `json:"search"`
	Recent    [][]float64    `json:"recent"` // the last alphas that are averaged
	Selection *selection.Set `json:"selection,omitempty"`
	Layers    []int          `json:"layers"` // chosen
	Step      int            `json:"step"`   // updates of the second stage
	Parts     map[string]float64
	Score     float64
}

// tuner makes one trial: it chooses layers, and then trains adapters on them from scratch.
type tuner struct {
	cfg     Config
	base    *hub.Model
	weights *pretrained
	data    *examples
	plan    plan
	trial   run.Trial
	worker  run.Worker
	dev     device.Device
	seed    uint64

	state     tunerState
	net       *model.Net
	search    *Bilevel[float32]
	trainer   *train.Trainer
	ada       *adaRun
	meter     run.Meter
	saved     time.Time
	stepsDone int
}

// run makes the trial or ends at a pause. Numbers that are not finite would be none in a second attempt, either.
func (t *tuner) run(ctx context.Context) (run.Result, error) {
	defer t.close()
	r, err := t.toScore(ctx)
	if _, ok := errors.AsType[*train.NonFiniteError](err); ok {
		err = run.Final(err)
	}
	return r, err
}

func (t *tuner) toScore(ctx context.Context) (run.Result, error) {
	if err := t.begin(); err != nil {
		return run.Result{}, err
	}
	t.saved = time.Now()
	if !t.state.Tuning {
		if err := t.choose(ctx); err != nil {
			return run.Result{}, fmt.Errorf("choose layers: %w", err)
		}
		t.close()
		t.state.Tuning = true
	}
	if err := t.tune(ctx); err != nil {
		return run.Result{}, fmt.Errorf("fine-tuning: %w", err)
	}
	return t.result()
}

// layers is how many the model has.
func (t *tuner) layers() int { return t.base.Model.Layers() }

// open makes the net: with adapters, or, for nil, trained whole.
func (t *tuner) open(lora *model.LoRA) error {
	net, err := model.NewPretrained(t.dev, t.base.Model, t.data.objective, lora, device.StreamSeed(t.seed, 0, adapterStream))
	if err != nil {
		return err
	}
	t.net = net
	if _, _, err := net.SetTensors(t.weights.tensors); err != nil {
		return err
	}
	net.InitMagnitudes()
	return nil
}

// choose is the first stage, or what the selector does in its place.
func (t *tuner) choose(ctx context.Context) error {
	var err error
	switch name := t.plan.Selector; {
	case name == SelectFull:
	case name == SelectFlexora, name == SelectOutput:
		err = t.layerSearch(ctx)
	case name == SelectGradient:
		err = t.byGradient(ctx)
	default:
		t.state.Layers, err = fixedLayers(name, t.layers(), t.plan.Layers, t.seed)
	}
	if err != nil {
		return err
	}
	if t.plan.Selector != SelectFull {
		t.worker.Event("select", fmt.Sprintf("layers %v of %d", t.state.Layers, t.layers()))
	}
	if s := t.state.Selection; s != nil && s.Warning != "" {
		t.worker.Event("warn", s.Warning)
	}
	return nil
}

// byGradient takes the layers whose adapters' mean gradient where they start is largest, over as many examples as are held out.
func (t *tuner) byGradient(ctx context.Context) error {
	lora := t.cfg.LoRA.adapters(nil, false)
	if err := t.open(&lora); err != nil {
		return err
	}
	batches := (t.cfg.Search.Held + t.cfg.Search.MicroBatch - 1) / t.cfg.Search.MicroBatch
	sums := map[string][]float64{}
	for n := range batches {
		b := numbered(t.data.search, n)
		loss, err := t.net.LayerGradients(ctx, b, false, true, 0, n, nil)
		if err != nil {
			return err
		}
		if !finite(loss) {
			return notFinite(ctx, t.net, b, n)
		}
		for _, p := range t.net.Params() {
			host := make([]float32, p.Grad.Len)
			t.dev.DownloadF32(host, p.Grad)
			if sums[p.Name] == nil {
				sums[p.Name] = make([]float64, len(host))
			}
			for i, g := range host {
				sums[p.Name][i] += float64(g) / float64(batches)
			}
		}
	}
	scores := make([]float64, t.layers())
	for _, m := range t.net.Modules() {
		for _, name := range []string{m.A(), m.B()} {
			for _, g := range sums[name] {
				scores[m.Layer] += g * g
			}
		}
	}
	var err error
	t.state.Layers, err = largest(scores, t.plan.Layers)
	return err
}

// tune is the second stage.
func (t *tuner) tune(ctx context.Context) error {
	if t.net == nil {
		if err := t.openTuning(); err != nil {
			return err
		}
	}
	total, per := t.tuneSteps(), t.data.tune.Steps()
	for t.state.Step < total {
		if err := t.boundary(ctx, "fine-tuning"); err != nil {
			return err
		}
		b := numbered(t.data.tune, t.state.Step)
		loss, err := t.step(ctx, b)
		if err != nil {
			return err
		}
		t.state.Step++
		t.progress("fine-tuning", loss, b.B*b.T)
		if every := max(1, total/100); t.state.Step%every == 0 || t.state.Step == total {
			t.worker.Points(run.Point{Series: "tuning loss", Step: t.state.Step, Value: loss})
		}
		if t.state.Step%per == 0 || t.state.Step == total {
			if err := t.evaluate(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *tuner) step(ctx context.Context, b model.Batch) (float64, error) {
	if t.ada != nil {
		return t.ada.step(ctx, b, t.optimizer().Rate(t.state.Step), t.state.Step)
	}
	return t.trainer.Step(ctx, b)
}

// tuneSteps is the number of updates of the second stage.
func (t *tuner) tuneSteps() int { return t.cfg.Tune.Epochs * t.data.tune.Steps() }

func (t *tuner) optimizer() train.Optimizer {
	c := t.cfg.Tune
	o := train.Optimizer{LR: c.LR, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, Decay: c.Decay, Clip: c.Clip, Steps: t.tuneSteps(), Cosine: true}
	if t.plan.Selector == SelectFull {
		o.LR = c.FullLR
	}
	o.Warmup = int(c.Warmup * float64(o.Steps))
	return o
}

func (t *tuner) openTuning() error {
	seed := device.StreamSeed(t.seed, 1, dropoutStream)
	switch t.plan.Selector {
	case SelectFull:
		if err := t.open(nil); err != nil {
			return err
		}
	case SelectAdaLoRA:
		return t.openAda(seed)
	default:
		lora := t.cfg.LoRA.adapters(t.state.Layers, false)
		if err := t.open(&lora); err != nil {
			return err
		}
	}
	var err error
	t.trainer, err = train.New(t.dev, t.net, t.optimizer(), seed)
	return err
}

// evaluate scores the model as it is.
func (t *tuner) evaluate(ctx context.Context) error {
	t.worker.Progress(run.Progress{Phase: "evaluating", Step: t.stepsDone, Steps: t.steps()})
	if t.ada != nil {
		t.ada.compose()
	}
	if t.trainer != nil {
		if _, err := t.trainer.Settle(ctx); err != nil {
			return err
		}
	}
	parts, score, err := t.data.score(ctx, t.net)
	if err != nil {
		return fmt.Errorf("evaluate after %d updates: %w", t.state.Step, err)
	}
	if !finite(score) {
		return run.Final(fmt.Errorf("the score after %d updates is %v", t.state.Step, score))
	}
	t.state.Parts, t.state.Score = parts, score
	t.worker.Points(run.Point{Series: t.scoreSeries(), Step: t.state.Step, Value: score})
	return nil
}

func (t *tuner) scoreSeries() string {
	if t.cfg.Task == LanguageModelling {
		return "held-back loss"
	}
	return t.cfg.Task + " dev score"
}

func (t *tuner) result() (run.Result, error) {
	scores := map[string]float64{layersScore: float64(len(t.state.Layers))}
	for name, v := range t.state.Parts {
		scores[name] = v
	}
	e := t.exported()
	params := e.params(t.cfg.LoRA.DoRA)
	if t.plan.Selector == SelectFull {
		params, scores[layersScore] = t.trial.Params, float64(t.layers())
	}
	scores[trainedScore] = float64(params)
	detail, err := json.Marshal(t.detail())
	if err != nil {
		return run.Result{}, fmt.Errorf("encode the result: %w", err)
	}
	write := func(w io.Writer) error { return t.writeWeights(w, e, detail) }
	return run.Result{Score: t.state.Score, Scores: scores, Parent: -1, Params: params, Detail: detail, Weights: write}, nil
}

// steps are all updates of both stages, for the progress bar.
func (t *tuner) steps() int {
	n := t.tuneSteps()
	if t.searches() {
		n += t.cfg.Search.OuterSteps
	}
	return n
}

func (t *tuner) searches() bool {
	return t.plan.Selector == SelectFlexora || t.plan.Selector == SelectOutput
}

// boundary is a step boundary: pause or interruption end here with a checkpoint, and one is saved when it is due.
func (t *tuner) boundary(ctx context.Context, phase string) error {
	pause := t.worker.ShouldPause()
	if err := ctx.Err(); err != nil && !pause {
		return err
	}
	if !pause && time.Since(t.saved).Seconds() < t.cfg.CheckpointSeconds {
		return nil
	}
	if err := t.worker.Save(context.WithoutCancel(ctx), t.write); err != nil {
		return fmt.Errorf("save checkpoint in %s: %w", phase, err)
	}
	t.saved = time.Now()
	if pause {
		return run.ErrPaused
	}
	return nil
}

func (t *tuner) progress(phase string, loss float64, tokens int) {
	t.stepsDone = t.state.Step
	if t.searches() {
		t.stepsDone += t.state.Search.Outer
		if t.state.Tuning {
			t.stepsDone = t.state.Step + t.cfg.Search.OuterSteps
		}
	}
	t.worker.Progress(run.Progress{Phase: phase, Step: t.stepsDone, Steps: t.steps(), Loss: loss, TokensPerSecond: t.meter.Add(tokens)})
}

func (t *tuner) close() {
	if t.trainer != nil {
		t.trainer.Close()
		t.trainer = nil
	}
	if t.net != nil {
		t.net.Close()
		t.net = nil
	}
	t.search, t.ada = nil, nil
}

// layerSearch is Flexora's first stage; lora_output_norm trains the adapters in the same way but leaves alpha where it is.
func (t *tuner) layerSearch(ctx context.Context) error {
	if t.search == nil {
		if err := t.openSearch(); err != nil {
			return err
		}
	}
	tokens := t.searchTokens()
	for !t.search.Done() {
		if err := t.boundary(ctx, "the layer search"); err != nil {
			return err
		}
		if t.worker.Frozen() != "" && len(t.state.Recent) > 0 {
			t.worker.Event("select", fmt.Sprintf("the layer search was ended after %d of %d steps", t.state.Search.Outer, t.cfg.Search.OuterSteps))
			break
		}
		s, err := t.search.Step(ctx)
		if err != nil {
			return err
		}
		t.state.Search.Outer = s.Step + 1
		if keep := max(1, t.cfg.Search.Average); t.plan.Selector == SelectFlexora {
			t.state.Recent = append(t.state.Recent, s.Alpha)
			t.state.Recent = t.state.Recent[max(0, len(t.state.Recent)-keep):]
		}
		t.record(s)
		t.progress("choosing layers", s.TrainLoss, tokens)
	}
	if t.plan.Selector == SelectOutput {
		return t.byOutput(ctx)
	}
	return t.selectLayers()
}

// searchTokens is about how many tokens an outer step sees.
func (t *tuner) searchTokens() int {
	b := numbered(t.data.search, 0)
	return b.B * b.T * (t.cfg.Search.InnerSteps*t.cfg.Search.Accumulate + t.cfg.Search.Validation)
}

func (t *tuner) openSearch() error {
	lora := t.cfg.LoRA.adapters(nil, true)
	if err := t.open(&lora); err != nil {
		return err
	}
	s := t.supernet()
	var err error
	if t.search, err = NewBilevel[float32](s, s.theta(), t.cfg.Search.BilevelOptions); err == nil {
		t.search.FreezeAlpha(t.plan.Selector == SelectOutput)
	}
	return err
}

func (t *tuner) supernet() *lora {
	return &lora{
		dev: t.dev, net: t.net, search: t.data.search, held: t.data.held, seed: device.StreamSeed(t.seed, 0, dropoutStream), layers: t.layers(),
	}
}

// record writes the curves of an outer step.
func (t *tuner) record(s OuterStep) {
	step := s.Step + 1
	points := []run.Point{{Series: selection.SearchLoss, Step: step, Value: s.TrainLoss}, {Series: selection.ValidationLoss, Step: step, Value: s.ValidationLoss}}
	if t.plan.Selector == SelectFlexora {
		for i, a := range s.Alpha {
			points = append(points, run.Point{Series: selection.AlphaSeries(i), Step: step, Value: a})
		}
	}
	t.worker.Points(points...)
}

func (t *tuner) selectLayers() error {
	alpha, err := selection.MeanAlpha(t.state.Recent, len(t.state.Recent))
	if err != nil {
		return err
	}
	rule, err := selection.ParseRule(cmp.Or(t.worker.Frozen(), t.cfg.Search.Rule))
	if err != nil {
		return err
	}
	params := make([]int, t.layers())
	for _, m := range t.net.Modules() {
		params[m.Layer] += int(t.cfg.LoRA.params(m))
	}
	s, err := rule.Select(alpha, params)
	if err != nil {
		return err
	}
	t.state.Selection, t.state.Layers = &s, s.Layers
	return nil
}

// byOutput takes the layers whose adapters' outputs have the largest squared norms over the held-out examples.
func (t *tuner) byOutput(ctx context.Context) error {
	s := t.supernet()
	if err := s.set(t.search.State().Theta, slices.Repeat([]float64{1}, t.layers())); err != nil {
		return err
	}
	scores := make([]float64, t.layers())
	for i := range t.data.held.Steps() {
		norms, err := t.net.OutputNorms(ctx, numbered(t.data.held, i))
		if err != nil {
			return err
		}
		for j, v := range norms {
			scores[j] += v
		}
	}
	for j := range scores {
		scores[j] = math.Sqrt(scores[j])
	}
	var err error
	t.state.Layers, err = largest(scores, t.plan.Layers)
	return err
}
