package search

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"flexi/core/text"
	"flexi/core/text/demo"
)

// Data is what the candidates of a run are trained on. It is read once and shared by all workers.
type Data struct {
	Tokenizer   text.Tokenizer
	Pretraining *text.Pretraining
	Tasks       []*TaskData
}

// TaskData is one task, ready for batches.
type TaskData struct {
	*text.Loader
}

// Name is the task's name.
func (t *TaskData) Name() string { return t.Task().Name }

// demoDocuments is the length of the built-in pre-training text.
const demoDocuments = 4000

// Report is told what a long step does and how far it is; total is 0 where that cannot be told.
type Report func(what string, done, total int)

// LoadData reads what the configuration names. It calls report, from several goroutines, with what it is doing.
func LoadData(ctx context.Context, c Config, seed uint64, report Report) (*Data, error) {
	tok, corpus, tasks, err := readData(ctx, c, seed, report)
	if err != nil {
		return nil, err
	}
	tokenising := "tokenising " + strings.TrimSpace(corpus.Name)
	report(tokenising, 0, len(corpus.Documents))
	d := &Data{Tokenizer: tok}
	d.Pretraining, err = text.NewPretraining(ctx, tok, corpus, text.PretrainOptions{
		Seq: c.Pretrain.Seq, Batch: c.Pretrain.Batch, Seed: seed, ValidationShare: heldOutShare, Progress: func(done, all int) { report(tokenising, done, all) },
	})
	if err != nil {
		return nil, fmt.Errorf("prepare pre-training text: %w", err)
	}
	for i, t := range tasks {
		report("tokenising tasks", i, len(tasks))
		l, err := text.NewLoader(tok, t, text.LoaderOptions{Batch: c.Finetune.Batch, MaxSeq: c.Finetune.MaxSeq, Seed: seed, Limit: c.Finetune.Limit})
		if err != nil {
			return nil, fmt.Errorf("prepare task %s: %w", t.Name, err)
		}
		d.Tasks = append(d.Tasks, &TaskData{l})
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// heldOutShare is the share of the documents held out of pre-training.
const heldOutShare = 0.05

func readData(ctx context.Context, c Config, seed uint64, report Report) (text.Tokenizer, text.Corpus, []text.Task, error) {
	if c.Data.Dir == "" {
		report("generating the demo language", 0, 0)
		return demo.Tokenizer(), demo.Corpus(seed, demoDocuments), demo.Tasks(seed), nil
	}
	tok, err := text.LoadTokenizer(c.Data.path(c.Data.Tokenizer))
	if err != nil {
		return nil, text.Corpus{}, nil, err
	}
	opts := text.ReadOptions{SkipBad: c.Data.SkipBad, MaxBytes: int64(c.Data.CorpusMB * 1e6)}
	var corpus text.Corpus
	const reading = "reading text and tasks"
	parts := len(c.Data.Corpora) + len(c.Data.Tasks)
	for i, name := range c.Data.Corpora {
		report(reading, i, parts)
		part, err := text.ReadCorpus(c.Data.path(name), opts)
		if err != nil {
			return nil, text.Corpus{}, nil, err
		}
		corpus.Name += name + " "
		corpus.Documents = append(corpus.Documents, part.Documents...)
		corpus.Skipped += part.Skipped
	}
	var tasks []text.Task
	for i, name := range c.Data.Tasks {
		report(reading, len(c.Data.Corpora)+i, parts)
		t, err := text.ReadTask(c.Data.glue(), name, opts)
		if err != nil {
			return nil, text.Corpus{}, nil, err
		}
		if t.Skipped > 0 {
			report(fmt.Sprintf("%s: %d malformed rows skipped", name, t.Skipped), len(c.Data.Corpora)+i+1, parts)
		}
		tasks = append(tasks, t)
	}
	return tok, corpus, tasks, ctx.Err()
}

// path resolves a name inside the data folder; an absolute path stays.
func (d DataConfig) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(d.Dir, name)
}

// glue is the folder that holds the tasks: the data folder's "glue", or the data folder itself.
func (d DataConfig) glue() string {
	dir := filepath.Join(d.Dir, "glue")
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return d.Dir
	}
	return dir
}
