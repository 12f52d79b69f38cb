package run

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// pin, skip and release change what is proposed next. A hash that the search does not know is ignored by it.
func (c *Controller) pin(a *active, cmd Command) Reply {
	reply, ok := c.steerable(a, cmd)
	if !ok {
		return reply
	}
	without := func(list []string) []string {
		return slices.DeleteFunc(slices.Clone(list), func(h string) bool { return h == cmd.Text })
	}
	name := shortHash(cmd.Text)
	pinned, skipped := slices.Contains(a.Pinned, cmd.Text), slices.Contains(a.Skipped, cmd.Text)
	switch {
	case cmd.Verb == Pin && pinned, cmd.Verb == TrainNext && len(a.Pinned) > 0 && a.Pinned[0] == cmd.Text:
		return Reply{Text: name + " is pinned already" + c.who(a)}
	case cmd.Verb == Skip && skipped:
		return Reply{Text: name + " is skipped already" + c.who(a)}
	case cmd.Verb == Release && !pinned && !skipped:
		return refuse("%s is neither pinned nor skipped", name)
	}
	a.Pinned, a.Skipped = without(a.Pinned), without(a.Skipped)
	switch cmd.Verb {
	case Pin:
		a.Pinned = append(a.Pinned, cmd.Text)
		reply.Text = name + " is proposed as soon as a worker is free"
	case TrainNext:
		a.Pinned = slices.Insert(a.Pinned, 0, cmd.Text)
		reply.Text = name + " is the next to be trained"
	case Skip:
		a.Skipped = append(a.Skipped, cmd.Text)
		reply.Text = name + " will not be proposed"
	case Release:
		reply.Text = name + " is left to the policy again"
	}
	c.changedRun(a)
	return reply
}

// steerable says why a candidate cannot be pinned or skipped.
func (c *Controller) steerable(a *active, cmd Command) (Reply, bool) {
	if cmd.Text == "" {
		return refuse("name the architecture by its hash"), false
	}
	if c.kinds[a.Kind] == nil {
		return refuse("this flexi cannot run a %s", a.Kind), false
	}
	if _, ok := c.kinds[a.Kind].(Configurer); !ok {
		return refuse("a %s takes no pins", a.Kind), false
	}
	for _, t := range a.trials {
		if t.Hash == cmd.Text && t.Arm == ArmSearch && cmd.Verb != Release {
			return refuse("%s was proposed already, as trial %d", shortHash(cmd.Text), t.ID), false
		}
	}
	if (a.State == Done || a.State == Stopped) && cmd.Verb != Release {
		return refuse("%s is %s; go on with more candidates, or branch it", a.ID, a.State), false
	}
	return Reply{}, true
}

func shortHash(h string) string { return h[:min(len(h), 7)] }

// workersKey is the one change that does not concern the configuration.
const workersKey = "workers"

// maxWorkers bounds trainings side by side.
const maxWorkers = 256

// set changes a run that goes on or will.
func (c *Controller) set(a *active, cmd Command) Reply {
	workers, changes, err := splitWorkers(cmd.Changes)
	if err != nil {
		return refuse("%v", err)
	}
	if workers == 0 && len(changes) == 0 {
		return refuse("nothing to change: write key=value, such as workers=2")
	}
	if len(changes) > 0 {
		k, ok := c.kinds[a.Kind].(Configurer)
		if !ok {
			return refuse("the configuration of a %s cannot be changed; branch it with another", a.Kind)
		}
		config, budget, err := k.Configure(a.Run, a.trials, changes, true)
		if err != nil {
			return refuse("%v", err)
		}
		a.Config, a.Budget = config, budget
		c.compareAnew(a)
	}
	if workers > 0 {
		a.Workers, a.room = workers, 0
	}
	c.changedRun(a)
	text := a.ID + ": " + strings.Join(cmd.Changes, ", ")
	if a.State == Done && a.wantsMore() {
		text += "; `flexi resume " + a.ID + "` goes on"
	}
	return Reply{Text: text}
}

func splitWorkers(all []string) (workers int, changes []string, err error) {
	for _, change := range all {
		key, value, _ := strings.Cut(change, "=")
		if strings.TrimSpace(key) != workersKey {
			changes = append(changes, change)
			continue
		}
		if workers, err = strconv.Atoi(strings.TrimSpace(value)); err != nil || workers < 1 || workers > maxWorkers {
			return 0, nil, fmt.Errorf("workers=%s: must be 1 to %d", value, maxWorkers)
		}
	}
	return workers, changes, nil
}

// changedRun makes a run's change durable and lets the open job know before it proposes again.
func (c *Controller) changedRun(a *active) {
	if a.job != nil {
		a.job.change(a.Run)
	}
	a.spent, a.waiting = false, false
	c.save(a)
	if a.State == Running {
		c.schedule(a)
	}
}

// fitSlots brings the slots to the number of workers, or of those there is room for. A training in a slot that is too many goes on to its end.
func (a *active) fitSlots() {
	workers := a.Workers
	if a.room > 0 {
		workers = min(workers, a.room)
	}
	for len(a.slots) > workers {
		i := len(a.slots) - 1
		for i >= 0 && a.slots[i].trial >= 0 {
			i--
		}
		if i < 0 {
			return
		}
		a.slots = slices.Delete(slices.Clone(a.slots), i, i+1)
	}
	for id := 0; len(a.slots) < workers; id++ {
		if !slices.ContainsFunc(a.slots, func(s *slot) bool { return s.id == id }) {
			a.slots = append(a.slots, &slot{id: id, trial: -1})
		}
	}
}
