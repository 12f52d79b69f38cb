// Package emulator is a terminal for tests: what a program writes to it is drawn, and what it answers or a test types is the program's input.
package emulator

import (
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"
)

// patience bounds a wait that would otherwise hang; nothing waits for it when all is well.
const patience = 20 * time.Second

// Terminal is an emulated terminal behind a pseudo-terminal.
type Terminal struct {
	// Tty is the program's end.
	Tty *os.File

	t      testing.TB
	mu     sync.Mutex
	emu    *vt.Emulator
	master *os.File
	bytes  int
	pumps  sync.WaitGroup
}

// New opens a terminal of a size; Close ends it.
func New(t testing.TB, w, h int) *Terminal {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	term := &Terminal{Tty: slave, t: t, emu: vt.NewEmulator(w, h), master: master}
	term.setsize(w, h)
	term.pumps.Go(func() { // ends with an error when the program's end is closed
		buffer := make([]byte, 4096)
		for {
			n, err := master.Read(buffer)
			if err != nil {
				return
			}
			term.mu.Lock()
			term.bytes += n
			term.emu.Write(buffer[:n])
			term.mu.Unlock()
		}
	})
	term.pumps.Go(func() { io.Copy(master, term.emu) }) // answers to queries; the emulator blocks until somebody reads them
	return term
}

func (t *Terminal) setsize(w, h int) {
	if err := pty.Setsize(t.master, &pty.Winsize{Cols: uint16(w), Rows: uint16(h)}); err != nil {
		t.t.Fatal(err)
	}
}

// Resize changes the window; a program whose terminal this is gets the signal.
func (t *Terminal) Resize(w, h int) {
	t.mu.Lock()
	t.emu.Resize(w, h)
	t.mu.Unlock()
	t.setsize(w, h)
}

// Screen is the text that is shown.
func (t *Terminal) Screen() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.emu.String()
}

// Bytes is how much has been written to the terminal.
func (t *Terminal) Bytes() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.bytes
}

// Shows waits until the screen shows a text.
func (t *Terminal) Shows(text string) {
	t.t.Helper()
	t.Until(func(screen string) bool { return strings.Contains(screen, text) }, text)
}

// Until waits until the screen is as a test wants it; what is for the message.
func (t *Terminal) Until(good func(screen string) bool, what string) {
	t.t.Helper()
	for began := time.Now(); time.Since(began) < patience; time.Sleep(2 * time.Millisecond) {
		if good(t.Screen()) {
			return
		}
	}
	t.t.Fatalf("waited in vain for %q; the screen shows:\n%s", what, t.Screen())
}

// Type types.
func (t *Terminal) Type(keys string) {
	t.t.Helper()
	if _, err := t.master.WriteString(keys); err != nil {
		t.t.Fatal(err)
	}
}

// Close ends the terminal, after the program.
func (t *Terminal) Close() {
	t.Tty.Close()
	t.emu.InputPipe().(*io.PipeWriter).Close() // Emulator.Close would race with the reader of its answers
	t.master.Close()
	t.pumps.Wait()
}
