// Package selection chooses layers by their alphas: the relaxation and the rules of Flexora's first stage. It is arithmetic alone, so that whoever trains and
// whoever looks on apply the same rule.
package selection

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/gonum/stat"
)

// Learning curves of a layer search: its losses, and the alpha of every layer by its number (AlphaSeries).
const (
	SearchLoss     = "search loss"
	ValidationLoss = "validation loss"
	alphaPrefix    = "alpha "
)

// AlphaSeries names the curve of a layer's alpha.
func AlphaSeries(layer int) string { return fmt.Sprintf("%s%02d", alphaPrefix, layer) }

// LayerOf is the inverse of AlphaSeries.
func LayerOf(series string) (layer int, ok bool) {
	digits, ok := strings.CutPrefix(series, alphaPrefix)
	if !ok {
		return 0, false
	}
	layer, err := strconv.Atoi(digits)
	return layer, err == nil && layer >= 0 && series == AlphaSeries(layer)
}

// RuleNames are the rules that turn alphas into a set of layers. Those with a value are written name=value.
var RuleNames = []string{"positive", "centred", "above_mean", "topk", "budget", "threshold", "multiplier"}

// Rule is a rule with its value.
//
//	positive      alpha > 0
//	centred       alpha > mean(alpha), which Adam's drift of the mean cannot change
//	above_mean    s > 1, that is alpha > log mean exp(alpha)
//	topk=K        the K largest
//	budget=P      the largest, as long as all their parameters are at most P
//	threshold=X   alpha > X
//	multiplier=X  s > X
//
// Of equal alphas the lower layer comes first.
type Rule struct {
	Name  string
	Value float64
}

// ParseRule reads a rule as it is written on the command line.
func ParseRule(s string) (Rule, error) {
	name, value, given := strings.Cut(s, "=")
	if !slices.Contains(RuleNames, name) {
		return Rule{}, fmt.Errorf("there is no selection rule %q; rules are "+
			"positive, centred, above_mean, topk=K, budget=P, threshold=X and multiplier=X", name)
	}
	r := Rule{Name: name}
	if needs := slices.Index(RuleNames, name) >= 3; needs != given {
		if needs {
			return r, fmt.Errorf("selection rule %s needs a value: %s=...", name, name)
		}
		return r, fmt.Errorf("selection rule %s takes no value, not %q", name, value)
	}
	if !given {
		return r, nil
	}
	v, err := strconv.ParseFloat(value, 64)
	whole := name == "topk" || name == "budget"
	if err != nil || math.IsNaN(v) || whole && (v != math.Trunc(v) || v < 1) {
		return r, fmt.Errorf("selection rule %s: %q is not a %s", name, value, map[bool]string{true: "whole number above 0", false: "number"}[whole])
	}
	r.Value = v
	return r, nil
}

// String is the rule as ParseRule reads it.
func (r Rule) String() string {
	if slices.Index(RuleNames, r.Name) < 3 {
		return r.Name
	}
	return r.Name + "=" + strconv.FormatFloat(r.Value, 'f', -1, 64)
}

// Set is the chosen layers and how it came about.
type Set struct {
	Rule        string    `json:"rule"`
	Layers      []int     `json:"layers"` // ascending, never empty
	Order       []int     `json:"order"`  // all layers, the largest alpha first
	Alpha       []float64 `json:"alpha"`
	Multipliers []float64 `json:"multipliers"`
	Params      int       `json:"params"`            // of the adapters of the selected layers
	Warning     string    `json:"warning,omitempty"` // if the rule found none or all
}

// Select applies the rule. Params are the adapter parameters of each layer. Where no layer qualifies the one with the largest alpha is kept, with a
// warning; a budget below its parameters is an error, as is an alpha that is not finite.
func (r Rule) Select(alpha []float64, params []int) (Set, error) {
	n := len(alpha)
	if n == 0 || len(params) != n {
		return Set{}, fmt.Errorf("select among %d layers with %d parameter counts: one of each per layer is needed", n, len(params))
	}
	for i, a := range alpha {
		if math.IsNaN(a) || math.IsInf(a, 0) {
			return Set{}, fmt.Errorf("alpha of layer %d is %v: the search diverged; lower its learning rates", i, a)
		}
	}
	s := Set{Rule: r.String(), Alpha: slices.Clone(alpha), Multipliers: Multipliers(alpha), Order: make([]int, n)}
	for i := range s.Order {
		s.Order[i] = i
	}
	slices.SortStableFunc(s.Order, func(i, j int) int { return cmp.Compare(alpha[j], alpha[i]) })
	count, err := r.count(s, params)
	if err != nil {
		return Set{}, err
	}
	switch count {
	case 0:
		count, s.Warning = 1, fmt.Sprintf("no layer meets %s; the one with the largest alpha, %d, is kept", s.Rule, s.Order[0])
	case n:
		s.Warning = fmt.Sprintf("every layer meets %s: this is ordinary LoRA", s.Rule)
	}
	s.Layers = slices.Sorted(slices.Values(s.Order[:count]))
	for _, l := range s.Layers {
		s.Params += params[l]
	}
	return s, nil
}

// count is how many layers, in order of alpha, meet the rule.
func (r Rule) count(s Set, params []int) (int, error) {
	// The order of alpha is that of the multipliers too, so what lies above a bound comes first.
	above := func(values []float64, bound float64) (int, error) {
		if i := slices.IndexFunc(s.Order, func(l int) bool { return values[l] <= bound }); i >= 0 {
			return i, nil
		}
		return len(s.Order), nil
	}
	switch r.Name {
	case "positive":
		return above(s.Alpha, 0)
	case "centred":
		return above(s.Alpha, stat.Mean(s.Alpha, nil))
	case "above_mean":
		return above(s.Multipliers, 1)
	case "threshold":
		return above(s.Alpha, r.Value)
	case "multiplier":
		return above(s.Multipliers, r.Value)
	case "topk":
		if r.Value < 1 || r.Value > float64(len(s.Order)) {
			return 0, fmt.Errorf("%s: the model has %d layers; choose from 1 to %d", s.Rule, len(s.Order), len(s.Order))
		}
		return int(r.Value), nil
	case "budget":
		return r.affordable(s, params)
	}
	return 0, fmt.Errorf("there is no selection rule %q", r.Name)
}

func (r Rule) affordable(s Set, params []int) (int, error) {
	total := 0
	for i, l := range s.Order {
		if total += params[l]; float64(total) > r.Value {
			if i == 0 {
				return 0, fmt.Errorf("%s: layer %d, the first in order, has %d parameters; raise the budget or lower the rank", s.Rule, l, params[l])
			}
			return i, nil
		}
	}
	return len(s.Order), nil
}

// Multipliers relaxes the layers' choice: s = N softmax(alpha), so that s is 1 for every layer where alpha is constant, and sums to N always.
func Multipliers(alpha []float64) []float64 {
	largest := math.Inf(-1)
	for _, a := range alpha {
		largest = max(largest, a)
	}
	s := make([]float64, len(alpha))
	var sum float64
	for i, a := range alpha {
		s[i] = math.Exp(a - largest)
		sum += s[i]
	}
	for i := range s {
		s[i] *= float64(len(alpha)) / sum
	}
	return s
}

// MeanAlpha averages the last few of a history of alphas, one per outer step; last 0 takes the final one alone.
func MeanAlpha(history [][]float64, last int) ([]float64, error) {
	if len(history) == 0 || last < 0 || last > len(history) {
		return nil, fmt.Errorf("average the last %d of %d outer steps: there must be at least as many", last, len(history))
	}
	part := history[len(history)-max(1, last):]
	mean := make([]float64, len(part[0]))
	for _, alpha := range part {
		for i, a := range alpha {
			mean[i] += a / float64(len(part))
		}
	}
	return mean, nil
}
