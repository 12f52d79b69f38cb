package tui

import (
	"testing"

	"github.com/stretchr/testify/require"

	"flexi/core/run"
	"flexi/tui/internal/fixture"
)

func TestSteer(t *testing.T) {
	m := newTest(t, 120, 36, Options{})
	do(t, m, "P")
	require.Contains(t, m.flash.text, "tab to the next picks")
	m.focusOn(paneQueue)
	hash := m.queue[1].Hash
	do(t, m, "down", "P")
	c := lastCommand(t, m)
	require.Equal(t, run.Pin, c.Verb)
	require.Equal(t, hash, c.Text)
	require.Equal(t, "ana", c.Actor)
	require.NotEmpty(t, c.ID)
	do(t, m, "X")
	require.Equal(t, run.Skip, lastCommand(t, m).Verb)
	do(t, m, "T")
	require.Equal(t, run.TrainNext, lastCommand(t, m).Verb)
}

// What is pinned comes first in the queue, what is skipped says so, and the same keys take it back.
func TestQueueShowsWishes(t *testing.T) {
	s := fixture.Snapshot()
	r := &s.Runs[4]
	first, second := r.Surrogate.Queue[0].Hash, r.Surrogate.Queue[1].Hash
	r.Pinned, r.Skipped = []string{"feedbeef00", second}, []string{first}
	m := onSnapshot(t, s, 120, 36, Options{})
	require.Equal(t, []string{"feedbeef00", second, first}, []string{m.queue[0].Hash, m.queue[1].Hash, m.queue[2].Hash})
	m.focusOn(paneQueue)
	require.Contains(t, m.draw(), "feedbee pinned")
	require.Contains(t, m.draw(), "skipped")
	do(t, m, "P")
	require.Equal(t, run.Release, lastCommand(t, m).Verb)
	do(t, m, "down", "down", "X")
	require.Equal(t, run.Release, lastCommand(t, m).Verb)
}

func TestTrainNeighbourNow(t *testing.T) {
	m := newTest(t, 120, 36, Options{})
	do(t, m, "3", "T")
	require.Contains(t, m.flash.text, "tab to the neighbours")
	m.focusOn(paneNeighbours)
	do(t, m, "T")
	require.Contains(t, m.flash.text, "proposed already")
	do(t, m, "down", "T")
	c := lastCommand(t, m)
	require.Equal(t, run.TrainNext, c.Verb)
	require.Equal(t, m.looked.inspection.Neighbours[1].Hash, c.Text)
}

func TestViewerCannotSteer(t *testing.T) {
	var denied []string
	m := newTest(t, 120, 36, Options{ReadOnly: true, Refused: func(what string) { denied = append(denied, what) }})
	m.focusOn(paneQueue)
	do(t, m, "P", "E", ":", "s", "e", "t", " ", "a", "=", "1", "enter")
	require.Empty(t, m.viewer.(*fixture.Viewer).Commands())
	require.Equal(t, []string{"pin", "change", "set"}, denied)
}

// The form sends what was changed, and only that.
func TestForms(t *testing.T) {
	m := newTest(t, 120, 36, Options{})
	do(t, m, "E", "enter", "backspace", "4", "enter")
	require.Contains(t, m.draw(), "4  was 2")
	require.Contains(t, m.draw(), "1 change;")
	do(t, m, "ctrl+s")
	c := lastCommand(t, m)
	require.Equal(t, run.Set, c.Verb)
	require.Equal(t, []string{"workers=4"}, c.Changes)

	do(t, m, "b", "right", "enter")
	require.Equal(t, formOverlay, m.overlay)
	do(t, m, "enter", "ctrl+u", "7", "enter")
	for m.form.rows[m.form.at].key != "finetune.lr" {
		do(t, m, "down")
	}
	do(t, m, "enter", "ctrl+u")
	do(t, m, typing("0.01")...)
	do(t, m, "ctrl+s") // takes what is being typed
	c = lastCommand(t, m)
	require.Equal(t, run.Branch, c.Verb)
	require.Equal(t, 7, c.Trial)
	require.Equal(t, []string{"finetune.lr=0.01"}, c.Changes)

	n := len(m.viewer.(*fixture.Viewer).Commands())
	do(t, m, "E", "enter", "x", "esc", "esc")
	require.Equal(t, noOverlay, m.overlay)
	do(t, m, "E", "ctrl+s")
	require.Equal(t, "nothing was changed", m.flash.text)
	require.Len(t, m.viewer.(*fixture.Viewer).Commands(), n)
}

func TestSetTyped(t *testing.T) {
	m := newTest(t, 80, 24, Options{})
	do(t, m, ":")
	do(t, m, typing("set workers=3 acquisition.explore=2")...)
	do(t, m, "enter")
	c := lastCommand(t, m)
	require.Equal(t, []string{"workers=3", "acquisition.explore=2"}, c.Changes)
	do(t, m, ":")
	do(t, m, typing("branch policy=random")...)
	do(t, m, "enter")
	require.Equal(t, run.Branch, lastCommand(t, m).Verb)
}
