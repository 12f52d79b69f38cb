package tui

import (
	"strings"
	"testing"

	"flexi/core/run"
	"flexi/tui/internal/fixture"
)

// TestConfirmationsText: the ranking is by mean of retrainings, and what cannot be told apart is not called better.
func TestConfirmationsText(t *testing.T) {
	r := fixture.Search(10)
	if ConfirmationsText(r) != "" {
		t.Error("a ranking without retrainings")
	}
	add := func(of, repeat int, arm run.Arm, score, seconds float64, parent int) {
		r.Trials = append(r.Trials, &run.Trial{
			ID: len(r.Trials), State: run.Done, Arm: arm, Of: of, Repeat: repeat, Score: &score, Seconds: seconds, Parent: parent,
			Scores: map[string]float64{run.ValidationLoss: 5 - score},
		})
	}
	for repeat, noise := range []float64{-1, 0, 1} {
		add(0, repeat, run.ArmConfirm, 60+noise, 100, -1)
		add(1, repeat, run.ArmConfirm, 60.5-noise, 100, -1)
		add(1, repeat, run.ArmTransfer, 61-noise, 40, 0)
	}
	text := ConfirmationsText(r)
	for _, want := range []string{
		"1     #1     60.50", "58.02 to 62.98", "2     #0     60.00", "61.00 (3)", "no difference above the noise",
		"weight transfer, 3 pairs of the same seed: score +0.50 (95% interval +0.50 to +0.50), time -60.00", "40% of the time without", "validation loss -0.50",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
	if !strings.HasSuffix(TrialsText(r), text) {
		t.Error("the results do not end with the ranking")
	}
}
