package run

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Do implements Viewer: it applies a command, stores it as an event, and says what became of it. The same command ID gives the same reply again.
func (c *Controller) Do(ctx context.Context, cmd Command) (Reply, error) {
	var reply Reply
	var err error
	if derr := c.do(ctx, func() {
		a := c.find(cmd.Run)
		if a == nil {
			err = errNoRun(cmd.Run)
			return
		}
		if old, again := a.seen[cmd.ID]; again && cmd.ID != "" {
			reply = old
			return
		}
		reply = c.apply(a, cmd)
		a.seen[cmd.ID] = reply
		text := string(cmd.Verb) + ": " + reply.Text
		if reply.Refused {
			text = string(cmd.Verb) + " refused: " + reply.Text
		} else {
			a.lastCommand, a.lastCommand.Time = cmd, c.opts.Clock() // the sender's clock may differ
		}
		c.eventBy(a, cmd.Trial, "command", cmd.Actor, text)
	}); derr != nil {
		return Reply{}, derr
	}
	return reply, err
}

func refuse(format string, args ...any) Reply {
	return Reply{Refused: true, Text: fmt.Sprintf(format, args...)}
}

func (c *Controller) apply(a *active, cmd Command) Reply {
	if cmd.ReadOnly {
		return refuse("%s may only look; `operator` before the key in authorized_keys lets it command", cmd.Actor)
	}
	switch cmd.Verb {
	case Pause:
		return c.pause(a)
	case Resume:
		return c.resume(a, cmd)
	case Stop:
		return c.stop(a)
	case Kill:
		return c.kill(a)
	case Branch:
		return c.branch(a, cmd)
	case Retry:
		return c.retry(a, cmd)
	case Pin, TrainNext, Skip, Release:
		return c.pin(a, cmd)
	case Set:
		return c.set(a, cmd)
	case Freeze:
		return c.freeze(a, cmd)
	case Annotate:
		a.Note = cmd.Text
		c.save(a)
		return Reply{Text: "noted"}
	}
	return refuse("there is no command %q", cmd.Verb)
}

// freeze ends layer searches with what they have found.
func (c *Controller) freeze(a *active, cmd Command) Reply {
	k, ok := c.kinds[a.Kind].(Freezer)
	if !ok {
		return refuse("a %s has no layer search", a.Kind)
	}
	var ended []string
	for _, t := range a.trials {
		if cmd.Trial >= 0 && cmd.Trial != t.ID || t.State != Running && t.State != Paused {
			continue
		}
		rule, err := k.FreezeRule(a.Run, *t, cmd.Text)
		if err != nil {
			return refuse("trial %d: %v", t.ID, err)
		}
		if rule == "" {
			continue
		}
		frozen := *t
		frozen.Frozen = rule
		if err := c.store.PutTrial(c.ctx, frozen, nil); err != nil {
			return refuse("the command could not be stored: %v", err)
		}
		a.set(frozen)
		for _, s := range a.slots {
			if s.worker != nil && s.worker.trial == t.ID {
				s.worker.frozen.Store(&frozen.Frozen)
			}
		}
		ended = append(ended, fmt.Sprintf("#%d by %s", t.ID, rule))
	}
	if len(ended) == 0 {
		return refuse("no layer search of %s is being worked on", a.ID)
	}
	return Reply{Text: "the layer search ends at its next step: " + strings.Join(ended, ", ")}
}

// who says who gave the newest command, and when.
func (c *Controller) who(a *active) string {
	if a.lastCommand.Actor == "" {
		return ""
	}
	return fmt.Sprintf(" (%s, %.0f s ago)", a.lastCommand.Actor, c.opts.Clock().Sub(a.lastCommand.Time).Seconds())
}

func (c *Controller) pause(a *active) Reply {
	switch a.State {
	case Running:
		a.Want = Paused
		c.halt(a, Pausing)
		return Reply{Text: fmt.Sprintf("%s pauses at the next step boundary, with checkpoints", a.ID)}
	case Pausing:
		return Reply{Text: fmt.Sprintf("%s is already pausing%s", a.ID, c.who(a))}
	case Paused:
		return Reply{Text: fmt.Sprintf("%s is already paused%s", a.ID, c.who(a))}
	}
	return refuse("%s is %s; only a running run can be paused", a.ID, a.State)
}

func (c *Controller) resume(a *active, cmd Command) Reply {
	switch {
	case c.closing:
		return refuse("flexi is closing")
	case a.State == Running:
		return Reply{Text: a.ID + " is already running"}
	case a.State == Pausing, a.State == Stopping, a.busy() > 0, a.thinking != "":
		return refuse("%s is still %s; try again in a moment", a.ID, a.State)
	case a.State == Done && cmd.Budget <= a.Budget:
		return refuse("%s is done; give more --candidates than it had, or branch it", a.ID)
	case c.kinds[a.Kind] == nil:
		return refuse("this flexi cannot run a %s", a.Kind)
	}
	if cmd.Workers > 0 {
		a.Workers = cmd.Workers
	}
	if cmd.Config != nil || cmd.Budget > 0 && cmd.Budget != a.Budget {
		c.closeJob(a) // it was opened for another budget or configuration
	}
	if cmd.Config != nil {
		a.Config, a.surrogate = cmd.Config, nil // another policy may have none
		c.compareAnew(a)
	}
	if cmd.Budget > 0 {
		a.Budget = cmd.Budget
	}
	c.start(a)
	return Reply{Text: a.ID + " goes on"}
}

func (c *Controller) stop(a *active) Reply {
	switch a.State {
	case Running, Pausing:
		a.Want = Stopped
		c.halt(a, Stopping)
		return Reply{Text: fmt.Sprintf("%s stops at the next step boundary, with checkpoints", a.ID)}
	case Paused, Lost:
		a.Want = Stopped
		a.since = c.opts.Clock()
		c.end(a, Stopped, "stopped")
		c.closeJob(a)
		return Reply{Text: a.ID + " is stopped"}
	case Stopping:
		return Reply{Text: fmt.Sprintf("%s is already stopping%s", a.ID, c.who(a))}
	}
	return refuse("%s is %s already", a.ID, a.State)
}

// kill ends trainings at once; what they did since their last checkpoints is lost.
func (c *Controller) kill(a *active) Reply {
	switch a.State {
	case Running, Pausing, Stopping:
		a.Want = Stopped
		a.cancel()
		c.halt(a, Stopping)
		return Reply{Text: a.ID + " is ended at once"}
	}
	return c.stop(a)
}

// retry queues a failed trial again, with the same architecture and seed. A person may know that the cause is gone, so it has all its attempts again.
func (c *Controller) retry(a *active, cmd Command) Reply {
	if cmd.Trial < 0 || cmd.Trial >= len(a.trials) {
		return refuse("%s has no trial %d", a.ID, cmd.Trial)
	}
	t := *a.trials[cmd.Trial]
	if t.State != Failed {
		return refuse("trial %d of %s is %s; only a failed one can be tried again", t.ID, a.ID, t.State)
	}
	// From the beginning: what made it fail may be in the checkpoint.
	t.Attempt = 1
	t.State, t.Checkpoint, t.Earlier, t.Ended = Queued, "", "", time.Time{}
	if err := c.store.PutTrial(c.ctx, t, nil); err != nil {
		return refuse("could not store it: %v", err)
	}
	a.set(t)
	if a.State == Running {
		c.schedule(a)
		return Reply{Text: fmt.Sprintf("trial %d of %s is queued again", t.ID, a.ID)}
	}
	if a.State == Done || a.State == Failed || a.State == Stopped {
		a.State, a.Want = Paused, Paused
		c.save(a)
	}
	return Reply{Text: fmt.Sprintf("trial %d of %s is queued again; go on with `flexi resume %s`", t.ID, a.ID, a.ID)}
}
