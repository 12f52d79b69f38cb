package tui

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"flexi/core/run"
)

// A filter is a list of terms that must all hold:
//
//	word            the row's text contains word, whatever the case
//	field:a|b       the field contains a or b
//	field<12M       the field is a number below 12 million; also <=, >, >=
//	-term           the term does not hold
type filter []term

type term struct {
	not    bool
	field  string // "" for the row's text
	op     string // ":", "<", "<=", ">", ">="
	values []string
	number float64
}

// record is a row that can be filtered.
type record interface {
	text() string
	// words returns the field as text, ok if there is one of that name.
	words(field string) (string, bool)
	// number returns the field as a number, ok if the row has one.
	number(field string) (float64, bool)
}

// Fields by what is filtered; numbers are those that < and > accept.
var (
	trialFields = filterFields{words: []string{"state", "why", "op", "hash", "task"}, numbers: []string{"trial", "score", "params", "seconds", "parent", "overlap", "level"}}
	runFields   = filterFields{words: []string{"state", "kind", "parent", "note"}, numbers: []string{"done", "best"}}
	eventFields = filterFields{words: []string{"kind", "by"}, numbers: []string{"trial"}}
)

type filterFields struct{ words, numbers []string }

func (f filterFields) String() string {
	return strings.Join(append(slices.Clone(f.words), f.numbers...), ", ")
}

// parseFilter reads a filter; the error says what is wrong in words for the person who typed it.
func parseFilter(s string, fields filterFields) (filter, error) {
	var out filter
	for _, token := range strings.Fields(s) {
		t := term{}
		if len(token) > 1 && token[0] == '-' {
			t.not, token = true, token[1:]
		}
		at := strings.IndexAny(token, ":<>")
		if at <= 0 {
			t.values = []string{strings.ToLower(token)}
			out = append(out, t)
			continue
		}
		t.field, t.op = strings.ToLower(token[:at]), token[at:at+1]
		value := token[at+1:]
		if t.op != ":" && strings.HasPrefix(value, "=") {
			t.op, value = t.op+"=", value[1:]
		}
		isNumber := slices.Contains(fields.numbers, t.field)
		if !isNumber && !slices.Contains(fields.words, t.field) {
			return nil, fmt.Errorf("there is no field %q; fields here: %s", t.field, fields)
		}
		if t.op == ":" {
			t.values = strings.Split(strings.ToLower(value), "|")
			out = append(out, t)
			continue
		}
		if !isNumber {
			return nil, fmt.Errorf("%s is text: write %s:%s", t.field, t.field, value)
		}
		n, err := parseNumber(value)
		if err != nil {
			return nil, fmt.Errorf("%s%s needs a number, such as %s%s12M", t.field, t.op, t.field, t.op)
		}
		t.number = n
		out = append(out, t)
	}
	return out, nil
}

// parseNumber reads 12, 0.5, 400k, 12M, 3G.
func parseNumber(s string) (float64, error) {
	unit := 1.0
	for suffix, u := range map[string]float64{"k": 1e3, "M": 1e6, "G": 1e9} {
		if strings.HasSuffix(s, suffix) {
			s, unit = strings.TrimSuffix(s, suffix), u
			break
		}
	}
	v, err := strconv.ParseFloat(s, 64)
	return v * unit, err
}

func (f filter) match(r record) bool {
	for _, t := range f {
		if t.match(r) == t.not {
			return false
		}
	}
	return true
}

func (t term) match(r record) bool {
	switch t.op {
	case "", ":":
		text := r.text()
		if t.field != "" {
			text = fieldText(r, t.field)
		}
		text = strings.ToLower(text)
		return slices.ContainsFunc(t.values, func(v string) bool { return strings.Contains(text, v) })
	}
	v, ok := r.number(t.field)
	if !ok {
		return false
	}
	switch t.op {
	case "<":
		return v < t.number
	case "<=":
		return v <= t.number
	case ">":
		return v > t.number
	default:
		return v >= t.number
	}
}

func fieldText(r record, field string) string {
	if s, ok := r.words(field); ok {
		return s
	}
	if v, ok := r.number(field); ok {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return ""
}

type trialRecord struct{ *run.Trial }

func (t trialRecord) text() string {
	return "#" + strconv.Itoa(t.ID) + " " + t.Hash + " " + t.Title + " " + string(t.State) + " " + t.Why + " " + t.Error
}

func (t trialRecord) words(field string) (string, bool) {
	switch field {
	case "state":
		return string(t.State), true
	case "why":
		return t.Why, true
	case "hash":
		return t.Hash, true
	case "op":
		var ops []string
		for _, l := range t.Layers {
			ops = append(ops, l.Op)
		}
		return strings.Join(ops, " "), true
	case "task":
		return strings.Join(sortedKeys(t.Scores), " "), true
	}
	return "", false
}

func (t trialRecord) number(field string) (float64, bool) {
	switch field {
	case "trial":
		return float64(t.ID), true
	case "score":
		if t.Score != nil {
			return *t.Score, true
		}
	case "params":
		return float64(t.Params), true
	case "seconds":
		return t.Seconds, true
	case "parent":
		return float64(t.Parent), t.Parent >= 0
	case "overlap":
		return t.Overlap, t.Parent >= 0
	case "level":
		return float64(t.Level), true
	}
	return 0, false
}

type runRecord struct{ *run.RunView }

func (r runRecord) text() string {
	return r.ID + " " + r.Kind + " " + string(r.State) + " " + r.Note + " " + r.Error + " " + r.Parent
}

func (r runRecord) words(field string) (string, bool) {
	switch field {
	case "state":
		return string(r.State), true
	case "kind":
		return r.Kind, true
	case "parent":
		return r.Parent, true
	case "note":
		return r.Note, true
	}
	return "", false
}

func (r runRecord) number(field string) (float64, bool) {
	switch field {
	case "done":
		return float64(r.Done), true
	case "best":
		if t := bestTrial(r.RunView); t != nil {
			return *t.Score, true
		}
	}
	return 0, false
}

type eventRecord struct{ run.Event }

func (e eventRecord) text() string { return e.Kind + " " + e.Text + " " + e.Actor }

func (e eventRecord) words(field string) (string, bool) {
	switch field {
	case "kind":
		return e.Kind, true
	case "by":
		return e.Actor, true
	}
	return "", false
}

func (e eventRecord) number(field string) (float64, bool) {
	return float64(e.Trial), field == "trial" && e.Trial >= 0
}
