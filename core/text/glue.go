package text

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// layout is where a GLUE task keeps its fields in the official TSV files.
type layout struct {
	Task
	a, b, label string // column names; b is "" for single sentences
	columns     []int  // instead of names where the file has no header: total, a, label
}

// The nine tasks of GLUE (Wang et al. 2019) with the metrics they report.
var layouts = []layout{
	{Task: Task{Name: "CoLA", Labels: []string{"unacceptable", "acceptable"}, Metrics: []string{Matthews}}, columns: []int{4, 3, 1}},
	{Task: Task{Name: "SST-2", Labels: []string{"negative", "positive"}, Metrics: []string{Accuracy}}, a: "sentence", label: "label"},
	{Task: Task{Name: "MRPC", Pair: true, Labels: []string{"not_equivalent", "equivalent"}, Metrics: []string{F1, Accuracy}}, a: "#1 String", b: "#2 String", label: "Quality"},
	{Task: Task{Name: "STS-B", Pair: true, Regression: true, Metrics: []string{Pearson, Spearman}}, a: "sentence1", b: "sentence2", label: "score"},
	{Task: Task{Name: "QQP", Pair: true, Labels: []string{"not_duplicate", "duplicate"}, Metrics: []string{F1, Accuracy}}, a: "question1", b: "question2", label: "is_duplicate"},
	{Task: Task{Name: "MNLI", Pair: true, Labels: []string{"entailment", "neutral", "contradiction"}, Metrics: []string{Accuracy}}, a: "sentence1", b: "sentence2", label: "gold_label"},
	{Task: Task{Name: "QNLI", Pair: true, Labels: []string{"entailment", "not_entailment"}, Metrics: []string{Accuracy}}, a: "question", b: "sentence", label: "label"},
	{Task: Task{Name: "RTE", Pair: true, Labels: []string{"entailment", "not_entailment"}, Metrics: []string{Accuracy}}, a: "sentence1", b: "sentence2", label: "label"},
	{Task: Task{Name: "WNLI", Pair: true, Labels: []string{"not_entailment", "entailment"}, Metrics: []string{Accuracy}}, a: "sentence1", b: "sentence2", label: "label"},
}

// TaskNames are the GLUE tasks by name.
func TaskNames() []string {
	names := make([]string, len(layouts))
	for i, l := range layouts {
		names[i] = l.Name
	}
	return names
}

func layoutOf(name string) (layout, error) {
	i := slices.IndexFunc(layouts, func(l layout) bool { return strings.EqualFold(l.Name, name) })
	if i < 0 {
		return layout{}, fmt.Errorf("there is no task %q; tasks are %s", name, strings.Join(TaskNames(), ", "))
	}
	return layouts[i], nil
}

// formats of a split, in the order they are looked for.
var formats = []string{".tsv", ".json", ".jsonl"}

// split is the file of one part of a task in any known format, "" if there is none.
func split(dir, name string) string {
	for _, f := range formats {
		if p := existing(filepath.Join(dir, name+f)); p != "" {
			return p
		}
	}
	return ""
}

// ReadTask reads a GLUE task from dir/NAME: train and dev as official TSV, as one JSON object of rows, or as JSON lines, plain or gzip. A file
// train_extra is added to the training rows without the pairs that train or dev hold already. For MNLI, dev_matched is the development set and dev_mismatched
// a second one. A file with malformed rows is a *MalformedError unless they may be skipped.
func ReadTask(dir, name string, o ReadOptions) (Task, error) {
	l, err := layoutOf(name)
	if err != nil {
		return Task{}, err
	}
	t := l.Task
	folder := filepath.Join(dir, t.Name)
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		return t, fmt.Errorf("task %s: there is no folder %s; put train.tsv and dev.tsv there, or leave the task out with --tasks", t.Name, folder)
	}
	dev := split(folder, "dev_matched")
	if dev == "" {
		dev = split(folder, "dev")
	}
	train := split(folder, "train")
	for _, part := range []struct{ name, path string }{{"train", train}, {"dev", dev}} {
		if part.path == "" {
			return t, fmt.Errorf("task %s: %s has no %s.tsv, .json or .jsonl", t.Name, folder, part.name)
		}
	}
	var bad []BadRow
	read := func(path string) []Example {
		if err != nil || path == "" {
			return nil
		}
		var rows []Example
		var wrong []BadRow
		rows, wrong, err = l.readSplit(path)
		bad = append(bad, wrong...)
		return rows
	}
	t.Train, t.Dev = read(train), read(dev)
	t.Train = append(t.Train, without(read(split(folder, "train_extra")), t.Train, t.Dev)...)
	if extra := read(split(folder, "dev_mismatched")); len(extra) > 0 {
		t.ExtraDev = map[string][]Example{mismatched: extra}
	}
	if err != nil {
		return t, fmt.Errorf("task %s: %w", t.Name, err)
	}
	if err := o.refuse(bad); err != nil {
		return t, fmt.Errorf("task %s: %w", t.Name, err)
	}
	if t.Skipped = len(bad); len(t.Train) == 0 || len(t.Dev) == 0 {
		return t, fmt.Errorf("task %s: no usable rows (%d training, %d development, %d malformed)", t.Name, len(t.Train), len(t.Dev), t.Skipped)
	}
	return t, nil
}

// without drops the rows whose sentences occur in others, or earlier in rows.
func without(rows []Example, others ...[]Example) []Example {
	seen := map[[2]string]bool{}
	for _, o := range others {
		for _, e := range o {
			seen[[2]string{e.A, e.B}] = true
		}
	}
	return slices.DeleteFunc(rows, func(e Example) bool {
		key := [2]string{e.A, e.B}
		dup := seen[key]
		seen[key] = true
		return dup
	})
}

// readSplit reads one file. Malformed rows are returned beside the good ones; the error is for files that cannot be read at all.
func (l layout) readSplit(path string) ([]Example, []BadRow, error) {
	b, err := readFile(path)
	if err != nil {
		return nil, nil, err
	}
	switch name := strings.TrimSuffix(path, ".gz"); filepath.Ext(name) {
	case ".tsv":
		return l.readTSV(path, b)
	case ".json":
		return l.readObject(path, b)
	default:
		return l.readLines(path, b)
	}
}
