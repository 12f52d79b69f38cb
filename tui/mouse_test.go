package tui

import (
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/stretchr/testify/require"
)

// find is where text stands in the frame.
func find(t *testing.T, m *model, text string) (x, y int) {
	t.Helper()
	for y, l := range strings.Split(m.draw(), "\n") {
		if i := strings.Index(l, text); i >= 0 {
			return width(l[:i]), y
		}
	}
	t.Fatalf("no %q in\n%s", text, m.draw())
	return 0, 0
}

func clickOn(t *testing.T, m *model, text string, button tea.MouseButton) {
	t.Helper()
	x, y := find(t, m, text)
	settle(m, m.pointed(tea.MouseClickMsg{X: x + 1, Y: y, Button: button}))
}

func TestMouseIsOffUntilAskedFor(t *testing.T) {
	m := newTest(t, 120, 36, Options{})
	require.Equal(t, tea.MouseModeNone, m.View().MouseMode)
	clickOn(t, m, "2 runs", tea.MouseLeft)
	require.Equal(t, overview, m.screen)
	do(t, m, "m")
	require.Equal(t, tea.MouseModeCellMotion, m.View().MouseMode)
	do(t, m, "m")
	require.Equal(t, tea.MouseModeNone, m.View().MouseMode)
}

func TestClicks(t *testing.T) {
	m := newTest(t, 120, 36, Options{})
	do(t, m, "m")
	clickOn(t, m, "2 runs", tea.MouseLeft)
	require.Equal(t, runsList, m.screen)
	clickOn(t, m, "search-02", tea.MouseLeft)
	require.Equal(t, "search-02", m.listed)
	clickOn(t, m, "search-02    search", tea.MouseLeft) // it is marked: opens
	require.Equal(t, overview, m.screen)
	require.Equal(t, "search-02", m.runID)
	clickOn(t, m, "next picks", tea.MouseLeft) // a name in a title
	require.Equal(t, paneQueue, m.focused())
	clickOn(t, m, "? help", tea.MouseLeft)
	require.Equal(t, helpOverlay, m.overlay)
	m.pointed(tea.MouseWheelMsg{X: 10, Y: 10, Button: tea.MouseWheelDown})
	require.Equal(t, 3, m.offset)
	do(t, m, "esc", "S")
	clickOn(t, m, "cancel", tea.MouseLeft)
	require.Equal(t, noOverlay, m.overlay)
}

// The wheel zooms a chart at the pointer, dragging pans it, the right button reads off values.
func TestMouseOnCharts(t *testing.T) {
	m := newTest(t, 120, 36, Options{})
	do(t, m, "m")
	m.focusOn(paneFrontier)
	x, y := find(t, m, "0.75┤")
	wheel := tea.MouseWheelMsg{X: x + 20, Y: y, Button: tea.MouseWheelUp}
	m.pointed(wheel)
	l := m.lenses[paneFrontier]
	require.InDelta(t, zoomStep, l.to-l.from, 1e-9)
	m.pointed(tea.MouseClickMsg{X: x + 20, Y: y, Button: tea.MouseLeft})
	m.pointed(tea.MouseMotionMsg{X: x + 10, Y: y, Button: tea.MouseLeft})
	require.Greater(t, m.lenses[paneFrontier].from, l.from)
	m.pointed(tea.MouseReleaseMsg{X: x + 10, Y: y})
	m.pointed(tea.MouseClickMsg{X: x + 20, Y: y, Button: tea.MouseRight})
	require.True(t, m.lenses[paneFrontier].probing)
	require.Contains(t, m.draw(), "parameters (log) ")
}

func TestLens(t *testing.T) {
	m := newTest(t, 120, 36, Options{})
	m.focusOn(paneBest)
	do(t, m, "right")
	require.Contains(t, m.flash.text, "+ zooms in")
	do(t, m, "+", "+")
	l := m.lenses[paneBest]
	require.InDelta(t, zoomStep*zoomStep, l.to-l.from, 1e-9)
	do(t, m, "right", "right", "right", "right", "right")
	require.InDelta(t, 1, m.lenses[paneBest].to, 1e-9)
	do(t, m, "i")
	require.Contains(t, m.draw(), "finished trials 37  trial ")
	do(t, m, "left", "left")
	require.Contains(t, m.draw(), "finished trials 35  trial ")
	do(t, m, "L")
	require.True(t, m.lenses[paneBest].log)
	do(t, m, "0")
	require.Zero(t, m.lenses[paneBest])
	do(t, m, "-")
	require.False(t, m.lenses[paneBest].zoomed())
	do(t, m, "v", "+")
	require.Contains(t, m.flash.text, "v shows the chart")
}
