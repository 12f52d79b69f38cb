package text

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// unanswered marks a question whose answer may stand elsewhere.
const unanswered = -1

// label is a correct answer as files write it: a number, a letter, a truth value, or nothing.
type label string

func (l *label) UnmarshalJSON(b []byte) error {
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	switch v := v.(type) {
	case nil:
		*l = ""
	case string:
		*l = label(strings.TrimSpace(v))
	case float64, bool:
		*l = label(b)
	default:
		return fmt.Errorf("%s is no answer", b)
	}
	return nil
}

// among is the place of the answer among its possible spellings, or why it has none.
func (l label) among(field string, spellings []string) (int, string) {
	if l == "" {
		return unanswered, noAnswer + field + " is missing or empty"
	}
	i := slices.Index(spellings, string(l))
	if i < 0 {
		return unanswered, fmt.Sprintf(noAnswer+"%s is %q, not one of %s", field, string(l), strings.Join(spellings, ", "))
	}
	return i, ""
}

// numbers are the spellings of n options counted from first.
func numbers(first, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = strconv.Itoa(first + i)
	}
	return out
}

// lettersOf are the spellings of n options as A, B, C, ...
func lettersOf(n int) []string {
	return strings.Split(letters[:min(n, len(letters))], "")
}

// identity is a row's id, text or number.
type identity string

func (i *identity) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) != nil {
		s = string(b)
	}
	*i = identity(s)
	return nil
}

func hellaSwagRow(raw []byte, add func(Choice, string)) error {
	var r struct {
		Ind     identity `json:"ind"`
		Ctx     string   `json:"ctx"`
		CtxA    string   `json:"ctx_a"`
		CtxB    string   `json:"ctx_b"`
		Endings []string `json:"endings"`
		Label   label    `json:"label"`
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return err
	}
	if r.Ctx == "" {
		r.Ctx = strings.TrimSpace(r.CtxA + " " + r.CtxB)
	}
	at, reason := r.Label.among("label", numbers(0, len(r.Endings)))
	add(Choice{ID: string(r.Ind), Stem: r.Ctx, Options: r.Endings, Answer: at}, reason)
	return nil
}

// piqaRow reads goal, sol1 and sol2; the answer is the label, or stands in the file beside.
func piqaRow(raw []byte, add func(Choice, string)) error {
	var r struct {
		ID    identity `json:"id"`
		Goal  string   `json:"goal"`
		Sol1  string   `json:"sol1"`
		Sol2  string   `json:"sol2"`
		Label label    `json:"label"`
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return err
	}
	c := Choice{ID: string(r.ID), Stem: r.Goal, Options: []string{r.Sol1, r.Sol2}, Answer: unanswered}
	reason := ""
	if r.Label != "" {
		c.Answer, reason = r.Label.among("label", numbers(0, 2))
	}
	add(c, reason)
	return nil
}

func winoGrandeRow(raw []byte, add func(Choice, string)) error {
	var r struct {
		ID       identity `json:"qID"`
		Sentence string   `json:"sentence"`
		Option1  string   `json:"option1"`
		Option2  string   `json:"option2"`
		Answer   label    `json:"answer"`
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return err
	}
	at, reason := r.Answer.among("answer", numbers(1, 2))
	if blanks := strings.Count(r.Sentence, "_"); blanks != 1 {
		reason = fmt.Sprintf("the sentence has %d blanks (_): exactly one is needed", blanks)
	}
	add(Choice{ID: string(r.ID), Stem: r.Sentence, Options: []string{r.Option1, r.Option2}, Answer: at}, reason)
	return nil
}

// raceRow reads one article with all its questions (the original files), or with one (question, options, answer).
func raceRow(raw []byte, add func(Choice, string)) error {
	var r struct {
		ID        identity        `json:"id"`
		ExampleID identity        `json:"example_id"`
		Article   string          `json:"article"`
		Questions []string        `json:"questions"`
		Question  string          `json:"question"`
		Options   json.RawMessage `json:"options"`
		Answers   []label         `json:"answers"`
		Answer    label           `json:"answer"`
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return err
	}
	var options [][]string
	if r.Questions == nil {
		var one []string
		if err := json.Unmarshal(r.Options, &one); err != nil {
			return fmt.Errorf("options: %w", err)
		}
		r.Questions, options, r.Answers = []string{r.Question}, [][]string{one}, []label{r.Answer}
	} else if err := json.Unmarshal(r.Options, &options); err != nil {
		return fmt.Errorf("options: %w", err)
	}
	if len(r.Questions) != len(options) || len(options) != len(r.Answers) {
		return fmt.Errorf("%d questions, %d lists of options and %d answers: as many of each are needed",
			len(r.Questions), len(options), len(r.Answers))
	}
	if strings.TrimSpace(r.Article) == "" {
		return fmt.Errorf("the article is empty")
	}
	id := string(r.ID + r.ExampleID)
	group := ""
	for _, g := range []string{"middle", "high"} {
		if strings.HasPrefix(id, g) {
			group = g
		}
	}
	for i, q := range r.Questions {
		at, reason := r.Answers[i].among("the answer", lettersOf(len(options[i])))
		c := Choice{ID: fmt.Sprintf("%s/%d", id, i+1), Group: group, Passage: r.Article, Stem: q, Options: options[i], Answer: at}
		if reason == "" {
			reason = c.wrong()
		}
		if reason != "" {
			reason = fmt.Sprintf("question %d: %s", i+1, reason)
		}
		add(c, reason)
	}
	return nil
}

// option is a choice as a list holds it; lists of texts and labels are turned into it.
type option struct{ Label, Text string }

type optionList []option

func (l *optionList) UnmarshalJSON(b []byte) error {
	var listed []option
	if json.Unmarshal(b, &listed) == nil {
		*l = listed
		return nil
	}
	var columns struct{ Text, Label []string }
	if err := json.Unmarshal(b, &columns); err != nil {
		return err
	}
	if len(columns.Text) != len(columns.Label) {
		return fmt.Errorf("%d texts and %d labels of options", len(columns.Text), len(columns.Label))
	}
	*l = nil
	for i, t := range columns.Text {
		*l = append(*l, option{columns.Label[i], t})
	}
	return nil
}

// stem is a question as text, or as an object with its choices.
type stem struct {
	Stem    string
	Choices optionList
}

func (s *stem) UnmarshalJSON(b []byte) error {
	if json.Unmarshal(b, &s.Stem) == nil {
		return nil
	}
	type plain stem // without this method
	return json.Unmarshal(b, (*plain)(s))
}

// keyedRow reads a question whose options have labels, one of which is the answerKey: ARC, OpenBookQA and CommonsenseQA.
func keyedRow(raw []byte, add func(Choice, string)) error {
	var r struct {
		ID           identity   `json:"id"`
		Question     stem       `json:"question"`
		QuestionStem string     `json:"question_stem"`
		Choices      optionList `json:"choices"`
		AnswerKey    label      `json:"answerKey"`
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return err
	}
	c := Choice{ID: string(r.ID), Stem: r.Question.Stem}
	if c.Stem == "" {
		c.Stem = r.QuestionStem
	}
	var labels []string
	for _, o := range append(r.Choices, r.Question.Choices...) {
		c.Options, labels = append(c.Options, o.Text), append(labels, o.Label)
	}
	reason := ""
	c.Answer, reason = r.AnswerKey.among("answerKey", labels)
	add(c, reason)
	return nil
}

// boolQRow reads a question about a passage; the answer is yes, the first option, or no.
func boolQRow(raw []byte, add func(Choice, string)) error {
	var r struct {
		Idx      identity `json:"idx"`
		Question string   `json:"question"`
		Passage  string   `json:"passage"`
		Label    label    `json:"label"`
		Answer   label    `json:"answer"`
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return err
	}
	field, value := "label", r.Label
	if value == "" {
		field, value = "answer", r.Answer
	}
	at, reason := value.among(field, []string{"false", "true", "0", "1"})
	if reason == "" && strings.TrimSpace(r.Passage) == "" {
		reason = "the passage is empty"
	}
	answer := 1 - at%2
	add(Choice{ID: string(r.Idx), Passage: r.Passage, Stem: r.Question, Options: []string{"Yes", "No"}, Answer: answer}, reason)
	return nil
}
