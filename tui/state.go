package tui

import (
	"slices"

	"flexi/core/run"
)

// maxTrail bounds how many inspected trials esc walks back through, so that it reaches the overview in a few presses.
const maxTrail = 3

// state is where a person stands in the workbench; with a snapshot, theme and clock it decides the frame.
type state struct {
	screen screen
	runID  string // run shown; "" until a snapshot names one
	trail  []int  // trials opened in the inspector, the current one last
	recent map[screen][]pane
	zoomed bool
	tables map[pane]bool // charts shown as tables
	scroll map[pane]int  // first line of panes without a cursor; cursor index of lists without identity
	marked map[string]bool
	lenses map[pane]lens
	chosen map[subject]bool // trials marked for comparison

	trial   int    // selected in the trials table, -1 for none
	listed  string // run selected in the runs table
	order   trialOrder
	sorted  runOrder
	turned  bool // runs in the opposite order
	filters map[screen]string
	anchor  uint64 // event of the log under the cursor; 0 follows the newest
	wrap    bool
	curve   int      // learning curve seen in the inspector
	tried   *float64 // threshold for alpha that is tried on the Flexora screen; nil takes the run's rule
	against int      // which of the rivals the inspected trial is compared with

	overlay overlay
	line    lineEditor // of the palette or the filter
	choice  int        // selected in palette or dialog
	dialog  *dialog
	form    *form
	offset  int // first line of the help
}

// overlay is what lies over the screen and takes the keys.
type overlay uint8

const (
	noOverlay overlay = iota
	helpOverlay
	paletteOverlay
	dialogOverlay
	filterOverlay
	formOverlay
)

// trialOrder is how the trials table is sorted.
type trialOrder uint8

const (
	byNumber trialOrder = iota
	byScore
	byParams
)

func (o trialOrder) name() string {
	return [...]string{"number", "score", "parameters"}[o]
}

// runOrder is how the runs table is sorted.
type runOrder uint8

// Orders of the runs table: that of activity, and one for each of its columns from left to right.
const (
	byActivity runOrder = iota // active ones first, then the newest
	byName
	byKind
	byState
	byTrials // most first
	byBest   // within an objective
	byAge    // newest first
	bySpent  // most first
	byOrigin
	byNote
	runOrders
)

func (o runOrder) name() string {
	return [...]string{"activity", "name", "kind", "state", "trials", "best score", "age", "time spent", "parent", "note"}[o]
}

func newState(start string) state {
	return state{
		screen: overview, runID: start, trial: -1, listed: start,
		recent: map[screen][]pane{}, tables: map[pane]bool{}, scroll: map[pane]int{}, marked: map[string]bool{}, lenses: map[pane]lens{}, chosen: map[subject]bool{}, filters: map[screen]string{},
	}
}

// inspected is the trial in the inspector, -1 for none.
func (s *state) inspected() int {
	if len(s.trail) == 0 {
		return -1
	}
	return s.trail[len(s.trail)-1]
}

// focusOn moves the focus on the current screen.
func (s *state) focusOn(p pane) {
	list := slices.DeleteFunc(slices.Clone(s.recent[s.screen]), func(q pane) bool { return q == p })
	s.recent[s.screen] = append([]pane{p}, list...)
}

// focus is the pane that has the focus among those of the screen.
func (s *state) focus(slots []slot) pane {
	for _, p := range s.recent[s.screen] {
		for _, sl := range slots {
			if slices.Contains(sl.panes, p) {
				return p
			}
		}
	}
	if len(slots) == 0 {
		return noPane
	}
	return slots[0].panes[0]
}

// seen is the pane that a slot shows.
func (s *state) seen(sl slot) pane {
	for _, p := range s.recent[s.screen] {
		if slices.Contains(sl.panes, p) {
			return p
		}
	}
	return sl.panes[0]
}

// out leaves exactly one layer and reports whether there was one.
func (s *state) out() bool {
	switch {
	case s.overlay == formOverlay && s.form.editing:
		s.form.editing = false
	case s.overlay != noOverlay:
		if s.overlay == filterOverlay {
			delete(s.filters, s.screen)
		}
		s.overlay, s.dialog, s.form = noOverlay, nil, nil
	case s.zoomed:
		s.zoomed = false
	case s.screen == flexora && s.tried != nil:
		s.tried = nil
	case s.filters[s.screen] != "":
		delete(s.filters, s.screen)
	case s.anchor != 0 && s.screen == logs:
		s.anchor = 0
	case s.screen == inspector && len(s.trail) > 1:
		s.trail = s.trail[:len(s.trail)-1]
	case s.screen != overview:
		s.screen = overview
	default:
		return false
	}
	return true
}

// open shows a trial in the inspector.
func (s *state) open(trial int) {
	if s.screen != inspector {
		s.trail = nil
	}
	if s.inspected() != trial {
		delete(s.lenses, paneCurves)
		delete(s.lenses, paneMap)
		s.against, s.scroll[paneCompare] = 0, 0
		s.trail = append(s.trail, trial)
		s.trail = s.trail[max(0, len(s.trail)-maxTrail):]
	}
	s.screen, s.zoomed = inspector, false
	s.scroll[paneNeighbours], s.scroll[paneGraph], s.scroll[paneOrigin], s.scroll[paneParts], s.scroll[paneCurves], s.scroll[paneStack] = 0, 0, 0, 0, 0, 0
}

// enter shows a run.
func (s *state) enter(id string) {
	if s.runID != id {
		s.runID, s.trail, s.trial, s.anchor, s.tried = id, nil, -1, 0, nil
		delete(s.filters, overview)
		delete(s.filters, logs)
	}
	s.screen, s.zoomed = overview, false
}

// active reports whether a run works, or is on its way to or from it.
func active(s run.State) bool {
	return s == run.Queued || s == run.Running || s == run.Pausing || s == run.Stopping
}
