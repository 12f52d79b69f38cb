package text

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"
)

// Metrics of GLUE, by the names in Task.Metrics. Values are from -1 or 0 to 1.
const (
	Accuracy = "accuracy"
	F1       = "f1"
	Matthews = "matthews"
	Pearson  = "pearson"
	Spearman = "spearman"
)

// ScoreRule says how the metrics of a task become its score.
type ScoreRule uint8

const (
	// ScoreGLUE averages the metrics of a task, and its development sets, as the GLUE benchmark does.
	ScoreGLUE ScoreRule = iota
	// ScorePaper takes the largest metric of a task, and of MNLI only the mismatched set, as FlexiBERT's code does.
	ScorePaper
)

// mismatched is the second development set of MNLI.
const mismatched = "mismatched"

// Score compares predictions (a class index or a value per row, by development set, "" the main one) with the labels. It returns the metrics times 100,
// those of further sets as "metric set", and the task's score by the rule.
func Score(t Task, predictions map[string][]float64, rule ScoreRule) (map[string]float64, float64, error) {
	sets := map[string][]Example{"": t.Dev}
	maps.Copy(sets, t.ExtraDev)
	scores := map[string]float64{}
	var counted []float64 // the score of each set that the rule counts
	for _, set := range slices.Sorted(maps.Keys(sets)) {
		values, err := setMetrics(t, sets[set], predictions[set])
		if err != nil {
			return nil, 0, fmt.Errorf("score %s, development set %q: %w", t.Name, set, err)
		}
		for i, m := range t.Metrics {
			scores[strings.TrimSpace(m+" "+set)] = values[i]
		}
		switch {
		case rule == ScoreGLUE:
			counted = append(counted, stat.Mean(values, nil))
		case set == mismatched || t.ExtraDev[mismatched] == nil:
			counted = append(counted, slices.Max(values))
		}
	}
	return scores, stat.Mean(counted, nil), nil
}

// setMetrics are the task's metrics on one development set, times 100.
func setMetrics(t Task, rows []Example, p []float64) ([]float64, error) {
	if len(rows) == 0 || len(p) != len(rows) {
		return nil, fmt.Errorf("%d predictions for %d rows", len(p), len(rows))
	}
	values := make([]float64, len(t.Metrics))
	for i, m := range t.Metrics {
		v, err := metric(m, rows, p, t.Regression)
		if err != nil {
			return nil, err
		}
		values[i] = 100 * v
	}
	return values, nil
}

func metric(name string, rows []Example, p []float64, regression bool) (float64, error) {
	for i, v := range p {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return 0, fmt.Errorf("prediction %d is not finite", i)
		}
	}
	y := make([]float64, len(rows))
	for i, e := range rows {
		y[i] = float64(e.Label)
		if regression {
			y[i] = e.Target
		}
	}
	switch name {
	case Accuracy:
		return accuracy(y, p), nil
	case F1:
		return f1(y, p), nil
	case Matthews:
		return matthews(y, p), nil
	case Pearson:
		return correlation(y, p), nil
	case Spearman:
		return correlation(ranks(y), ranks(p)), nil
	}
	return 0, fmt.Errorf("there is no metric %q", name)
}

func accuracy(y, p []float64) float64 {
	hits := 0
	for i := range y {
		if y[i] == p[i] {
			hits++
		}
	}
	return float64(hits) / float64(len(y))
}

// confusion counts true positives, false positives, false negatives and true negatives of class 1.
func confusion(y, p []float64) (tp, fp, fn, tn float64) {
	for i := range y {
		switch {
		case p[i] == 1 && y[i] == 1:
			tp++
		case p[i] == 1:
			fp++
		case y[i] == 1:
			fn++
		default:
			tn++
		}
	}
	return tp, fp, fn, tn
}

// f1 is 2TP / (2TP + FP + FN), 0 if there is nothing positive.
func f1(y, p []float64) float64 {
	tp, fp, fn, _ := confusion(y, p)
	if tp == 0 {
		return 0
	}
	return 2 * tp / (2*tp + fp + fn)
}

// matthews is the correlation of two binary variables, 0 where one of them is constant.
func matthews(y, p []float64) float64 {
	tp, fp, fn, tn := confusion(y, p)
	d := math.Sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
	if d == 0 {
		return 0
	}
	return (tp*tn - fp*fn) / d
}

// correlation is Pearson's, 0 where a variable is constant.
func correlation(x, y []float64) float64 {
	if c := stat.Correlation(x, y, nil); !math.IsNaN(c) {
		return c
	}
	return 0
}

// ranks gives equal values their mean rank.
func ranks(x []float64) []float64 {
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(x[a], x[b]) })
	out := make([]float64, len(x))
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && x[order[j]] == x[order[i]] {
			j++
		}
		for _, at := range order[i:j] {
			out[at] = float64(i+j+1) / 2
		}
		i = j
	}
	return out
}

// Average is the mean of the tasks' scores, those that are there: the GLUE average under either rule, which differ in the scores themselves.
func Average(scores map[string]float64) float64 {
	var sum float64
	for _, name := range slices.Sorted(maps.Keys(scores)) { // in a fixed order, for the same bits
		sum += scores[name]
	}
	return sum / float64(len(scores))
}
