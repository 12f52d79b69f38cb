package text

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSharedChoices(t *testing.T) {
	dir := sharedData(t, "mc")
	for name, rows := range map[string][2]int{
		"HellaSwag": {0, 8036}, "PIQA": {15000, 1838}, "WinoGrande": {10234, 1300}, "RACE": {8084, 0}, "ARC-Easy": {2251, 570}, "ARC-Challenge": {1119, 299},
		"OpenBookQA": {4957, 500}, "CommonsenseQA": {9741, 1221}, "BoolQ": {0, 3270},
	} {
		t.Run(name, func(t *testing.T) {
			task, err := ReadChoices(dir, name, ReadOptions{})
			require.NoError(t, err)
			require.Equal(t, rows, [2]int{len(task.Train), len(task.Dev)})
			require.Empty(t, task.Test)
			prompts, err := task.Prompts(append(task.Train, task.Dev...))
			require.NoError(t, err)
			for _, p := range prompts {
				require.Len(t, p.Sequences, len(p.Letters))
				require.True(t, strings.HasSuffix(p.Asked(), "\nAnswer:"))
			}
		})
	}
}

func TestSharedChoiceRows(t *testing.T) {
	dir := sharedData(t, "mc")
	first := func(name string) Choice {
		task, err := ReadChoices(dir, name, ReadOptions{})
		require.NoError(t, err)
		return append(task.Train, task.Dev...)[0]
	}
	swag := first("HellaSwag")
	require.Equal(t, "A man is sitting on a roof. he", swag.Stem)
	require.Equal(t, "starts pulling up roofing on a roof.", swag.Options[swag.Answer])
	race := first("RACE")
	require.Equal(t, []string{"middle", "middle2.txt/1"}, []string{race.Group, race.ID})
	require.Equal(t, Choice{
		ID: "3QHITW7OYO7Q6B6ISU2UMJB84ZLAQE-2", Stem: "Ian volunteered to eat Dennis's menudo after already having a bowl because _ despised eating intestine.",
		Options: []string{"Ian", "Dennis"}, Answer: 1,
	}, first("WinoGrande"))
	require.Equal(t, Choice{ID: "7-980", Stem: "The sun is responsible for", Answer: 3, Options: []string{
		"puppies learning new tricks", "children growing up and getting old", "flowers wilting in a vase", "plants sprouting, blooming and wilting",
	}}, first("OpenBookQA"))
	require.Equal(t, []any{1, "Pour it into a jar"}, []any{first("PIQA").Answer, first("PIQA").Options[1]})
	require.Equal(t, 1, first("BoolQ").Answer, "false is No")
}

// goodRows are one row per spelling in use.
var goodRows = []struct {
	task, file, row string
	want            Choice
}{
	{
		"hellaswag", "train.jsonl", `{"ind": 4, "activity_label": "X", "ctx_a": "A man.", "ctx_b": "he", "endings": ["a", "b", "c", "d"], "label": 2}`,
		Choice{ID: "4", Stem: "A man. he", Options: []string{"a", "b", "c", "d"}, Answer: 2},
	},
	{
		"HellaSwag", "validation.jsonl.gz", `{"ctx": "A man", "endings": ["a", "b", "c", "d"], "label": "0"}`,
		Choice{Stem: "A man", Options: []string{"a", "b", "c", "d"}},
	},
	{"HellaSwag", "val.txt", "No activity here\r\n1\r\na\r\nb\r\nc\r\nd\r\n", Choice{ID: "0", Stem: "No activity here", Options: []string{"a", "b", "c", "d"}, Answer: 1}},
	{"PIQA", "train.jsonl", `{"id": "x", "goal": "g", "sol1": "a", "sol2": "b", "label": 1}`, Choice{ID: "x", Stem: "g", Options: []string{"a", "b"}, Answer: 1}},
	{"WinoGrande", "train_xl.jsonl", `{"sentence": "_ won.", "option1": "a", "option2": "b", "answer": "2"}`, Choice{Stem: "_ won.", Options: []string{"a", "b"}, Answer: 1}},
	{
		"RACE", "test_high.jsonl", `{"id": "high7.txt", "article": "t", "questions": ["q"], "options": [["a", "b", "c"]], "answers": ["C"]}`,
		Choice{ID: "high7.txt/1", Group: "high", Passage: "t", Stem: "q", Options: []string{"a", "b", "c"}, Answer: 2},
	},
	{
		"RACE", "dev.jsonl", `{"example_id": "middle1.txt", "article": "t", "question": "q", "options": ["a", "b"], "answer": "B"}`,
		Choice{ID: "middle1.txt/1", Group: "middle", Passage: "t", Stem: "q", Options: []string{"a", "b"}, Answer: 1},
	},
	{
		"ARC-Easy", "train.jsonl", `{"id": 1, "question": "q", "choices": {"text": ["a", "b", "c"], "label": ["1", "2", "3"]}, "answerKey": "3"}`,
		Choice{ID: "1", Stem: "q", Options: []string{"a", "b", "c"}, Answer: 2},
	},
	{
		"ARC-Challenge", "dev.jsonl", `{"id": "1", "question": {"stem": "q", "choices": [{"text": "a", "label": "A"}, {"text": "b", "label": "B"}]}, "answerKey": "B"}`,
		Choice{ID: "1", Stem: "q", Options: []string{"a", "b"}, Answer: 1},
	},
	{
		"OpenBookQA", "train.jsonl", `{"id": "1", "question_stem": "q", "choices": [{"text": "a", "label": "A"}, {"text": "b", "label": "B"}], "answerKey": "A"}`,
		Choice{ID: "1", Stem: "q", Options: []string{"a", "b"}},
	},
	{"OpenBookQA", "dev.tsv", strings.Join(openBookHeader, "\t") + "\n1\tq\t(A) a (B) b (B) c\tq...\tB", Choice{ID: "1", Stem: "q", Options: []string{"a", "b (B) c"}, Answer: 1}},
	{"BoolQ", "train.jsonl", `{"question": "is it", "title": "T", "answer": true, "passage": "p"}`, Choice{Passage: "p", Stem: "is it", Options: []string{"Yes", "No"}}},
	{"BoolQ", "dev.jsonl", `{"question": "is it", "label": 0, "passage": "p", "idx": 3}`, Choice{ID: "3", Passage: "p", Stem: "is it", Options: []string{"Yes", "No"}, Answer: 1}},
}

func TestChoiceSpellings(t *testing.T) {
	for _, r := range goodRows {
		l, err := choiceLayoutOf(r.task)
		require.NoError(t, err)
		task, err := ReadChoices(files{l.folder + "/" + r.file: "\xef\xbb\xbf" + r.row}.write(t), r.task, ReadOptions{})
		require.NoError(t, err, r.row)
		require.Equal(t, []Choice{r.want}, append(append(task.Train, task.Dev...), task.Test...), r.row)
	}
}

// badChoices are files with one bad row, its line and what is said about it.
var badChoices = []struct{ task, file, content, at, reason string }{
	{"HellaSwag", "val.jsonl", `{"ctx": "c", "endings": ["a", "b"], "label": ""}`, "val.jsonl:1", "no correct answer: label is missing or empty"},
	{"HellaSwag", "val.jsonl", `{"ctx": "c", "endings": ["a", "b"], "label": 2}`, "val.jsonl:1", `no correct answer: label is "2", not one of 0, 1`},
	{"HellaSwag", "val.jsonl", `{"ctx": "c", "endings": ["a", " "], "label": 0}`, "val.jsonl:1", "option B is empty"},
	{"HellaSwag", "val.jsonl", `{"ctx": "c", "endings": ["a"], "label": 0}`, "val.jsonl:1", "1 options: at least 2"},
	{"HellaSwag", "val.txt", "c\n0\na\nb\nc\nd\nc\n4\na\nb\nc\nd\n", "val.txt:8", `no correct answer: the label is "4"`},
	{"HellaSwag", "val.txt", "c\n0\na\nb\nc\nd\nc\n1\na\n", "val.txt:7", "3 of its 6 lines"},
	{"PIQA", "train.jsonl", "\n" + `{"goal": "g", "sol1": "a", "sol2": "b"}`, "train.jsonl:2", "no correct answer: the row does not say"},
	{"PIQA", "train.jsonl", `{"goal": "g", "sol1": "a", "sol2": "b", "label": -1}`, "train.jsonl:1", `no correct answer: label is "-1"`},
	{"PIQA", "train.jsonl", `{"goal": "g", "sol1": "a"}`, "train.jsonl:1", "no correct answer"},
	{"WinoGrande", "dev.jsonl", `{"sentence": "_ won.", "option1": "a", "option2": "b", "answer": ""}`, "dev.jsonl:1", "no correct answer: answer is missing or empty"},
	{"WinoGrande", "dev.jsonl", `{"sentence": "a won.", "option1": "a", "option2": "b", "answer": "1"}`, "dev.jsonl:1", "0 blanks"},
	{"RACE", "dev.jsonl", `{"article": "t", "questions": ["q", "r"], "options": [["a", "b"], ["a", "b"]], "answers": ["A", "C"]}`, "dev.jsonl:1", `question 2: no correct answer: the answer is "C", not one of A, B`},
	{"RACE", "dev.jsonl", `{"article": "t", "questions": ["q", "r"], "options": [["a", "b"]], "answers": ["A"]}`, "dev.jsonl:1", "2 questions, 1 lists"},
	{"RACE", "dev.jsonl", `{"article": " ", "questions": ["q"], "options": [["a", "b"]], "answers": ["A"]}`, "dev.jsonl:1", "the article is empty"},
	{"ARC-Easy", "train.jsonl", `{"question": "q", "choices": {"text": ["a", "b"], "label": ["A", "B"]}, "answerKey": "1"}`, "train.jsonl:1", `answerKey is "1", not one of A, B`},
	{"ARC-Easy", "train.jsonl", `{"question": "q", "choices": {"text": ["a", "b"], "label": ["A"]}, "answerKey": "A"}`, "train.jsonl:1", "2 texts and 1 labels"},
	{"CommonsenseQA", "dev.jsonl", `{"question": {"stem": "q", "choices": [{"label": "A", "text": "a"}, {"label": "B", "text": "b"}]}}`, "dev.jsonl:1", "no correct answer: answerKey is missing"},
	{"OpenBookQA", "dev.tsv", strings.Join(openBookHeader, "\t") + "\n1\tq\t(A) a (B) b\tq\tC", "dev.tsv:2", `Answer Key is "C", not one of A, B`},
	{"OpenBookQA", "dev.tsv", strings.Join(openBookHeader, "\t") + "\n1\tq\ta b\tq\tA", "dev.tsv:2", "0 options"},
	{"OpenBookQA", "dev.tsv", strings.Join(openBookHeader, "\t") + "\n1\tq", "dev.tsv:2", "2 columns, expected 5"},
	{"OpenBookQA", "dev.tsv", "1\tq", "dev.tsv:1", "the header must be"},
	{"BoolQ", "val.jsonl", `{"question": "q", "passage": "p"}`, "val.jsonl:1", "no correct answer: answer is missing"},
	{"BoolQ", "val.jsonl", `{"question": "q", "passage": "", "label": true}`, "val.jsonl:1", "the passage is empty"},
	{"BoolQ", "val.jsonl", `{"question": " ", "passage": "p", "label": true}`, "val.jsonl:1", "the question is empty"},
	{"BoolQ", "val.jsonl", `{"question": "q", "passage": "p", "label": [1]}`, "val.jsonl:1", "is no answer"},
	{"BoolQ", "val.jsonl", "{\"question\": \"\xff\", \"passage\": \"p\", \"label\": true}", "val.jsonl:1", "not valid UTF-8"},
	{"BoolQ", "val.jsonl", `{"question": "q"`, "val.jsonl:1", "not the JSON of a row"},
	{"BoolQ", "val.jsonl", `["q"]`, "val.jsonl:1", "not the JSON of a row"},
}

func TestMalformedChoices(t *testing.T) {
	for _, b := range badChoices {
		l, err := choiceLayoutOf(b.task)
		require.NoError(t, err)
		dir := files{l.folder + "/" + b.file: b.content}.write(t)
		_, err = ReadChoices(dir, b.task, ReadOptions{})
		var malformed *MalformedError
		require.True(t, errors.As(err, &malformed), "%s: %v", b.content, err)
		require.Len(t, malformed.Rows, 1, b.content)
		require.ErrorContains(t, err, filepath.Join(dir, l.folder, b.at)+": ")
		require.ErrorContains(t, err, b.reason)
	}
}

func TestLabelsBesideTheRows(t *testing.T) {
	rows := strings.Repeat(`{"goal": "g", "sol1": "a", "sol2": "b"}`+"\n", 3)
	task, err := ReadChoices(files{"piqa/train.jsonl": rows, "piqa/train-labels.lst.gz": "1\n0\n1\n"}.write(t), "PIQA", ReadOptions{})
	require.NoError(t, err)
	require.Equal(t, []int{1, 0, 1}, []int{task.Train[0].Answer, task.Train[1].Answer, task.Train[2].Answer})

	for labels, want := range map[string]string{
		"1\n0\n":       "ends after 2 answers",
		"1\n0\n1\n1\n": "has 3 rows, and",
		"1\nx\n1\n":    `train-labels.lst:2: no correct answer: the line is "x", not one of 0, 1`,
	} {
		dir := files{"piqa/train.jsonl": rows, "piqa/train-labels.lst": labels}.write(t)
		_, err := ReadChoices(dir, "PIQA", ReadOptions{})
		require.ErrorContains(t, err, want)
		skipped, err := ReadChoices(dir, "PIQA", ReadOptions{SkipBad: true})
		require.NoError(t, err)
		require.Positive(t, skipped.Skipped)
	}
}

// TestUnlabelledTestFiles: answers of a public test set may be secret, but one answer among the rows means that the others lack theirs.
func TestUnlabelledTestFiles(t *testing.T) {
	row := func(answer string) string {
		return `{"sentence": "_ won", "option1": "a", "option2": "b"` + answer + "}\n"
	}
	open, secret := row(`, "answer": "1"`), row("")
	dir := files{"winogrande/dev.jsonl": open, "winogrande/test.jsonl": secret + secret}.write(t)
	task, err := ReadChoices(dir, "WinoGrande", ReadOptions{})
	require.NoError(t, err)
	require.Equal(t, []int{1, 0, 0}, []int{len(task.Dev), len(task.Test), task.Skipped})
	report, err := Check(dir)
	require.NoError(t, err)
	require.Len(t, report.Files, 2)
	require.Equal(t, 0, report.Files[1].Rows+len(report.Files[1].Bad))
	for _, wrong := range []files{
		{"winogrande/test.jsonl": open + secret}, {"winogrande/test.jsonl": secret + "?\n"}, {"winogrande/dev.jsonl": secret},
	} {
		_, err := ReadChoices(wrong.write(t), "WinoGrande", ReadOptions{})
		require.ErrorContains(t, err, "no correct answer: answer is missing or empty")
	}
}

func TestChoiceFilesJoin(t *testing.T) {
	row := func(s string) string {
		return `{"sentence": "_ ` + s + `", "option1": "a", "option2": "b", "answer": "1"}` + "\n"
	}
	dir := files{
		"winogrande/train_s.jsonl": row("x") + row("x") + row("y"), "winogrande/train_xl.jsonl": row("x") + row("z"),
		"winogrande/dev.jsonl": row("x"), "winogrande/README.txt": "", "winogrande/notes.jsonl": "?",
	}.write(t)
	task, err := ReadChoices(dir, "winogrande", ReadOptions{})
	require.NoError(t, err)
	require.Equal(t, []int{4, 1}, []int{len(task.Train), len(task.Dev)}, "a repeat within a file stays, one of an earlier file goes")
	_, err = ReadChoices(dir, "piqa", ReadOptions{})
	require.ErrorContains(t, err, "holds no train*, dev*, val* or test* file in JSON lines; put them there")
	_, err = ReadChoices(dir, "swag", ReadOptions{})
	require.ErrorContains(t, err, `there is no multiple-choice task "swag"; tasks are HellaSwag, PIQA`)
}
