package tui

import (
	"fmt"
	"strings"

	"flexi/core/run"
	"flexi/core/selection"
)

// InspectionText describes an architecture: layers, parameters, graph and neighbours; with t also its result, with points its learning curves.
// t and points may be nil.
func InspectionText(in run.Inspection, t *run.Trial, points []run.Point) (text string) {
	defer clean(&text)
	var b strings.Builder
	section := func(title, body string) {
		if body != "" {
			fmt.Fprintf(&b, "\n%s\n%s", title, body)
		}
	}
	fmt.Fprintf(&b, "%s\nhash %s, %s parameters\n", in.Title, in.Hash, paramsText(in.Params))
	if t != nil {
		b.WriteString(trialText(t))
	}
	section("layers", layersText(in.Layers))
	section("choice of layers", layersChosenText(in.Choice, in.Layers, points))
	section("parameters", partsText(in))
	if len(in.Graph) > 0 {
		section("graph", "  "+strings.Join(in.Graph, "\n  ")+"\n")
	}
	section("neighbours, nearest first", neighboursText(in.Neighbours))
	section("learning curves", curvesText(points))
	return b.String()
}

func trialText(t *run.Trial) string {
	var b strings.Builder
	fmt.Fprintf(&b, "trial #%d of %s: %s", t.ID, t.Run, t.State)
	if t.Score != nil {
		fmt.Fprintf(&b, ", score %s", scoreText(*t.Score))
	}
	if t.Seconds > 0 {
		fmt.Fprintf(&b, ", %s of training", secondsText(t.Seconds))
	}
	b.WriteByte('\n')
	if t.Error != "" {
		fmt.Fprintf(&b, "failed: %s\nagain with: flexi retry %s %d\n", t.Error, t.Run, t.ID)
	}
	if t.Reason != "" {
		fmt.Fprintf(&b, "stopped: %s\n", t.Reason)
	}
	for _, r := range t.Rungs {
		fmt.Fprintf(&b, "%s: %s, rank %d of %d\n", r.Name, short(r.Value), r.Rank, r.Of)
	}
	for _, name := range sortedKeys(t.Measures) {
		fmt.Fprintf(&b, "  %s %s\n", name, significant(t.Measures[name]))
	}
	for _, name := range sortedKeys(t.Scores) {
		fmt.Fprintf(&b, "  %s %s\n", name, scoreText(t.Scores[name]))
	}
	if t.Parent >= 0 {
		fmt.Fprintf(&b, "started from the weights of #%d, overlap %.2f\n", t.Parent, t.Overlap)
	}
	if p := t.Predict; p != nil {
		fmt.Fprintf(&b, "picked by %s, predicted %s, noise %s, ignorance %s (standard deviations)\n", t.Why, scoreText(p.Mean), scoreText(p.Aleatoric), scoreText(p.Epistemic))
	} else if t.Why != "" {
		fmt.Fprintf(&b, "picked by %s\n", t.Why)
	}
	return b.String()
}

func layersText(layers []run.LayerRow) string {
	if len(layers) == 0 {
		return ""
	}
	lines := []string{"  layer\top\thidden\theads\tfeed-forward\tparameters"}
	for _, l := range layers {
		lines = append(lines, strings.Join([]string{"  " + l.Name, l.Op, number(l.Hidden), number(l.Heads), l.FF, paramsText(l.Params)}, "\t"))
	}
	return rows(lines...)
}

func partsText(in run.Inspection) string {
	if len(in.Parts) == 0 {
		return ""
	}
	var lines []string
	for _, p := range in.Parts {
		lines = append(lines, fmt.Sprintf("  %s\t%d\t%.1f%%", p.Name, p.Params, 100*float64(p.Params)/float64(max(in.Params, 1))))
	}
	return rows(lines...)
}

func neighboursText(near []run.Neighbour) string {
	if len(near) == 0 {
		return ""
	}
	lines := []string{"  trial\tdistance\toverlap\tscore\tedit\tarchitecture\thash"}
	for i := range near {
		n := &near[i]
		trial, score := "-", "-"
		if n.Trial >= 0 {
			trial = fmt.Sprintf("#%d", n.Trial)
		}
		if n.Score != nil {
			score = scoreText(*n.Score)
		}
		lines = append(lines, strings.Join([]string{"  " + trial, short(n.Distance), fmt.Sprintf("%.2f", n.Overlap), score, n.Edit, n.Title, shortHash(n.Hash)}, "\t"))
	}
	return rows(lines...)
}

// curveRows is how many values of a learning curve are printed.
const curveRows = 10

// curvesText prints each curve at evenly spread points, the first and the last included.
func curvesText(points []run.Point) string {
	var names []string
	curves := map[string][]run.Point{}
	for _, p := range points {
		if _, ok := selection.LayerOf(p.Series); ok { // the choice of layers says where they stand
			continue
		}
		if curves[p.Series] == nil {
			names = append(names, p.Series)
		}
		curves[p.Series] = append(curves[p.Series], p)
	}
	var lines []string
	for _, name := range names {
		c := curves[name]
		n := min(len(c), curveRows)
		steps, values := make([]string, n), make([]string, n)
		for i := range n {
			p := c[i*(len(c)-1)/max(n-1, 1)]
			steps[i], values[i] = fmt.Sprint(p.Step), short(p.Value)
		}
		lines = append(lines, "  "+name+"\tstep\t"+strings.Join(steps, "\t"), "  \tvalue\t"+strings.Join(values, "\t"))
	}
	if len(lines) == 0 {
		return ""
	}
	return rows(lines...)
}
