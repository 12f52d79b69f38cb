package tui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"flexi/core/run"
)

// target is the run that commands are about: the marked one on the runs screen, else the one shown.
func (m *model) target() *run.RunView {
	if m.screen != runsList {
		return m.derived.run
	}
	if i := m.findListed(); i >= 0 {
		return m.runs[i]
	}
	return nil
}

// pauses reports whether p means pause for this run (else resume).
func pauses(r *run.RunView) bool {
	return r.State == run.Running || r.State == run.Queued
}

func (m *model) pauseSays() string {
	if r := m.target(); r != nil && !pauses(r) {
		return "resume"
	}
	return "pause"
}

func (m *model) cannotPause() string {
	r := m.target()
	if r == nil {
		return "no run"
	}
	switch r.State {
	case run.Pausing:
		return "pausing already"
	case run.Stopping:
		return "run is stopping"
	case run.Done:
		return "run is done"
	}
	return ""
}

func (m *model) pauseOrResume() tea.Cmd {
	r := m.target()
	verb := run.Resume
	if pauses(r) {
		verb = run.Pause
	}
	return m.send(run.Command{Verb: verb, Run: r.ID, Trial: -1})
}

func (m *model) cannotStop() string {
	r := m.target()
	if r == nil {
		return "no run"
	}
	switch r.State {
	case run.Stopped, run.Done, run.Failed:
		return "run is " + string(r.State)
	}
	return ""
}

func (m *model) cannotBranch() string {
	r := m.target()
	if r == nil {
		return "no run"
	}
	if r.Done == 0 {
		return "no finished trial"
	}
	return ""
}

func (m *model) cannotRetry() string {
	t := m.subject()
	if t == nil {
		return "no trial yet"
	}
	if t.State != run.Failed {
		return fmt.Sprintf("trial %d has not failed", t.ID)
	}
	return ""
}

func (m *model) retry() tea.Cmd {
	return m.send(run.Command{Verb: run.Retry, Run: m.derived.run.ID, Trial: m.subject().ID})
}

// askStop offers the graceful end first, and says what each answer loses.
func (m *model) askStop() tea.Cmd {
	r := m.target()
	id := r.ID
	training, steps := trainings(r)
	text := []string{"No training is running."}
	if len(training) > 0 {
		text = []string{
			plural(len(training), "training") + " running: " + strings.Join(training, ", ") + ".",
			"Stop: finish the current step, save a checkpoint, then end (a few seconds).",
			fmt.Sprintf("Kill: end at once; up to %d training steps since the last checkpoints are lost.", steps),
		}
		if r.State == run.Stopping {
			text[1] = "They end at their next step boundary, with checkpoints."
		}
	}
	text = append(text, "Finished trials stay either way. To continue later: resume, or branch.")
	send := func(v run.Verb) func(*model) tea.Cmd {
		return func(m *model) tea.Cmd { return m.send(run.Command{Verb: v, Run: id, Trial: -1}) }
	}
	answers := []answer{{"stop gracefully", send(run.Stop)}, {"cancel", nil}}
	if r.State == run.Stopping {
		answers = answers[1:] // only a hurried end is left to ask for
	}
	if len(training) > 0 {
		answers = append(answers, answer{"kill now", send(run.Kill)})
	}
	m.ask(&dialog{title: "stop " + id + "?", text: text, answers: answers})
	return nil
}

// trainings names what the workers do and how many steps they have made.
func trainings(r *run.RunView) (names []string, steps int) {
	for _, w := range r.Workers {
		t := trialOf(r, w.Trial)
		if t == nil {
			continue
		}
		names = append(names, fmt.Sprintf("#%d %s %s", t.ID, shortHash(t.Hash), percentText(fraction(w.Progress))))
		steps += w.Step
	}
	return names, steps
}

func fraction(p run.Progress) float64 {
	if p.Steps <= 0 {
		return 0
	}
	return float64(p.Step) / float64(p.Steps)
}

func (m *model) askBranch() tea.Cmd {
	r := m.target()
	id := r.ID
	send := func(trials int) func(*model) tea.Cmd {
		return func(m *model) tea.Cmd { return m.send(run.Command{Verb: run.Branch, Run: id, Trial: trials}) }
	}
	answers := []answer{{"with all " + plural(r.Done, "finished trial"), send(-1)}}
	if t := m.trialAt(m.trial); t != nil && m.screen != runsList && t.ID+1 < len(r.Trials) {
		answers = append(answers, answer{fmt.Sprintf("with #0 to #%d only", t.ID), send(t.ID + 1)})
	}
	answers = append(answers, answer{"edit configuration ...", func(m *model) tea.Cmd { return m.editBranch(r) }}, answer{"cancel", nil})
	m.ask(&dialog{title: "branch " + id + "?", answers: answers, text: []string{
		"Makes a new, paused run that shares this run's trials, scores and weights; " + id + " itself is not touched.",
		"p starts the new run.",
	}})
	return nil
}
