package tui

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"

	"flexi/core/run"
)

// framesPerSecond bounds redraws; idle, Bubble Tea costs about 0.5% of a core at this rate.
const framesPerSecond = 30

// Run opens the workbench in a terminal and returns when the person leaves (nil) or ctx ends (its error). It never pauses or stops runs by
// itself: a caller that owns them does so afterwards.
func Run(ctx context.Context, v run.Viewer, o Options) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	m, err := newModel(inner, v, o)
	if err != nil {
		return err
	}
	options := []tea.ProgramOption{tea.WithContext(inner), tea.WithFPS(framesPerSecond), tea.WithoutSignalHandler()}
	if o.In != nil {
		options = append(options, tea.WithInput(o.In))
	}
	if o.Out != nil {
		options = append(options, tea.WithOutput(o.Out))
	}
	if o.Environ != nil {
		options = append(options, tea.WithEnvironment(o.Environ))
	}
	if o.Sizes != nil {
		options = append(options, tea.WithWindowSize(o.Size.Width, o.Size.Height), tea.WithColorProfile(colorprofile.Env(o.Environ)))
	}
	p := tea.NewProgram(m, options...)
	var resizing sync.WaitGroup
	if o.Sizes != nil {
		resizing.Go(func() { follow(inner, p, o.Sizes) })
	}
	_, err = p.Run()
	cancel()
	resizing.Wait()
	m.remember()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, tea.ErrProgramPanic):
		return fmt.Errorf("the workbench broke and was closed; the runs are not touched: %w", err)
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return fmt.Errorf("draw the workbench: %w", err)
}

// While a window is being resized it is drawn anew at the first size, once it has kept one for resizeQuiet, and every resizePause: all its cells change.
const (
	resizeQuiet = 150 * time.Millisecond
	resizePause = time.Second
)

// follow tells the program the sizes of a window elsewhere.
func follow(ctx context.Context, p *tea.Program, sizes <-chan Size) {
	for {
		select {
		case s, open := <-sizes:
			if !open {
				return
			}
			for more := true; more; {
				p.Send(tea.WindowSizeMsg{Width: s.Width, Height: s.Height})
				if s, more = settled(ctx, sizes); !more && ctx.Err() != nil {
					return
				}
			}
		case <-ctx.Done():
			return
		}
	}
}

// settled is the newest size that came within resizePause, or before none came for resizeQuiet; there may be none.
func settled(ctx context.Context, sizes <-chan Size) (newest Size, any bool) {
	over := time.After(resizePause)
	for {
		select {
		case s, open := <-sizes:
			if !open {
				return newest, any
			}
			newest, any = s, true
		case <-time.After(resizeQuiet):
			return newest, any
		case <-over:
			return newest, any
		case <-ctx.Done():
			return newest, false
		}
	}
}
