package tui

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"flexi/core/run"
	"flexi/tui/internal/emulator"
	"flexi/tui/internal/fixture"
)

// The real program on a terminal: it draws, answers keys, follows snapshots, sends commands, and leaves nothing running behind.
func TestProgram(t *testing.T) {
	defer goleak.VerifyNone(t)
	term := emulator.New(t, 80, 24)
	defer term.Close()
	viewer := fixture.NewViewer(fixture.Snapshot())
	ended := make(chan error, 1)
	go func() {
		ended <- Run(context.Background(), viewer, Options{
			In: term.Tty, Out: term.Tty, Environ: []string{"TERM=xterm-256color", "LANG=C.UTF-8", "USER=ana"}, Clock: func() time.Time { return fixture.Now },
		})
	}()
	term.Shows("● running  37/50")
	term.Type("3")
	term.Shows("architecture #31")
	term.Type("\x1b")
	term.Shows("› overview")
	term.Type("p")
	term.Shows("search-05: pause")
	require.Equal(t, run.Pause, viewer.Commands()[0].Verb)
	next := fixture.Snapshot()
	next.Runs[4].State, next.Runs[4].Want = run.Pausing, run.Paused
	viewer.Publish(next)
	term.Shows("◌ pausing at step boundary")
	term.Type("q")
	select {
	case err := <-ended:
		require.NoError(t, err)
	case <-time.After(20 * time.Second):
		t.Fatalf("the program did not end; screen:\n%s", term.Screen())
	}
}

func TestProgramEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	in, typed := io.Pipe()
	defer typed.Close()
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, fixture.NewViewer(fixture.Snapshot()), Options{In: in, Out: io.Discard, Environ: []string{"TERM=xterm"}})
	}()
	cancel()
	select {
	case err := <-ended:
		require.ErrorIs(t, err, context.Canceled)
	case <-time.After(10 * time.Second):
		t.Fatal("the program did not end with its context")
	}
}

func TestRunRefusesUnknownLooks(t *testing.T) {
	require.ErrorContains(t, Run(t.Context(), fixture.NewViewer(nil), Options{Theme: "pink"}), `unknown theme "pink"`)
	require.ErrorContains(t, Run(t.Context(), fixture.NewViewer(nil), Options{Glyphs: "emoji"}), `unknown glyphs "emoji"`)
}
