package finetune

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"flexi/core/device"
	"flexi/core/model"
	"flexi/core/model/hub"
	"flexi/core/text"
	"flexi/core/text/demo"
)

// Streams of a repeat's seed.
const (
	selectionStream = iota + 1
	splitStream
	orderStream
	adapterStream
	dropoutStream
)

// source gives batches of one part of a task, the same for the same numbers.
type source interface {
	Steps() int
	Batch(epoch, i int) text.Batch
}

// numbered is batch n of a source that is gone through again and again.
func numbered(s source, n int) model.Batch { return model.Batch(s.Batch(n/s.Steps(), n%s.Steps())) }

// predictor is a model that is scored.
type predictor interface {
	Predict(ctx context.Context, b model.Batch) ([]float32, error)
	Loss(ctx context.Context, b model.Batch) (float64, error)
}

// examples is a task as one repeat sees it: what searches layers, what holds the search to account, what tunes, and the score.
type examples struct {
	objective         model.Objective
	search, held      source
	tune              source
	searched, heldOut int // examples behind them
	tuned             int
	score             func(ctx context.Context, net predictor) (parts map[string]float64, score float64, err error)
}

// readTask is a task's files, read once and divided anew for every repeat.
type readTask struct {
	cfg       Config
	tok       text.Tokenizer
	base      *hub.Model
	labelled  *text.Task
	choice    *text.ChoiceTask
	documents []string
}

func readExamples(c Config, base *hub.Model, tok text.Tokenizer, seed uint64, report func(string)) (*readTask, error) {
	r := &readTask{cfg: c, tok: tok, base: base}
	opts := text.ReadOptions{SkipBad: c.Data.SkipBad, MaxBytes: int64(c.Data.CorpusMB * 1e6)}
	report("reading " + c.Task)
	skipped := 0
	switch {
	case c.Task == LanguageModelling:
		for _, name := range c.Data.Corpora {
			part, err := text.ReadCorpus(inside(c.Data.Dir, name), opts)
			if err != nil {
				return nil, err
			}
			r.documents = append(r.documents, part.Documents...)
			skipped += part.Skipped
		}
	case c.Data.Dir == "":
		all := demo.Tasks(seed)
		at := slices.IndexFunc(all, func(t text.Task) bool { return strings.EqualFold(t.Name, c.Task) })
		if at < 0 {
			return nil, fmt.Errorf("the demo language has no task %s", c.Task)
		}
		r.labelled = &all[at]
	case containsFold(text.TaskNames(), c.Task):
		t, err := text.ReadTask(folder(c.Data.Dir, "glue"), c.Task, opts)
		if err != nil {
			return nil, err
		}
		r.labelled, skipped = &t, t.Skipped
	default:
		t, err := text.ReadChoices(folder(c.Data.Dir, "mc"), c.Task, opts)
		if err != nil {
			return nil, err
		}
		r.choice, skipped = &t, t.Skipped
	}
	if skipped > 0 {
		report(fmt.Sprintf("%s: %d malformed rows skipped", c.Task, skipped))
	}
	return r, nil
}

// inside resolves a name in a folder; an absolute path stays.
func inside(dir, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}

// folder is the data folder's own for a sort of tasks, or the data folder itself.
func folder(dir, sort string) string {
	path := filepath.Join(dir, sort)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return dir
	}
	return path
}

func containsFold(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}

// parts are the rows of a task's training set for the two stages: a sample of search rows, of which held are set apart, and one of tune rows. All are
// drawn without regard to the order of the file, the smaller samples from the larger.
func parts(n int, c Config, seed uint64) (search, held, tune []int, err error) {
	order := rand.New(rand.NewPCG(device.StreamSeed(seed, 0, splitStream), 0)).Perm(n)
	searched := min(n, c.Search.Examples)
	if c.Search.Held >= searched {
		return nil, nil, nil, fmt.Errorf("task %s has %d training examples: search.held (%d) must leave some", c.Task, n, c.Search.Held)
	}
	tuned := n
	if c.Tune.Examples > 0 {
		tuned = min(n, c.Tune.Examples)
	}
	return order[c.Search.Held:searched], order[:c.Search.Held], order[:tuned], nil
}

func pick[T any](rows []T, at []int) []T {
	out := make([]T, len(at))
	for i, j := range at {
		out[i] = rows[j]
	}
	return out
}

func limited[T any](rows []T, limit int) []T {
	if limit > 0 && len(rows) > limit {
		return rows[:limit]
	}
	return rows
}

// divide makes a repeat's batches.
func (r *readTask) divide(seed uint64) (*examples, error) {
	var n int
	switch {
	case r.labelled != nil:
		n = len(r.labelled.Train)
	case r.choice != nil:
		n = len(r.choice.Train)
	default:
		n = len(r.documents) - r.heldDocuments()
	}
	search, held, tune, err := parts(n, r.cfg, seed)
	if err != nil {
		return nil, err
	}
	e := &examples{searched: len(search), heldOut: len(held), tuned: len(tune)}
	sourceOf := r.causalSource
	if r.labelled != nil {
		sourceOf = r.labelledSource
	}
	order := device.StreamSeed(seed, 0, orderStream)
	for _, part := range []struct {
		to    *source
		rows  []int
		batch int
	}{{&e.search, search, r.cfg.Search.MicroBatch}, {&e.held, held, r.cfg.Search.MicroBatch}, {&e.tune, tune, r.cfg.Tune.Batch}} {
		if *part.to, err = sourceOf(part.rows, part.batch, order); err != nil {
			return nil, fmt.Errorf("prepare task %s: %w", r.cfg.Task, err)
		}
	}
	return e, r.addScore(e)
}

// evaluationBatch is the number of rows that are scored at a time.
const evaluationBatch = 32

func (r *readTask) addScore(e *examples) error {
	switch {
	case r.labelled != nil:
		dev := *r.labelled
		dev.Train, dev.Dev = nil, limited(dev.Dev, r.cfg.Data.DevLimit)
		l, err := text.NewLoader(r.tok, dev, text.LoaderOptions{Batch: evaluationBatch, MaxSeq: r.cfg.MaxSeq})
		if err != nil {
			return fmt.Errorf("prepare task %s: %w", r.cfg.Task, err)
		}
		e.objective = Objective(dev)
		e.score = func(ctx context.Context, net predictor) (map[string]float64, float64, error) {
			return Evaluate(ctx, net, l, text.ScoreGLUE)
		}
	case r.choice != nil:
		rows := limited(r.choice.Dev, r.cfg.Data.DevLimit)
		e.objective = model.Objective{Kind: model.CausalLM}
		e.score = func(ctx context.Context, net predictor) (map[string]float64, float64, error) {
			logits := func(ctx context.Context, b text.Batch) ([]float32, error) { return net.Predict(ctx, model.Batch(b)) }
			s, err := AnswerChoices(ctx, logits, r.tok, *r.choice, rows, r.cfg.Data.Method, r.causal(evaluationBatch, 0))
			return s.Groups, s.Accuracy, err
		}
	default:
		rows := limited(r.documents[len(r.documents)-r.heldDocuments():], r.cfg.Data.DevLimit)
		l, err := text.NewTextLoader(r.tok, rows, r.causal(evaluationBatch, 0))
		if err != nil {
			return fmt.Errorf("prepare held-back text: %w", err)
		}
		e.objective = model.Objective{Kind: model.CausalLM}
		e.score = func(ctx context.Context, net predictor) (map[string]float64, float64, error) {
			return heldBackLoss(ctx, net, l)
		}
	}
	return nil
}

// heldShare is the share of a corpus's documents that is held back.
const heldShare = 0.05

func (r *readTask) heldDocuments() int { return max(1, int(heldShare*float64(len(r.documents)))) }

// heldBackLoss is the mean negative log-likelihood of a token.
func heldBackLoss(ctx context.Context, net predictor, l *text.CausalLoader) (map[string]float64, float64, error) {
	var sum, tokens float64
	for i := range l.Steps() {
		b := model.Batch(l.Batch(0, i))
		loss, err := net.Loss(ctx, b)
		if err != nil {
			return nil, 0, err
		}
		counted := 0
		for _, label := range b.Labels {
			if label >= 0 {
				counted++
			}
		}
		sum, tokens = sum+loss*float64(counted), tokens+float64(counted)
	}
	return nil, sum / tokens, nil
}

// causal are the options of a decoder's batches; what pads is never looked at.
func (r *readTask) causal(batch int, seed uint64) text.CausalOptions {
	eos := -1
	if len(r.base.EOS) > 0 {
		eos = r.base.EOS[0]
	}
	return text.CausalOptions{
		Batch: batch, MaxSeq: r.cfg.MaxSeq, Seed: seed, BOS: int32(r.base.BOS), EOS: int32(eos), Pad: int32(max(0, r.base.Pad, eos)),
	}
}

func (r *readTask) labelledSource(rows []int, batch int, seed uint64) (source, error) {
	part := *r.labelled
	part.Train, part.Dev, part.ExtraDev = pick(part.Train, rows), nil, nil
	return text.NewLoader(r.tok, part, text.LoaderOptions{Batch: batch, MaxSeq: r.cfg.MaxSeq, Seed: seed})
}

func (r *readTask) causalSource(rows []int, batch int, seed uint64) (source, error) {
	if r.choice == nil {
		return text.NewTextLoader(r.tok, pick(r.documents, rows), r.causal(batch, seed))
	}
	training, err := r.choice.TrainingRows(pick(r.choice.Train, rows), r.cfg.Data.Template)
	if err != nil {
		return nil, err
	}
	return text.NewCausalLoader(r.tok, training, r.causal(batch, seed))
}
