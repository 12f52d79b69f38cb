package tui

import (
	"context"
	"crypto/rand"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"flexi/core/run"
)

// Pace of what comes from outside.
const (
	snapshotPause = 250 * time.Millisecond // at most 4 redraws a second from data
	pointsPause   = 2 * time.Second        // between two readings of a growing learning curve
	tickPause     = time.Second            // between two redraws for the clock alone
	redrawShare   = time.Second / 6        // people who look on share so many redraws a second from progress: a crowd must not slow the training
)

// nextSnapshot waits for what is to be drawn next, no sooner than pause from now: a snapshot, or the clock while a run is active. Meanwhile the mailbox
// keeps only the newest.
func (m *model) nextSnapshot(pause time.Duration) tea.Cmd {
	ctx, feed, link, shown := m.ctx, m.feed, m.link, m.snap
	return func() tea.Msg {
		if !sleep(ctx, pause) {
			return feedClosedMsg{}
		}
		if link != nil {
			link.Ready(ctx)
		}
		if shown == nil {
			return await(ctx, feed, nil, 0)
		}
		return await(ctx, feed, shown, redrawShare*time.Duration(len(shown.Present))-pause)
	}
}

// await returns the next snapshot: one that changes where a run stands at once, one with mere progress when hold has passed since the beginning.
func await(ctx context.Context, feed <-chan *run.Snapshot, shown *run.Snapshot, hold time.Duration) tea.Msg {
	held := time.NewTimer(max(hold, 0))
	defer held.Stop()
	var clock <-chan time.Time // nothing wakes up for a picture that cannot change
	if shown != nil && anyActive(shown) {
		t := time.NewTimer(max(hold, tickPause))
		defer t.Stop()
		clock = t.C
	}
	var newest *run.Snapshot
	over := hold <= 0
	for {
		select {
		case s, open := <-feed:
			if !open || s == nil {
				return feedClosedMsg{}
			}
			if over || shown == nil || turned(shown, s) {
				return snapshotMsg{s}
			}
			newest = s
		case <-held.C:
			if over = true; newest != nil {
				return snapshotMsg{newest}
			}
		case <-clock:
			return tickMsg{}
		case <-ctx.Done():
			return feedClosedMsg{}
		}
	}
}

// turned reports whether more than progress lies between two snapshots.
func turned(from, to *run.Snapshot) bool {
	if len(from.Runs) != len(to.Runs) || !slices.Equal(from.Present, to.Present) {
		return true
	}
	for i := range to.Runs {
		if a, b := &from.Runs[i], &to.Runs[i]; a.ID != b.ID || a.State != b.State || a.Want != b.Want {
			return true
		}
	}
	return false
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
	switch m.screen {
	case flexora:
		return m.learn(&m.looked, m.searched())
	case inspector:
	default:
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
