package db

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"flexi/core/run"
)

// wholeWorkspace has a database, two backups, journals, weights, curves, and a trial in training; it ended without an orderly end.
func wholeWorkspace(t *testing.T) string {
	t.Helper()
	dir, clock := memoryDir(t), newClock()
	o := Options{Clock: clock.Now}
	fill(t, dir, o, 6)
	clock.Advance(2 * time.Hour)
	s := open(t, dir, o)
	for n := 6; n < 9; n++ {
		if err := checkpointed(t, s, n); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.PutView(t.Context(), "search-01", &run.Surrogate{Fitted: 9}); err != nil {
		t.Fatal(err)
	}
	hash, _, err := s.PutBlob(t.Context(), func(w io.Writer) error { _, err := io.WriteString(w, "half trained"); return err })
	if err == nil {
		err = s.PutTrial(t.Context(), run.Trial{Run: "search-01", ID: 9, State: run.Paused, Title: "9", Checkpoint: hash}, []byte("9"))
	}
	if err != nil {
		t.Fatal(err)
	}
	s.killed(t)
	return dir
}

// files are the regular files of a folder and what they hold, the database without the space behind its last page.
func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // of a workspace that is in use
		}
		name, rerr := filepath.Rel(dir, path)
		all[name] = b
		return errors.Join(err, rerr)
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func writeFiles(t *testing.T, dir string, all map[string][]byte) {
	t.Helper()
	for name, b := range all {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, b, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
}

// told is everything a workspace says to somebody who opens it: each trial's line, and all the rest. lost says what it could not read.
func told(ctx context.Context, s *Store) (trials []string, rest string, lost []error) {
	ts, err := s.Trials(ctx, "search-01")
	lost = append(lost, err)
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	for _, tr := range ts {
		line, _ := json.Marshal(tr)
		trials = append(trials, string(line))
		points, err := s.Points(ctx, "search-01", tr.ID)
		lost = append(lost, err, enc.Encode(points))
		for _, hash := range filesOf(tr) {
			if hash == "" {
				continue
			}
			f, err := s.OpenBlob(hash)
			if err != nil {
				lost = append(lost, err)
				continue
			}
			content, err := io.ReadAll(f)
			f.Close()
			lost = append(lost, err, enc.Encode(content))
		}
	}
	runs, err := s.Runs(ctx)
	lost = append(lost, err, enc.Encode(runs))
	state, err := s.JobState(ctx, "search-01")
	lost = append(lost, err, enc.Encode(state))
	events, err := s.Events(ctx, "search-01", 1000)
	lost = append(lost, err, enc.Encode(events))
	view, err := s.View(ctx, "search-01")
	lost = append(lost, err, enc.Encode(view))
	return trials, b.String(), slices.DeleteFunc(lost, func(err error) bool { return err == nil })
}

// TestDamagedWorkspace damages one random file of a workspace, by one byte or by cutting it off. Opening it then says the same as before, or says that
// something is wrong; a trial is never shown with other numbers.
func TestDamagedWorkspace(t *testing.T) {
	dir := wholeWorkspace(t)
	database := used(t, dir)
	sound := files(t, dir)
	sound[databaseFile] = database
	names := weighted(sound)
	first := memoryDir(t)
	writeFiles(t, first, sound)
	s := open(t, first, Options{})
	wantTrials, want, lost := told(t.Context(), s)
	if len(lost) > 0 || len(wantTrials) != 10 || len(s.Notices()) > 0 {
		t.Fatalf("%d trials, %v, %q", len(wantTrials), lost, s.Notices())
	}
	s.abandon()
	random := rand.New(rand.NewPCG(5, 5))
	counts := map[string]int{}
	for range damages {
		name := names[random.IntN(len(names))]
		what, broken := damage(random, sound[name])
		broken = append([]byte{}, broken...)
		all := map[string][]byte{}
		for n, b := range sound {
			all[n] = b
		}
		all[name] = broken
		here := memoryDir(t)
		writeFiles(t, here, all)
		counts[checkDamaged(t, here, name+", "+what, wantTrials, want)]++
		_ = os.RemoveAll(here)
	}
	t.Logf("%d damages: %v", damages, counts)
	if counts["said"] == 0 || counts["harmless"] == 0 {
		t.Error("the damages were all of one sort")
	}
}

// weighted names the database and the weight files more often than the rest.
func weighted(all map[string][]byte) []string {
	var names []string
	for name, b := range all {
		switch {
		case len(b) == 0:
		case name == databaseFile:
			names = append(names, slices.Repeat([]string{name}, len(all))...)
		case strings.HasPrefix(name, blobsFolder):
			names = append(names, name, name)
		default:
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func damage(random *rand.Rand, b []byte) (what string, broken []byte) {
	at := random.IntN(len(b))
	if random.IntN(4) == 0 {
		return fmt.Sprintf("cut to %d bytes", at), b[:at]
	}
	broken = bytes.Clone(b)
	broken[at] ^= byte(1 + random.IntN(255))
	return fmt.Sprintf("byte %d", at), broken
}

// checkDamaged reports whether the damage was harmless, said, or refused.
func checkDamaged(t *testing.T, dir, what string, wantTrials []string, want string) string {
	t.Helper()
	_, found := Check(dir)
	s, err := Open(dir, Options{})
	if err != nil {
		if !errors.Is(err, ErrDamaged) {
			t.Fatalf("%s: %v", what, err)
		}
		return "refused"
	}
	defer s.abandon()
	trials, rest, lost := told(t.Context(), s)
	if len(s.Notices()) == 0 && len(lost) == 0 {
		if !slices.Equal(trials, wantTrials) || rest != want {
			t.Fatalf("%s: another content, and nobody says so", what)
		}
		return "harmless"
	}
	if found == nil {
		t.Errorf("%s: doctor found nothing; notices %q, %v", what, s.Notices(), lost)
	}
	for i, tr := range trials {
		if tr != wantTrials[i] && !missingFile(tr, wantTrials[i]) {
			t.Fatalf("%s: trial %d is shown as\n%s\nand was\n%s", what, i, tr, wantTrials[i])
		}
	}
	return "said"
}

// missingFile reports whether two records of a trial differ in the names of files only.
func missingFile(got, want string) bool {
	var g, w run.Trial
	if json.Unmarshal([]byte(got), &g) != nil || json.Unmarshal([]byte(want), &w) != nil {
		return false
	}
	g.Checkpoint, g.Weights, w.Checkpoint, w.Weights = "", "", "", ""
	a, _ := json.Marshal(g)
	b, _ := json.Marshal(w)
	return bytes.Equal(a, b)
}

// TestCopiedWhileRunning copies a workspace file by file while it is written to. The copy opens with a prefix of the trials, each whole, or is refused as
// damaged.
func TestCopiedWhileRunning(t *testing.T) {
	dir := memoryDir(t)
	s := open(t, dir, Options{})
	if _, err := s.CreateRun(t.Context(), run.Run{Kind: "search"}); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		for n := range 1000 {
			if err := writeTrial(t.Context(), s, "search-01", n); err != nil {
				ended <- err
				return
			}
		}
		ended <- nil
	}()
	copies, opened := 0, 0
	for len(ended) == 0 || copies == 0 {
		here := memoryDir(t)
		writeFiles(t, here, files(t, dir))
		copies++
		c, err := Open(here, Options{})
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Errorf("a copy: %v", err)
			}
			continue
		}
		opened++
		trials, err := c.Trials(t.Context(), "search-01")
		if err != nil {
			t.Error(err)
		}
		checkBackupOf(t, dir, len(trials))
		for i, tr := range trials {
			if tr.ID != i || tr.Title != fmt.Sprint(i) {
				t.Fatalf("trial %d says it is %d, %s", i, tr.ID, tr.Title)
			}
			if tr.Weights == "" {
				continue // notices say so
			}
			f, err := c.OpenBlob(tr.Weights)
			if err != nil {
				t.Fatal(err)
			}
			f.Close()
		}
		c.abandon()
		_ = os.RemoveAll(here)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	t.Logf("%d of %d copies opened", opened, copies)
}

// checkBackupOf takes a copy of a workspace that is written to: it is sound, and holds at least the trials that were there before.
func checkBackupOf(t *testing.T, dir string, least int) {
	t.Helper()
	var b bytes.Buffer
	if err := BackupOf(dir, &b); err != nil {
		t.Error(err)
		return
	}
	inv, err := inventoryOf(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Error(err)
	} else if inv.nTrials < least {
		t.Errorf("a backup with %d trials, there were %d", inv.nTrials, least)
	}
}
