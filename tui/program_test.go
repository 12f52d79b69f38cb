package tui

import (
	"context"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"flexi/core/run"
	"flexi/tui/internal/fixture"
)

// terminal is an emulated terminal behind a pseudo-terminal: what the program writes is drawn, what the terminal answers or the test types is input.
type terminal struct {
	mu     sync.Mutex
	emu    *vt.Emulator
	master *os.File
	pumps  sync.WaitGroup
}

func newTerminal(t *testing.T, w, h int) (term *terminal, slave *os.File) {
	t.Helper()
	master, slave, err := pty.Open()
	require.NoError(t, err)
	term = &terminal{emu: vt.NewEmulator(w, h), master: master}
	require.NoError(t, pty.Setsize(master, &pty.Winsize{Cols: uint16(w), Rows: uint16(h)}))
	term.pumps.Go(func() { // ends with an error when the slave is closed
		buffer := make([]byte, 4096)
		for {
			n, err := master.Read(buffer)
			if err != nil {
				return
			}
			term.mu.Lock()
			term.emu.Write(buffer[:n])
			term.mu.Unlock()
		}
	})
	term.pumps.Go(func() { io.Copy(master, term.emu) }) // answers to queries; the emulator blocks until somebody reads them
	return term, slave
}

func (t *terminal) screen() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.emu.String()
}

func (t *terminal) close(slave *os.File) {
	slave.Close()
	t.emu.InputPipe().(*io.PipeWriter).Close() // Emulator.Close would race with the reader of its answers
	t.master.Close()
	t.pumps.Wait()
}

// The real program on a terminal: it draws, answers keys, follows snapshots, sends commands, and leaves nothing running behind.
func TestProgram(t *testing.T) {
	defer goleak.VerifyNone(t)
	term, slave := newTerminal(t, 80, 24)
	defer term.close(slave)
	viewer := fixture.NewViewer(fixture.Snapshot())
	ended := make(chan error, 1)
	go func() {
		ended <- Run(context.Background(), viewer, Options{
			In: slave, Out: slave, Environ: []string{"TERM=xterm-256color", "LANG=C.UTF-8", "USER=ana"}, Clock: func() time.Time { return fixture.Now },
		})
	}()
	shows := func(text string) {
		t.Helper()
		require.Eventually(t, func() bool { return strings.Contains(term.screen(), text) }, 20*time.Second, 5*time.Millisecond, "waiting for %q", text)
	}
	press := func(keys string) {
		t.Helper()
		_, err := term.master.WriteString(keys)
		require.NoError(t, err)
	}
	shows("● running  37/50")
	press("3")
	shows("architecture #31")
	press("\x1b")
	shows("› overview")
	press("p")
	shows("search-05: pause")
	require.Equal(t, run.Pause, viewer.Commands()[0].Verb)
	next := fixture.Snapshot()
	next.Runs[4].State, next.Runs[4].Want = run.Pausing, run.Paused
	viewer.Publish(next)
	shows("◌ pausing at step boundary")
	press("q")
	select {
	case err := <-ended:
		require.NoError(t, err)
	case <-time.After(20 * time.Second):
		t.Fatalf("the program did not end; screen:\n%s", term.screen())
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
