package text

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// malformed are files with one bad row among good ones, the line of the bad row and what is said about it.
var malformed = []struct{ task, file, content, at, reason string }{
	{"SST-2", "train.tsv", sstHeader + row("good", "1") + row("a", "b", "1") + row("fine", "0"), "3", "3 columns, expected 2"},
	{"SST-2", "train.tsv", sstHeader + "\n" + row("good", "1"), "2", "1 columns, expected 2"},
	{"SST-2", "train.tsv", sstHeader + row("good", "2"), "2", `label "2" is not one of negative, positive or 0 to 1`},
	{"SST-2", "train.tsv", sstHeader + row("good", "-1"), "2", `label "-1" is not one of negative, positive or 0 to 1`},
	{"SST-2", "train.tsv", sstHeader + row("good", ""), "2", `label "" is not one of negative, positive or 0 to 1`},
	{"SST-2", "train.tsv", sstHeader + row("good", "1") + row(" ", "1"), "3", "the first sentence is empty"},
	{"SST-2", "train.tsv", sstHeader + row("bad \xff byte", "1"), "2", "not valid UTF-8"},
	{"CoLA", "train.tsv", row("a", "1", "", "Good.") + row("a", "1", "Short."), "2", "3 columns, expected 4"},
	{"CoLA", "train.tsv", row("a", "3", "", "Good."), "1", `label "3" is not one of unacceptable, acceptable or 0 to 1`},
	{"RTE", "train.tsv", pairHeader + row("0", "One.", "\u00a0", "0"), "2", "the second sentence is empty"},
	{"RTE", "train.tsv", pairHeader + row("0", "One.", "T\xc3", "0"), "2", "not valid UTF-8"},
	{"MNLI", "train.tsv", mnliHeader + row("0", "1", "2", "g", "b", "b", "p", "p", "A.", "B.", "-", "-"), "2", `label "-" is not one of entailment, neutral, contradiction or 0 to 2`},
	{"STS-B", "train.jsonl", `{"sentence1": "A", "sentence2": "B", "score": 5.1}`, "1", `score "5.1" is not a number from 0 to 5`},
	{"STS-B", "train.jsonl", `{"sentence1": "A", "sentence2": "B", "score": "NaN"}`, "1", `score "NaN" is not a number from 0 to 5`},
	{"STS-B", "train.jsonl", `{"sentence1": "A", "sentence2": "B", "score": -0.1}`, "1", `score "-0.1" is not a number from 0 to 5`},
	{"STS-B", "train.jsonl", `{"sentence1": "A", "sentence2": "B", "score": "high"}`, "1", `score "high" is not a number from 0 to 5`},
	{"QNLI", "train.jsonl", `{"question": "A", "label": 0}`, "1", "a field for a sentence or the label is missing"},
	{"QNLI", "train.jsonl", "\n" + `{"question": "A", "sentence": "B", "label": null}`, "2", "a field for a sentence or the label is missing"},
	{"QNLI", "train.jsonl", `{"question": "A", "sentence": "B", "label": 0} x`, "1", "text after the JSON object"},
	{"QNLI", "train.jsonl", `{"question": "A", "sentence": "B", "label": 0}{}`, "1", "text after the JSON object"},
	{"QNLI", "train.jsonl", `["A", "B", 0]`, "1", "not a JSON object: "},
	{"QNLI", "train.jsonl", `{"question": "A`, "1", "not a JSON object: "},
	{"QNLI", "train.jsonl", "{\"question\": \"\xff\", \"sentence\": \"B\", \"label\": 0}", "1", "not valid UTF-8"},
	{"QNLI", "train.json", "{\"0\": {\"text_a\": \"A\", \"text_b\": \"B\", \"label\": 0},\n\"1\":\n {\"text_a\": \"A\"}}", "2", "a field for a sentence or the label is missing"},
	{"QNLI", "train.json", "{\n\"0\": 17}", "2", "not a JSON object: "},
	{"QNLI", "train.json", "{\n\n\"0\": {\"text_a\": \"\xff\"}}", "3", "not valid UTF-8"},
	{"QNLI", "train_extra.tsv", row("question", "sentence", "label") + row("A", "B", "maybe"), "2", `label "maybe" is not one of entailment, not_entailment or 0 to 1`},
	{"MNLI", "dev_mismatched.jsonl", "\n\n" + `{"premise": "", "hypothesis": "B", "label": 0}`, "3", "the first sentence is empty"},
}

// goodFiles are a complete task as JSON lines, so that any other part may stand beside it.
func goodFiles(task string) files {
	one := `{"sentence1": "first", "sentence2": "second", "label": 1}` + "\n"
	if task == "CoLA" || task == "SST-2" {
		one = `{"sentence": "first", "label": 1}` + "\n"
	}
	return files{task + "/train.jsonl": one, task + "/dev.jsonl": one}
}

func TestMalformedRows(t *testing.T) {
	for i, c := range malformed {
		t.Run(fmt.Sprintf("%d %s %s", i, c.task, c.file), func(t *testing.T) {
			f := goodFiles(c.task)
			good := ReadOptions{SkipBad: true}
			f[c.task+"/"+c.file] = c.content
			if part := strings.TrimSuffix(c.file, filepath.Ext(c.file)); part == "train" {
				// Some of these files hold nothing else, which is an error of its own.
				f[c.task+"/train_extra.jsonl"] = strings.ReplaceAll(f[c.task+"/dev.jsonl"], "first", "other")
			}
			dir := f.write(t)
			_, err := ReadTask(dir, c.task, ReadOptions{})
			var refused *MalformedError
			require.ErrorAs(t, err, &refused)
			require.Len(t, refused.Rows, 1)
			place := filepath.Join(dir, c.task, c.file) + ":" + c.at + ": "
			require.True(t, strings.HasPrefix(refused.Rows[0].String(), place+c.reason), refused.Rows[0])
			require.ErrorContains(t, err, place+c.reason)
			require.ErrorContains(t, err, "--skip-bad-rows")
			task, err := ReadTask(dir, c.task, good)
			require.NoError(t, err)
			require.Equal(t, 1, task.Skipped)
		})
	}
}

func TestMalformedErrorListsTheFirstRows(t *testing.T) {
	var b strings.Builder
	b.WriteString(sstHeader)
	for range 8 {
		b.WriteString(row("no label", ""))
	}
	dir := files{"SST-2/train.tsv": b.String() + row("good", "1"), "SST-2/dev.tsv": sstHeader + row("good", "1") + row("bad", "9")}.write(t)
	_, err := ReadTask(dir, "SST-2", ReadOptions{})
	require.ErrorContains(t, err, "9 malformed rows:")
	require.ErrorContains(t, err, "and 4 more")
	require.Equal(t, 5, strings.Count(err.Error(), "train.tsv:"))
	task, err := ReadTask(dir, "SST-2", ReadOptions{SkipBad: true})
	require.NoError(t, err)
	require.Equal(t, 9, task.Skipped)
	require.Len(t, task.Train, 1)
}

func TestUnreadableTasks(t *testing.T) {
	good := sstHeader + row("good", "1")
	for _, c := range []struct {
		name, task string
		files      files
		want       string
	}{
		{"unknown task", "SST-3", files{"x": ""}, `there is no task "SST-3"; tasks are CoLA, SST-2`},
		{"no folder", "SST-2", files{"x": ""}, "there is no folder"},
		{"no training file", "SST-2", files{"SST-2/dev.tsv": good}, "has no train.tsv, .json or .jsonl"},
		{"no development file", "SST-2", files{"SST-2/train.tsv": good}, "has no dev.tsv, .json or .jsonl"},
		{"nothing", "SST-2", files{"SST-2/README": good}, "has no train.tsv, .json or .jsonl"},
		{"header", "SST-2", files{"SST-2/train.tsv": row("text", "label"), "SST-2/dev.tsv": good}, `train.tsv:1: the header "text\tlabel" lacks one of the columns`},
		{"header of the extra file", "SST-2", files{"SST-2/train.tsv": good, "SST-2/dev.tsv": good, "SST-2/train_extra.tsv": "x\n"}, `train_extra.tsv:1: the header "x" lacks`},
		{"empty", "SST-2", files{"SST-2/train.tsv": "", "SST-2/dev.tsv": good}, "train.tsv is empty"},
		{"no rows", "SST-2", files{"SST-2/train.tsv": sstHeader, "SST-2/dev.tsv": good}, "no usable rows (0 training, 1 development, 0 malformed)"},
		{"no JSON object", "SST-2", files{"SST-2/train.json": "[1]", "SST-2/dev.tsv": good}, "train.json:1: expected a JSON object of rows"},
		{"JSON without end", "SST-2", files{"SST-2/train.json": "{\"0\": {},\n\"1\": {}", "SST-2/dev.tsv": good}, "the object does not end"},
		{"JSON cut in a row", "SST-2", files{"SST-2/train.json": "{\n\"0\": {\"a\": ", "SST-2/dev.tsv": good}, "train.json:2: row 0: "},
		{"JSON key", "SST-2", files{"SST-2/train.json": "{\n\n17: {}}", "SST-2/dev.tsv": good}, "train.json:3: "},
		{"text after the JSON object", "SST-2", files{"SST-2/train.json": "{\"0\": {\"sentence\": \"a\", \"label\": 1}}\n{}", "SST-2/dev.tsv": good}, "train.json:2: text after the JSON object"},
		{"text after an empty object", "SST-2", files{"SST-2/train.tsv": good, "SST-2/dev.tsv": good, "SST-2/train_extra.json": "{} {}"}, "train_extra.json:1: text after the JSON object"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ReadTask(c.files.write(t), c.task, ReadOptions{SkipBad: true})
			require.ErrorContains(t, err, c.want)
			var refused *MalformedError
			require.False(t, errors.As(err, &refused))
		})
	}
}
