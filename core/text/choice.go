package text

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// Choice is one multiple-choice question.
type Choice struct {
	ID      string // as the file has it, or ""
	Group   string // a part of the task that is scored on its own (RACE: "middle", "high"), or ""
	Passage string // what the question is about (RACE's article, BoolQ's passage), or ""
	Stem    string // the question, goal or context; WinoGrande's sentence has one "_"
	Options []string
	Answer  int // index of the correct option
}

// ChoiceTask is a multiple-choice task.
type ChoiceTask struct {
	Name             string
	Train, Dev, Test []Choice
	Skipped          int // malformed rows left out, where skipping was allowed
}

// choiceLayout is how the files of a task are read and its questions are put.
type choiceLayout struct {
	name, folder string
	object       func(row []byte, add func(Choice, string)) error // one JSON line: every question of it, or why it cannot be used
	plain        func(path string, b []byte) ([]Choice, []BadRow) // files that are no JSON lines
	ending       string                                           // of those files
	labels       bool                                             // answers may stand in a file beside the rows
	prompt       promptTemplate
}

var choiceLayouts = []choiceLayout{
	{name: "HellaSwag", folder: "hellaswag", object: hellaSwagRow, plain: hellaSwagText, ending: ".txt", prompt: hellaSwagPrompt},
	{name: "PIQA", folder: "piqa", object: piqaRow, labels: true, prompt: piqaPrompt},
	{name: "WinoGrande", folder: "winogrande", object: winoGrandeRow, prompt: winoGrandePrompt},
	{name: "RACE", folder: "race", object: raceRow, prompt: racePrompt},
	{name: "ARC-Easy", folder: "arc_easy", object: keyedRow, prompt: questionPrompt},
	{name: "ARC-Challenge", folder: "arc_challenge", object: keyedRow, prompt: questionPrompt},
	{name: "OpenBookQA", folder: "openbookqa", object: keyedRow, plain: openBookTable, ending: ".tsv", prompt: questionPrompt},
	{name: "CommonsenseQA", folder: "commonsenseqa", object: keyedRow, prompt: questionPrompt},
	{name: "BoolQ", folder: "boolq", object: boolQRow, prompt: boolQPrompt},
}

// ChoiceTaskNames are the multiple-choice tasks by name.
func ChoiceTaskNames() []string {
	names := make([]string, len(choiceLayouts))
	for i, l := range choiceLayouts {
		names[i] = l.name
	}
	return names
}

func choiceLayoutOf(name string) (choiceLayout, error) {
	i := slices.IndexFunc(choiceLayouts, func(l choiceLayout) bool {
		return strings.EqualFold(l.name, name) || strings.EqualFold(l.folder, name)
	})
	if i < 0 {
		return choiceLayout{}, fmt.Errorf("there is no multiple-choice task %q; tasks are %s", name, strings.Join(ChoiceTaskNames(), ", "))
	}
	return choiceLayouts[i], nil
}

// choiceFile is a file of rows and the part of the task that it belongs to.
type choiceFile struct {
	path, part string // part is "train", "dev" or "test"
}

// choiceParts are the beginnings of file names and the parts they name.
var choiceParts = [][2]string{{"train", "train"}, {"dev", "dev"}, {"val", "dev"}, {"test", "test"}}

// labelsEnding is what follows the name of a part in the name of the file with its answers.
const labelsEnding = "-labels.lst"

// files lists the row files of a folder by name: those that begin with train, dev, val or test, plain or gzip. A folder that is not there has none.
func (l choiceLayout) files(folder string) ([]choiceFile, error) {
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read %s: %w", folder, err)
	}
	var out []choiceFile
	for _, e := range entries {
		name := strings.TrimSuffix(e.Name(), ".gz")
		if ending := filepath.Ext(name); e.IsDir() || ending != ".jsonl" && (l.ending == "" || ending != l.ending) {
			continue
		}
		for _, p := range choiceParts {
			if strings.HasPrefix(name, p[0]) {
				out = append(out, choiceFile{filepath.Join(folder, e.Name()), p[1]})
				break
			}
		}
	}
	return out, nil
}

// ReadChoices reads a multiple-choice task from its folder in dir (dir/hellaswag, dir/piqa, dir/arc_easy, ...). Every file whose name begins with
// train, dev, val or test is read, JSON lines of the original fields or the task's own plain format, plain or gzip; a row that an earlier file of the
// same part holds is left out. A test file without any answer, as some tasks publish, is passed over. A file with malformed rows, such as one without
// a correct answer, is a *MalformedError unless they may be skipped.
func ReadChoices(dir, name string, o ReadOptions) (ChoiceTask, error) {
	l, err := choiceLayoutOf(name)
	if err != nil {
		return ChoiceTask{}, err
	}
	t := ChoiceTask{Name: l.name}
	folder := filepath.Join(dir, l.folder)
	files, err := l.files(folder)
	if err != nil {
		return t, fmt.Errorf("task %s: %w", t.Name, err)
	}
	if len(files) == 0 {
		return t, fmt.Errorf("task %s: %s holds no train*, dev*, val* or test* file in JSON lines%s; put them there, or leave the task out",
			t.Name, folder, orEnding(l.ending))
	}
	parts := map[string]*[]Choice{"train": &t.Train, "dev": &t.Dev, "test": &t.Test}
	var bad []BadRow
	for _, f := range files {
		rows, wrong, err := l.readFile(f)
		if err != nil {
			return t, fmt.Errorf("task %s: %w", t.Name, err)
		}
		bad = append(bad, wrong...)
		part := parts[f.part]
		*part = append(*part, unseen(rows, *part)...)
	}
	if err := o.refuse(bad); err != nil {
		return t, fmt.Errorf("task %s: %w", t.Name, err)
	}
	if t.Skipped = len(bad); len(t.Train)+len(t.Dev)+len(t.Test) == 0 {
		return t, fmt.Errorf("task %s: no usable rows in %s (%d malformed)", t.Name, folder, t.Skipped)
	}
	return t, nil
}

func orEnding(ending string) string {
	if ending == "" {
		return ""
	}
	return " or " + ending
}

// unseen leaves out the rows that earlier files hold; repeats within one file are the data set's own and stay.
func unseen(rows, earlier []Choice) []Choice {
	if len(earlier) == 0 {
		return rows
	}
	key := func(c Choice) string {
		return strings.Join(append([]string{c.Passage, c.Stem}, c.Options...), "\x00")
	}
	seen := make(map[string]bool, len(earlier))
	for _, c := range earlier {
		seen[key(c)] = true
	}
	return slices.DeleteFunc(rows, func(c Choice) bool { return seen[key(c)] })
}

// readFile reads one file as read does. A test file without a single answer is one whose answers are not public: it has no rows, and none are
// malformed.
func (l choiceLayout) readFile(f choiceFile) ([]Choice, []BadRow, error) {
	rows, bad, err := l.read(f.path)
	answered := func(b BadRow) bool { return !strings.Contains(b.Reason, noAnswer) }
	if err == nil && f.part == "test" && len(rows) == 0 && !slices.ContainsFunc(bad, answered) {
		return nil, nil, nil
	}
	return rows, bad, err
}

// noAnswer is what the reasons about rows without a correct answer say.
const noAnswer = "no correct answer: "

// read reads one file. Malformed rows are returned beside the good ones; the error is for files that cannot be read at all.
func (l choiceLayout) read(path string) ([]Choice, []BadRow, error) {
	b, err := readFile(path)
	if err != nil {
		return nil, nil, err
	}
	if filepath.Ext(strings.TrimSuffix(path, ".gz")) == l.ending {
		rows, bad := l.plain(path, b)
		return rows, bad, nil
	}
	var answers []int
	var bad []BadRow
	beside := ""
	if l.labels {
		beside = labelsFile(path)
	}
	if beside != "" {
		if answers, bad, err = readLabels(beside); err != nil {
			return nil, nil, err
		}
	}
	rows, wrong := l.readLines(path, b, beside, answers)
	return rows, append(bad, wrong...), nil
}

// readLines reads JSON lines; empty ones are skipped. Answers, if there is a file beside of them, belong to the rows in order.
func (l choiceLayout) readLines(path string, b []byte, beside string, answers []int) (rows []Choice, bad []BadRow) {
	refuse := func(line int, reason string) { bad = append(bad, BadRow{path, line, reason}) }
	number := 0
	for i, line := range lines(b) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		number++
		if !utf8.ValidString(line) {
			refuse(i+1, "not valid UTF-8")
			continue
		}
		err := l.object([]byte(line), func(c Choice, reason string) {
			if reason == "" && c.Answer < 0 && beside != "" {
				c.Answer, reason = besideAnswer(beside, answers, number)
			}
			if reason == "" {
				reason = c.wrong()
			}
			if reason != "" {
				refuse(i+1, reason)
				return
			}
			rows = append(rows, c)
		})
		if err != nil {
			refuse(i+1, "not the JSON of a row: "+err.Error())
		}
	}
	if beside != "" && number != len(answers) {
		refuse(0, fmt.Sprintf("%s has %d rows, and %s has %d answers: they must go together line by line", path, number, beside, len(answers)))
	}
	return rows, bad
}

// wrong says why a question cannot be used, "" if it can.
func (c Choice) wrong() string {
	switch {
	case strings.TrimSpace(c.Stem) == "":
		return "the question is empty"
	case len(c.Options) < 2:
		return fmt.Sprintf("%d options: at least 2 are needed", len(c.Options))
	case len(c.Options) > len(letters):
		return fmt.Sprintf("%d options: at most %d are possible", len(c.Options), len(letters))
	case c.Answer < 0 || c.Answer >= len(c.Options):
		return noAnswer + "the row does not say which option is right"
	}
	for i, o := range c.Options {
		if strings.TrimSpace(o) == "" {
			return fmt.Sprintf("option %c is empty", letters[i])
		}
	}
	return ""
}
