package text

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// labelled makes a task of labels, or of targets where regression is set.
func labelled(metrics []string, regression bool, y ...float64) Task {
	t := Task{Name: "test", Metrics: metrics, Regression: regression}
	for _, v := range y {
		t.Dev = append(t.Dev, Example{Label: int(v), Target: v})
	}
	return t
}

// TestMetrics compares with scikit-learn 1.9.1 and scipy 1.17.1.
func TestMetrics(t *testing.T) {
	y := []float64{1, 0, 1, 1, 0, 0, 1, 0, 1, 1, 0, 1}
	targets := []float64{0, 1.25, 2.5, 2.5, 3.8, 5, 4.2, 0.5, 1.25, 3}
	close := []float64{0.3, 0.9, 2.9, 2.2, 3.1, 4.6, 4.6, 0.3, 1.9, 2.2}
	negated := make([]float64, len(close))
	for i, v := range close {
		negated[i] = -v
	}
	for _, c := range []struct {
		name       string
		y, p       []float64
		regression bool
		want       map[string]float64
	}{
		{"good", y, []float64{1, 0, 0, 1, 1, 0, 1, 0, 1, 0, 0, 1}, false, map[string]float64{Matthews: 50.709255283710995, F1: 76.92307692307693, Accuracy: 75}},
		{"bad", y, []float64{0, 1, 1, 0, 1, 1, 0, 0, 0, 0, 1, 0}, false, map[string]float64{Matthews: -65.71428571428571, F1: 100. / 6, Accuracy: 100. / 6}},
		{"constant", y, make([]float64, 12), false, map[string]float64{Matthews: 0, F1: 0, Accuracy: 500. / 12}},
		{"three classes", []float64{0, 1, 2, 2, 1, 0, 0}, []float64{0, 2, 2, 1, 1, 0, 1}, false, map[string]float64{Accuracy: 400. / 7}},
		{"correlated, with ties", targets, close, true, map[string]float64{Pearson: 95.21823729244491, Spearman: 96.30814820533092}},
		{"anticorrelated", targets, negated, true, map[string]float64{Pearson: -95.21823729244491, Spearman: -96.30814820533092}},
		{"constant value", targets, make([]float64, 10), true, map[string]float64{Pearson: 0, Spearman: 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for m, want := range c.want {
				scores, primary, err := Score(labelled([]string{m}, c.regression, c.y...), map[string][]float64{"": c.p}, ScoreGLUE)
				require.NoError(t, err)
				require.InDelta(t, want, scores[m], 1e-9, m)
				require.InDelta(t, want, primary, 1e-9, m)
				_, paper, err := Score(labelled([]string{m}, c.regression, c.y...), map[string][]float64{"": c.p}, ScorePaper)
				require.NoError(t, err)
				require.InDelta(t, want, paper, 1e-9, "a single metric counts as it is, also below 0")
			}
		})
	}
}

// TestScoreRules: GLUE averages pairs of metrics and the two sets of MNLI; the paper takes the larger metric and the mismatched set (B20).
func TestScoreRules(t *testing.T) {
	pair := labelled([]string{F1, Accuracy}, false, 1, 1, 1, 0)
	guesses := map[string][]float64{"": {1, 1, 0, 1}} // F1 2/3, accuracy 1/2
	_, glue, err := Score(pair, guesses, ScoreGLUE)
	require.NoError(t, err)
	require.InDelta(t, 100*(2./3+1./2)/2, glue, 1e-9)
	_, paper, err := Score(pair, guesses, ScorePaper)
	require.NoError(t, err)
	require.InDelta(t, 200./3, paper, 1e-9)

	mnli := labelled([]string{Accuracy}, false, 0, 1, 2, 0)
	mnli.ExtraDev = map[string][]Example{mismatched: {{Label: 1}, {Label: 2}}}
	guesses = map[string][]float64{"": {0, 1, 2, 1}, mismatched: {1, 0}}
	scores, glue, err := Score(mnli, guesses, ScoreGLUE)
	require.NoError(t, err)
	require.Equal(t, map[string]float64{"accuracy": 75, "accuracy mismatched": 50}, scores)
	require.InDelta(t, 62.5, glue, 1e-9)
	scores, paper, err = Score(mnli, guesses, ScorePaper)
	require.NoError(t, err)
	require.Len(t, scores, 2)
	require.InDelta(t, 50, paper, 1e-9)
	require.InDelta(t, 60, Average(map[string]float64{"a": 50, "b": 60, "c": 70}), 1e-12)
}

func TestScoreRefuses(t *testing.T) {
	task := labelled([]string{Accuracy}, false, 0, 1)
	for _, c := range []struct {
		task Task
		p    []float64
		want string
	}{
		{task, []float64{0}, "1 predictions for 2 rows"},
		{Task{Name: "empty", Metrics: []string{Accuracy}}, nil, "0 predictions for 0 rows"},
		{task, []float64{0, math.NaN()}, "prediction 1 is not finite"},
		{task, []float64{math.Inf(1), 0}, "prediction 0 is not finite"},
		{labelled([]string{"bleu"}, false, 0), []float64{0}, `no metric "bleu"`},
	} {
		_, _, err := Score(c.task, map[string][]float64{"": c.p}, ScoreGLUE)
		require.ErrorContains(t, err, c.want)
	}
}
