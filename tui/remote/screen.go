package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/charmbracelet/x/term"
	"github.com/muesli/cancelreader"
	gossh "golang.org/x/crypto/ssh"
)

// screen is a local terminal that shows a session.
type screen struct {
	Terminal
	session *gossh.Session
	was     *term.State
	keys    cancelreader.CancelReader
	typed   chan struct{} // closed when nobody reads keys any more
	stop    context.CancelFunc
	clean   bool // the server has put the terminal back as it was
}

// open makes the terminal raw and starts the session on it.
func (s *screen) open(start string) (err error) {
	if s.keys, err = cancelreader.NewReader(s.In); err != nil {
		return err
	}
	w, h, err := term.GetSize(s.Out.Fd())
	if err != nil {
		return err
	}
	for _, kv := range s.Environ {
		name, value, _ := strings.Cut(kv, "=")
		if value != "" && slices.Contains(taken, name) {
			// What the server does not take it does without.
			_ = s.session.Setenv(name, value)
		}
	}
	if err := s.session.RequestPty(variable(s.Environ, "TERM"), h, w, gossh.TerminalModes{}); err != nil {
		return fmt.Errorf("open a terminal: %w", err)
	}
	in, err := s.session.StdinPipe()
	if err != nil {
		return err
	}
	s.session.Stdout, s.session.Stderr = s.Out, os.Stderr
	if s.was, err = term.MakeRaw(s.In.Fd()); err != nil {
		return err
	}
	if start == "" {
		err = s.session.Shell()
	} else {
		err = s.session.Start("workbench " + start)
	}
	if err != nil {
		s.restore()
		return err
	}
	s.typed = make(chan struct{})
	go func() {
		defer close(s.typed)
		_, _ = io.Copy(in, s.keys) // it ends with the session, or is cancelled
		_ = in.Close()
	}()
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	go s.resize(ctx, w, h)
	return nil
}

func variable(environ []string, name string) (value string) {
	for _, kv := range environ {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			value = v
		}
	}
	return value
}

// undo ends what the workbench may have switched on: other screen, hidden cursor, mouse, focus, paste, keyboard and update modes, colours.
const undo = "\x1b[?2026l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1004l\x1b[?2004l\x1b[>4;0m\x1b[<u\x1b[0m\x1b[?25h\x1b[?1049l"

// restore puts the terminal back, also when the server could not.
func (s *screen) restore() {
	if s.stop != nil {
		s.stop()
	}
	if s.keys.Cancel() && s.typed != nil {
		<-s.typed
	}
	err := s.keys.Close()
	if !s.clean {
		_, werr := s.Out.WriteString(undo)
		err = errors.Join(err, werr)
	}
	if s.was != nil {
		err = errors.Join(err, term.Restore(s.In.Fd(), s.was))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "flexi: could not restore the terminal; `reset` does:", err)
	}
}
