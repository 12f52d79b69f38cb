package tui

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"

	"flexi/core/run"
)

// Talk is the workbench for screen readers, pipes and terminals that cannot be drawn on: a person types a command a line, and gets lines of text. What
// happens to the run that is looked at is added as it happens. It returns when the person leaves (nil), in ends (nil), or ctx does (its error).
func Talk(ctx context.Context, v run.Viewer, in io.Reader, out io.Writer, o Options) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	o.Theme, o.Glyphs = "none", "ascii"
	m, err := newModel(inner, v, o)
	if err != nil {
		return err
	}
	m.w, m.h, m.spoken = talkWidth, talkHeight, true
	t := &talk{m: m, out: out, following: true}
	feed := v.Subscribe(inner)
	select {
	case s := <-feed:
		if s == nil {
			return errors.New("the workspace is closing")
		}
		t.see(s)
	case <-ctx.Done():
		return ctx.Err()
	}
	t.greet()
	typed := readLines(inner, in)
	for t.err == nil && !t.left {
		select {
		case s, open := <-feed:
			if !open {
				t.say("The connection to the runs has ended.\n")
				return t.err
			}
			t.see(s)
		case line, open := <-typed:
			if !open {
				return nil
			}
			m.now = m.clock()
			t.answer(line)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return t.err
}

// The text form is wrapped for this window where it is wrapped at all.
const (
	talkWidth  = 100
	talkHeight = 50
)

// readLines hands over lines until in ends. A reader that blocks keeps its goroutine until it returns.
func readLines(ctx context.Context, in io.Reader) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		scan := bufio.NewScanner(in)
		for scan.Scan() {
			select {
			case lines <- scan.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	return lines
}

// talk is one conversation. The model beneath it is that of the workbench, of which it uses the data and not the drawing.
type talk struct {
	m         *model
	out       io.Writer
	err       error
	left      bool
	following bool
	event     run.Event // newest one told
	state     run.State
	of        string // the run that event and state are of
}

func (t *talk) say(format string, args ...any) {
	if t.err == nil {
		text := fmt.Sprintf(format, args...)
		clean(&text)
		_, t.err = io.WriteString(t.out, text)
	}
}

func (t *talk) greet() {
	t.say("flexi, text form. Type help for the commands, quit to leave; the runs go on.\n")
	if r := t.m.derived.run; r != nil {
		t.say("%s", StatusText(*r, t.m.now))
	} else {
		t.say("%s", RunsText(nil, t.m.now))
	}
}

// see takes a snapshot, and tells what is new about the run that is looked at.
func (t *talk) see(s *run.Snapshot) {
	t.m.now = t.m.clock()
	t.m.snap = s
	t.m.refresh()
	r := t.m.derived.run
	if r == nil {
		return
	}
	if t.of != r.ID || !t.following {
		t.caughtUp(r)
		return
	}
	from := len(r.Events)
	for from > 0 && r.Events[from-1] != t.event {
		from--
	}
	for i := range r.Events[from:] {
		e := &r.Events[from+i]
		t.say("%s %s %s\n", t.m.clockText(e.Time), e.Kind, eventText(e))
	}
	t.caughtUp(r)
}

// caughtUp takes everything so far as told.
func (t *talk) caughtUp(r *run.RunView) {
	t.of, t.state = r.ID, r.State
	if n := len(r.Events); n > 0 {
		t.event = r.Events[n-1]
	}
}

// answer carries out a typed line.
func (t *talk) answer(line string) {
	name, argument, _ := strings.Cut(strings.TrimSpace(line), " ")
	if name == "" {
		return
	}
	var near []string
	for i := range talkCommands {
		c := &talkCommands[i]
		if c.name == name {
			t.do(c, strings.TrimSpace(argument))
			return
		}
		if strings.HasPrefix(c.name, name) {
			near = append(near, c.name)
		}
	}
	if len(near) > 0 {
		t.say("There is no command %q; did you mean %s?\n", name, strings.Join(near, " or "))
		return
	}
	t.say("There is no command %q; help lists them.\n", name)
}

func (t *talk) do(c *talkCommand, argument string) {
	switch {
	case c.acts && t.m.readOnly:
		t.m.deny(c.name)
		t.say("Refused: your key may look, not command.\n")
	case c.run && t.m.derived.run == nil:
		t.say("There is no run yet; start one with: flexi search --demo\n")
	default:
		c.do(t, argument)
	}
}

// command sends a command about the run that is looked at.
func (t *talk) command(c run.Command) {
	c.ID, c.Actor, c.Time, c.Run = rand.Text(), t.m.actor, t.m.now, t.m.derived.run.ID
	reply, err := t.m.viewer.Do(t.m.ctx, c)
	switch {
	case err != nil:
		t.say("%s did not arrive: %v\n", c.Verb, err)
	case reply.Refused:
		t.say("Refused: %s\n", reply.Text)
	default:
		t.say("%s\n", reply.Text)
	}
}
