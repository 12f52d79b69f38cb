//go:build unix

package remote

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/charmbracelet/x/term"
)

// resize tells the session when the window changes.
func (s *screen) resize(ctx context.Context, w, h int) {
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	defer signal.Stop(changed)
	for {
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
		if newW, newH, err := term.GetSize(s.Out.Fd()); err == nil && (newW != w || newH != h) {
			w, h = newW, newH
			if s.session.WindowChange(h, w) != nil {
				return // the session has ended
			}
		}
	}
}
