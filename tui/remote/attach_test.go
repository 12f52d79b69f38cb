//go:build unix

package remote

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/term"
	"github.com/stretchr/testify/require"

	"flexi/core/run"
	"flexi/core/run/runtest"
	"flexi/tui/internal/emulator"
)

func (r *rig) attach() *Client {
	r.t.Helper()
	c, err := Dial(r.dir)
	require.NoError(r.t, err)
	r.t.Cleanup(c.Close)
	return c
}

// TestAttach: the owner's workbench over the socket, on a terminal that is raw meanwhile and as before afterwards.
func TestAttach(t *testing.T) {
	r := newRig(t, Limits{}, tick)
	for _, end := range []string{"q", "context", "server"} {
		t.Run(end, func(t *testing.T) {
			screen := emulator.New(t, 80, 24)
			defer screen.Close()
			before, err := term.GetState(screen.Tty.Fd())
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan error, 1)
			c := r.attach()
			go func() {
				ended <- c.Attach(ctx, Terminal{In: screen.Tty, Out: screen.Tty, Environ: []string{"TERM=xterm-256color", "LANG=C.UTF-8"}}, "fake-01")
			}()
			screen.Shows("● running")
			var want error
			switch end {
			case "q":
				screen.Type("q")
			case "context":
				cancel()
				want = context.Canceled
			case "server":
				r.end()
				want = ErrEnded
			}
			select {
			case err := <-ended:
				require.ErrorIs(t, err, want)
			case <-time.After(patience):
				t.Fatal("attached for ever")
			}
			screen.Until(func(s string) bool { return !strings.Contains(s, "● running") }, "the screen that was there before")
			after, err := term.GetState(screen.Tty.Fd())
			require.NoError(t, err)
			require.Equal(t, before, after)
		})
	}
}

// TestClient: what the other commands do in the server over the socket.
func TestClient(t *testing.T) {
	r := newRig(t, Limits{}, tick)
	c := r.attach()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s := <-c.Subscribe(ctx)
	require.Equal(t, "fake-01", s.Runs[0].ID)
	reply, err := c.Do(ctx, run.Command{ID: "1", Verb: run.Pause, Run: "fake-01", Trial: -1, Actor: "who I say I am"})
	require.NoError(t, err)
	require.False(t, reply.Refused, reply.Text)
	r.until(run.Paused)
	for s := range c.Subscribe(ctx) {
		if e := s.Runs[0].Events; s.Runs[0].State == run.Paused {
			require.Contains(t, actors(e), "owner", "the server says who it is")
			require.NotContains(t, actors(e), "who I say I am")
			break
		}
	}
	created, err := c.Create(ctx, run.Run{Kind: runtest.KindName, Budget: 1, Workers: 1})
	require.NoError(t, err)
	require.Equal(t, "fake-02", created.ID)
	require.Len(t, (<-c.Subscribe(ctx)).Runs, 2, "who did something finds it")
	in, err := c.Inspect(ctx, "fake-01", 0)
	require.NoError(t, err)
	require.Equal(t, "x = 0.", in.Title[:6])
	_, err = c.Inspect(ctx, "fake-01", 99)
	require.Error(t, err)
	_, err = c.Points(ctx, "fake-01", 0)
	require.NoError(t, err)
	var out, errs bytes.Buffer
	exit, err := c.Exec(ctx, "say hello", strings.NewReader(""), &out, &errs)
	require.NoError(t, err)
	require.Zero(t, exit)
	require.Equal(t, "[\"hello\"]\n", out.String())
	exit, err = c.Exec(ctx, "stop fake-01", strings.NewReader(""), &out, &errs)
	require.NoError(t, err)
	require.Zero(t, exit)
	r.until(run.Stopped)
	exit, err = c.Exec(ctx, "pause fake-01", strings.NewReader(""), &out, &errs)
	require.NoError(t, err)
	require.Equal(t, exitRefused, exit, "it has ended")
	require.NotEmpty(t, errs.String())

	require.NoError(t, c.Stop(ctx))
	<-r.stopped
	r.end()
	require.NoError(t, c.Wait(ctx))
	_, err = c.Do(ctx, run.Command{Verb: run.Pause, Run: "fake-01"})
	require.ErrorIs(t, err, ErrEnded)
	_, err = Dial(r.dir)
	require.ErrorIs(t, err, fs.ErrNotExist, "the socket is gone")
}

func actors(events []run.Event) (names []string) {
	for i := range events {
		names = append(names, events[i].Actor)
	}
	return names
}

// TestSocketOfTheDead: a socket that a killed process left is replaced; one whose path is too long for an address works all the same.
func TestSocketOfTheDead(t *testing.T) {
	r := newRig(t, Limits{}, tick)
	r.StopListening()
	require.NoError(t, os.WriteFile(filepath.Join(r.dir, socketFile), nil, 0o600))
	require.NoError(t, r.ServeSocket())
	<-r.attach().Subscribe(t.Context())
	info, err := os.Stat(filepath.Join(r.dir, socketFile))
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())

	long := filepath.Join(t.TempDir(), strings.Repeat("long", 30))
	require.NoError(t, os.Mkdir(long, 0o700))
	r.StopListening()
	r.o.Dir = long
	require.NoError(t, r.ServeSocket())
	require.NoError(t, os.Link(filepath.Join(r.dir, keyFile), filepath.Join(long, keyFile)))
	c, err := Dial(long)
	require.NoError(t, err)
	<-c.Subscribe(t.Context())
	c.Close()
}
