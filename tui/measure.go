package tui

import (
	"context"
	"fmt"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"flexi/core/run"
	"flexi/tui/internal/fixture"
)

// Cost is what the workbench spends on one change of what it shows.
type Cost struct {
	Width, Height, Trials int
	Update                time.Duration // median, taking in a snapshot: sorting, filtering, frontier
	View                  time.Duration // median, drawing a frame
	Bytes                 int           // of a whole frame; the terminal is sent only the cells that differ from the last one
}

// Measure draws the overview of a made-up search several times without a terminal. trials is at least 2, w, h and frames at least 1.
func Measure(trials, w, h, frames int) (Cost, error) {
	if trials < 2 || w < 1 || h < 1 || frames < 1 {
		return Cost{}, fmt.Errorf("measure the workbench: %d trials, %dx%d, %d frames: need at least 2 trials and one of each other", trials, w, h, frames)
	}
	s := fixture.Snapshot()
	s.Runs = []run.RunView{fixture.Search(trials)}
	m, err := newModel(context.Background(), fixture.NewViewer(s), Options{Theme: "dark", Glyphs: "braille"})
	if err != nil {
		return Cost{}, err
	}
	m.Update(tea.WindowSizeMsg{Width: w, Height: h})
	c := Cost{Width: w, Height: h, Trials: trials}
	updates, views := make([]time.Duration, frames), make([]time.Duration, frames)
	for i := range frames {
		start := time.Now()
		m.Update(snapshotMsg{s})
		updates[i] = time.Since(start)
		start = time.Now()
		c.Bytes = len(m.draw())
		views[i] = time.Since(start)
	}
	slices.Sort(updates)
	slices.Sort(views)
	c.Update, c.View = updates[frames/2], views[frames/2]
	return c, nil
}
