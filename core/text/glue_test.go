package text

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// files maps paths inside a folder to contents.
type files map[string]string

// write makes the files in a temporary folder; those ending in .gz are packed.
func (f files) write(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range f {
		path := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		if strings.HasSuffix(name, ".gz") {
			content = gzipped(t, content)
		}
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	}
	return dir
}

func gzipped(t testing.TB, s string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(s))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.String()
}

// row joins fields with tabs.
func row(fields ...string) string { return strings.Join(fields, "\t") + "\n" }

// Headers of the official files.
var (
	mrpcHeader = row("Quality", "#1 ID", "#2 ID", "#1 String", "#2 String")
	stsHeader  = row("index", "genre", "filename", "year", "old_index", "source1", "source2", "sentence1", "sentence2", "score")
	mnliHeader = row("index", "promptID", "pairID", "genre", "sentence1_binary_parse", "sentence2_binary_parse", "sentence1_parse", "sentence2_parse",
		"sentence1", "sentence2", "label1", "gold_label")
	mnliDevHeader = row("index", "promptID", "pairID", "genre", "sentence1_binary_parse", "sentence2_binary_parse", "sentence1_parse", "sentence2_parse",
		"sentence1", "sentence2", "label1", "label2", "gold_label")
	sstHeader  = row("sentence", "label")
	qqpHeader  = row("id", "qid1", "qid2", "question1", "question2", "is_duplicate")
	qnliHeader = row("index", "question", "sentence", "label")
	pairHeader = row("index", "sentence1", "sentence2", "label")
)

// official is a training file of one row per task in the layout of the GLUE download.
var official = map[string]struct {
	train string
	want  Example
}{
	"CoLA":  {row("gj04", "1", "", "Our friends won't buy this."), Example{A: "Our friends won't buy this.", Label: 1}},
	"SST-2": {sstHeader + row("a dull film ", "0"), Example{A: "a dull film"}},
	"MRPC":  {mrpcHeader + row("1", "17", "18", `"He said "no"`, `He said no"`), Example{A: `"He said "no"`, B: `He said no"`, Label: 1}},
	"STS-B": {stsHeader + row("0", "news", "f", "2012", "7", "x", "y", "A dog.", "A cat.", "2.400"), Example{A: "A dog.", B: "A cat.", Target: 2.4}},
	"QQP":   {qqpHeader + row("5", "1", "2", "Why?", "How?", "1"), Example{A: "Why?", B: "How?", Label: 1}},
	"MNLI":  {mnliHeader + row("0", "1", "2", "fiction", "b", "b", "p", "p", "It rains.", "It is dry.", "contradiction", "contradiction"), Example{A: "It rains.", B: "It is dry.", Label: 2}},
	"QNLI":  {qnliHeader + row("0", "Who?", "Ada did.", "entailment"), Example{A: "Who?", B: "Ada did."}},
	"RTE":   {pairHeader + row("0", "Ada slept.", "Ada worked.", "not_entailment"), Example{A: "Ada slept.", B: "Ada worked.", Label: 1}},
	"WNLI":  {pairHeader + row("0", "It broke.", "The cup broke.", "1"), Example{A: "It broke.", B: "The cup broke.", Label: 1}},
}

func TestOfficialFiles(t *testing.T) {
	require.Len(t, official, len(TaskNames()))
	variants := map[string]func(string) string{
		"plain":             func(s string) string { return s },
		"carriage returns":  func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") },
		"no last line feed": func(s string) string { return strings.TrimSuffix(s, "\n") },
		"byte order mark":   func(s string) string { return "\ufeff" + s },
		"all of those": func(s string) string {
			return "\ufeff" + strings.TrimSuffix(strings.ReplaceAll(s, "\n", "\r\n"), "\r\n")
		},
		"lone trailing \\r":  func(s string) string { return strings.TrimSuffix(s, "\n") + "\r" },
		"gzip (by the name)": func(s string) string { return s },
	}
	for name, c := range official {
		for variant, change := range variants {
			t.Run(name+"/"+variant, func(t *testing.T) {
				ending := ".tsv"
				if strings.HasPrefix(variant, "gzip") {
					ending = ".tsv.gz"
				}
				dir := files{name + "/train" + ending: change(c.train), name + "/dev" + ending: change(c.train)}.write(t)
				task, err := ReadTask(dir, strings.ToLower(name), ReadOptions{})
				require.NoError(t, err)
				require.Equal(t, name, task.Name)
				require.Equal(t, []Example{c.want}, task.Train)
				require.Equal(t, []Example{c.want}, task.Dev)
				require.Zero(t, task.Skipped)
				require.Equal(t, c.want.B != "", task.Pair)
				require.Equal(t, name == "STS-B", task.Regression)
			})
		}
	}
}

func TestMNLIHasTwoDevelopmentSets(t *testing.T) {
	line := func(a, label string) string {
		return row("0", "1", "2", "g", "b", "b", "p", "p", a, "B.", "neutral", "neutral", label)
	}
	dir := files{
		"MNLI/train.tsv":          official["MNLI"].train,
		"MNLI/dev_matched.tsv":    mnliDevHeader + line("matched", "entailment"),
		"MNLI/dev_mismatched.tsv": mnliDevHeader + line("mismatched", "neutral"),
		"MNLI/dev.tsv":            mnliDevHeader + line("not this one", "neutral"),
	}.write(t)
	task, err := ReadTask(dir, "MNLI", ReadOptions{})
	require.NoError(t, err)
	require.Equal(t, []Example{{A: "matched", B: "B."}}, task.Dev)
	require.Equal(t, map[string][]Example{"mismatched": {{A: "mismatched", B: "B.", Label: 1}}}, task.ExtraDev)
}

func TestJSONRows(t *testing.T) {
	want := []Example{{A: "Who?", B: "Ada.", Label: 1}, {A: "When?", B: "Today."}, {A: "£", B: "é"}}
	for name, content := range map[string]string{
		".json": `{"0": {"text_a": "Who?", "text_b": "Ada.", "label": "not_entailment"},
			"1": {"text_a": "When?", "text_b": "Today.", "label": 0}, "10": {"text_a": "\u00a3", "text_b": "é", "label": "entailment"}}`,
		".jsonl": `{"question": "Who?", "sentence": "Ada.", "label": 1, "idx": [1, {}]}` + "\r\n\r\n" +
			`{"premise": "When?", "hypothesis": "Today.", "gold_label": "0"}` + "\n" + `{"sentence1": "£", "sentence2": "é", "label": "entailment"}`,
		".jsonl.gz": `{"question1": "Who?", "question2": "Ada.", "is_duplicate": "1"}` + "\n" +
			`{"question": "When?", "sentence": "Today.", "label": "entailment"}` + "\n" + `{"text_a": "£", "text_b": "é", "label": 0}`,
	} {
		t.Run(name, func(t *testing.T) {
			task, err := ReadTask(files{"QNLI/train" + name: content, "QNLI/dev" + name: content}.write(t), "QNLI", ReadOptions{})
			require.NoError(t, err)
			require.Equal(t, want, task.Train)
			require.Equal(t, want, task.Dev)
		})
	}
}

func TestTrainExtraAddsOnlyNewRows(t *testing.T) {
	header := row("question", "sentence", "label")
	dir := files{
		"QNLI/train.json":      `{"0": {"text_a": "in train", "text_b": "x", "label": 0}, "1": {"text_a": "in train", "text_b": "x", "label": 0}}`,
		"QNLI/dev.tsv":         qnliHeader + row("0", "in dev", "x", "0"),
		"QNLI/train_extra.tsv": header + row("in train", "x", "1") + row("new", "x", "1") + row("in dev", "x", "0") + row("new", "x", "0") + row("new", "y", "0"),
	}.write(t)
	task, err := ReadTask(dir, "QNLI", ReadOptions{})
	require.NoError(t, err)
	same := Example{A: "in train", B: "x"}
	require.Equal(t, []Example{same, same, {A: "new", B: "x", Label: 1}, {A: "new", B: "y"}}, task.Train)
}

func TestTSVIsPreferredToJSONAndPlainToPacked(t *testing.T) {
	dir := files{
		"SST-2/train.tsv": sstHeader + row("plain", "1"), "SST-2/train.tsv.gz": sstHeader + row("packed", "1"), "SST-2/train.json": `{"0": {}}`,
		"SST-2/dev.jsonl": `{"sentence": "dev", "label": 1}`,
	}.write(t)
	task, err := ReadTask(dir, "SST-2", ReadOptions{})
	require.NoError(t, err)
	require.Equal(t, "plain", task.Train[0].A)
	require.Equal(t, "dev", task.Dev[0].A)
}
