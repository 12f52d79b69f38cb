package text

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheck(t *testing.T) {
	dir := files{
		"glue/SST-2/train.tsv":               sstHeader + row("good", "1") + row("bad", "7") + row("", "1"),
		"glue/SST-2/dev.jsonl.gz":            `{"sentence": "a", "label": 1}`,
		"RTE/train.tsv":                      "no header\n",
		"RTE/train_extra.json":               "[]",
		"lm/wiki/a.txt":                      wikiArticle + "<doc id=\"2\">",
		"mc/winogrande/dev.jsonl":            `{"sentence": "_ won.", "option1": "a", "option2": "b", "answer": "1"}` + "\n" + `{"sentence": "_ won."}`,
		"openbookqa/train.tsv.gz":            "no header\n",
		"piqa/valid.jsonl":                   `{"goal": "g", "sol1": "a", "sol2": "b"}`,
		"piqa/valid-labels.lst":              "1\n",
		"tokenizers/bert/vocab.txt":          strings.Join(append(bertSpecials.list(), "a"), "\n"),
		"tokenizers/broken/vocab.txt":        "a\nb\n",
		"tokenizers/just-a-vocab/vocab.json": "{}",
		"tokenizers/README":                  "",
	}.write(t)
	report, err := Check(dir)
	require.NoError(t, err)
	type row struct {
		path, kind string
		rows       int
		bad        string
	}
	var got []row
	for _, f := range report.Files {
		var bad []string
		for _, b := range f.Bad {
			bad = append(bad, strings.ReplaceAll(b.String(), dir+"/", ""))
		}
		rel, err := filepath.Rel(dir, f.Path)
		require.NoError(t, err)
		got = append(got, row{rel, f.Kind, f.Rows, strings.Join(bad, "; ")})
	}
	const noColumns = `RTE/train.tsv:1: the header "no header" lacks one of the columns "sentence1", "sentence2", "label"`
	require.ElementsMatch(t, []row{
		{"glue/SST-2/train.tsv", "task", 1, `glue/SST-2/train.tsv:3: label "7" is not one of negative, positive or 0 to 1; glue/SST-2/train.tsv:4: the first sentence is empty`},
		{"glue/SST-2/dev.jsonl.gz", "task", 1, ""},
		{"RTE/train.tsv", "task", 0, noColumns},
		{"RTE/train_extra.json", "task", 0, "RTE/train_extra.json:1: expected a JSON object of rows"},
		{"mc/winogrande/dev.jsonl", "choice", 1, "mc/winogrande/dev.jsonl:2: no correct answer: answer is missing or empty"},
		{"openbookqa/train.tsv.gz", "choice", 0, `openbookqa/train.tsv.gz:1: the header must be the columns ["ID" "Question Stem" "Choices" "Complete Question" "Answer Key"]`},
		{"piqa/valid.jsonl", "choice", 1, ""},
		{"lm/wiki/a.txt", "corpus", 1, "lm/wiki/a.txt:8: a <doc> that does not end"},
		{"tokenizers/bert", "tokenizer", 6, ""},
		{"tokenizers/broken", "tokenizer", 0, "tokenizer tokenizers/broken/vocab.txt: the vocabulary lacks the special token [PAD]"},
	}, got)
}

func TestCheckRefuses(t *testing.T) {
	dir := files{"file": "", "empty/x": "", "nolm/lm/a.pdf": ""}.write(t)
	for name, want := range map[string]string{
		"missing": "does not exist or is not a folder", "file": "does not exist or is not a folder", "empty": "holds no task, corpus or tokenizer", "nolm": "holds no text files",
	} {
		_, err := Check(filepath.Join(dir, name))
		require.ErrorContains(t, err, want, name)
	}
}
