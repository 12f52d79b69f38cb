package text

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"
)

// hellaSwagEndings is the number of endings of a HellaSwag context.
const hellaSwagEndings = 4

// hellaSwagText reads six lines per question: "activity: context", the number of the right ending, four endings. The activity is no part of the
// question.
func hellaSwagText(path string, b []byte) (rows []Choice, bad []BadRow) {
	const height = hellaSwagEndings + 2
	all := lines(b)
	for len(all) > 0 && strings.TrimSpace(all[len(all)-1]) == "" {
		all = all[:len(all)-1]
	}
	for i := 0; i < len(all); i += height {
		if len(all)-i < height {
			bad = append(bad, BadRow{path, i + 1, fmt.Sprintf("the last question has %d of its %d lines", len(all)-i, height)})
			break
		}
		part := all[i : i+height]
		context := part[0]
		if _, after, ok := strings.Cut(context, ": "); ok {
			context = after
		}
		c := Choice{ID: strconv.Itoa(i / height), Stem: context, Options: part[2:]}
		at, reason := label(strings.TrimSpace(part[1])).among("the label", numbers(0, hellaSwagEndings))
		line := i + 1
		if c.Answer = at; reason != "" {
			line++
		} else {
			reason = c.wrong()
		}
		if !utf8.ValidString(strings.Join(part, "")) {
			reason = "not valid UTF-8"
		}
		if reason != "" {
			bad = append(bad, BadRow{path, line, reason})
			continue
		}
		rows = append(rows, c)
	}
	return rows, bad
}

// openBookHeader are the columns of OpenBookQA's table.
var openBookHeader = []string{"ID", "Question Stem", "Choices", "Complete Question", "Answer Key"}

// openBookTable reads OpenBookQA's tab-separated table, whose options stand in one column as "(A) ... (B) ...".
func openBookTable(path string, b []byte) (rows []Choice, bad []BadRow) {
	all := lines(b)
	if len(all) == 0 || all[0] != strings.Join(openBookHeader, "\t") {
		return nil, []BadRow{{path, 1, fmt.Sprintf("the header must be the columns %q", openBookHeader)}}
	}
	for i, line := range all[1:] {
		if strings.TrimSpace(line) == "" {
			continue
		}
		c, reason := openBookRow(line)
		if reason != "" {
			bad = append(bad, BadRow{path, i + 2, reason})
			continue
		}
		rows = append(rows, c)
	}
	return rows, bad
}

func openBookRow(line string) (Choice, string) {
	if !utf8.ValidString(line) {
		return Choice{}, "not valid UTF-8"
	}
	fields := strings.Split(line, "\t")
	if len(fields) != len(openBookHeader) {
		return Choice{}, fmt.Sprintf("%d columns, expected %d", len(fields), len(openBookHeader))
	}
	options := lettered(fields[2])
	at, reason := label(strings.TrimSpace(fields[4])).among("Answer Key", lettersOf(len(options)))
	c := Choice{ID: fields[0], Stem: fields[1], Options: options, Answer: at}
	if len(options) < 2 || reason == "" {
		reason = c.wrong()
	}
	return c, reason
}

// lettered splits "(A) one (B) two" at the letters in their order; a letter out of order is text.
func lettered(s string) []string {
	var out []string
	rest, open := s, false
	for i := range letters {
		at := strings.Index(rest, "("+letters[i:i+1]+")")
		if at < 0 {
			break
		}
		if open {
			out = append(out, strings.TrimSpace(rest[:at]))
		}
		rest, open = rest[at+3:], true
	}
	if open {
		out = append(out, strings.TrimSpace(rest))
	}
	return out
}

// labelsFile is the file of answers that belongs to a file of rows (train.jsonl: train-labels.lst), "" if there is none.
func labelsFile(path string) string {
	name := strings.TrimSuffix(path, ".gz")
	return existing(strings.TrimSuffix(name, filepath.Ext(name)) + labelsEnding)
}

// readLabels reads one answer, 0 or 1, a line. A line that is neither is malformed, and keeps its place as unanswered.
func readLabels(path string) ([]int, []BadRow, error) {
	b, err := readFile(path)
	if err != nil {
		return nil, nil, err
	}
	var answers []int
	var bad []BadRow
	for i, line := range lines(b) {
		at, reason := label(strings.TrimSpace(line)).among("the line", numbers(0, 2))
		if reason != "" {
			bad = append(bad, BadRow{path, i + 1, reason})
		}
		answers = append(answers, at)
	}
	return answers, bad, nil
}

// besideAnswer is the answer of row number (from 1) in the file beside, or why there is none.
func besideAnswer(beside string, answers []int, number int) (int, string) {
	if number > len(answers) {
		return unanswered, fmt.Sprintf(noAnswer+"%s ends after %d answers", beside, len(answers))
	}
	if answers[number-1] == unanswered {
		return unanswered, fmt.Sprintf(noAnswer+"line %d of %s is neither 0 nor 1", number, beside)
	}
	return answers[number-1], ""
}
