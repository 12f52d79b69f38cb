package tui

import (
	"strings"

	"flexi/core/run"
)

func (t *talk) enter(name string) {
	if findRun(t.m.snap, name) == nil {
		t.say("There is no run %q; runs lists them.\n", name)
		return
	}
	t.m.enter(name)
	t.m.refresh()
	t.caughtUp(t.m.derived.run)
	t.say("%s", StatusText(*t.m.derived.run, t.m.now))
}

// runs lists those that the filter lets through in the order that was asked for.
func (t *talk) runs(filter string) {
	if len(t.m.snap.Runs) == 0 {
		t.say("%s", RunsText(nil, t.m.now))
		return
	}
	seen, problem := t.filtered(runsList, filter)
	switch {
	case problem != nil:
		t.say("The filter is not applied: %v\n", problem)
	case len(seen.runs) == 0:
		t.say("No run matches %s\n", filter)
	default:
		t.say("%s", runsTable(seen.runs, t.m.now))
	}
}

func (t *talk) order(column string) {
	for o := byActivity; o < runOrders; o++ {
		if name := o.name(); column != "" && strings.HasPrefix(name, column) {
			t.m.orderRuns(o)
			t.say("%s\n", t.m.flash.text)
			return
		}
	}
	names := make([]string, runOrders)
	for o := range names {
		names[o] = runOrder(o).name()
	}
	t.say("Say by what: %s.\n", strings.Join(names, ", "))
}

// named are the runs that were typed, at least two; nil after saying what is wrong with them.
func (t *talk) named(command, argument string) []*run.RunView {
	var runs []*run.RunView
	for _, name := range strings.Fields(argument) {
		r := findRun(t.m.snap, name)
		if r == nil {
			t.say("There is no run %q; runs lists them.\n", name)
			return nil
		}
		runs = append(runs, r)
	}
	if len(runs) < 2 {
		t.say("Say which runs, such as: %s search-01 search-02\n", command)
		return nil
	}
	return runs
}

func (t *talk) diff(argument string) {
	if runs := t.named("diff", argument); runs != nil {
		t.lines(configDiff(runs))
	}
}

func (t *talk) overlay(argument string) {
	runs := t.named("overlay", argument)
	if runs == nil {
		return
	}
	t.m.listed, t.m.marked = runs[0].ID, map[string]bool{}
	for _, r := range runs {
		t.m.marked[r.ID] = true
	}
	if _, leftOut := t.m.overlaid(); leftOut != "" {
		t.say("%s\n", leftOut)
	}
	t.chart(paneRunCurves)
}
