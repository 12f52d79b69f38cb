package tui

// screen is one of the pages on the number keys.
type screen uint8

// Screens, by their keys.
const (
	overview  screen = 1
	runsList  screen = 2
	inspector screen = 3
	flexora   screen = 4 // of runs that choose layers
	logs      screen = 5
	system    screen = 6
)

func (m *model) screens() []screen {
	if m.choosesLayers() {
		return []screen{overview, runsList, inspector, flexora, logs, system}
	}
	return []screen{overview, runsList, inspector, logs, system}
}

func (s screen) name() string {
	return map[screen]string{overview: "overview", runsList: "runs", inspector: "architecture", flexora: "layers", logs: "logs", system: "system"}[s]
}

// pane is a part of a screen that can have the focus.
type pane uint8

// Panes.
const (
	noPane pane = iota
	paneFrontier
	paneBest
	paneSurrogate
	paneQueue
	paneFacts
	paneWorkers
	paneTrials
	paneEvents
	paneRuns
	paneRunCurves
	paneConfig
	paneStack
	paneCurves
	paneNeighbours
	paneParts
	paneOrigin
	paneGraph
	paneCompare
	paneMap
	paneAlphas
	paneLosses
	paneHistory
	paneHeat
	paneChoice
	paneLog
	paneSystem
)

// slot is a place for panes; where there is more than one, the one that had the focus last is seen.
type slot struct {
	rect
	panes []pane
}

// size classes of the window (section 5.1 of the workbench notes).
type sizeClass uint8

const (
	oneLine sizeClass = iota
	single
	compact
	medium
	wide
)

func classOf(w, h int) sizeClass {
	switch {
	case w < 20 || h < 5:
		return oneLine
	case w < 60 || h < 18:
		return single
	case w < 100 || h < 30:
		return compact
	case w < 180 || h < 50:
		return medium
	}
	return wide
}

// allPanes are a screen's panes in the order of tab, the most useful first where only one fits.
func allPanes(s screen) []pane {
	switch s {
	case runsList:
		return []pane{paneRuns, paneRunCurves, paneConfig}
	case inspector:
		return []pane{paneStack, paneCurves, paneNeighbours, paneOrigin, paneCompare, paneGraph, paneMap, paneParts}
	case flexora:
		return []pane{paneAlphas, paneChoice, paneLosses, paneHistory, paneHeat}
	case logs:
		return []pane{paneLog}
	case system:
		return []pane{paneSystem}
	}
	return []pane{paneWorkers, paneTrials, paneFrontier, paneBest, paneSurrogate, paneEvents, paneFacts, paneQueue}
}

// arrange divides area among the panes of a screen.
func arrange(s screen, class sizeClass, area rect, workers int) []slot {
	if class <= single {
		return []slot{{area, allPanes(s)}}
	}
	switch s {
	case overview:
		return arrangeOverview(class, area, workers)
	case runsList:
		return arrangeRuns(class, area)
	case inspector:
		return arrangeInspector(class, area)
	case flexora:
		return arrangeFlexora(class, area)
	}
	return []slot{{area, allPanes(s)}}
}

func (r rect) above(h int) (top, rest rect) {
	h = min(max(h, 0), r.h)
	return rect{r.x, r.y, r.w, h}, rect{r.x, r.y + h, r.w, r.h - h}
}

func (r rect) leftOf(w int) (left, rest rect) {
	w = min(max(w, 0), r.w)
	return rect{r.x, r.y, w, r.h}, rect{r.x + w, r.y, r.w - w, r.h}
}

func arrangeOverview(class sizeClass, area rect, workers int) []slot {
	const border, head = 2, 1
	switch class {
	case wide:
		workH, tailH := min(max(workers, 1), 8)+border+head, max(8, area.h/7)
		top, rest := area.above((area.h - workH - tailH + 1) / 2)
		middle, rest := rest.above(area.h - top.h - workH - tailH)
		work, tail := rest.above(workH)
		charts, facts := top.leftOf(area.w - 42)
		front, best := charts.leftOf(charts.w * 57 / 100)
		surr, trials := middle.leftOf(area.w * 52 / 100)
		events, queue := tail.leftOf(area.w - 64)
		return []slot{
			{front, []pane{paneFrontier}},
			{best, []pane{paneBest}},
			{facts, []pane{paneFacts}},
			{surr, []pane{paneSurrogate}},
			{trials, []pane{paneTrials}},
			{work, []pane{paneWorkers}},
			{events, []pane{paneEvents}},
			{queue, []pane{paneQueue}},
		}
	case medium:
		workH := min(max(workers, 1), 4) + border + head
		top, rest := area.above((area.h - workH) * 46 / 100)
		work, tail := rest.above(workH)
		left, right := top.leftOf(area.w / 2)
		trials, side := tail.leftOf(area.w * 58 / 100)
		return []slot{
			{left, []pane{paneFrontier, paneBest}},
			{right, []pane{paneSurrogate, paneQueue}},
			{work, []pane{paneWorkers}},
			{trials, []pane{paneTrials}},
			{side, []pane{paneEvents, paneFacts}},
		}
	}
	if area.h < 18 {
		top, rest := area.above(area.h / 2)
		return []slot{{top, []pane{paneFrontier, paneBest, paneSurrogate, paneQueue}}, {rest, []pane{paneWorkers, paneTrials, paneEvents, paneFacts}}}
	}
	workH := min(max(workers, 1), max(1, area.h/7)) + border + head
	top, rest := area.above(max(6, (area.h-workH)*57/100))
	work, tail := rest.above(workH)
	bottom := slot{tail, []pane{paneTrials, paneEvents, paneFacts}}
	if area.w < 76 {
		return []slot{{top, []pane{paneFrontier, paneBest, paneSurrogate, paneQueue}}, {work, []pane{paneWorkers}}, bottom}
	}
	left, right := top.leftOf(area.w / 2)
	return []slot{{left, []pane{paneFrontier, paneBest}}, {right, []pane{paneSurrogate, paneQueue}}, {work, []pane{paneWorkers}}, bottom}
}

func arrangeRuns(class sizeClass, area rect) []slot {
	if class == compact {
		table, chart := area.above(area.h * 55 / 100)
		return []slot{{table, []pane{paneRuns}}, {chart, []pane{paneRunCurves, paneConfig}}}
	}
	table, side := area.leftOf(area.w * 60 / 100)
	chart, config := side.above(side.h / 2)
	return []slot{{table, []pane{paneRuns}}, {chart, []pane{paneRunCurves}}, {config, []pane{paneConfig}}}
}

func arrangeInspector(class sizeClass, area rect) []slot {
	switch class {
	case wide:
		first, rest := area.leftOf(area.w * 34 / 100)
		second, third := rest.leftOf(rest.w / 2)
		stack, graph := first.above(area.h / 2)
		curves, compare := second.above(area.h / 2)
		near, rest := third.above(area.h * 30 / 100)
		plane, origin := rest.above(rest.h * 55 / 100)
		return []slot{
			{stack, []pane{paneStack, paneParts}},
			{curves, []pane{paneCurves}},
			{near, []pane{paneNeighbours}},
			{origin, []pane{paneOrigin}},
			{compare, []pane{paneCompare}},
			{graph, []pane{paneGraph}},
			{plane, []pane{paneMap}},
		}
	case medium:
		left, right := area.leftOf(area.w / 2)
		stack, near := left.above(left.h * 55 / 100)
		curves, origin := right.above(right.h * 45 / 100)
		return []slot{{stack, []pane{paneStack, paneGraph, paneParts}}, {curves, []pane{paneCurves, paneMap}}, {near, []pane{paneNeighbours}}, {origin, []pane{paneOrigin, paneCompare}}}
	}
	top, rest := area.above(area.h * 52 / 100)
	near, origin := rest.above(max(5, rest.h-5))
	if area.w < 76 {
		return []slot{{top, []pane{paneStack, paneCurves, paneCompare, paneGraph}}, {rest, []pane{paneOrigin, paneNeighbours, paneMap, paneParts}}}
	}
	stack, curves := top.leftOf(area.w * 66 / 100)
	return []slot{{stack, []pane{paneStack, paneCompare, paneGraph}}, {curves, []pane{paneCurves, paneMap, paneParts}}, {near, []pane{paneNeighbours}}, {origin, []pane{paneOrigin}}}
}

func arrangeFlexora(class sizeClass, area rect) []slot {
	switch class {
	case wide:
		left, rest := area.leftOf(area.w * 40 / 100)
		middle, right := rest.leftOf(rest.w / 2)
		losses, history := right.above(area.h * 38 / 100)
		history, choice := history.above(history.h * 58 / 100)
		return []slot{{left, []pane{paneAlphas}}, {middle, []pane{paneHeat}}, {losses, []pane{paneLosses}}, {history, []pane{paneHistory}}, {choice, []pane{paneChoice}}}
	case medium:
		left, right := area.leftOf(area.w * 58 / 100)
		bars, history := left.above(area.h * 62 / 100)
		losses, choice := right.above(area.h * 52 / 100)
		return []slot{{bars, []pane{paneAlphas}}, {losses, []pane{paneLosses}}, {history, []pane{paneHistory, paneHeat}}, {choice, []pane{paneChoice}}}
	}
	if area.w < 76 {
		bars, rest := area.above(area.h * 55 / 100)
		return []slot{{bars, []pane{paneAlphas}}, {rest, []pane{paneChoice, paneLosses, paneHistory, paneHeat}}}
	}
	left, right := area.leftOf(area.w * 62 / 100)
	losses, choice := right.above(area.h / 2)
	return []slot{{left, []pane{paneAlphas, paneHeat}}, {losses, []pane{paneLosses, paneHistory}}, {choice, []pane{paneChoice}}}
}
