package tui

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"flexi/core/run"
)

func steerKeys() []binding {
	const in = onOverview | onInspector
	return []binding{
		{keys: []string{"P"}, acts: true, in: in, group: groupRuns, name: "pin", help: "have the marked candidate or neighbour proposed next; again: leave it to the policy", says: (*model).pinSays, refuse: (*model).cannotSteer, do: func(m *model) tea.Cmd { return m.steer(run.Pin) }},
		{keys: []string{"X"}, acts: true, in: in, group: groupRuns, name: "skip", help: "never propose the marked candidate or neighbour; again: allow it", says: (*model).skipSays, refuse: (*model).cannotSteer, do: func(m *model) tea.Cmd { return m.steer(run.Skip) }},
		{keys: []string{"T"}, acts: true, in: in, group: groupRuns, name: "train now", help: "train the marked candidate or neighbour as soon as a worker is free, before all others", refuse: (*model).cannotSteer, do: func(m *model) tea.Cmd { return m.steer(run.TrainNext) }},
		{keys: []string{"E"}, acts: true, in: in | onRuns, group: groupRuns, name: "change", help: "change workers, candidates and acquisition weights of the run as it goes on", refuse: (*model).cannotChange, do: (*model).editRun},
	}
}

// wanted is the untrained architecture under the cursor, of the next picks or the neighbours; "" with the reason why there is none.
func (m *model) wanted() (hash, why string) {
	switch m.focused() {
	case paneQueue:
		if c := m.markedCandidate(); c == nil {
			return "", "nothing is ranked yet"
		} else if c.Trial >= 0 {
			return "", "it was proposed already"
		} else {
			return c.Hash, ""
		}
	case paneNeighbours:
		if n := m.markedNeighbour(); n == nil {
			return "", "no neighbour is known"
		} else if n.Trial >= 0 {
			return "", "it was proposed already"
		} else {
			return n.Hash, ""
		}
	}
	if m.screen == inspector {
		return "", "tab to the neighbours to choose one"
	}
	return "", "tab to the next picks to choose one"
}

func (m *model) cannotSteer() string {
	r := m.derived.run
	if r == nil {
		return "no run"
	}
	if r.State == run.Done || r.State == run.Stopped {
		return "run is " + string(r.State)
	}
	_, why := m.wanted()
	return why
}

func (m *model) pinSays() string {
	if hash, _ := m.wanted(); hash != "" && slices.Contains(m.derived.run.Pinned, hash) {
		return "unpin"
	}
	return "pin"
}

func (m *model) skipSays() string {
	if hash, _ := m.wanted(); hash != "" && slices.Contains(m.derived.run.Skipped, hash) {
		return "allow"
	}
	return "skip"
}

// steer pins or skips what is marked, or takes that back.
func (m *model) steer(v run.Verb) tea.Cmd {
	r := m.derived.run
	hash, _ := m.wanted()
	if v == run.Pin && slices.Contains(r.Pinned, hash) || v == run.Skip && slices.Contains(r.Skipped, hash) {
		v = run.Release
	}
	return m.send(run.Command{Verb: v, Run: r.ID, Trial: -1, Text: hash})
}

// queueOf is what would be proposed next: what people pinned, then the policy's ranking, with what they want skipped at its place until the next ranking.
func queueOf(r *run.RunView) []run.Candidate {
	if r == nil {
		return nil
	}
	known := map[string]run.Candidate{}
	var ranked []run.Candidate
	if r.Surrogate != nil {
		for _, c := range r.Surrogate.Candidates {
			known[c.Hash] = c
		}
		for _, c := range r.Surrogate.Queue {
			known[c.Hash], ranked = c, append(ranked, c)
		}
	}
	var out []run.Candidate
	for _, hash := range r.Pinned {
		c, ok := known[hash]
		if !ok {
			c = run.Candidate{Hash: hash, Trial: -1, Title: "pinned, not among the candidates shown"}
		}
		c.Why = "pinned"
		out = append(out, c)
	}
	for _, c := range ranked {
		if slices.Contains(r.Skipped, c.Hash) {
			c.Why = "skipped"
		}
		if !slices.Contains(r.Pinned, c.Hash) {
			out = append(out, c)
		}
	}
	return out
}

// setTyped carries out ":set key=value ...".
func (m *model) setTyped(argument string) (tea.Cmd, string) {
	return m.changeTyped(run.Set, argument, -1)
}

// branchTyped carries out ":branch key=value ...".
func (m *model) branchTyped(argument string) (tea.Cmd, string) {
	return m.changeTyped(run.Branch, argument, -1)
}

func (m *model) changeTyped(v run.Verb, argument string, trial int) (tea.Cmd, string) {
	r := m.target()
	if r == nil {
		return nil, "there is no run to change"
	}
	if m.readOnly {
		m.deny(string(v))
		return nil, readOnlyKey
	}
	return m.send(run.Command{Verb: v, Run: r.ID, Trial: trial, Changes: strings.Fields(argument)}), ""
}

func (m *model) cannotChange() string {
	r := m.target()
	switch {
	case r == nil:
		return "no run"
	case len(r.Config) == 0:
		return "the run has no configuration"
	}
	return ""
}
