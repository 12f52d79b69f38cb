package tui

import (
	"testing"

	"flexi/core/run"
)

// FuzzFilter types arbitrary filters: each is refused with words, or answers for every row.
func FuzzFilter(f *testing.F) {
	for _, s := range []string{"", "word", "state:done|failed", "params<12M score>=80", "-why:optimise", "trial>x", ":", "<", "-", "score<1e400", "seconds<3h"} {
		f.Add(s)
	}
	score := 80.5
	rows := []record{trialRecord{&run.Trial{ID: 1, State: run.Done, Score: &score}}, trialRecord{&run.Trial{}}}
	f.Fuzz(func(t *testing.T, s string) {
		flt, err := parseFilter(s, trialFields)
		if err != nil {
			if err.Error() == "" {
				t.Error("a refusal without words")
			}
			return
		}
		for _, r := range rows {
			_ = flt.match(r)
		}
	})
}
