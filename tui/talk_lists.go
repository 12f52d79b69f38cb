package tui

import (
	"strconv"
	"strings"
)

func (t *talk) trials(filter string) {
	seen, problem := t.filtered(overview, filter)
	shown := *t.m.derived.run
	shown.Trials = seen.trials
	switch {
	case problem != nil:
		t.say("The filter is not applied: %v\n", problem)
	case filter != "" && len(shown.Trials) == 0:
		t.say("No trial matches %s\n", filter)
	case filter != "":
		t.say("%s", trialsTable(shown))
	default:
		t.say("%s", TrialsText(shown))
	}
}

// filtered is what a screen shows through a filter, or why the filter is wrong.
func (t *talk) filtered(s screen, filter string) (seen derived, problem *filterError) {
	t.m.screen = s
	t.m.filters[s] = filter
	t.m.refresh()
	seen = t.m.derived
	delete(t.m.filters, s)
	t.m.refresh()
	return seen, seen.problem
}

func (t *talk) log(argument string) {
	n, filter := 20, argument
	if first, rest, _ := strings.Cut(argument, " "); first != "" {
		if count, err := strconv.Atoi(first); err == nil {
			n, filter = count, strings.TrimSpace(rest)
		}
	}
	if n < 1 {
		t.say("Say how many, such as: log 50\n")
		return
	}
	seen, problem := t.filtered(logs, filter)
	all := seen.log
	switch {
	case problem != nil:
		t.say("The filter is not applied: %v\n", problem)
		return
	case len(all) == 0:
		t.say("Nothing that matches has happened.\n")
	}
	for i := range all[max(0, len(all)-n):] {
		e := &all[max(0, len(all)-n)+i]
		t.say("%s %s %s\n", t.m.clockText(e.Time), e.Kind, eventText(e))
	}
}

func (t *talk) follow(argument string) {
	switch argument {
	case "on", "off":
		t.following = argument == "on"
		t.say("Following is %s.\n", argument)
	default:
		t.say("Say follow on, or follow off.\n")
	}
}
