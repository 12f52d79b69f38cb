package tui

import (
	"context"
	"fmt"
	"io"
	"time"

	"flexi/core/run"
)

// Plain follows a run where there is no terminal: a line per event, a progress line per worker at most every interval, and a results table when
// the run is done, failed, stopped or paused. It returns the run as it was seen last; with ctx's error if that ended first.
func Plain(ctx context.Context, v run.Viewer, id string, w io.Writer, interval time.Duration) (run.Run, error) {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	f := follower{id: id, w: w, interval: interval}
	feed := v.Subscribe(inner)
	for s := first(feed, id); s != nil; s = <-feed {
		r := findRun(s, id)
		if r == nil {
			return run.Run{}, fmt.Errorf("follow run %s: the workspace has no such run; flexi runs lists them", id)
		}
		f.see(r, s.Time)
		if f.err != nil {
			return r.Run, fmt.Errorf("print progress of %s: %w", id, f.err)
		}
		if over(r) {
			f.print("\n%s", TrialsText(*r))
			f.print("%s", ending(r))
			return r.Run, f.err
		}
	}
	var last run.Run
	if f.last != nil {
		last = f.last.Run
	}
	if err := ctx.Err(); err != nil {
		return last, err
	}
	return last, fmt.Errorf("follow run %s: the connection to it ended; flexi status %s shows where it stands", id, id)
}

func findRun(s *run.Snapshot, id string) *run.RunView {
	for i := range s.Runs {
		if s.Runs[i].ID == id {
			return &s.Runs[i]
		}
	}
	return nil
}

// firstPatience bounds the wait for a second snapshot where the first shows nothing to follow: it may be from before the run was started.
const firstPatience = 500 * time.Millisecond

// first is the first snapshot worth looking at; nil if the feed has ended.
func first(feed <-chan *run.Snapshot, id string) *run.Snapshot {
	s := <-feed
	if s == nil {
		return nil
	}
	if r := findRun(s, id); r != nil && !over(r) {
		return s
	}
	select {
	case newer := <-feed:
		if newer != nil {
			return newer
		}
	case <-time.After(firstPatience):
	}
	return s
}

// over reports whether nothing more happens to the run by itself.
func over(r *run.RunView) bool {
	return !active(r.State)
}

func ending(r *run.RunView) string {
	text := fmt.Sprintf("%s is %s after %s\n", r.ID, r.State, secondsText(r.Seconds))
	if c := causeText(r); c != "" {
		text += c + "\n"
	}
	return text
}

// historyAge is how old an event must be at the first snapshot to belong to an earlier session.
const historyAge = 2 * time.Second

// follower prints what is new in each snapshot.
type follower struct {
	id       string
	w        io.Writer
	interval time.Duration
	last     *run.RunView
	event    run.Event // newest one printed
	printed  time.Time
	err      error
}

func (f *follower) print(format string, args ...any) {
	if f.err == nil {
		text := fmt.Sprintf(format, args...)
		clean(&text)
		_, f.err = io.WriteString(f.w, text)
	}
}

// events prints those after the newest one printed. A store that refuses writes numbers no events, so they are compared as a whole.
func (f *follower) events(all []run.Event) {
	from := len(all)
	for from > 0 && all[from-1] != f.event {
		from--
	}
	for i := range all[from:] {
		e := &all[from+i]
		f.print("%s %s %s\n", e.Time.Format("15:04:05"), e.Kind, eventText(e))
		f.event = *e
	}
}

// see prints the difference to the snapshot before. Events of earlier sessions are history and not repeated.
func (f *follower) see(r *run.RunView, now time.Time) {
	if f.last == nil {
		f.print("%s %s: %s, %s finished, objective %s\n", r.Kind, r.ID, stateText(r), progressText(r), objectiveText(r.Objective))
		for _, e := range r.Events {
			if e.Time.Before(now.Add(-historyAge)) {
				f.event = e
			}
		}
		f.printed = now
	}
	f.events(r.Events)
	if now.Sub(f.printed) >= f.interval && r.State == run.Running {
		f.printed = now
		for i := range r.Workers {
			if r.Workers[i].Trial >= 0 {
				f.print("%s %s finished, %s\n", now.Format("15:04:05"), progressText(r), workerText(r, &r.Workers[i], now))
			}
		}
		if r.Thinking != "" {
			f.print("%s %s\n", now.Format("15:04:05"), activityText(r))
		}
	}
	f.last = r
}
