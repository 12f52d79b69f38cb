package tui

import (
	"context"
	"crypto/rand"
	"time"

	tea "charm.land/bubbletea/v2"

	"flexi/core/run"
)

// Pace of what comes from outside.
const (
	snapshotPause = 250 * time.Millisecond // at most 4 redraws a second from data
	pointsPause   = 2 * time.Second        // between two readings of a growing learning curve
	tickPause     = time.Second
)

// nextSnapshot waits for the next snapshot, no sooner than pause from now. Meanwhile the mailbox keeps only the newest.
func (m *model) nextSnapshot(pause time.Duration) tea.Cmd {
	ctx, feed, link := m.ctx, m.feed, m.link
	return func() tea.Msg {
		if !sleep(ctx, pause) {
			return feedClosedMsg{}
		}
		if link != nil {
			link.Ready(ctx)
		}
		select {
		case s, open := <-feed:
			if open && s != nil {
				return snapshotMsg{s}
			}
		case <-ctx.Done():
		}
		return feedClosedMsg{}
	}
}

// sleep waits for d and reports false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// tick moves the clock while a run is active: nothing wakes up for a picture that cannot change.
func (m *model) tick() tea.Cmd {
	if m.ticking || m.snap == nil || !anyActive(m.snap) {
		return nil
	}
	m.ticking = true
	ctx := m.ctx
	return func() tea.Msg {
		sleep(ctx, tickPause)
		return tickMsg{}
	}
}

func anyActive(s *run.Snapshot) bool {
	for i := range s.Runs {
		if active(s.Runs[i].State) {
			return true
		}
	}
	return false
}

// send asks the controller for something on behalf of the person at the terminal.
func (m *model) send(c run.Command) tea.Cmd {
	c.ID, c.Actor, c.Time = rand.Text(), m.actor, m.now
	ctx, viewer := m.ctx, m.viewer
	return func() tea.Msg {
		reply, err := viewer.Do(ctx, c)
		return replyMsg{c.Verb, reply, err}
	}
}

// inspect fetches what the inspector shows and does not have yet; learning curves of a running trial are read again now and then.
func (m *model) inspect() tea.Cmd {
	if m.screen != inspector {
		return nil
	}
	cmd := m.learn(&m.looked, m.trialAt(m.inspected()))
	return tea.Batch(cmd, m.learn(&m.looked2, m.rival()))
}

func (m *model) learn(l *looked, t *run.Trial) tea.Cmd {
	if t == nil {
		return nil
	}
	of := subject{m.runID, t.ID}
	var cmds []tea.Cmd
	if l.of != of {
		*l = looked{of: of}
		cmds = append(cmds, fetchInspection(m.ctx, m.viewer, of))
	}
	if l.reading || !l.pointsDue(t, m.now) {
		return tea.Batch(cmds...)
	}
	l.reading, l.readAt, l.readState = true, m.now, t.State
	return tea.Batch(append(cmds, fetchPoints(m.ctx, m.viewer, of))...)
}

// pointsDue: never read yet, or the trial's state has changed since, or it is growing and the last reading is old.
func (l *looked) pointsDue(t *run.Trial, now time.Time) bool {
	return l.readAt.IsZero() || t.State != l.readState || active(t.State) && now.Sub(l.readAt) >= pointsPause
}

func fetchInspection(ctx context.Context, v run.Viewer, of subject) tea.Cmd {
	return func() tea.Msg {
		in, err := v.Inspect(ctx, of.run, of.trial)
		return inspectionMsg{of, in, err}
	}
}

func fetchPoints(ctx context.Context, v run.Viewer, of subject) tea.Cmd {
	return func() tea.Msg {
		points, err := v.Points(ctx, of.run, of.trial)
		return pointsMsg{of, points, err}
	}
}
