package tui

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"flexi/core/run"
)

// talkCommand is a command of the text form.
type talkCommand struct {
	name, argument, help string
	run                  bool // it is about a run
	acts                 bool // it changes something
	do                   func(t *talk, argument string)
}

var talkCommands []talkCommand

func init() { // help lists the table that it is in
	talkCommands = append(talkScreens(), talkActs()...)
}

func talkScreens() []talkCommand {
	return []talkCommand{
		{name: "help", help: "this list", do: func(t *talk, _ string) { t.help() }},
		{name: "status", run: true, help: "where the run stands, and its workers", do: func(t *talk, _ string) { t.say("%s", StatusText(*t.m.derived.run, t.m.now)) }},
		{name: "runs", argument: "[FILTER]", help: "all runs, or those a filter lets through, such as state:failed|lost or config.policy=random", do: (*talk).runs},
		{name: "order", argument: "COLUMN", help: "sort the runs by a column; again, the other way round", do: (*talk).order},
		{name: "overlay", argument: "RUN RUN ...", help: "the best score of several runs after each trial", do: (*talk).overlay},
		{name: "run", argument: "NAME", help: "look at another run", do: (*talk).enter},
		{name: "trials", argument: "[FILTER]", run: true, help: "the trials, or those a filter lets through, such as state:done params<5M", do: (*talk).trials},
		{name: "trial", argument: "NUMBER", run: true, help: "an architecture: layers, result, neighbours, learning curves", do: (*talk).trial},
		{name: "curve", argument: "NUMBER", run: true, help: "a trial's learning curves as tables", do: (*talk).curves},
		{name: "compare", argument: "NUMBER NUMBER", run: true, help: "two architectures beside each other", do: (*talk).compare},
		{name: "map", argument: "NUMBER", run: true, help: "where an architecture lies among the others in the embedding", do: (*talk).surroundings},
		{name: "layers", argument: "[NUMBER]", run: true, help: "how a trial of a Flexora run chooses layers: alphas, trends, losses", do: (*talk).layers},
		{name: "frontier", run: true, help: "scores against parameters", do: func(t *talk, _ string) { t.chart(paneFrontier) }},
		{name: "best", run: true, help: "the best score after each trial", do: func(t *talk, _ string) { t.chart(paneBest) }},
		{name: "surrogate", run: true, help: "what the surrogate expects of its candidates", do: func(t *talk, _ string) { t.chart(paneSurrogate) }},
		{name: "queue", run: true, help: "what would be picked next", do: func(t *talk, _ string) { t.queue() }},
		{name: "facts", run: true, help: "the run in numbers", do: func(t *talk, _ string) { t.pane(paneFacts) }},
		{name: "config", run: true, help: "the run's configuration", do: func(t *talk, _ string) { t.m.listed = t.m.runID; t.pane(paneConfig) }},
		{name: "diff", argument: "RUN RUN ...", help: "what differs in the configurations of runs", do: (*talk).diff},
		{name: "log", argument: "[N] [FILTER]", run: true, help: "the last N things that happened (20), or those a filter lets through, such as level>=warn or trial=3", do: (*talk).log},
		{name: "system", help: "device, memory, store, people", do: func(t *talk, _ string) { t.pane(paneSystem) }},
		{name: "follow", argument: "on|off", help: "tell what happens as it happens (on)", do: (*talk).follow},
		{name: "quit", help: "leave; the runs go on", do: func(t *talk, _ string) { t.left = true }},
	}
}

func talkActs() []talkCommand {
	plainly := func(v run.Verb) func(*talk, string) {
		return func(t *talk, _ string) { t.command(run.Command{Verb: v, Trial: -1}) }
	}
	return []talkCommand{
		{name: "pause", run: true, acts: true, help: "pause at the next step boundary, with a checkpoint", do: plainly(run.Pause)},
		{name: "resume", run: true, acts: true, help: "go on", do: plainly(run.Resume)},
		{name: "stop", argument: "NAME", run: true, acts: true, help: "end the run for good, with a checkpoint; say its name to confirm", do: (*talk).stop},
		{name: "branch", argument: "[N]", run: true, acts: true, help: "a new run from the first N trials, or from all finished ones", do: (*talk).branch},
		{name: "retry", argument: "NUMBER", run: true, acts: true, help: "train a failed trial again", do: (*talk).retry},
		{name: "freeze", argument: "NUMBER [RULE]", run: true, acts: true, help: "end a trial's layer search with the layers found so far, by another rule if given, such as threshold=0.1", do: (*talk).freeze},
		{name: "pin", argument: "RANK|HASH", run: true, acts: true, help: "propose an architecture of the queue next", do: func(t *talk, a string) { t.steer(run.Pin, a) }},
		{name: "skip", argument: "RANK|HASH", run: true, acts: true, help: "never propose an architecture of the queue", do: func(t *talk, a string) { t.steer(run.Skip, a) }},
		{name: "train", argument: "RANK|HASH", run: true, acts: true, help: "train an architecture before all others", do: func(t *talk, a string) { t.steer(run.TrainNext, a) }},
		{name: "release", argument: "RANK|HASH", run: true, acts: true, help: "neither pin nor skip it any more", do: func(t *talk, a string) { t.steer(run.Release, a) }},
		{name: "set", argument: "KEY=VALUE ...", run: true, acts: true, help: "change the run as it goes on, such as workers=2", do: func(t *talk, a string) { t.command(run.Command{Verb: run.Set, Trial: -1, Changes: strings.Fields(a)}) }},
		{name: "note", argument: "TEXT", run: true, acts: true, help: "write a note on the run", do: func(t *talk, a string) { t.command(run.Command{Verb: run.Annotate, Trial: -1, Text: a}) }},
	}
}

func (t *talk) help() {
	var lines []string
	for _, c := range talkCommands {
		if !c.acts || !t.m.readOnly {
			lines = append(lines, strings.TrimSpace(c.name+" "+c.argument)+"\t"+c.help)
		}
	}
	t.say("%s", rows(lines...))
	if t.m.readOnly {
		t.say("Your key may look, not command.\n")
	}
}

// subject is the trial that was typed; nil after saying what is wrong with it.
func (t *talk) subject(argument string) *run.Trial {
	n, err := strconv.Atoi(strings.TrimPrefix(argument, "#"))
	if err != nil {
		t.say("Say which trial by its number, such as: trial 3\n")
		return nil
	}
	found := t.m.trialAt(n)
	if found == nil {
		t.say("There is no trial %d.\n", n)
	}
	return found
}

// look goes to the trial that was typed, and fetches what there is to know about it; it reports whether it could.
func (t *talk) look(argument string) bool {
	of := t.subject(argument)
	if of == nil {
		return false
	}
	t.m.trail = []int{of.ID}
	t.m.looked = looked{of: subject{of.Run, of.ID}}
	in, err := t.m.viewer.Inspect(t.m.ctx, of.Run, of.ID)
	if err != nil {
		t.say("Cannot describe trial %d: %v\n", of.ID, err)
		return false
	}
	t.m.looked.inspection = &in
	if t.m.looked.points, err = t.m.viewer.Points(t.m.ctx, of.Run, of.ID); err != nil {
		t.say("Cannot read the learning curves: %v\n", err)
	}
	return true
}

func (t *talk) trial(argument string) {
	if t.look(argument) {
		in := *t.m.looked.inspection
		in.Graph = nil // it is drawn; the layers say the same
		t.say("%s", InspectionText(in, t.m.trialAt(t.m.inspected()), t.m.looked.points))
	}
}

func (t *talk) curves(argument string) {
	if !t.look(argument) {
		return
	}
	names := t.m.series()
	if len(names) == 0 {
		t.say("Trial %d has no learning curve yet.\n", t.m.inspected())
	}
	for i, name := range names {
		t.m.curve = i
		t.say("%s\n", name)
		t.chart(paneCurves)
	}
}

// layers says how the trial that was typed, or else the one that is trained, chooses layers.
func (t *talk) layers(argument string) {
	if why := t.m.noLayers(); why != "" {
		t.say("No layers to tell of: %s.\n", why)
		return
	}
	if argument == "" {
		argument = strconv.Itoa(t.m.searched().ID)
	}
	if !t.look(argument) {
		return
	}
	of := t.m.trialAt(t.m.inspected())
	t.say("#%d %s, %s\n%s", of.ID, of.Title, of.State, layersChosenText(t.m.looked.inspection.Choice, of.Layers, t.m.looked.points))
	t.m.looked.alphas = alphasOf(t.m.looked.points)
	t.say("%s", curvesText(t.m.looked.points))
}

func (t *talk) freeze(argument string) {
	number, rule, _ := strings.Cut(argument, " ")
	if of := t.subject(number); of != nil {
		t.command(run.Command{Verb: run.Freeze, Trial: of.ID, Text: strings.TrimSpace(rule)})
	}
}

func (t *talk) surroundings(argument string) {
	if t.look(argument) {
		t.chart(paneMap)
	}
}

// compare says two trials beside each other.
func (t *talk) compare(argument string) {
	one, two, _ := strings.Cut(argument, " ")
	other := t.subject(strings.TrimSpace(two))
	if other == nil || !t.look(one) {
		return
	}
	if other.ID == t.m.inspected() {
		t.say("These are the same trial.\n")
		return
	}
	t.m.chosen = map[subject]bool{{t.m.runID, other.ID}: true}
	t.m.against = slices.Index(t.m.rivals(), other.ID)
	lines := t.m.compareLines(talkWidth)
	if n := len(t.m.rivals()); n > 1 {
		lines = lines[:len(lines)-2] // which key takes the next rival
	}
	t.lines(lines)
}

// chart says a chart as its table.
func (t *talk) chart(id pane) {
	c := t.m.chart(id)
	head, values := c.Table()
	if len(values) == 0 {
		t.say("%s\n", t.m.whyEmpty(id))
		return
	}
	lines := []string{strings.Join(head, "\t")}
	for _, row := range values {
		for i := range row {
			if row[i] == "" {
				row[i] = "-"
			}
		}
		lines = append(lines, strings.Join(row, "\t"))
	}
	t.say("%s", rows(lines...))
}

func (t *talk) queue() {
	if len(t.m.queue) == 0 {
		t.say("Nothing is ranked yet.\n")
		return
	}
	lines := []string{"rank\thash\tvalue\tmean\tnoise\tignorance\twhy\tarchitecture"}
	for i, k := range t.m.queue {
		p := k.Predict
		lines = append(lines, fmt.Sprintf("%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s", i+1, shortHash(k.Hash), short(p.Acquisition), short(p.Mean), short(p.Aleatoric), short(p.Epistemic), k.Why, k.Title))
	}
	t.say("%s", rows(lines...))
}

// steer names a candidate by its rank in the queue or by its hash, which may be shortened to what the queue shows.
func (t *talk) steer(v run.Verb, argument string) {
	hash := argument
	if n, err := strconv.Atoi(argument); err == nil && n >= 1 && n <= len(t.m.queue) {
		hash = t.m.queue[n-1].Hash
	}
	for _, c := range t.m.queue {
		if len(argument) >= 7 && strings.HasPrefix(c.Hash, argument) {
			hash = c.Hash
		}
	}
	if len(hash) < 7 {
		t.say("Say which by its rank or hash; queue lists them.\n")
		return
	}
	t.command(run.Command{Verb: v, Trial: -1, Text: hash})
}

// pane says a pane of lines.
func (t *talk) pane(id pane) { t.lines(t.m.linesAt(id, talkWidth)) }

func (t *talk) lines(lines []textLine) {
	var b strings.Builder
	for _, l := range lines {
		for _, s := range l {
			b.WriteString(s.text)
		}
		b.WriteByte('\n')
	}
	t.say("%s", trimRight(b.String()))
}

func (t *talk) stop(argument string) {
	if r := t.m.derived.run; argument != r.ID {
		t.say("This ends %s for good. To confirm, type: stop %s\n", r.ID, r.ID)
		return
	}
	t.command(run.Command{Verb: run.Stop, Trial: -1})
}

func (t *talk) branch(argument string) {
	n := -1
	if argument != "" {
		var err error
		if n, err = strconv.Atoi(argument); err != nil || n < 0 {
			t.say("Say how many trials to take along, such as: branch 10\n")
			return
		}
	}
	t.command(run.Command{Verb: run.Branch, Trial: n})
}

func (t *talk) retry(argument string) {
	if of := t.subject(argument); of != nil {
		t.command(run.Command{Verb: run.Retry, Trial: of.ID})
	}
}
