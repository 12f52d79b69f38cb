package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"flexi/core/run"
	"flexi/db"
)

// stormConfig lets every part of a search matter within seconds: both levels, the surrogate, weight transfer after each task, and a checkpoint at
// nearly every step.
const stormConfig = `
preset: demo
space: few.yaml
policy: %s
candidates: 6
initial: 3
levels: [0.6, 0.4]
pretrain: {steps: 8, batch: 4}
finetune: {epochs: 2, batch: 4, limit: 12}
transfer: {threshold: 0.3, per_task: true}
checkpoint_seconds: 0.02
`

const stormSpace = `
name: few
layers: [2]
stack: 2
hidden: [16, 32]
heads: [2]
operations: {self_attention: [sdp], linear_transform: [dft]}
feed_forward: {depths: [1], widths: [32, 64]}
`

// stormDir holds a search under a policy, named by more keys of the configuration, if any.
func stormDir(t *testing.T, policy string) string {
	t.Helper()
	dir := t.TempDir()
	policy, more, _ := strings.Cut(policy, "\n")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "storm.yaml"), append(fmt.Appendf(nil, stormConfig, policy), more...), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "few.yaml"), []byte(stormSpace), 0o600))
	start := "search --config storm.yaml --workspace ws --plain"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "start"), []byte(start), 0o600))
	return dir
}

// startOrResume is the command line that finishes the run of dir, whatever an earlier process has left of it; nil if it is finished.
func startOrResume(t *testing.T, dir string, workers int) *exec.Cmd {
	t.Helper()
	if _, err := os.Stat(filepath.Join(dir, "ws", "flexi.db")); err == nil {
		s, err := db.Open(filepath.Join(dir, "ws"), db.Options{})
		require.NoError(t, err)
		runs, err := s.Runs(t.Context())
		require.NoError(t, err)
		require.NoError(t, s.Close())
		require.Empty(t, s.Notices())
		switch {
		case len(runs) > 0 && runs[0].State == run.Done:
			return nil
		case len(runs) > 0:
			return flexiCommand(t, dir, "resume", runs[0].ID, "--workspace", "ws", "--plain")
		}
	}
	start, err := os.ReadFile(filepath.Join(dir, "start"))
	require.NoError(t, err)
	return flexiCommand(t, dir, append(strings.Fields(string(start)), "--workers", fmt.Sprint(workers))...)
}

// finish runs the search of dir to its end.
func finish(t *testing.T, dir string, workers int) time.Duration {
	t.Helper()
	began := time.Now()
	if cmd := startOrResume(t, dir, workers); cmd != nil {
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	return time.Since(began)
}

// killedAt starts the search of dir and kills the process after a time; false if it had ended before.
func killedAt(t *testing.T, dir string, workers int, after time.Duration) bool {
	t.Helper()
	cmd := startOrResume(t, dir, workers)
	if cmd == nil {
		return false
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Start())
	timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
	err := cmd.Wait()
	killed := !timer.Stop() && err != nil
	if !killed {
		require.NoError(t, err, out.String())
	}
	return killed
}

// outcome is all of a finished search that must not depend on interruptions: its records without times, the policy's state, the curves, and
// the names (hashes) of the weight files.
func outcome(t *testing.T, dir string) string {
	t.Helper()
	ws := filepath.Join(dir, "ws")
	s, err := db.Open(ws, db.Options{})
	require.NoError(t, err)
	defer s.Close()
	var b strings.Builder
	line := func(what string, v any) {
		text, err := json.Marshal(v)
		require.NoError(t, err)
		fmt.Fprintf(&b, "%s %s\n", what, text)
	}
	runs, err := s.Runs(t.Context())
	require.NoError(t, err)
	require.Len(t, runs, 1)
	r := runs[0]
	r.Created, r.Started, r.Ended, r.Seconds = time.Time{}, time.Time{}, time.Time{}, 0
	line("run", r)
	state, err := s.JobState(t.Context(), r.ID)
	require.NoError(t, err)
	line("state", state)
	for _, tr := range trialsOf(t, s) {
		points, err := s.Points(t.Context(), r.ID, tr.ID)
		require.NoError(t, err)
		tr.Proposed, tr.Started, tr.Ended, tr.Seconds = time.Time{}, time.Time{}, time.Time{}, 0
		line("trial", tr)
		line("curves", newest(points))
	}
	require.NoError(t, filepath.WalkDir(filepath.Join(ws, "blobs"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			line("file", d.Name())
		}
		return err
	}))
	return b.String()
}

func trialsOf(t *testing.T, s *db.Store) []run.Trial {
	t.Helper()
	runs, err := s.Runs(t.Context())
	require.NoError(t, err)
	if len(runs) == 0 { // killed before the first of all changes
		return nil
	}
	trials, err := s.Trials(t.Context(), runs[0].ID)
	require.NoError(t, err)
	return trials
}

// newest are the points that count: a training that goes back to a checkpoint stores the same steps again.
func newest(points []run.Point) []run.Point {
	var out []run.Point
	place := map[run.Point]int{}
	for _, p := range points {
		key := run.Point{Series: p.Series, Step: p.Step}
		if i, again := place[key]; again {
			out[i] = p
			continue
		}
		place[key] = len(out)
		out = append(out, p)
	}
	return out
}

// storm kills searches of a policy as stormOf does.
func storm(t *testing.T, policy string, kills int) {
	stormOf(t, kills, func() string { return stormDir(t, policy) })
}

// stormOf kills runs with one worker at random instants until there were so many kills, and compares each finished one with the calm one.
func stormOf(t *testing.T, kills int, newDir func() string) {
	calm := newDir()
	length := finish(t, calm, 1)
	want := outcome(t, calm)
	random := rand.New(rand.NewPCG(uint64(kills), 1))
	done, runs := 0, 0
	for done < kills {
		dir := newDir()
		here := 0
		for ; done < kills && killedAt(t, dir, 1, time.Duration(random.Float64()*float64(length)*0.7)); here++ {
			done++
		}
		finish(t, dir, 1)
		runs++
		checkOnce(t, dir, strings.Count(want, "\ntrial "))
		if got := outcome(t, dir); got != want {
			t.Fatalf("after %d kills the run ended otherwise:\n%s", here, firstDifference(got, want))
		}
	}
	t.Logf("%d kills in %d runs", done, runs)
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf(" got %s\nwant %s", g[i], w[i])
		}
	}
	return fmt.Sprintf("%d lines instead of %d", len(g), len(w))
}

// TestKilledSearchEqualsCalmOne is the promise of flexi: kill -9 at random instants changes no byte of what a search finds.
func TestKilledSearchEqualsCalmOne(t *testing.T) { storm(t, "boshnas", stormKills) }

// TestKilledConfirmationEqualsCalmOne: the same for a search that retrains its best, with and without weight transfer.
func TestKilledConfirmationEqualsCalmOne(t *testing.T) {
	storm(t, "boshnas\nconfirm: {best: 2, repeats: 2}\n", stormKills)
}

// TestKilledHalvingEqualsCalmOne: the same where trainings are stopped at rungs, compared in three objectives.
func TestKilledHalvingEqualsCalmOne(t *testing.T) {
	storm(t, "boshnas\nobjectives: [memory_mb, params]\nhalving: {eta: 2, pretrain: [0.5, 1], tasks: [1]}\n", stormKills)
}

// TestKilledSearchWithThreeWorkers: with several workers the order of results may differ, but no trial is lost, none is finished twice, and
// every finished result is kept.
func TestKilledSearchWithThreeWorkers(t *testing.T) {
	calm := stormDir(t, "boshnas")
	length := finish(t, calm, 3)
	random := rand.New(rand.NewPCG(3, 3))
	for done := 0; done < stormKills/2; {
		dir := stormDir(t, "boshnas")
		before := map[int]run.Trial{}
		for done < stormKills/2 && killedAt(t, dir, 3, time.Duration(random.Float64()*float64(length)*0.7)) {
			done++
			before = checkKept(t, dir, before)
		}
		finish(t, dir, 3)
		after := checkKept(t, dir, before)
		require.Len(t, after, 6)
		for _, tr := range after {
			require.Equal(t, run.Done, tr.State, tr.Error)
		}
		checkOnce(t, dir, 6)
	}
}

// checkKept requires that every trial that was there still is, as it was proposed and, if it was finished, as it was finished.
func checkKept(t *testing.T, dir string, before map[int]run.Trial) map[int]run.Trial {
	t.Helper()
	if _, err := os.Stat(filepath.Join(dir, "ws", "flexi.db")); os.IsNotExist(err) && len(before) == 0 {
		return before
	}
	s, err := db.Open(filepath.Join(dir, "ws"), db.Options{})
	require.NoError(t, err)
	defer s.Close()
	require.Empty(t, s.Notices())
	now := map[int]run.Trial{}
	hashes := map[string]int{}
	for i, tr := range trialsOf(t, s) {
		require.Equal(t, i, tr.ID)
		require.NotContains(t, hashes, tr.Hash, "an architecture was proposed twice")
		hashes[tr.Hash], now[i] = i, tr
		if tr.State != run.Done {
			continue
		}
		f, err := s.OpenBlob(tr.Weights)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	for id, was := range before {
		require.Contains(t, now, id, "a trial is lost")
		if was.State == run.Done {
			require.Equal(t, was, now[id], "a finished trial changed")
		}
		require.Equal(t, was.Hash, now[id].Hash)
	}
	return now
}

// checkOnce requires that the run's history tells of each trial's proposal and of its end once.
func checkOnce(t *testing.T, dir string, want int) {
	t.Helper()
	s, err := db.Open(filepath.Join(dir, "ws"), db.Options{})
	require.NoError(t, err)
	defer s.Close()
	runs, err := s.Runs(t.Context())
	require.NoError(t, err)
	events, err := s.Events(t.Context(), runs[0].ID, 1<<20)
	require.NoError(t, err)
	for _, kind := range []string{"pick", "done or stop"} {
		var trials []int
		for _, e := range events {
			if slices.Contains(strings.Fields(kind), e.Kind) {
				trials = append(trials, e.Trial)
			}
		}
		slices.Sort(trials)
		require.Len(t, trials, want, kind)
		for id, trial := range trials {
			require.Equal(t, id, trial, kind)
		}
	}
}

// TestTerminatedSearchEqualsCalmOne sends SIGTERM instead, at random instants, so that it meets checkpoints half written, openings and proposals: the
// process saves, says how to go on, and exits with 130.
func TestTerminatedSearchEqualsCalmOne(t *testing.T) {
	calm := stormDir(t, "boshnas")
	length := finish(t, calm, 1)
	want := outcome(t, calm)
	random := rand.New(rand.NewPCG(4, 4))
	dir, ended := stormDir(t, "boshnas"), 0
	for range stormKills / 2 {
		cmd := startOrResume(t, dir, 1)
		if cmd == nil {
			break
		}
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		require.NoError(t, cmd.Start())
		timer := time.AfterFunc(time.Duration((0.1+0.3*random.Float64())*float64(length)), func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
		if err := cmd.Wait(); timer.Stop() || err == nil {
			break // it had ended before
		}
		require.Equal(t, exitInterrupted, cmd.ProcessState.ExitCode(), out.String())
		ended++
	}
	finish(t, dir, 1)
	if got := outcome(t, dir); got != want {
		t.Fatalf("after %d times SIGTERM the search ended otherwise:\n%s", ended, firstDifference(got, want))
	}
	t.Logf("%d times SIGTERM", ended)
}

// TestKilledAndDamagedSearchEqualsCalmOne kills a search and cuts its database off: the backup and the journal give back everything, so that the search
// still ends as the calm one.
func TestKilledAndDamagedSearchEqualsCalmOne(t *testing.T) {
	calm := stormDir(t, "boshnas")
	length := finish(t, calm, 1)
	want := outcome(t, calm)
	random := rand.New(rand.NewPCG(6, 6))
	dir := stormDir(t, "boshnas")
	ws := filepath.Join(dir, "ws")
	damaged := 0
	for range stormKills / 2 {
		if !killedAt(t, dir, 1, time.Duration((0.1+0.3*random.Float64())*float64(length))) {
			break
		}
		if backups, err := filepath.Glob(filepath.Join(ws, "backups", "flexi-*.db")); err != nil || len(backups) == 0 {
			continue // it was killed before the first of all changes
		}
		require.NoError(t, os.Truncate(filepath.Join(ws, "flexi.db"), 5000))
		s, err := db.Open(ws, db.Options{})
		require.NoError(t, err)
		require.Len(t, s.Notices(), 1)
		require.NotContains(t, s.Notices()[0], "missing")
		require.NoError(t, s.Close())
		damaged++
	}
	finish(t, dir, 1)
	bad, err := filepath.Glob(filepath.Join(ws, "flexi.db.bad-*"))
	require.NoError(t, err)
	require.NotEmpty(t, bad)
	for _, path := range bad { // what only these name is kept as long as they are there
		require.NoError(t, os.Remove(path))
	}
	if got := outcome(t, dir); got != want {
		t.Fatalf("after %d damages the search ended otherwise:\n%s", damaged, firstDifference(got, want))
	}
	t.Logf("%d damages", damaged)
}
