package tui

import (
	"errors"
	"testing"
	"unicode/utf8"

	"flexi/core/run"
)

// FuzzFilter types arbitrary filters: each is refused with words and a place in what was typed, or answers for every row, and the other way round with
// "not" before it.
func FuzzFilter(f *testing.F) {
	for _, s := range []string{
		"", "word", "state:done|failed", "params<12M score>=80", "-why:optimise", "trial>x", ":", "<", "-", "score<1e400", "seconds<3h",
		`(a or "b c") and not state=done`, "((", `-"`, "level>=warn", "config.pretrain.lr<1e-3", "a!b", "x != y|z",
	} {
		f.Add(s)
	}
	score := 80.5
	lists := []struct {
		fields filterFields
		rows   []record
	}{
		{trialFields, []record{trialRecord{&run.Trial{ID: 1, State: run.Done, Score: &score}}, trialRecord{&run.Trial{}}}},
		{runFields, []record{runRecord{&run.RunView{Best: -1, Run: run.Run{ID: "search-01", Config: []byte(`{"pretrain":{"lr":0.1}}`)}}}, runRecord{&run.RunView{}}}},
		{eventFields, []record{eventRecord{run.Event{Kind: "warn"}}}},
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, l := range lists {
			flt, err := parseFilter(s, l.fields)
			var wrong *filterError
			if errors.As(err, &wrong) && (wrong.text == "" || wrong.column < 1 || wrong.column > utf8.RuneCountInString(s)+1) {
				t.Errorf("%q: refused at column %d with %q", s, wrong.column, wrong.text)
			}
			if err != nil || flt == nil {
				continue
			}
			turned, err := parseFilter("not ("+s+")", l.fields)
			if err != nil {
				t.Fatalf("%q is a filter, but not (%q) is not: %v", s, s, err)
			}
			for _, r := range l.rows {
				if flt.match(r) == turned.match(r) {
					t.Errorf("%q and its opposite agree", s)
				}
			}
		}
	})
}
