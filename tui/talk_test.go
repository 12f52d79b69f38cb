package tui

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/exp/golden"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"flexi/core/run"
	"flexi/tui/internal/fixture"
)

// talkThrough types lines and returns what was said.
func talkThrough(t *testing.T, v run.Viewer, o Options, lines ...string) string {
	t.Helper()
	defer goleak.VerifyNone(t)
	var out bytes.Buffer
	o.Clock, o.Actor = func() time.Time { return fixture.Now }, "ana"
	require.NoError(t, Talk(t.Context(), v, strings.NewReader(strings.Join(lines, "\n")+"\n"), &out, o))
	return out.String()
}

// TestTalkGolden is every view of the text form, and what is said to what cannot be.
func TestTalkGolden(t *testing.T) {
	for _, line := range []string{
		"help", "status", "runs", "trials", "trials state:failed", "trials state:(", "trials params<1", "trial 31", "trial 99", "trial x", "curve 31", "compare 31 12", "compare 31 31", "compare 31", "map 31", "frontier", "best", "surrogate",
		"queue", "facts", "config", "log 5", "log many", "log 0", "log 2 trial=33", "log level>=loud", "system", "run search-03", "run nothing", "follow maybe", "runs state=lost or failed", "runs best>", "runs nothing", "order best", "order colour", "overlay search-05 search-01", "diff search-01 search-05", "dance", "sta", "", "stop", "branch x",
	} {
		t.Run(strings.NewReplacer(" ", "_", "<", "_", ">", "_", ":", "_", "(", "_", "=", "_").Replace("say "+line), func(t *testing.T) {
			said := talkThrough(t, fixture.NewViewer(fixture.Snapshot()), Options{}, line, "quit")
			_, said, ok := strings.Cut(said, "the runs go on.\n")
			require.True(t, ok)
			golden.RequireEqual(t, said)
		})
	}
}

// TestTalkIsForEars: no lines, blocks or braille patterns, no colours and no control characters, whatever is asked about whatever run.
func TestTalkIsForEars(t *testing.T) {
	var all []string
	for _, c := range talkCommands {
		if c.name != "quit" {
			all = append(all, c.name, c.name+" 31", c.name+" 31 12")
		}
	}
	for _, s := range []*run.Snapshot{fixture.Snapshot(), hostile(), {Time: fixture.Now}} {
		said := talkThrough(t, fixture.NewViewer(s), Options{}, all...)
		for i, r := range said {
			if r != '\n' && (r < ' ' || r == 0x7f || 0x80 <= r && r < 0xa0 || 0x2500 <= r && r < 0x2900) {
				t.Fatalf("%q in %q", r, said[max(0, i-60):min(len(said), i+20)])
			}
		}
	}
}

// TestTalkCommands: what is typed reaches the run, with the person's name; a person who may only look sends nothing.
func TestTalkCommands(t *testing.T) {
	lines := []string{"pause", "resume", "stop search-05", "branch 3", "branch", "retry 12", "note two words"}
	v := fixture.NewViewer(fixture.Snapshot())
	talkThrough(t, v, Options{}, lines...)
	var got []run.Command
	for _, c := range v.Commands() {
		require.NotEmpty(t, c.ID)
		c.ID, c.Time = "", time.Time{}
		got = append(got, c)
	}
	of := func(v run.Verb, trial int, text string) run.Command {
		return run.Command{Verb: v, Run: "search-05", Trial: trial, Text: text, Actor: "ana"}
	}
	require.Equal(t, []run.Command{
		of(run.Pause, -1, ""), of(run.Resume, -1, ""), of(run.Stop, -1, ""), of(run.Branch, 3, ""), of(run.Branch, -1, ""), of(run.Retry, 12, ""), of(run.Annotate, -1, "two words"),
	}, got)

	v = fixture.NewViewer(fixture.Snapshot())
	var refused []string
	said := talkThrough(t, v, Options{ReadOnly: true, Refused: func(what string) { refused = append(refused, what) }}, lines...)
	require.Empty(t, v.Commands())
	require.Len(t, refused, len(lines))
	require.Equal(t, len(lines), strings.Count(said, "your key may look"))
	require.NotContains(t, talkThrough(t, v, Options{ReadOnly: true}, "help"), "pause")
}

// TestReadOnlySendsNothing: no key and no typed command of a person who may only look reaches a run.
func TestReadOnlySendsNothing(t *testing.T) {
	v := fixture.NewViewer(fixture.Snapshot())
	var all []string
	for _, c := range talkCommands {
		if c.name != "quit" {
			all = append(all, c.name, c.name+" 1", c.name+" search-05", c.name+" workers=2")
		}
	}
	talkThrough(t, v, Options{ReadOnly: true}, all...)
	require.Empty(t, v.Commands())
	for _, screen := range []string{"1", "2", "3", "4", "5", "6"} {
		m := onSnapshot(t, fixture.WithFlexora(), 120, 36, Options{ReadOnly: true, Start: fixture.FlexoraID})
		for _, k := range everyKey() {
			do(t, m, screen, k, "enter", "esc")
			require.Empty(t, m.viewer.(*fixture.Viewer).Commands(), "%s %s enter", screen, k)
		}
	}
}

// TestTalkFollows: what happens is told as it happens, until that is switched off.
func TestTalkFollows(t *testing.T) {
	v := fixture.NewViewer(fixture.Snapshot())
	in, typed := io.Pipe()
	out, said := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- Talk(t.Context(), v, in, said, Options{Clock: func() time.Time { return fixture.Now }})
		said.Close()
	}()
	heard := readLines(t.Context(), out)
	hear := func(text string) {
		t.Helper()
		for line := range heard {
			if strings.Contains(line, text) {
				return
			}
		}
		t.Fatalf("never said: %q", text)
	}
	publish := func(text string) {
		s := fixture.Snapshot()
		r := &s.Runs[4]
		r.Events = append(r.Events, run.Event{Run: r.ID, Trial: -1, Time: fixture.Now, Kind: "state", Text: text})
		v.Publish(s)
	}
	hear("text form")
	publish("the first thing")
	hear("state the first thing")
	typing := func(line string) {
		t.Helper()
		_, err := io.WriteString(typed, line+"\n")
		require.NoError(t, err)
	}
	typing("follow off")
	hear("Following is off.")
	publish("the second thing")
	for seen := false; !seen; { // it is not told, but known
		typing("log 1")
		seen = strings.HasSuffix(<-heard, "the second thing")
	}
	typing("follow on")
	hear("Following is on.")
	publish("the second thing") // nothing new in it
	typing("quit")
	var rest []string
	for line := range heard {
		rest = append(rest, line)
	}
	require.NotContains(t, strings.Join(rest, "\n"), "second")
	require.NoError(t, <-ended)
	typed.Close()
}

// TestTalkEnds with its context, with what it writes to, and with the feed.
func TestTalkEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	in, typed := io.Pipe()
	defer typed.Close()
	cancel()
	require.ErrorIs(t, Talk(ctx, fixture.NewViewer(fixture.Snapshot()), in, io.Discard, Options{}), context.Canceled)
	gone := errors.New("gone")
	out, w := io.Pipe()
	out.CloseWithError(gone)
	require.ErrorIs(t, Talk(t.Context(), fixture.NewViewer(fixture.Snapshot()), in, w, Options{}), gone)
}
