package tui

import (
	"fmt"
	"strconv"
	"strings"

	"flexi/core/run"
)

// frontierText lists the frontier with what is traded off.
func frontierText(r *run.RunView) string {
	head := []string{"  trial", "parameters", objectiveText(r.Objective)}
	var names []string
	for _, c := range r.Criteria {
		if c.Name != run.Params {
			names = append(names, c.Name)
		}
	}
	lines := []string{strings.Join(append(head, names...), "\t")}
	for _, id := range r.Frontier {
		t := trialOf(r, id)
		if t == nil || t.Score == nil {
			continue
		}
		cells := []string{fmt.Sprintf("  #%d", id), paramsText(t.Params), scoreText(*t.Score)}
		for _, name := range names {
			cell := "-"
			if v, known := t.Measure(name); known {
				cell = significant(v)
			}
			cells = append(cells, cell)
		}
		lines = append(lines, strings.Join(cells, "\t"))
	}
	return rows(lines...)
}

// tradeoffText is the hypervolume with the box that it is a share of.
func tradeoffText(x *run.Tradeoff) string {
	parts := make([]string, len(x.Names))
	for k, name := range x.Names {
		parts[k] = fmt.Sprintf("%s %s to %s", name, significant(x.Worst[k]), significant(x.Best[k]))
	}
	return fmt.Sprintf("hypervolume %.3f of the box of results (%s)", x.Hypervolume, strings.Join(parts, ", "))
}

// significant is a number with three digits that count.
func significant(v float64) string { return strconv.FormatFloat(v, 'g', 3, 64) }
