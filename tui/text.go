package tui

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"flexi/core/run"
)

// The functions in this file render for pipes, logs and screen readers: no boxes, no escape codes, no characters of our own beyond ASCII.

// rows aligns tab-separated rows in columns two blanks apart.
func rows(lines ...string) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, l := range lines {
		fmt.Fprintln(w, l)
	}
	w.Flush() // a strings.Builder does not fail
	return trimRight(b.String())
}

// trimRight takes the blanks off the end of each line that alignment leaves there.
func trimRight(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// clean takes control characters out of a text: names, notes and errors come from people and files, and must not command a terminal.
func clean(text *string) {
	*text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' {
			return -1
		}
		return r
	}, *text)
}

// RunsText lists runs, newest first, with the cause below those that failed or were lost.
func RunsText(runs []run.RunView, now time.Time) (text string) {
	defer clean(&text)
	if len(runs) == 0 {
		return "no runs; start one with: flexi search --demo\n"
	}
	sorted := make([]*run.RunView, len(runs))
	for i := range runs {
		sorted[i] = &runs[i]
	}
	sortRuns(sorted, byAge, false)
	return runsTable(sorted, now)
}

func runsTable(runs []*run.RunView, now time.Time) string {
	lines := []string{"run\tkind\tstate\ttrials\tbest\tage\tspent\tparent\tnote"}
	var causes []string
	for _, r := range runs {
		best, parent := "-", "-"
		if t := bestTrial(r); t != nil {
			best = scoreText(*t.Score)
		}
		if r.Parent != "" {
			parent = fmt.Sprintf("%s@%d", r.Parent, r.ParentTrials)
		}
		lines = append(lines, strings.Join([]string{r.ID, r.Kind, string(r.State), progressText(r), best, ageText(now, r.Created), secondsText(r.Seconds), parent, r.Note}, "\t"))
		if c := causeText(r); c != "" {
			causes = append(causes, r.ID+": "+c)
		}
	}
	out := rows(lines...)
	if len(causes) > 0 {
		out += "\n" + strings.Join(causes, "\n") + "\n"
	}
	return out
}

// causeText is why a run stands still without having been asked to, and the next step.
func causeText(r *run.RunView) string {
	switch r.State {
	case run.Failed:
		return r.Error
	case run.Lost:
		return "the process that ran it is gone; go on with: flexi resume " + r.ID
	case run.Paused:
		return "paused; go on with: flexi resume " + r.ID
	}
	return ""
}

// StatusText says where a run stands: state, best trial, workers and frontier.
func StatusText(r run.RunView, now time.Time) (text string) {
	defer clean(&text)
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %s, %s of %s finished%s, %s\n", r.Kind, r.ID, stateText(&r), plural(r.Done+r.StoppedN, "trial"), budgetText(&r), failedText(&r), runTime(&r))
	if c := causeText(&r); c != "" {
		fmt.Fprintln(&b, c)
	}
	if t := bestTrial(&r); t != nil {
		fmt.Fprintf(&b, "best: #%d %s, %s %s, %s parameters\n", t.ID, t.Title, objectiveText(r.Objective), scoreText(*t.Score), paramsText(t.Params))
	}
	if r.Thinking != "" {
		fmt.Fprintf(&b, "now: %s\n", activityText(&r))
	}
	for i := range r.Workers {
		fmt.Fprintln(&b, workerText(&r, &r.Workers[i], now))
	}
	if len(r.Frontier) > 0 {
		fmt.Fprintf(&b, "frontier, %s:\n", plural(len(r.Frontier), "trial"))
		b.WriteString(frontierText(&r))
	}
	return b.String()
}

func budgetText(r *run.RunView) string {
	if r.Budget <= 0 {
		return "as many as it takes"
	}
	return fmt.Sprint(r.Budget)
}

// workerText is a worker's progress in one line.
func workerText(r *run.RunView, w *run.WorkerView, now time.Time) string {
	t := trialOf(r, w.Trial)
	if t == nil {
		return fmt.Sprintf("worker %d: idle", w.Slot)
	}
	parts := []string{fmt.Sprintf("worker %d: #%d %s, %s %s", w.Slot, t.ID, t.Title, w.Phase, percentText(fraction(w.Progress)))}
	if w.Loss != 0 {
		parts = append(parts, "loss "+short(w.Loss))
	}
	if w.TokensPerSecond > 0 {
		parts = append(parts, countText(w.TokensPerSecond)+" tokens/s")
	}
	if !w.Since.IsZero() {
		parts = append(parts, "for "+ageText(now, w.Since))
	}
	if w.ETA > 0 {
		parts = append(parts, spanText(w.ETA)+" left")
	}
	if p := t.Predict; p != nil {
		parts = append(parts, fmt.Sprintf("predicted %s plus or minus %s", short(p.Mean), short(p.Aleatoric)))
	}
	return strings.Join(parts, ", ")
}

// TrialsText is the results table of a run in the order of proposal, and the best trial.
func TrialsText(r run.RunView) (text string) {
	defer clean(&text)
	if len(r.Trials) == 0 {
		return r.ID + " has no trials yet\n"
	}
	out := trialsTable(r)
	if t := bestTrial(&r); t != nil {
		out += fmt.Sprintf("\nbest: #%d %s, %s %s, %s parameters\n", t.ID, t.Title, objectiveText(r.Objective), scoreText(*t.Score), paramsText(t.Params))
	}
	if x := run.TradeoffOf(&r); x != nil {
		out += "\nfrontier:\n" + frontierText(&r) + tradeoffText(x) + "\n"
	}
	return out + ConfirmationsText(r)
}

// trialsTable lists the trials, and why some were stopped or failed.
func trialsTable(r run.RunView) string {
	lines := []string{"trial\t" + objectiveText(r.Objective) + "\tparameters\ttime\tfrom\tarchitecture\tstate"}
	var failures []string
	for _, t := range r.Trials {
		score, from := "-", "-"
		if t.Score != nil {
			score = scoreText(*t.Score)
		}
		if t.Parent >= 0 {
			from = fmt.Sprintf("#%d %.2f", t.Parent, t.Overlap)
		}
		lines = append(lines, strings.Join([]string{fmt.Sprintf("#%d", t.ID), score, paramsText(t.Params), secondsText(t.Seconds), from, t.Title, trialState(t)}, "\t"))
		if t.Reason != "" {
			failures = append(failures, fmt.Sprintf("#%d stopped: %s", t.ID, t.Reason))
		}
		if t.Error != "" {
			failures = append(failures, fmt.Sprintf("#%d failed: %s", t.ID, t.Error))
		}
	}
	out := rows(lines...)
	if len(failures) > 0 {
		out += "\n" + strings.Join(failures, "\n") + "\n"
	}
	return out
}

// trialState is a trial's state, with what it retrains.
func trialState(t *run.Trial) string {
	if t.Arm == run.ArmSearch {
		return string(t.State)
	}
	return fmt.Sprintf("%s, %s of #%d", t.State, t.Arm, t.Of)
}
