//go:build !unix

package remote

import (
	"context"
	"time"

	"github.com/charmbracelet/x/term"
)

// resize tells the session when the window changes, which has to be looked for here.
func (s *screen) resize(ctx context.Context, w, h int) {
	tick := time.NewTicker(time.Second / 4)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if newW, newH, err := term.GetSize(s.Out.Fd()); err == nil && (newW != w || newH != h) {
			w, h = newW, newH
			if s.session.WindowChange(h, w) != nil {
				return
			}
		}
	}
}
