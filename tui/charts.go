package tui

import (
	"fmt"
	"slices"

	"flexi/core/run"
	"flexi/tui/chart"
)

func objectiveText(o run.Objective) string {
	if o.Name == "" {
		return "score"
	}
	return o.Name
}

// chart is what a chart pane shows now.
func (m *model) chart(id pane) chart.Chart {
	c := chart.Chart{Glyphs: m.glyphs.chart, Legend: true}
	r := m.derived.run
	switch {
	case id == paneCurves:
		m.curveChart(&c)
	case id == paneRunCurves:
		m.runsChart(&c)
	case id == paneMap:
		m.mapChart(&c)
	case id == paneLosses:
		m.lossChart(&c)
	case id == paneHistory:
		m.alphaChart(&c)
	case r == nil:
	case id == paneFrontier:
		m.frontierChart(&c, r)
	case id == paneBest:
		m.bestChart(&c, r)
	case id == paneSurrogate:
		m.surrogateChart(&c, r)
	}
	return c
}

// frontierChart: every scored trial against its parameters, and the step line of what no other trial beats.
func (m *model) frontierChart(c *chart.Chart, r *run.RunView) {
	c.X = chart.Axis{Title: "parameters (log)", Log: true, Format: axisCount}
	others := chart.Series{Name: "trial", Kind: chart.Points, Marker: chart.Dot, Role: chart.Faint}
	for _, t := range r.Trials {
		if t.Found() && !m.frontier[t.ID] {
			others.X, others.Y = append(others.X, float64(t.Params)), append(others.Y, *t.Score)
		}
	}
	line := chart.Series{Kind: chart.Steps, Role: chart.Line0}
	for _, id := range r.Frontier {
		if t := trialOf(r, id); t != nil && t.Score != nil {
			line.X, line.Y = append(line.X, float64(t.Params)), append(line.Y, *t.Score)
		}
	}
	front := line
	front.Name, front.Kind, front.Marker, front.Role = "frontier", chart.Points, chart.Disc, chart.Mark
	c.Series = []chart.Series{others, line, front}
	if t := m.trialAt(m.trial); t != nil && t.Score != nil {
		c.Series = append(c.Series, chart.Series{Name: "marked", Kind: chart.Points, Marker: chart.Diamond, Role: chart.Line1, X: []float64{float64(t.Params)}, Y: []float64{*t.Score}})
	}
}

// bestChart: the best score after each finished trial over the scores themselves.
func (m *model) bestChart(c *chart.Chart, r *run.RunView) {
	c.X = chart.Axis{Title: "finished trials", Whole: true, Tight: true}
	each := chart.Series{Name: "trial", Kind: chart.Points, Marker: chart.Dot, Role: chart.Faint}
	for i, t := range m.finished {
		each.X, each.Y = append(each.X, float64(i+1)), append(each.Y, *t.Score)
	}
	c.Series = []chart.Series{each, bestSeries(r, "best so far", chart.Solid, chart.Line0)}
}

func bestSeries(r *run.RunView, name string, dash chart.Dash, role chart.Role) chart.Series {
	s := chart.Series{Name: name, Kind: chart.Steps, Dash: dash, Role: role}
	for i, v := range r.BestSoFar {
		s.X, s.Y = append(s.X, float64(i+1)), append(s.Y, v)
	}
	return s
}

// surrogateChart: expected score over the candidates by acquisition, with noise and ignorance as bands, and what was measured.
func (m *model) surrogateChart(c *chart.Chart, r *run.RunView) {
	c.X = chart.Axis{Title: "candidates by acquisition", Whole: true, Tight: true}
	if r.Surrogate == nil {
		return
	}
	g := m.glyphs
	next := make(map[string]bool, len(r.Surrogate.Queue))
	for _, q := range r.Surrogate.Queue {
		next[q.Hash] = true
	}
	mean := chart.Series{Name: g.mean, Role: chart.Line0}
	measured := chart.Series{Name: "evaluated", Kind: chart.Points, Marker: chart.Diamond, Role: chart.Mark}
	picks := chart.Series{Name: "next", Kind: chart.Points, Marker: chart.Triangle, Role: chart.Line1}
	noise := chart.Band{Name: g.sigma + " noise"}
	ignorance := chart.Band{Name: g.xi + " ignorance", Outer: true}
	for i, k := range r.Surrogate.Candidates {
		x, p := float64(i+1), k.Predict
		mean.X, mean.Y = append(mean.X, x), append(mean.Y, p.Mean)
		noise.X, noise.Low, noise.High = append(noise.X, x), append(noise.Low, p.Mean-p.Aleatoric), append(noise.High, p.Mean+p.Aleatoric)
		both := p.Aleatoric + p.Epistemic
		ignorance.X, ignorance.Low, ignorance.High = append(ignorance.X, x), append(ignorance.Low, p.Mean-both), append(ignorance.High, p.Mean+both)
		if t := trialOf(r, k.Trial); t != nil && t.Score != nil {
			measured.X, measured.Y = append(measured.X, x), append(measured.Y, *t.Score)
		} else if next[k.Hash] {
			picks.X, picks.Y = append(picks.X, x), append(picks.Y, p.Mean)
		}
	}
	c.Series = []chart.Series{mean, measured, picks}
	c.Bands = []chart.Band{noise, ignorance}
}

// maxCurves is how many runs one chart can tell apart by dash and colour.
const maxCurves = 4

// runsChart lays the curves of the marked runs over that of the run under the cursor.
func (m *model) runsChart(c *chart.Chart) {
	c.X = chart.Axis{Title: "finished trials", Whole: true, Tight: true}
	runs, _ := m.overlaid()
	for n, r := range runs {
		c.Series = append(c.Series, bestSeries(r, r.ID, []chart.Dash{chart.Solid, chart.Dashed, chart.Dotted, chart.Solid}[n], chart.Line0+chart.Role(n)))
	}
}

// overlaid are the compared runs whose curves one chart can show: the scores of different objectives have no common axis. leftOut says why some are missing.
func (m *model) overlaid() (runs []*run.RunView, leftOut string) {
	scored := slices.DeleteFunc(m.compared(), func(r *run.RunView) bool { return len(r.BestSoFar) == 0 })
	base := slices.IndexFunc(scored, func(r *run.RunView) bool { return r.ID == m.listed })
	others, more := 0, 0
	for i, r := range scored {
		switch {
		case r.Objective.Name != scored[max(base, 0)].Objective.Name:
			others++
		case len(runs) == maxCurves, len(runs) == maxCurves-1 && i < base: // the one under the cursor is always there
			more++
		default:
			runs = append(runs, r)
		}
	}
	switch {
	case others > 0:
		leftOut = plural(others, "run") + " of another objective not drawn"
	case more > 0:
		leftOut = fmt.Sprintf("%d more not drawn", more)
	}
	return runs, leftOut
}

// series are the names of the inspected trial's learning curves in the order of their first point.
func (m *model) series() []string {
	var names []string
	seen := map[string]bool{}
	for _, p := range m.looked.points {
		if !seen[p.Series] {
			seen[p.Series] = true
			names = append(names, p.Series)
		}
	}
	return names
}

// curveName is the learning curve that is shown; "" if there is none.
func (m *model) curveName() string {
	names := m.series()
	if len(names) == 0 {
		return ""
	}
	return names[clamp(m.curve, len(names))]
}

// curveChart is one learning curve, and the same of the trial that is compared with; left and right choose which.
func (m *model) curveChart(c *chart.Chart) {
	c.X = chart.Axis{Title: "step", Whole: true, Tight: true}
	name := m.curveName()
	if name == "" {
		return
	}
	if other := m.rival(); other != nil && m.looked2.of.trial == other.ID {
		s := chart.Series{Name: fmt.Sprintf("#%d", other.ID), Role: chart.Line1, Dash: chart.Dashed}
		if s.X, s.Y = curve(m.looked2.points, name); len(s.X) > 0 {
			c.Series = append(c.Series, s)
		}
	}
	s := chart.Series{Name: fmt.Sprintf("#%d", m.inspected()), Role: chart.Line0}
	s.X, s.Y = curve(m.looked.points, name)
	c.Series = append(c.Series, s)
	if len(s.X) <= maxDots { // a few measurements are points, many are a line
		dots := s
		dots.Name, dots.Kind, dots.Marker, dots.Role = "", chart.Points, chart.Disc, chart.Mark
		c.Series = append(c.Series, dots)
	}
}

func curve(points []run.Point, name string) (x, y []float64) {
	for _, p := range points {
		if p.Series == name {
			x, y = append(x, float64(p.Step)), append(y, p.Value)
		}
	}
	return x, y
}

// mapChart is the embedding around the inspected architecture: the trials of its level in the order of proposal, and its neighbours.
func (m *model) mapChart(c *chart.Chart) {
	c.X, c.Y = chart.Axis{Title: "first principal component"}, chart.Axis{}
	in := m.looked.inspection
	if in == nil {
		return
	}
	path := chart.Series{Name: "trials in order", Role: chart.Frame, Dash: chart.Dotted}
	trials := chart.Series{Name: "trial", Kind: chart.Points, Marker: chart.Dot, Role: chart.Faint}
	front := chart.Series{Name: "frontier", Kind: chart.Points, Marker: chart.Disc, Role: chart.Line0}
	near := chart.Series{Name: "neighbour", Kind: chart.Points, Marker: chart.Triangle, Role: chart.Line1}
	this := chart.Series{Name: "this", Kind: chart.Points, Marker: chart.Diamond, Role: chart.Mark}
	neighbour := map[string]bool{}
	for _, n := range in.Neighbours {
		neighbour[n.Hash] = true
	}
	add := func(s *chart.Series, p run.Place) { s.X, s.Y = append(s.X, p.X), append(s.Y, p.Y) }
	for _, p := range in.Map {
		if p.Trial >= 0 {
			add(&path, p)
		}
		switch {
		case p.Hash == in.Hash:
			add(&this, p)
		case neighbour[p.Hash]:
			add(&near, p)
		case m.frontier[p.Trial]:
			add(&front, p)
		default:
			add(&trials, p)
		}
	}
	c.Series = []chart.Series{path, trials, front, near, this}
}

const maxDots = 12

// drawChart draws a chart pane as a picture or a table, or says why it is empty.
func (p *painter) drawChart(id pane, r rect) {
	c := p.m.chart(id)
	read := p.m.lenses[id].through(&c)
	if id == paneCurves && len(c.Series) > 0 && r.h > 3 {
		names := p.m.series()
		p.f.spans(r.row(0), span{p.m.curveName(), strong}, span{"  " + p.keys("left", "right") + " " + fractionOf(clamp(p.m.curve, len(names))+1, len(names)), dim})
		r = rect{r.x, r.y + 1, r.w, r.h - 1}
		c.Legend = p.m.rival() != nil
	}
	if read != "" && r.h > 3 && !p.m.tables[id] {
		p.f.text(r.row(0), read, strong)
		r = rect{r.x, r.y + 1, r.w, r.h - 1}
	}
	points := 0
	for _, s := range c.Series {
		points += len(s.X)
	}
	switch {
	case points == 0:
		for i, l := range wrapText(p.m.whyEmpty(id), r.w) {
			if i < r.h {
				p.f.text(r.row(i), l, dim)
			}
		}
	case p.m.tables[id]:
		p.drawChartTable(id, c, r)
	default:
		p.plots[id] = r
		p.f.image(r, c.Render(r.w, r.h))
	}
}

func (m *model) whyEmpty(id pane) string {
	switch {
	case id == paneSurrogate && m.derived.run != nil && m.derived.run.Surrogate == nil:
		return "No surrogate yet: it is fitted once the first trials are finished, and some policies have none."
	case id == paneCurves && m.looked.problem != "":
		return m.looked.problem
	case id == paneCurves:
		return "No learning curve yet."
	case id == paneLosses || id == paneHistory:
		return m.noLayerCurves()
	case id == paneMap && m.looked.inspection != nil:
		return "No map: the embedding is known while the run is being worked on."
	case id == paneMap:
		return m.pending()
	}
	return "No finished trial yet."
}

// drawChartTable is the table form of a chart (v).
func (p *painter) drawChartTable(id pane, c chart.Chart, r rect) {
	head, rows := c.Table()
	t := table{rows: len(rows), cursor: -1, from: p.m.scroll[id], cell: func(row, col int) span { return span{rows[row][col], plain} }}
	for i, h := range head {
		t.columns = append(t.columns, column{title: h, w: max(9, width(h)), right: true, rank: i})
	}
	p.drawTable(r, t, false)
}
