package tui

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"flexi/core/run"
)

// record is a row that can be filtered.
type record interface {
	text() string
	// words returns the field as text, ok if there is one of that name.
	words(field string) (string, bool)
	// number returns the field as a number, ok if the row has one; of ranked words their rank.
	number(field string) (float64, bool)
}

// Fields by what is filtered.
var (
	trialFields = filterFields{words: []string{"state", "why", "op", "hash", "task"}, numbers: []string{"trial", "score", "params", "seconds", "parent", "overlap", "level"}}
	runFields   = filterFields{words: []string{"run", "state", "kind", "parent", "note"}, numbers: []string{"done", "best", "spent"}, prefix: "config."}
	eventFields = filterFields{words: []string{"kind", "by"}, numbers: []string{"trial"}, ranked: map[string][]string{"level": eventLevels}}
)

// filterFields are the names that a filter knows.
type filterFields struct {
	words, numbers []string
	ranked         map[string][]string // words in rising order, which compare as numbers do
	prefix         string              // of names that each row has its own of
}

func (f filterFields) String() string {
	names := slices.Concat(f.words, f.numbers, sortedKeys(f.ranked))
	if f.prefix != "" {
		names = append(names, f.prefix+"KEY")
	}
	return strings.Join(names, ", ")
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

// setting is a value of the configuration by its dotted key, whatever the case.
func (r runRecord) setting(key string) (string, bool) {
	var all any
	if json.Unmarshal(r.Config, &all) != nil {
		return "", false
	}
	found, ok := "", false
	flatten("", all, func(name, value string) {
		if strings.EqualFold(name, key) {
			found, ok = value, true
		}
	})
	return found, ok
}

func (r runRecord) words(field string) (string, bool) {
	if key, own := strings.CutPrefix(field, runFields.prefix); own {
		return r.setting(key)
	}
	switch field {
	case "run":
		return r.ID, true
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
	if key, own := strings.CutPrefix(field, runFields.prefix); own {
		text, _ := r.setting(key)
		v, err := strconv.ParseFloat(text, 64)
		return v, err == nil
	}
	switch field {
	case "done":
		return float64(r.Done), true
	case "spent":
		return r.Seconds, true
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
	if field == "level" {
		return float64(levelOf(e.Kind)), true
	}
	return float64(e.Trial), field == "trial" && e.Trial >= 0
}

// eventLevels rise with how much something asks for attention.
var eventLevels = []string{"info", "warn", "error"}

// levelOf is an index in eventLevels.
func levelOf(kind string) int {
	switch kind {
	case "fail":
		return 2
	case "warn":
		return 1
	}
	return 0
}
