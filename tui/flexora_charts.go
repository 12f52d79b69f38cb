package tui

import (
	"fmt"
	"math"

	"flexi/core/run"
	"flexi/core/selection"
	"flexi/tui/chart"
)

// lossChart is both losses of the layer search, and that of the fine-tuning where there is no search.
func (m *model) lossChart(c *chart.Chart) {
	c.X = chart.Axis{Title: "outer step", Whole: true, Tight: true}
	for _, l := range []chart.Series{
		{Name: "training", Role: chart.Line1, Dash: chart.Dashed}, {Name: "validation", Role: chart.Line0},
	} {
		series := selection.SearchLoss
		if l.Role == chart.Line0 {
			series = selection.ValidationLoss
		}
		if l.X, l.Y = curve(m.looked.points, series); len(l.X) > 0 {
			c.Series = append(c.Series, l)
		}
	}
}

// alphaChart is the alpha of the layer under the cursor over the outer steps, between the means of those that are taken and of the others.
func (m *model) alphaChart(c *chart.Chart) {
	c.X = chart.Axis{Title: "outer step", Whole: true, Tight: true}
	s := m.layers
	if len(s.curves.alpha) == 0 {
		return
	}
	layer := clamp(m.scroll[paneAlphas], len(s.curves.alpha[0]))
	taken := chart.Series{Name: "mean of chosen", Role: chart.Line1, Dash: chart.Dashed}
	others := chart.Series{Name: "of others", Role: chart.Line2, Dash: chart.Dotted}
	this := chart.Series{Name: fmt.Sprintf("layer %d", layer), Role: chart.Line0}
	for i, row := range s.curves.alpha {
		x := float64(s.curves.steps[i])
		var sums [2]float64
		var counts [2]int
		for l, v := range row {
			sums[btoi(s.takes(l))] += v
			counts[btoi(s.takes(l))]++
		}
		for k, line := range []*chart.Series{&others, &taken} {
			if counts[k] > 0 {
				line.X, line.Y = append(line.X, x), append(line.Y, sums[k]/float64(counts[k]))
			}
		}
		this.X, this.Y = append(this.X, x), append(this.Y, row[layer])
	}
	c.Series = []chart.Series{others, taken, this}
}

// choiceLines are the layer search in numbers.
func (m *model) choiceLines(w int) []textLine {
	t, s := m.searched(), m.layers
	if t == nil {
		return []textLine{oneSpan("No trial yet.", dim)}
	}
	out := []textLine{{{padRight("trial", 11), dim}, {fmt.Sprintf("#%d %s ", t.ID, t.Title), plain}, {m.glyphs.state(t.State) + " " + string(t.State), stateStyle(t.State)}}}
	add := func(name, value string) { out = append(out, wrapped(name, value, plain, w)...) }
	if s.Steps > 0 {
		add("outer step", fmt.Sprintf("%d of %d, %s", lastStep(m.looked.points), s.Steps, s.Mode))
		add("inner", fmt.Sprintf("%s, lr %s; alpha lr %s", plural(s.InnerSteps, "step"), significant(s.InnerRate), significant(s.AlphaRate)))
	}
	if s.Rule != "" {
		rule := s.Rule
		if m.tried != nil {
			rule += ", tried; F takes it, esc leaves it"
		} else if t.Frozen != "" {
			rule += ", frozen"
		}
		add("rule", rule)
	}
	if s.chosen() != nil {
		add("layers", layerList(s.chosen()))
	}
	if s.alpha != nil {
		add("entropy", fmt.Sprintf("%.2f of %.2f bits", s.entropy(), math.Log2(float64(len(s.alpha)))))
		if gap, ok := s.gap(); ok && gap >= 0 {
			add("gap", alphaText(gap)+" between chosen and others")
		}
		if s.found.Layers != nil {
			add("stable", "the same layers for "+plural(s.stable, "outer step"))
		}
	}
	if t.Score != nil {
		add("score", objectiveText(m.derived.run.Objective)+" "+scoreText(*t.Score))
	}
	if s.Warning != "" {
		out = append(out, wrapped("odd", s.Warning, warn, w)...)
	}
	if m.looked.problem != "" {
		out = append(out, wrapped("problem", m.looked.problem, bad, w)...)
	}
	return out
}

// lastStep is the newest outer step of the curves.
func lastStep(points []run.Point) int {
	last := 0
	for _, p := range points {
		if p.Series == selection.SearchLoss {
			last = max(last, p.Step)
		}
	}
	return last
}

func (m *model) noLayerCurves() string {
	if m.looked.problem != "" {
		return m.looked.problem
	}
	if t := m.searched(); t != nil && m.looked.inspection != nil && m.layers.Steps == 0 {
		return "The selector " + t.Title + " searches no layers."
	}
	return "No outer step yet."
}

// alphaHint names the signs.
func (m *model) alphaHint() string {
	if m.layers.alpha == nil {
		return ""
	}
	g := m.glyphs
	return fmt.Sprintf("%s chosen  %s%s over %d steps", g.chosen, g.trends[2], g.trends[0], trendSteps)
}
