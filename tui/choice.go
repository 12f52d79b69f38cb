package tui

import (
	"math"
	"slices"

	"flexi/core/run"
	"flexi/core/selection"
)

// layerSearch is what is known of how a trial of a Flexora run chooses its layers.
type layerSearch struct {
	run.LayerChoice
	layers []run.LayerRow
	curves alphaCurves
	alpha  []float64 // that the rule is given: the mean of the last ones; nil before the first outer step and where nothing is searched
	found  selection.Set
	stable int    // outer steps for which the rule has found the same layers
	wrong  string // why the rule finds none
	key    layersKey
}

// alphaCurves are the alphas of a layer search, a row per outer step.
type alphaCurves struct {
	steps []int
	alpha [][]float64 // by step and layer
}

// alphasOf takes the alphas out of a trial's learning curves; steps at which a layer is missing are left out.
func alphasOf(points []run.Point) alphaCurves {
	layers := 0
	byStep := map[int]map[int]float64{}
	for _, p := range points {
		layer, ok := selection.LayerOf(p.Series)
		if !ok || layer >= maxLayers {
			continue
		}
		if byStep[p.Step] == nil {
			byStep[p.Step] = map[int]float64{}
		}
		byStep[p.Step][layer] = p.Value
		layers = max(layers, layer+1)
	}
	var c alphaCurves
	for _, step := range sortedInts(byStep) {
		row := make([]float64, 0, layers)
		for layer := range layers {
			if v, ok := byStep[step][layer]; ok && !math.IsNaN(v) && !math.IsInf(v, 0) {
				row = append(row, v)
			}
		}
		if len(row) == layers {
			c.steps, c.alpha = append(c.steps, step), append(c.alpha, row)
		}
	}
	return c
}

// maxLayers bounds the layers that are shown, whatever the series of a damaged record say.
const maxLayers = 1024

func sortedInts[V any](m map[int]V) []int {
	keys := make([]int, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// newLayerSearch applies a rule to the newest alphas; rule "" is the trial's own.
func newLayerSearch(choice *run.LayerChoice, layers []run.LayerRow, curves alphaCurves, rule string) *layerSearch {
	s := &layerSearch{layers: layers, curves: curves}
	if choice != nil {
		s.LayerChoice = *choice
	}
	if rule != "" {
		s.Rule, s.Chosen = rule, nil
	}
	if n := len(curves.alpha); n > 0 {
		if alpha, err := selection.MeanAlpha(curves.alpha, clampTo(s.Average, 1, n)); err == nil {
			s.alpha = alpha
		}
	}
	if s.alpha == nil || s.Rule == "" {
		return s
	}
	var err error
	if s.found, err = s.at(s.alpha); err != nil {
		s.wrong = err.Error()
		return s
	}
	s.stable = s.unchanged()
	return s
}

func clampTo(v, low, high int) int { return max(low, min(v, high)) }

// at applies the rule to alphas.
func (s *layerSearch) at(alpha []float64) (selection.Set, error) {
	r, err := selection.ParseRule(s.Rule)
	if err != nil {
		return selection.Set{}, err
	}
	params := make([]int, len(alpha))
	for i := range params {
		if i < len(s.layers) {
			params[i] = int(s.layers[i].Params)
		}
	}
	return r.Select(alpha, params)
}

// chosen are the layers that have, or would now get, adapters; ascending.
func (s *layerSearch) chosen() []int {
	if s.Chosen != nil {
		return s.Chosen
	}
	return s.found.Layers
}

func (s *layerSearch) takes(layer int) bool {
	_, ok := slices.BinarySearch(s.chosen(), layer)
	return ok
}

// n is the number of layers.
func (s *layerSearch) n() int { return max(len(s.layers), len(s.alpha)) }

// params are those of the adapters on the chosen layers, and on all.
func (s *layerSearch) params() (chosen, all int64) {
	for i, l := range s.layers {
		all += l.Params
		if s.takes(i) {
			chosen += l.Params
		}
	}
	return chosen, all
}

// bound is the alpha above which the rule takes a layer, if it has one that does not depend on the layer.
func (s *layerSearch) bound() (float64, bool) {
	r, err := selection.ParseRule(s.Rule)
	if err != nil || s.alpha == nil {
		return 0, false
	}
	switch r.Name {
	case "positive":
		return 0, true
	case "centred":
		sum := 0.0
		for _, a := range s.alpha {
			sum += a
		}
		return sum / float64(len(s.alpha)), true
	case "threshold":
		return r.Value, true
	}
	return 0, false
}

// trendSteps is how many outer steps a trend is over.
const trendSteps = 20

// trend is the change of a layer's alpha over the last outer steps.
func (s *layerSearch) trend(layer int) float64 {
	rows := s.curves.alpha
	if len(rows) < 2 || layer >= len(rows[0]) {
		return 0
	}
	return rows[len(rows)-1][layer] - rows[max(0, len(rows)-1-trendSteps)][layer]
}

// direction of a trend: 1 rises, -1 falls, 0 neither by more than a hundredth of the span of all alphas.
func (s *layerSearch) direction(layer int) int {
	if s.alpha == nil {
		return 0
	}
	t, span := s.trend(layer), slices.Max(s.alpha)-slices.Min(s.alpha)
	switch {
	case t > span/100:
		return 1
	case t < -span/100:
		return -1
	}
	return 0
}

// unchanged is for how many outer steps the rule has found the same layers.
func (s *layerSearch) unchanged() int {
	rows := s.curves.alpha
	for i := len(rows) - 1; i >= 0; i-- {
		mean, err := selection.MeanAlpha(rows[:i+1], clampTo(s.Average, 1, i+1))
		if err != nil {
			return len(rows) - 1 - i
		}
		if set, err := s.at(mean); err != nil || !slices.Equal(set.Layers, s.found.Layers) {
			return len(rows) - 1 - i
		}
	}
	return len(rows)
}

// entropy of the layers' shares N softmax(alpha)/N in bits: log2 N where all count alike.
func (s *layerSearch) entropy() float64 {
	h := 0.0
	for _, m := range selection.Multipliers(s.alpha) {
		if p := m / float64(len(s.alpha)); p > 0 {
			h -= p * math.Log2(p)
		}
	}
	return h
}

// gap is how far the least alpha that is taken lies above the largest that is not.
func (s *layerSearch) gap() (float64, bool) {
	least, largest := math.Inf(1), math.Inf(-1)
	for i, a := range s.alpha {
		if s.takes(i) {
			least = min(least, a)
		} else {
			largest = max(largest, a)
		}
	}
	return least - largest, !math.IsInf(least, 0) && !math.IsInf(largest, 0)
}
