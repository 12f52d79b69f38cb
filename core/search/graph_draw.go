package search

import (
	"fmt"
	"strings"

	"flexi/core/model"
)

// GraphLines draws the network of an architecture as text, from input to output: the left rail is the residual path, dots are nodes; heads stand side by
// side, feed-forward layers below each other.
func GraphLines(a model.Arch) []string {
	lines := []string{"● " + inputLabel}
	for j, l := range a.Layers {
		lines = append(lines, headLines(j, l)...)
		lines = append(lines, "├─╮")
		for _, w := range l.FF {
			lines = append(lines, "│ ●  "+widthLabel(w))
		}
		lines = append(lines, "├─╯", "● "+normLabel)
		if j+1 < len(a.Layers) && a.Layers[j+1].Hidden != l.Hidden {
			lines = append(lines, fmt.Sprintf("│  projection h%d to h%d", l.Hidden, a.Layers[j+1].Hidden))
		}
	}
	return append(lines, "│", "● "+outputLabel)
}

// headLines draws the parallel heads of layer j and their add_norm.
func headLines(j int, l model.Layer) []string {
	labels := headLabels(l)
	inner := max(0, len(labels)-1)
	return []string{
		fmt.Sprintf("├%s─╮  layer %d, h%d", strings.Repeat("─┬", inner), j+1, l.Hidden),
		"│" + strings.Repeat(" ●", len(labels)) + "  " + countRuns(labels),
		"├" + strings.Repeat("─┴", inner) + "─╯",
		"● " + normLabel,
	}
}

// countRuns writes "2 × a, 1 × b" for a list of labels.
func countRuns(labels []string) string {
	var runs []string
	for i := 0; i < len(labels); {
		end := i + 1
		for end < len(labels) && labels[end] == labels[i] {
			end++
		}
		runs = append(runs, fmt.Sprintf("%d × %s", end-i, labels[i]))
		i = end
	}
	return strings.Join(runs, ", ")
}
