package tui

import (
	"fmt"
	"math"
	"strings"

	"flexi/core/run"
	"flexi/core/selection"
)

// layersChosenText is how a trial of a Flexora run chooses layers; "" where nothing is chosen.
func layersChosenText(choice *run.LayerChoice, layers []run.LayerRow, points []run.Point) string {
	if choice == nil {
		return ""
	}
	s := newLayerSearch(choice, layers, alphasOf(points), "")
	var b strings.Builder
	if s.Steps > 0 {
		fmt.Fprintf(&b, "  outer step %d of %d, %s, %s, learning rates %s and %s (alpha)\n", lastStep(points), s.Steps, s.Mode, plural(s.InnerSteps, "inner step"),
			significant(s.InnerRate), significant(s.AlphaRate))
	}
	if s.Rule != "" {
		fmt.Fprintf(&b, "  rule %s\n", s.Rule)
	}
	if s.wrong != "" {
		fmt.Fprintf(&b, "  %s\n", s.wrong)
	}
	if s.chosen() != nil {
		chosen, all := s.params()
		verb := "would take"
		if s.Chosen != nil {
			verb = "chosen"
		}
		fmt.Fprintf(&b, "  %s: %s (%d of %d; %s of %s adapter parameters)\n", verb, layerList(s.chosen()), len(s.chosen()), s.n(), paramsText(chosen), paramsText(all))
	}
	if s.Warning != "" {
		fmt.Fprintf(&b, "  %s\n", s.Warning)
	}
	if s.alpha == nil {
		return b.String()
	}
	if s.found.Layers != nil {
		fmt.Fprintf(&b, "  the same layers for %s; entropy %.2f of %.2f bits\n", plural(s.stable, "outer step"), s.entropy(), math.Log2(float64(len(s.alpha))))
	}
	lines := []string{fmt.Sprintf("  layer\tchosen\talpha\tover %d steps\tmultiplier", trendSteps)}
	for i, m := range selection.Multipliers(s.alpha) {
		chosen := "no"
		if s.takes(i) {
			chosen = "yes"
		}
		lines = append(lines, fmt.Sprintf("  %d\t%s\t%s\t%+.3f\t%.3f", i, chosen, alphaText(s.alpha[i]), s.trend(i), m))
	}
	return b.String() + rows(lines...)
}
