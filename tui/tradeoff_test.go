package tui

import (
	"strings"
	"testing"

	"flexi/core/run"
	"flexi/tui/internal/fixture"
)

// TestResultsOfSeveralObjectives: the frontier has every criterion, the hypervolume its box, and stopped trials their reasons.
func TestResultsOfSeveralObjectives(t *testing.T) {
	r := fixture.Search(12)
	if strings.Contains(TrialsText(r), "hypervolume") {
		t.Error("a hypervolume with one objective")
	}
	r.Criteria = []run.Criterion{{Name: run.StepSeconds, Minimize: true}, {Name: run.Params, Max: 1e9}}
	low, high := 70.0, 80.0
	r.Trials = r.Trials[:4:4]
	r.Trials[0] = &run.Trial{ID: 0, State: run.Done, Score: &low, Measures: map[string]float64{run.StepSeconds: 0.00123}}
	r.Trials[1] = &run.Trial{ID: 1, State: run.Done, Score: &high, Measures: map[string]float64{run.StepSeconds: 0.5}}
	r.Trials[2] = &run.Trial{ID: 2, State: run.Stopped, Reason: "rank 4 of 4"}
	r.Frontier, r.Best, r.StoppedN, r.Done = []int{0, 1}, 1, 1, 2
	text := TrialsText(r)
	for _, want := range []string{"#2 stopped: rank 4 of 4", "step_seconds\n", "0.00123", "hypervolume 0.000 of the box of results", "step_seconds 0.5 to 0.00123"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
	if text := StatusText(r, fixture.Now); !strings.Contains(text, "3 trials of") || !strings.Contains(text, "1 of them stopped early") {
		t.Error(text)
	}
	if text := trialText(r.Trials[0]); !strings.Contains(text, "step_seconds 0.00123") {
		t.Error(text)
	}
}
