package tui

import (
	"context"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/stretchr/testify/require"

	"flexi/core/run"
)

// TestAwait: progress waits for its time, and only the newest of it comes; a change of state waits for nothing; the clock goes on meanwhile.
func TestAwait(t *testing.T) {
	const never = time.Hour
	in := func(state run.State, done int) *run.Snapshot {
		return &run.Snapshot{Runs: []run.RunView{{Run: run.Run{ID: "a", State: state, Want: state}, Done: done}}, Present: []string{"ana"}}
	}
	feed := make(chan *run.Snapshot, 3)
	shown := in(run.Running, 0)
	got := func(hold time.Duration, next ...*run.Snapshot) tea.Msg {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		for _, s := range next {
			feed <- s
		}
		return await(ctx, feed, shown, hold)
	}
	require.Equal(t, snapshotMsg{in(run.Paused, 2)}, got(never, in(run.Running, 1), in(run.Paused, 2)))
	require.Equal(t, snapshotMsg{in(run.Running, 2)}, got(50*time.Millisecond, in(run.Running, 1), in(run.Running, 2)))
	require.Equal(t, snapshotMsg{in(run.Running, 3)}, got(0, in(run.Running, 3)))
	more := in(run.Running, 1)
	more.Present = append(more.Present, "bo")
	require.Equal(t, snapshotMsg{more}, got(never, more))
	require.Equal(t, tickMsg{}, got(0))
	shown = nil
	require.Equal(t, snapshotMsg{in(run.Done, 0)}, got(never, in(run.Done, 0)), "the first one is drawn at once")
	shown = in(run.Done, 0)
	close(feed)
	require.Equal(t, feedClosedMsg{}, got(0))
}
