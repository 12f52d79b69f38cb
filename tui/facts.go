package tui

import (
	"fmt"
	"slices"
	"strings"

	"flexi/core/run"
	"flexi/tui/chart"
)

// gainSpan is how many finished trials back the recent gain looks.
const gainSpan = 20

// factLines sum up the run.
func (m *model) factLines(w int) []textLine {
	r := m.derived.run
	if r == nil {
		return nil
	}
	g := m.glyphs
	out := []textLine{
		{{padRight("state", 11), dim}, {g.state(r.State) + " " + stateText(r), stateStyle(r.State)}},
		field("progress", progressText(r)+failedText(r)),
		field("time", runTime(r)),
	}
	if t := bestTrial(r); t != nil {
		out = append(out, field("best", fmt.Sprintf("%s by #%d, %s parameters", scoreText(*t.Score), t.ID, paramsText(t.Params))))
		if gain, n := recentGain(r); n > 0 {
			out = append(out, field("gain", fmt.Sprintf("%s in the last %s", scoreText(gain), plural(n, "trial"))))
		}
		if !m.spoken {
			out = append(out, textLine{{padRight("", 11), dim}, {chart.Sparkline(r.BestSoFar, max(0, w-12), g.chart), series0}})
		}
	}
	if x := m.tradeoff; x != nil {
		out = append(out, wrapped("tradeoff", tradeoffText(x), plain, w)...)
	}
	out = append(out, confirmedLines(m.confirmed, w)...)
	if picks := pickCounts(r); picks != "" {
		out = append(out, wrapped("picked by", picks, plain, w)...)
	}
	if s := r.Surrogate; s != nil {
		out = append(out, field("surrogate", fmt.Sprintf("%s, NLL %s, fit %s", plural(s.Fitted, "trial"), scoreText(s.Loss), secondsText(s.FitSeconds))))
	}
	if r.Thinking != "" {
		out = append(out, wrapped("now", m.thinkingText(r), plain, w)...)
	}
	direction := "lower is better"
	if r.Objective.Maximize {
		direction = "higher is better"
	}
	out = append(out, field("objective", objectiveText(r.Objective)+", "+direction), field("seed", fmt.Sprint(r.Seed)))
	if r.Parent != "" {
		out = append(out, field("branched", fmt.Sprintf("from %s, %s", r.Parent, plural(r.ParentTrials, "trial"))))
	}
	out = append(out, field("device", m.snap.Device))
	if r.Note != "" {
		out = append(out, wrapped("note", r.Note, plain, w)...)
	}
	if r.Error != "" {
		out = append(out, wrapped("error", r.Error, bad, w)...)
	}
	return out
}

// failedText counts those that did not come to a score.
func failedText(r *run.RunView) string {
	text := ""
	if r.StoppedN > 0 {
		text = fmt.Sprintf(", %d of them stopped early", r.StoppedN)
	}
	if r.FailedN > 0 {
		text += fmt.Sprintf(", %d failed", r.FailedN)
	}
	return text
}

func runTime(r *run.RunView) string {
	text := secondsText(r.Seconds) + " spent"
	if r.ETA > 0 && active(r.State) {
		text += ", " + spanText(r.ETA) + " to go"
	}
	return text
}

// recentGain is how much the best score has improved over the last n finished trials.
func recentGain(r *run.RunView) (gain float64, n int) {
	last := len(r.BestSoFar) - 1
	if last < 1 {
		return 0, 0
	}
	n = min(gainSpan, last)
	gain = r.BestSoFar[last] - r.BestSoFar[last-n]
	if !r.Objective.Maximize {
		gain = -gain
	}
	return gain, n
}

// pickCounts counts trials by the first word of why they were picked, most frequent first.
func pickCounts(r *run.RunView) string {
	counts := map[string]int{}
	for _, t := range r.Trials {
		if why, _, _ := strings.Cut(t.Why, " "); why != "" {
			counts[why]++
		}
	}
	names := sortedKeys(counts)
	slices.SortStableFunc(names, func(a, b string) int { return counts[b] - counts[a] })
	for i, n := range names {
		names[i] = fmt.Sprintf("%s %d", n, counts[n])
	}
	return strings.Join(names, ", ")
}
