package text

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// readTSV reads tab-separated rows. Quotes have no meaning; fields are what stands between tabs.
func (l layout) readTSV(path string, b []byte) ([]Example, []BadRow, error) {
	all := lines(b)
	width, a, second, label, first := 0, 0, -1, 0, 0
	if l.columns != nil {
		width, a, label = l.columns[0], l.columns[1], l.columns[2]
	} else {
		if len(all) == 0 {
			return nil, nil, fmt.Errorf("%s is empty", path)
		}
		header := strings.Split(all[0], "\t")
		find := func(name string) int { return slices.Index(header, name) }
		width, a, label, first = len(header), find(l.a), find(l.label), 1
		if l.Pair {
			second = find(l.b)
		}
		if a < 0 || label < 0 || l.Pair && second < 0 {
			return nil, nil, fmt.Errorf("%s:1: the header %q lacks one of the columns %q, %q, %q", path, all[0], l.a, l.b, l.label)
		}
	}
	var rows []Example
	var bad []BadRow
	for i := first; i < len(all); i++ {
		fields := strings.Split(all[i], "\t")
		if len(fields) != width {
			bad = append(bad, BadRow{path, i + 1, fmt.Sprintf("%d columns, expected %d", len(fields), width)})
			continue
		}
		sentence2 := ""
		if l.Pair {
			sentence2 = fields[second]
		}
		e, reason := l.example(fields[a], sentence2, fields[label])
		if reason != "" {
			bad = append(bad, BadRow{path, i + 1, reason})
			continue
		}
		rows = append(rows, e)
	}
	return rows, bad, nil
}

// example makes a row, or says why it cannot.
func (l layout) example(a, b, label string) (Example, string) {
	e := Example{A: strings.TrimSpace(a), B: strings.TrimSpace(b)}
	label = strings.TrimSpace(label)
	switch {
	case !utf8.ValidString(a) || !utf8.ValidString(b):
		return e, "not valid UTF-8"
	case e.A == "":
		return e, "the first sentence is empty"
	case l.Pair && e.B == "":
		return e, "the second sentence is empty"
	}
	if l.Regression {
		v, err := strconv.ParseFloat(label, 64)
		if err != nil || math.IsNaN(v) || v < 0 || v > 5 {
			return e, fmt.Sprintf("score %q is not a number from 0 to 5", label)
		}
		e.Target = v
		return e, ""
	}
	e.Label = slices.Index(l.Labels, label)
	if n, err := strconv.Atoi(label); err == nil && n >= 0 && n < len(l.Labels) {
		e.Label = n
	}
	if e.Label < 0 {
		return e, fmt.Sprintf("label %q is not one of %s or 0 to %d", label, strings.Join(l.Labels, ", "), len(l.Labels)-1)
	}
	return e, ""
}

// jsonRow is a row in any of the field names that are in use.
type jsonRow map[string]any

// Names of the fields of JSON rows.
var (
	firstNames  = []string{"text_a", "sentence1", "premise", "question1", "question", "sentence"}
	secondNames = []string{"text_b", "sentence2", "hypothesis", "question2", "sentence"}
	labelNames  = []string{"label", "gold_label", "is_duplicate", "score"}
)

// pick is the text of the first of names that the row has.
func (r jsonRow) pick(names []string) (string, bool) {
	for _, n := range names {
		switch v := r[n].(type) {
		case string:
			return v, true
		case json.Number:
			return v.String(), true
		}
	}
	return "", false
}

func (l layout) fromJSON(r jsonRow) (Example, string) {
	a, okA := r.pick(firstNames)
	label, okLabel := r.pick(labelNames)
	b, okB := "", true
	if l.Pair {
		b, okB = r.pick(secondNames)
	}
	if !okA || !okB || !okLabel {
		return Example{}, "a field for a sentence or the label is missing"
	}
	return l.example(a, b, label)
}

// readObject reads one JSON object whose values are the rows, in the order of the file.
func (l layout) readObject(path string, b []byte) ([]Example, []BadRow, error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, nil, fmt.Errorf("%s:1: expected a JSON object of rows", path)
	}
	var rows []Example
	var bad []BadRow
	line := lineCounter(b)
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, nil, fmt.Errorf("%s:%d: %w", path, line(dec.InputOffset()), err)
		}
		at := line(dec.InputOffset())
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, nil, fmt.Errorf("%s:%d: row %v: %w", path, at, key, err)
		}
		l.addJSON(path, at, raw, &rows, &bad)
	}
	if _, err := dec.Token(); err != nil {
		return nil, nil, fmt.Errorf("%s: the object does not end: %w", path, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, nil, fmt.Errorf("%s:%d: text after the JSON object", path, line(dec.InputOffset()))
	}
	return rows, bad, nil
}

// lineCounter numbers the lines of b from 1: it gives the line of the first thing that stands at or behind an offset. Offsets must not fall.
func lineCounter(b []byte) func(offset int64) int {
	line, done := 1, 0
	return func(offset int64) int {
		end := len(b) - len(bytes.TrimLeft(b[offset:], " \t\r\n,"))
		if end > done {
			line += bytes.Count(b[done:end], []byte("\n"))
			done = end
		}
		return line
	}
}

// addJSON appends one JSON row to the good or to the bad ones.
func (l layout) addJSON(path string, line int, raw []byte, rows *[]Example, bad *[]BadRow) {
	if !utf8.Valid(raw) {
		*bad = append(*bad, BadRow{path, line, "not valid UTF-8"})
		return
	}
	var r jsonRow
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&r); err != nil {
		*bad = append(*bad, BadRow{path, line, "not a JSON object: " + err.Error()})
		return
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		*bad = append(*bad, BadRow{path, line, "text after the JSON object"})
		return
	}
	e, reason := l.fromJSON(r)
	if reason != "" {
		*bad = append(*bad, BadRow{path, line, reason})
		return
	}
	*rows = append(*rows, e)
}

// readLines reads JSON lines; empty ones are skipped.
func (l layout) readLines(path string, b []byte) ([]Example, []BadRow, error) {
	var rows []Example
	var bad []BadRow
	for i, line := range lines(b) {
		if strings.TrimSpace(line) != "" {
			l.addJSON(path, i+1, []byte(line), &rows, &bad)
		}
	}
	return rows, bad, nil
}
