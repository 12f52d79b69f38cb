package tui

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/exp/golden"
	"github.com/stretchr/testify/require"

	"flexi/core/run"
	"flexi/tui/internal/fixture"
)

// feed is a viewer that delivers exactly the snapshots it holds, one after the other.
type feed struct {
	run.Viewer
	snapshots []*run.Snapshot
}

func (f feed) Subscribe(ctx context.Context) <-chan *run.Snapshot {
	out := make(chan *run.Snapshot)
	go func() {
		defer close(out)
		for _, s := range f.snapshots {
			select {
			case out <- s:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// story is a search of three trials from its start to its end.
func story() []*run.Snapshot {
	at := func(seconds int, change func(*run.RunView)) *run.Snapshot {
		v := fixture.Search(5)
		v.ID, v.Parent, v.Note, v.Budget = "search-01", "", "", 3
		v.Trials, v.Events, v.Frontier, v.BestSoFar, v.Done, v.Best, v.ETA = v.Trials[:3], nil, nil, nil, 0, -1, 0
		v.Workers, v.Surrogate = v.Workers[:1], nil
		v.Workers[0].Trial, v.Workers[0].Since = 0, fixture.Now
		v.Events = []run.Event{{Seq: 4, Time: fixture.Now, Trial: -1, Kind: "state", Text: "running"}}
		change(&v)
		return &run.Snapshot{Time: fixture.Now.Add(time.Duration(seconds) * time.Second), Runs: []run.RunView{v}}
	}
	pick := run.Event{Seq: 5, Time: fixture.Now.Add(time.Second), Trial: 0, Kind: "pick", Text: "2 layers, sa·sa, initial"}
	best := run.Event{Seq: 6, Time: fixture.Now.Add(9 * time.Second), Trial: 0, Kind: "best", Text: "best so far: GLUE 0.74, 4.33 M parameters"}
	return []*run.Snapshot{
		at(0, func(*run.RunView) {}),
		at(2, func(v *run.RunView) { v.Events = append(v.Events, pick) }),
		at(6, func(v *run.RunView) { v.Events = append(v.Events, pick) }), // time for progress
		at(7, func(v *run.RunView) { v.Events = append(v.Events, pick) }), // too soon for more
		at(9, func(v *run.RunView) { v.Events, v.Done, v.Best = append(v.Events, pick, best), 1, 0 }),
		at(60, func(v *run.RunView) {
			v.Events, v.Done, v.Best, v.State, v.Seconds = append(v.Events, pick, best), 3, 0, run.Done, 60
			v.Trials[2].State, v.Trials[2].Score, v.Trials[2].Error = run.Failed, nil, "loss is not a number at step 4"
			v.Workers[0].Trial = -1
		}),
	}
}

func TestPlainGolden(t *testing.T) {
	var out bytes.Buffer
	final, err := Plain(t.Context(), feed{snapshots: story()}, "search-01", &out, 5*time.Second)
	require.NoError(t, err)
	require.Equal(t, run.Done, final.State)
	require.NotContains(t, out.String(), "\x1b")
	require.Equal(t, 1, strings.Count(out.String(), "pick #0"), "an event is printed once")
	golden.RequireEqual(t, out.String())
}

func TestPlainEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Plain(ctx, fixture.NewViewer(fixture.Snapshot()), "search-05", &bytes.Buffer{}, time.Second)
	require.ErrorIs(t, err, context.Canceled)

	_, err = Plain(t.Context(), feed{snapshots: story()}, "search-77", &bytes.Buffer{}, time.Second)
	require.EqualError(t, err, "follow run search-77: the workspace has no such run; flexi runs lists them")

	last, err := Plain(t.Context(), feed{snapshots: story()[:3]}, "search-01", &bytes.Buffer{}, time.Second)
	require.ErrorContains(t, err, "the connection to it ended; flexi status search-01 shows where it stands")
	require.Equal(t, run.Running, last.State)

	_, err = Plain(t.Context(), feed{snapshots: story()}, "search-01", brokenPipe{}, time.Second)
	require.ErrorIs(t, err, errPipe)
}

var errPipe = errors.New("broken pipe")

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errPipe }

// A resumed run's first snapshot may still say paused; following it must not end there. Its old events are not told again.
func TestPlainResumed(t *testing.T) {
	all := story()
	stale := fixture.Snapshot()
	stale.Runs = []run.RunView{all[4].Runs[0]}
	stale.Runs[0].State = run.Paused
	var out bytes.Buffer
	final, err := Plain(t.Context(), feed{snapshots: []*run.Snapshot{stale, all[4], all[5]}}, "search-01", &out, time.Second)
	require.NoError(t, err)
	require.Equal(t, run.Done, final.State)
	require.NotContains(t, out.String(), "pick #0")
}

func TestTextGolden(t *testing.T) {
	s := fixture.Snapshot()
	search := s.Runs[4]
	t.Run("runs", func(t *testing.T) { golden.RequireEqual(t, RunsText(s.Runs, fixture.Now)) })
	t.Run("status", func(t *testing.T) { golden.RequireEqual(t, StatusText(search, fixture.Now)) })
	t.Run("status lost", func(t *testing.T) { golden.RequireEqual(t, StatusText(s.Runs[2], fixture.Now)) })
	t.Run("trials", func(t *testing.T) { golden.RequireEqual(t, TrialsText(search)) })
	t.Run("inspection", func(t *testing.T) {
		golden.RequireEqual(t, InspectionText(fixture.Inspection(&search, 31), search.Trials[31], fixture.Points()))
	})
	t.Run("architecture", func(t *testing.T) { golden.RequireEqual(t, InspectionText(fixture.Inspection(&search, 2), nil, nil)) })
	require.Equal(t, "no runs; start one with: flexi search --demo\n", RunsText(nil, fixture.Now))
}

// No text form has characters for frames or escape codes, and none panics on odd data.
func TestTextIsPlain(t *testing.T) {
	for _, s := range []*run.Snapshot{fixture.Snapshot(), hostile()} {
		r := s.Runs[4]
		text := RunsText(s.Runs, fixture.Now) + StatusText(r, fixture.Now) + TrialsText(r)
		require.NotContains(t, text, "─")
		for _, braille := range "⠀⣿●▒" {
			require.NotContains(t, text, string(braille))
		}
	}
}
