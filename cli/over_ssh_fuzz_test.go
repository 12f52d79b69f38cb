package cli

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"flexi/core/run"
	"flexi/tui/remote"
)

// looker is a workspace with one finished run, that refuses all commands.
type looker struct{ snapshot *run.Snapshot }

func (l looker) Subscribe(ctx context.Context) <-chan *run.Snapshot {
	box := make(chan *run.Snapshot, 1)
	box <- l.snapshot
	context.AfterFunc(ctx, func() { close(box) })
	return box
}

func (looker) Do(context.Context, run.Command) (run.Reply, error) {
	return run.Reply{Text: "no", Refused: true}, nil
}

func (looker) Inspect(context.Context, string, int) (run.Inspection, error) {
	return run.Inspection{}, errors.New("not here")
}

func (looker) Points(context.Context, string, int) ([]run.Point, error) { return nil, nil }

// FuzzCommandsOverSSH: whatever words somebody sends, the answer is an exit code of the contract; nothing panics, and no file appears.
func FuzzCommandsOverSSH(f *testing.F) {
	for _, line := range []string{
		"status", "runs --json", "show search-01", "show search-01 0 --json", "pause search-01", "export search-01 --format csv", "export search-01 --out x", "watch search-01", "plain",
		"resume search-01 --config /etc/passwd", "branch search-01 --trials -3", "backup", "freeze search-01 --rule topk=1", "search --demo", "$(reboot)", "; ls", "--help", "\x00", "show \xff --workspace /", "help runs",
	} {
		f.Add(line, true)
		f.Add(line, false)
	}
	dir := f.TempDir()
	require.NoError(f, os.Chdir(dir))
	score := 80.5
	s := &run.Snapshot{Runs: []run.RunView{{Run: run.Run{ID: "search-01", Kind: "search", State: run.Done}, Trials: []*run.Trial{{State: run.Done, Score: &score, Parent: -1}}, BestSoFar: []float64{score}, Done: 1}}}
	f.Fuzz(func(t *testing.T, line string, operator bool) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var out, fail bytes.Buffer
		a := &app{workspace: dir, device: "auto"}
		code := (&workspace{}).commands(a)(ctx, remote.Request{
			Args: strings.Fields(line), Viewer: looker{s}, Operator: operator, In: strings.NewReader("status\nquit\n"), Out: &out, Err: &fail,
		})
		require.True(t, slices.Contains([]int{exitDone, exitError, exitUsage, exitRefused}, code), "%q: exit code %d", line, code)
		if code != exitDone {
			require.NotEmpty(t, out.String()+fail.String(), "%q ends with %d without a word", line, code)
		}
		require.NoError(t, ctx.Err(), "%q does not end", line)
		files, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Empty(t, files, "%q leaves files", line)
	})
}
