package tui

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"flexi/core/run"
	"flexi/core/selection"
)

// flexoraKind is the kind of runs that choose layers.
const flexoraKind = "flexora"

func (m *model) choosesLayers() bool {
	return m.derived.run != nil && m.derived.run.Kind == flexoraKind
}

func flexoraKeys() []binding {
	return []binding{
		{keys: []string{"F"}, acts: true, in: onFlexora, group: groupRuns, name: "freeze", help: "end the layer search with the layers found so far, and fine-tune them (asks first)", rank: 2, refuse: (*model).cannotFreeze, do: (*model).askFreeze},
		{keys: []string{"["}, in: onFlexora, group: groupShow, name: "lower", help: "try a lower threshold for alpha; esc takes the run's rule again", refuse: (*model).noAlphas, do: func(m *model) tea.Cmd { return m.moveBound(-1) }},
		{keys: []string{"]"}, in: onFlexora, group: groupShow, name: "threshold", help: "try a higher threshold for alpha", rank: 3, refuse: (*model).noAlphas, do: func(m *model) tea.Cmd { return m.moveBound(1) }},
		{keys: []string{"<"}, in: onFlexora, group: groupMove, name: "previous", help: "previous trial of the table", do: func(m *model) tea.Cmd { return m.stepSearched(-1) }},
		{keys: []string{">"}, in: onFlexora, group: groupMove, name: "next trial", help: "next trial of the table", rank: 7, do: func(m *model) tea.Cmd { return m.stepSearched(1) }},
	}
}

func (m *model) noLayers() string {
	switch {
	case m.derived.run == nil:
		return "no run"
	case !m.choosesLayers():
		return "a " + m.derived.run.Kind + " chooses no layers"
	case m.searched() == nil:
		return "no trial yet"
	}
	return ""
}

// searched is the trial on the Flexora screen: the marked one, one that is trained, the best, or the last.
func (m *model) searched() *run.Trial {
	r := m.derived.run
	if t := m.trialAt(m.trial); t != nil || r == nil {
		return t
	}
	for i := range r.Workers {
		if t := trialOf(r, r.Workers[i].Trial); t != nil {
			return t
		}
	}
	if t := bestTrial(r); t != nil {
		return t
	}
	return trialOf(r, len(r.Trials)-1)
}

func (m *model) stepSearched(step int) tea.Cmd {
	of := m.searched()
	at := slices.IndexFunc(m.trials, func(t *run.Trial) bool { return t == of })
	if len(m.trials) > 0 {
		m.trial, m.tried = m.trials[clamp(at+step, len(m.trials))].ID, nil
	}
	return nil
}

// layersKey is what a layerSearch is made from; curves only grow.
type layersKey struct {
	of     subject
	choice *run.LayerChoice
	rows   int
	tried  float64
	trying bool
}

// lookAtLayers makes m.layers, unless it is what was made last.
func (m *model) lookAtLayers(last *layerSearch) *layerSearch {
	t := m.searched()
	if t == nil || !m.choosesLayers() {
		return &layerSearch{}
	}
	k := layersKey{of: subject{m.runID, t.ID}, trying: m.tried != nil}
	var curves alphaCurves
	if m.looked.of == k.of {
		if in := m.looked.inspection; in != nil {
			k.choice = in.Choice
		}
		curves = m.looked.alphas
		k.rows = len(curves.steps)
	}
	rule := ""
	if k.trying {
		k.tried = *m.tried
		rule = selection.Rule{Name: "threshold", Value: k.tried}.String()
	}
	if last != nil && last.key == k {
		return last
	}
	s := newLayerSearch(k.choice, t.Layers, curves, rule)
	s.key = k
	return s
}

func (m *model) noAlphas() string {
	if m.layers.alpha == nil {
		return "no alphas yet"
	}
	return ""
}

// boundSteps is into how many steps the span of the alphas is divided by a threshold that is moved.
const boundSteps = 40

// moveBound tries another threshold, from the rule's own bound, or the middle, on.
func (m *model) moveBound(step int) tea.Cmd {
	s := m.layers
	low, high := slices.Min(s.alpha), slices.Max(s.alpha)
	unit := roundStep((high - low) / boundSteps)
	at := (low + high) / 2
	if b, ok := s.bound(); ok {
		at = b
	}
	at = min(max(math.Round(at/unit)+float64(step), math.Floor(low/unit)), math.Ceil(high/unit)) * unit
	m.tried = &at
	if n, err := strconv.ParseFloat(strconv.FormatFloat(at, 'g', 6, 64), 64); err == nil { // no 0.30000000000000004
		m.tried = &n
	}
	m.focusOn(paneAlphas)
	return nil
}

// roundStep is the power of ten times 1, 2 or 5 that is not above v.
func roundStep(v float64) float64 {
	if !(v > 1e-12) {
		return 1e-6
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{5, 2} {
		if m*power <= v {
			return m * power
		}
	}
	return power
}

// searching reports whether the trial on the screen is in its layer search.
func (m *model) searching() bool {
	t, s := m.searched(), m.layers
	return t != nil && (t.State == run.Running || t.State == run.Paused) && s.Steps > 0 && s.Rule != "" && len(s.curves.steps) < s.Steps
}

func (m *model) cannotFreeze() string {
	if t := m.searched(); t != nil && t.Frozen != "" && m.searching() {
		return "it ends at the next step already"
	}
	if !m.searching() {
		return "this trial searches no layers now"
	}
	return m.noAlphas()
}

func (m *model) askFreeze() tea.Cmd {
	t, s := m.searched(), m.layers
	id, rule := m.derived.run.ID, s.Rule
	chosen, all := s.params()
	text := []string{
		fmt.Sprintf("Step %d of %d. By %s of the newest alphas it takes layers %s: %s of %s adapter parameters.",
			len(s.curves.steps), s.Steps, rule, layerList(s.chosen()), paramsText(chosen), paramsText(all)),
		"The choice is made at the next outer step and cannot be taken back; fine-tuning follows.",
	}
	if s.wrong != "" {
		text[0] = s.wrong
	}
	m.ask(&dialog{title: fmt.Sprintf("end the layer search of #%d?", t.ID), text: text, answers: []answer{
		{"freeze", func(m *model) tea.Cmd { return m.send(run.Command{Verb: run.Freeze, Run: id, Trial: t.ID, Text: rule}) }},
		{"cancel", nil},
	}})
	return nil
}

// layerList writes layers as ranges: 0-4, 25-31.
func layerList(layers []int) string {
	var parts []string
	for i := 0; i < len(layers); {
		k := i
		for k+1 < len(layers) && layers[k+1] == layers[k]+1 {
			k++
		}
		if part := strconv.Itoa(layers[i]); k > i {
			parts = append(parts, part+"-"+strconv.Itoa(layers[k]))
		} else {
			parts = append(parts, part)
		}
		i = k + 1
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}
