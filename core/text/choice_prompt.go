package text

import (
	"fmt"
	"strings"
)

// letters name the options of a question.
const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

// Prompt is a question as a causal model reads it.
type Prompt struct {
	// Text is the question with its lettered options. For HellaSwag, PIQA, WinoGrande and RACE it is, byte for byte, the prompt of OpenCompass 0.2.4;
	// RACE then asks for the letter with Cue, the others end so by themselves or need no cue.
	Text string
	// Cue follows Text where the letter is asked for.
	Cue string
	// Letters are A, B, C, ..., one per option.
	Letters []string
	// Sequences are one whole text per option, for likelihoods.
	Sequences []string
}

// Asked is the text behind which the letter is expected.
func (p Prompt) Asked() string { return p.Text + p.Cue }

// promptTemplate puts a question.
type promptTemplate func(c Choice) Prompt

// Prompts puts the questions of a task.
func (t ChoiceTask) Prompts(rows []Choice) ([]Prompt, error) {
	l, err := choiceLayoutOf(t.Name)
	if err != nil {
		return nil, err
	}
	out := make([]Prompt, len(rows))
	for i, c := range rows {
		out[i] = l.prompt(c)
		out[i].Letters = lettersOf(len(c.Options))
	}
	return out, nil
}

// listed is the options as lines "A. option".
func listed(options []string) string {
	out := make([]string, len(options))
	for i, o := range options {
		out[i] = letters[i:i+1] + ". " + o
	}
	return strings.Join(out, "\n")
}

// each is a text per option.
func each(options []string, sequence func(option string) string) []string {
	out := make([]string, len(options))
	for i, o := range options {
		out[i] = sequence(o)
	}
	return out
}

func hellaSwagPrompt(c Choice) Prompt {
	quoted := make([]string, len(c.Options))
	for i := range quoted {
		quoted[i] = "'" + letters[i:i+1] + "'"
	}
	return Prompt{
		Text: fmt.Sprintf("%s\nQuestion: Which ending makes the most sense?\n%s\nYou may choose from %s.\nAnswer:",
			c.Stem, listed(c.Options), strings.Join(quoted, ", ")),
		Sequences: each(c.Options, func(o string) string { return c.Stem + " " + o }),
	}
}

func piqaPrompt(c Choice) Prompt {
	return Prompt{
		Text: c.Stem + "\n" + listed(c.Options) + "\nAnswer:",
		Sequences: each(c.Options, func(o string) string {
			return "The following makes sense: \nQ: " + c.Stem + "\nA: " + o + "\n"
		}),
	}
}

func winoGrandePrompt(c Choice) Prompt {
	filled := each(c.Options, func(o string) string { return strings.Replace(c.Stem, "_", o, 1) })
	return Prompt{Text: "Which of the following is a good sentence:\n" + listed(filled) + "\nAnswer:", Sequences: filled}
}

func racePrompt(c Choice) Prompt {
	return Prompt{
		Text: fmt.Sprintf("Read the article, and answer the question by replying A, B, C or D.\n\nArticle:\n%s\n\nQ: %s\n\n%s",
			c.Passage, c.Stem, listed(c.Options)),
		Cue: "\n\nAnswer:",
		Sequences: each(c.Options, func(o string) string {
			return "Article:\n" + c.Passage + "\n\nQ: " + c.Stem + "\n\nA: " + o
		}),
	}
}

// questionPrompt is for ARC, OpenBookQA and CommonsenseQA, for which the specification has no template.
func questionPrompt(c Choice) Prompt {
	return Prompt{
		Text:      "Question: " + c.Stem + "\n" + listed(c.Options) + "\nAnswer:",
		Sequences: each(c.Options, func(o string) string { return "Question: " + c.Stem + "\nAnswer: " + o }),
	}
}

func boolQPrompt(c Choice) Prompt {
	question := c.Passage + "\nQuestion: " + strings.TrimSuffix(c.Stem, "?") + "?\n"
	return Prompt{
		Text:      question + listed(c.Options) + "\nAnswer:",
		Sequences: each(c.Options, func(o string) string { return question + "Answer: " + o }),
	}
}

// Template is how an instruction and its answer stand in training text.
type Template string

const (
	// Plain puts the answer behind the prompt, a space between them; the end-of-text token follows.
	Plain Template = "plain"
	// Llama3 is the chat template that Flexora was trained with: a system block, the instruction as the user's, the answer as the assistant's.
	Llama3 Template = "llama3"
)

// CausalRow is one training example of a causal model: only the response is learned.
type CausalRow struct{ Prompt, Response string }

// Row wraps an instruction and its answer.
func (t Template) Row(instruction, answer string) (CausalRow, error) {
	switch t {
	case Plain:
		return CausalRow{instruction, " " + answer}, nil
	case Llama3:
		return CausalRow{
			Prompt: "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nYou are a helpful assistant.<|eot_id|>" +
				"<|start_header_id|>user<|end_header_id|>\n\n" + instruction + "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
			Response: answer + "<|eot_id|>",
		}, nil
	}
	return CausalRow{}, fmt.Errorf("there is no template %q; templates are %s and %s", string(t), Plain, Llama3)
}

// TrainingRows are questions with the letter of the right option as the answer to learn.
func (t ChoiceTask) TrainingRows(rows []Choice, template Template) ([]CausalRow, error) {
	prompts, err := t.Prompts(rows)
	if err != nil {
		return nil, err
	}
	out := make([]CausalRow, len(rows))
	for i, p := range prompts {
		text := p.Text
		if template == Plain {
			text = p.Asked()
		}
		if out[i], err = template.Row(text, p.Letters[rows[i].Answer]); err != nil {
			return nil, err
		}
	}
	return out, nil
}
