package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"charm.land/ssh"
	"flexi/core/run"
	"flexi/tui"
)

// Exit codes of sessions, as for every command.
const (
	exitError   = 1
	exitUsage   = 2
	exitRefused = 3
)

// handle serves one session: a command line, the workbench, or the plain mode.
func (s *Server) handle(sess ssh.Session) {
	s.sessions.Add(1)
	defer s.sessions.Done()
	ctx, cancel := context.WithCancel(sess.Context())
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	pty, resized, terminal := sess.Pty()
	sizes := newest(resized)
	person, ok := s.person(sess)
	if !ok {
		s.refused("the key was taken out of the file", s.about(sess.Context())...)
		_ = sess.Exit(exitRefused)
		return
	}
	s.o.Log.Info("session begins", append(s.about(sess.Context()), "person", person.Name, "role", string(person.Role), "terminal", terminal, "command", loggable(sess.RawCommand()))...)
	defer func() { s.o.Log.Info("session ends", append(s.about(sess.Context()), "person", person.Name)...) }()
	words := sess.Command()
	v := guarded{s.o.Workspace, person, s}
	var code int
	switch {
	case terminal && len(words) == 2 && words[0] == "workbench":
		code = s.workbench(ctx, sess, v, pty, sizes, words[1])
	case sess.RawCommand() != "" && !slices.Equal(words, []string{"plain"}):
		code = s.command(ctx, cancel, sess, v, terminal)
	case terminal && pty.Term != "dumb":
		code = s.workbench(ctx, sess, v, pty, sizes, "")
	default:
		code = s.plain(ctx, cancel, sess, v, terminal)
	}
	if s.ctx.Err() != nil {
		fmt.Fprintln(sess.Stderr(), "flexi: the server has ended; what ran has saved checkpoints, `flexi resume RUN` goes on")
		code = exitError
	}
	_ = sess.Exit(code) // it may be gone
}

// newest keeps the last size until it is taken. It always reads: a client's resizing must not stand in the way of what it sends next.
func newest(resized <-chan ssh.Window) <-chan tui.Size {
	sizes := make(chan tui.Size, 1)
	if resized == nil {
		return sizes
	}
	go func() {
		for w := range resized {
			select {
			case <-sizes:
			default:
			}
			sizes <- tui.Size{Width: w.Width, Height: w.Height}
		}
	}()
	return sizes
}

// loggable makes a command line fit for one line of a log.
func loggable(s string) string {
	const most = 200
	return strings.ToValidUTF8(s[:min(len(s), most)], "?")
}

func (s *Server) person(sess ssh.Session) (Person, bool) {
	if doorOf(sess.Context()).local {
		return Person{Name: s.o.Owner, Role: Operator}, true
	}
	key := sess.PublicKey()
	if key == nil {
		return Person{}, false
	}
	return s.lookup(key)
}

// guarded is the workspace as one person may use it.
type guarded struct {
	Workspace
	person Person
	server *Server
}

// Do names the person in the command. What a person may not do reaches the run's history, too.
func (g guarded) Do(ctx context.Context, c run.Command) (run.Reply, error) {
	c.Actor, c.ReadOnly = g.person.actor(), g.person.Role != Operator
	if c.ReadOnly {
		g.refused(string(c.Verb) + " " + c.Run)
	}
	return g.Workspace.Do(ctx, c)
}

func (g guarded) refused(what string) {
	g.server.refused(what, "person", g.person.Name, "role", string(g.person.Role), "fingerprint", g.person.Fingerprint)
}

// command carries out a command line; no shell ever sees it.
func (s *Server) command(ctx context.Context, cancel context.CancelFunc, sess ssh.Session, v guarded, terminal bool) int {
	args := sess.Command()
	if len(args) == 0 {
		fmt.Fprintln(sess.Stderr(), "flexi: cannot read the command line; is a quote missing?")
		return exitUsage
	}
	in := io.Reader(sess)
	if terminal {
		go interrupts(sess, cancel)
		in = strings.NewReader("")
	}
	code := s.o.Run(ctx, Request{Args: args, Viewer: v, Operator: v.person.Role == Operator, In: in, Out: sess, Err: sess.Stderr()})
	if code == exitRefused || code == exitUsage {
		v.refused("command " + loggable(sess.RawCommand()))
	}
	return code
}

// interrupts ends a command on ctrl+c; the client's terminal is in raw mode and sends it as a character.
func interrupts(in io.Reader, cancel context.CancelFunc) {
	buffer := make([]byte, 256)
	for {
		n, err := in.Read(buffer)
		if strings.ContainsAny(string(buffer[:n]), "\x03\x04") {
			cancel()
		}
		if err != nil {
			return
		}
	}
}

// options are those that every form of the workbench has.
func (s *Server) options(sess ssh.Session, v guarded) tui.Options {
	return tui.Options{Actor: v.person.actor(), ReadOnly: v.person.Role != Operator, Refused: v.refused, Link: &doorOf(sess.Context()).link}
}

// workbench draws for the client's terminal.
func (s *Server) workbench(ctx context.Context, sess ssh.Session, v guarded, pty ssh.Pty, sizes <-chan tui.Size, start string) int {
	if err := s.o.Workspace.Attend(ctx, v.person.Name); err != nil {
		fmt.Fprintf(sess.Stderr(), "flexi: %v\n", err)
		return exitError
	}
	o := s.options(sess, v)
	o.Start, o.In, o.Out, o.Environ = start, sess, sess, append(sess.Environ(), "TERM="+pty.Term)
	o.Size, o.Sizes = tui.Size{Width: pty.Window.Width, Height: pty.Window.Height}, sizes
	o.Places, o.Place = s.places, v.person.Name+v.person.Fingerprint
	err := tui.Run(ctx, v, o)
	if err != nil && !errors.Is(err, context.Canceled) {
		s.o.Log.Error("the workbench of a session ended", "person", v.person.Name, "err", err)
		fmt.Fprintf(sess.Stderr(), "flexi: %v\n", err)
		return exitError
	}
	return 0
}

// plain is the text form of the workbench: lines in, lines out.
func (s *Server) plain(ctx context.Context, cancel context.CancelFunc, sess ssh.Session, v guarded, terminal bool) int {
	if err := s.o.Workspace.Attend(ctx, v.person.Name); err != nil {
		fmt.Fprintf(sess.Stderr(), "flexi: %v\n", err)
		return exitError
	}
	in := io.Reader(sess)
	if terminal {
		in = typedLines(ctx, cancel, sess)
	}
	if err := tui.Talk(ctx, v, in, sess, s.options(sess, v)); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintf(sess.Stderr(), "flexi: %v\n", err)
		return exitError
	}
	return 0
}
