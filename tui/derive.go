package tui

import (
	"cmp"
	"errors"
	"maps"
	"slices"

	"flexi/core/run"
)

// derived is what panes show of the snapshot after sorting and filtering, made once per snapshot or key press and not per frame.
type derived struct {
	run      *run.RunView // the run shown; nil if there is none
	runs     []*run.RunView
	trials   []*run.Trial
	finished []*run.Trial // with a score, in the order of finishing
	frontier map[int]bool
	// confirmed are the retrainings; nil without any.
	confirmed *run.Confirmations
	tradeoff  *run.Tradeoff // nil with one objective
	log       []run.Event
	queue     []run.Candidate // what would be proposed next
	layers    *layerSearch    // of the trial on the Flexora screen; never nil
	problem   *filterError    // why the filter is not applied; nil if it is
}

// refresh computes m.derived again and keeps selections inside the lists.
func (m *model) refresh() {
	d, last := derived{layers: &layerSearch{}}, m.layers
	if m.snap == nil {
		m.derived = d
		return
	}
	d.run = m.pickRun()
	d.runs = m.filterRuns(&d)
	if d.run != nil {
		m.runID = d.run.ID
		d.frontier = make(map[int]bool, len(d.run.Frontier))
		for _, id := range d.run.Frontier {
			d.frontier[id] = true
		}
		d.finished = finished(d.run)
		d.tradeoff = run.TradeoffOf(d.run)
		d.confirmed = run.ConfirmationsOf(d.run.Trials, d.run.Objective)
		d.trials = m.filterTrials(&d)
		d.log = m.filterEvents(&d)
		d.queue = queueOf(d.run)
	}
	m.derived = d
	m.layers = m.lookAtLayers(last)
	if m.findListed() < 0 && len(d.runs) > 0 {
		m.listed = d.runs[0].ID
	}
}

// pickRun finds the run that is shown: the chosen one, else an active one, else the newest.
func (m *model) pickRun() *run.RunView {
	var found *run.RunView
	for i := range m.snap.Runs {
		r := &m.snap.Runs[i]
		if r.ID == m.runID {
			return r
		}
		if found == nil || active(r.State) && !active(found.State) || active(r.State) == active(found.State) && r.Created.After(found.Created) {
			found = r
		}
	}
	return found
}

// finished lists the trials of the search with a score by when they ended; BestSoFar has the same order.
func finished(r *run.RunView) []*run.Trial {
	out := make([]*run.Trial, 0, r.Done)
	for _, t := range r.Trials {
		if t.Found() {
			out = append(out, t)
		}
	}
	slices.SortStableFunc(out, func(a, b *run.Trial) int { return a.Ended.Compare(b.Ended) })
	return out
}

// filterOf parses the filter of a screen; a wrong one is reported and shows everything.
func (m *model) filterOf(s screen, fields filterFields, d *derived) filter {
	f, err := parseFilter(m.filters[s], fields)
	if s == m.screen {
		errors.As(err, &d.problem)
	}
	return f
}

// filterRuns lists active runs first, then by age, newest first.
func (m *model) filterRuns(d *derived) []*run.RunView {
	f := m.filterOf(runsList, runFields, d)
	var out []*run.RunView
	for i := range m.snap.Runs {
		if r := &m.snap.Runs[i]; f.match(runRecord{r}) {
			out = append(out, r)
		}
	}
	sortRuns(out, m.sorted, m.turned)
	return out
}

// sortRuns leaves runs that are equal in the order of activity.
func sortRuns(runs []*run.RunView, order runOrder, turned bool) {
	slices.SortStableFunc(runs, func(a, b *run.RunView) int { return compareRuns(byActivity, a, b) })
	slices.SortStableFunc(runs, func(a, b *run.RunView) int {
		if turned {
			a, b = b, a
		}
		return compareRuns(order, a, b)
	})
}

func compareRuns(order runOrder, a, b *run.RunView) int {
	switch order {
	case byName:
		return cmp.Compare(a.ID, b.ID)
	case byKind:
		return cmp.Compare(a.Kind, b.Kind)
	case byState:
		return cmp.Compare(a.State, b.State)
	case byTrials:
		return cmp.Compare(b.Done, a.Done)
	case byAge:
		return b.Created.Compare(a.Created)
	case bySpent:
		return cmp.Compare(b.Seconds, a.Seconds)
	case byOrigin:
		return cmp.Compare(a.Parent, b.Parent)
	case byNote:
		return cmp.Compare(a.Note, b.Note)
	case byBest:
		if c := cmp.Compare(a.Objective.Name, b.Objective.Name); c != 0 { // scores of different objectives have no order
			return c
		}
		return compareTrials(byScore, a.Objective, scored(a), scored(b))
	}
	if active(a.State) != active(b.State) {
		if active(a.State) {
			return -1
		}
		return 1
	}
	return b.Created.Compare(a.Created)
}

// scored is a run's best trial, or one without a score.
func scored(r *run.RunView) *run.Trial {
	if t := bestTrial(r); t != nil {
		return t
	}
	return &run.Trial{}
}

func (m *model) filterTrials(d *derived) []*run.Trial {
	f := m.filterOf(overview, trialFields, d)
	out := d.run.Trials
	if f != nil {
		out = nil
		for _, t := range d.run.Trials {
			if f.match(trialRecord{t}) {
				out = append(out, t)
			}
		}
	}
	if m.order == byNumber {
		return out
	}
	out = slices.Clone(out)
	slices.SortStableFunc(out, func(a, b *run.Trial) int { return compareTrials(m.order, d.run.Objective, a, b) })
	return out
}

// compareTrials puts the best score or the fewest parameters first, and trials without a score last.
func compareTrials(order trialOrder, objective run.Objective, a, b *run.Trial) int {
	if order == byParams {
		return cmp.Compare(a.Params, b.Params)
	}
	switch {
	case a.Score == nil && b.Score == nil:
		return 0
	case a.Score == nil:
		return 1
	case b.Score == nil:
		return -1
	case objective.Better(*a.Score, *b.Score):
		return -1
	case objective.Better(*b.Score, *a.Score):
		return 1
	}
	return 0
}

func (m *model) filterEvents(d *derived) []run.Event {
	f := m.filterOf(logs, eventFields, d)
	if f == nil {
		return d.run.Events
	}
	var out []run.Event
	for _, e := range d.run.Events {
		if f.match(eventRecord{e}) {
			out = append(out, e)
		}
	}
	return out
}

// findTrial is the row of the selected trial in the table, -1 if it is not listed.
func (m *model) findTrial() int {
	if m.trial < 0 {
		return -1
	}
	return slices.IndexFunc(m.trials, func(t *run.Trial) bool { return t.ID == m.trial })
}

func (m *model) findListed() int {
	return slices.IndexFunc(m.runs, func(r *run.RunView) bool { return r.ID == m.listed })
}

// trialAt is a trial of the run shown by its number, nil if there is none.
func (m *model) trialAt(id int) *run.Trial { return trialOf(m.derived.run, id) }

func trialOf(r *run.RunView, id int) *run.Trial {
	if r == nil || id < 0 || id >= len(r.Trials) {
		return nil
	}
	return r.Trials[id]
}

// bestTrial is the run's best trial with a score, nil if none is finished.
func bestTrial(r *run.RunView) *run.Trial {
	if t := trialOf(r, r.Best); t != nil && t.Score != nil {
		return t
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
