package tui

import (
	"fmt"

	"flexi/core/run"
)

// originLines say what became of the inspected trial and where it came from.
func (m *model) originLines(w int) []textLine {
	t := m.trialAt(m.inspected())
	if t == nil {
		return []textLine{oneSpan(m.pending(), dim)}
	}
	out := []textLine{{{padRight("state", 11), dim}, {m.glyphs.state(t.State) + " " + string(t.State), stateStyle(t.State)}, {m.attemptText(t), dim}}}
	if t.Score != nil {
		out = append(out, field("score", scoreText(*t.Score)+", "+m.rankText(t)))
	}
	out = append(out, wrapped("from", m.fromText(t), plain, w)...)
	out = append(out, wrapped("at pick", m.pickText(t), plain, w)...)
	names, nameW := sortedKeys(t.Scores), 0
	for _, name := range names {
		nameW = max(nameW, width(name))
	}
	for _, name := range names {
		out = append(out, textLine{{"  " + padRight(name, max(nameW+1, 9)), dim}, {scoreText(t.Scores[name]), plain}})
	}
	if t.Reason != "" {
		out = append(out, wrapped("stopped", t.Reason, plain, w)...)
	}
	for _, name := range sortedKeys(t.Measures) {
		out = append(out, textLine{{"  " + name + " ", dim}, {significant(t.Measures[name]), plain}})
	}
	if t.Error != "" {
		out = append(out, wrapped("error", t.Error+"; r trains it again", bad, w)...)
	}
	out = append(out, wrapped("title", t.Title, plain, w)...)
	out = append(out, field("hash", t.Hash))
	if kept := keptText(t); kept != "" {
		out = append(out, field("kept", kept))
	}
	if m.looked.problem != "" {
		out = append(out, wrapped("problem", m.looked.problem, bad, w)...)
	}
	return out
}

func (m *model) attemptText(t *run.Trial) string {
	text := ""
	if t.Seconds > 0 {
		text = ", " + secondsText(t.Seconds) + " of training"
	}
	if t.Attempt > 1 {
		text += fmt.Sprintf(", attempt %d", t.Attempt)
	}
	return text
}

// rankText places a scored trial among the others.
func (m *model) rankText(t *run.Trial) string {
	if t.Arm != run.ArmSearch {
		return fmt.Sprintf("a retraining of #%d", t.Of)
	}
	r := m.derived.run
	rank := 1
	for _, other := range r.Trials {
		if other.Found() && r.Objective.Better(*other.Score, *t.Score) {
			rank++
		}
	}
	text := fmt.Sprintf("rank %d of %d", rank, len(m.finished))
	if m.frontier[t.ID] {
		text += ", on the frontier"
	}
	return text
}

func (m *model) fromText(t *run.Trial) string {
	if t.Parent < 0 {
		return "fresh weights"
	}
	text := fmt.Sprintf("weights of #%d, overlap %.2f", t.Parent, t.Overlap)
	if p := m.trialAt(t.Parent); p != nil && p.Score != nil {
		text += ", which scored " + scoreText(*p.Score)
	}
	return text
}

func (m *model) pickText(t *run.Trial) string {
	g := m.glyphs
	text := t.Why
	if t.Level > 0 {
		text += fmt.Sprintf(", level %d", t.Level)
	}
	if p := t.Predict; p != nil {
		text += fmt.Sprintf(", %s %s  %s %s  %s %s", g.mean, short(p.Mean), g.sigma, short(p.Aleatoric), g.xi, short(p.Epistemic))
	} else {
		text += ", no prediction yet"
	}
	return text
}

func keptText(t *run.Trial) string {
	switch {
	case t.Weights != "":
		return "trained weights " + shortHash(t.Weights)
	case t.Checkpoint != "":
		return "checkpoint " + shortHash(t.Checkpoint)
	}
	return ""
}
