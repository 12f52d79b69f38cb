package tui

import (
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"flexi/core/run"
)

// doubleTap is how soon the second ctrl+c must follow the first.
const doubleTap = 2 * time.Second

// slots is the arrangement of the window as it is now.
func (m *model) slots() []slot {
	area := m.content()
	all := arrange(m.screen, classOf(m.w, m.h), area, m.slotCount())
	if !m.zoomed {
		return all
	}
	return []slot{{area, allPanes(m.screen)}}
}

// slotCount is how many workers the overview has to show.
func (m *model) slotCount() int {
	if m.derived.run == nil {
		return 1
	}
	return max(1, len(m.derived.run.Workers))
}

func (m *model) focused() pane { return m.focus(m.slots()) }

func (m *model) goOut() tea.Cmd {
	m.out()
	return nil
}

func (m *model) cannotGoOut() string {
	probe := m.state
	probe.filters = map[screen]string{m.screen: m.filters[m.screen]}
	if probe.out() {
		return ""
	}
	return "this is the outermost layer; q leaves"
}

// goTo changes the screen. The inspector needs a trial, and takes the marked or the best one.
func (m *model) goTo(s screen) tea.Cmd {
	if s == inspector {
		if t := m.subject(); m.screen != inspector && t != nil {
			m.open(t.ID)
		}
		return nil
	}
	m.screen, m.zoomed = s, false
	return nil
}

func (m *model) nothingToInspect() string {
	if m.subject() == nil {
		return "no trial yet"
	}
	return ""
}

func (m *model) onePane() string {
	if len(allPanes(m.screen)) < 2 {
		return "this screen has one pane"
	}
	return ""
}

// nextPane moves the focus through all panes of the screen, seen or behind another.
func (m *model) nextPane(step int) {
	var all []pane
	for _, s := range m.slots() {
		all = append(all, s.panes...)
	}
	i := slices.Index(all, m.focused())
	m.focusOn(all[(i+step+len(all))%len(all)])
}

func (m *model) noChart() string {
	switch m.focused() {
	case paneFrontier, paneBest, paneSurrogate, paneRunCurves, paneCurves, paneMap, paneLosses, paneHistory:
		return ""
	}
	return "this pane is no chart"
}

func (m *model) noRun() string {
	if m.findListed() < 0 {
		return "no run is marked"
	}
	return ""
}

func (m *model) nextOrder() tea.Cmd {
	m.order = (m.order + 1) % 3
	m.flash = flash{"trials by " + m.order.name(), dim}
	m.focusOn(paneTrials)
	return nil
}

func (m *model) nextRunOrder() tea.Cmd { return m.orderRuns((m.sorted + 1) % runOrders) }

// orderRuns sorts the runs table; by the order that it has already, it turns it round.
func (m *model) orderRuns(by runOrder) tea.Cmd {
	m.turned = by == m.sorted && !m.turned
	m.sorted = by
	m.flash = flash{"runs by " + m.sorted.name(), dim}
	if m.turned {
		m.flash.text += ", turned round"
	}
	m.focusOn(paneRuns)
	return nil
}

func (m *model) editFilter() tea.Cmd {
	m.overlay = filterOverlay
	m.line.set(m.filters[m.screen])
	if m.screen == overview {
		m.focusOn(paneTrials)
	}
	return nil
}

// typed follows a change of the line that is being typed.
func (m *model) typed() {
	switch m.overlay {
	case filterOverlay:
		m.filters[m.screen] = m.line.String()
		m.refresh()
	case paletteOverlay:
		m.choice = 0
	}
}

func (m *model) choose(step int) {
	n := 0
	switch {
	case m.overlay == paletteOverlay:
		n = len(m.offers())
	case m.dialog != nil:
		n = len(m.dialog.answers)
	}
	if n > 0 {
		m.choice = (m.choice + step + n) % n
	}
}

// subject is the trial that commands are about: the one inspected, the worker's, the marked one, or the best.
func (m *model) subject() *run.Trial {
	switch m.screen {
	case inspector:
		return m.trialAt(m.inspected())
	case flexora:
		return m.searched()
	case logs:
		if e := m.markedEvent(); e != nil {
			return m.trialAt(e.Trial)
		}
		return nil
	}
	if m.screen == overview {
		switch m.focused() {
		case paneWorkers:
			if w := m.markedWorker(); w != nil && w.Trial >= 0 {
				return m.trialAt(w.Trial)
			}
		case paneQueue:
			if c := m.markedCandidate(); c != nil && c.Trial >= 0 {
				return m.trialAt(c.Trial)
			}
		}
	}
	if t := m.trialAt(m.trial); t != nil {
		return t
	}
	if r := m.derived.run; r != nil {
		if t := bestTrial(r); t != nil {
			return t
		}
		return trialOf(r, len(r.Trials)-1)
	}
	return nil
}

func (m *model) markedWorker() *run.WorkerView {
	r := m.derived.run
	if r == nil || len(r.Workers) == 0 {
		return nil
	}
	return &r.Workers[clamp(m.scroll[paneWorkers], len(r.Workers))]
}

func (m *model) markedCandidate() *run.Candidate {
	if len(m.queue) == 0 {
		return nil
	}
	return &m.queue[clamp(m.scroll[paneQueue], len(m.queue))]
}

func (m *model) markedNeighbour() *run.Neighbour {
	in := m.looked.inspection
	if in == nil || len(in.Neighbours) == 0 {
		return nil
	}
	return &in.Neighbours[clamp(m.scroll[paneNeighbours], len(in.Neighbours))]
}

func clamp(i, n int) int { return max(0, min(i, n-1)) }

// openMarked steps into what the focused pane marks.
func (m *model) openMarked() tea.Cmd {
	switch {
	case m.screen == runsList:
		m.enter(m.listed)
	case m.screen == inspector:
		m.open(m.markedNeighbour().Trial)
	default:
		m.open(m.subject().ID)
	}
	return nil
}

func (m *model) cannotOpen() string {
	switch m.screen {
	case runsList:
		return m.noRun()
	case inspector:
		n := m.markedNeighbour()
		switch {
		case m.focused() != paneNeighbours:
			return "tab to the neighbours to open one"
		case n == nil:
			return "no neighbour is known"
		case n.Trial < 0:
			return "this neighbour was never trained"
		}
		return ""
	case flexora:
		return m.nothingToInspect()
	case logs:
		return m.noEventTrial()
	case overview:
		if c := m.markedCandidate(); m.focused() == paneQueue && c != nil && c.Trial < 0 {
			return "this candidate is not trained yet"
		}
		return m.nothingToInspect()
	}
	return "there is nothing to open here"
}

// stepTrial goes to the next trial in the order of the table.
func (m *model) stepTrial(step int) tea.Cmd {
	at := slices.IndexFunc(m.trials, func(t *run.Trial) bool { return t.ID == m.inspected() })
	if next := at + step; len(m.trials) > 0 {
		m.trial = m.trials[clamp(next, len(m.trials))].ID
		m.trail = nil
		m.open(m.trial)
	}
	return nil
}

func (m *model) copyName() tea.Cmd {
	name := m.listed
	if m.screen != runsList {
		if t := m.subject(); t != nil {
			name = t.Hash
		}
	}
	if name == "" {
		m.flash = flash{"nothing to copy", warn}
		return nil
	}
	m.flash = flash{"copied " + name + " (if the terminal allows it)", good}
	return tea.SetClipboard(name)
}

func (m *model) interrupt() tea.Cmd {
	if !m.leaving.IsZero() && m.now.Sub(m.leaving) <= doubleTap {
		return tea.Quit
	}
	m.leaving = m.now
	m.flash = flash{"ctrl+c again leaves at once; the runs go on", warn}
	return nil
}
