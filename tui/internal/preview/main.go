// Command preview opens the workbench on the made-up workspace of the fixture, with progress that moves: for working on screens without training.
//
//	go run ./tui/internal/preview [theme [glyphs]]
package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"flexi/core/run"
	"flexi/tui"
	"flexi/tui/internal/fixture"
)

func main() {
	o := tui.Options{Start: "search-05", Environ: os.Environ()}
	if len(os.Args) > 1 {
		o.Theme = os.Args[1]
	}
	if len(os.Args) > 2 {
		o.Glyphs = os.Args[2]
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	v := fixture.NewViewer(fixture.Snapshot())
	start := time.Now()
	o.Clock = func() time.Time { return fixture.Now.Add(time.Since(start)) }
	go move(ctx, v, o.Clock)
	if err := tui.Run(ctx, v, o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// move advances the workers ten times a second.
func move(ctx context.Context, v *fixture.Viewer, clock func() time.Time) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s := fixture.Snapshot()
		s.Time = clock()
		r := &s.Runs[slices.IndexFunc(s.Runs, func(r run.RunView) bool { return r.ID == "search-05" })]
		for i := range r.Workers {
			r.Workers[i].Step = min(r.Workers[i].Step+n, r.Workers[i].Steps)
		}
		v.Publish(s)
	}
}
