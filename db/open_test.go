package db

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"flexi/core/run"
)

func TestHeld(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	for name, try := range map[string]func() error{
		"open":  func() error { _, err := Open(dir, Options{}); return err },
		"check": func() error { _, err := Check(dir); return err },
	} {
		err := try()
		if !errors.Is(err, ErrHeld) || !strings.Contains(err.Error(), fmt.Sprintf("process %d since", os.Getpid())) || !strings.Contains(err.Error(), "attach") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); !errors.Is(err, ErrClosed) {
		t.Errorf("second close: %v", err)
	}
	open(t, dir, Options{})
}

func TestNewerSchemaIsRefused(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, Options{}, 1)
	path := filepath.Join(dir, databaseFile)
	setSchema(t, path, schemaVersion+1)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), "update flexi") {
		t.Errorf("opened: %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("the file was changed, %v", err)
	}
	setSchema(t, path, schemaVersion)
}

func setSchema(t *testing.T, path string, version uint32) {
	t.Helper()
	b, err := bbolt.Open(path, 0o600, boltOptions(0))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(metaBucket).Put(schemaKey, seal(metaBucket, schemaKey, binary.BigEndian.AppendUint32(nil, version)))
	}); err != nil {
		t.Fatal(err)
	}
}

func TestSweepRemovesWhatNothingNames(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, Options{}, 3)
	orphan := filepath.Join(dir, blobsFolder, "ab", strings.Repeat("ab", 32))
	for _, path := range []string{
		orphan, filepath.Join(dir, blobsFolder, unfinished+"123"), filepath.Join(dir, unfinished+databaseFile),
		filepath.Join(dir, backupsFolder, unfinished+"7"),
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("left over"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, dir, Options{})
	if st := s.Stats(); st.Blobs != 3 {
		t.Errorf("%d blobs, want 3", st.Blobs)
	}
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if path == orphan || strings.Contains(path, unfinished) {
			t.Errorf("%s is still there", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestHourlyBackups(t *testing.T) {
	dir, clock := t.TempDir(), newClock()
	r := run.Run{Kind: "search", ID: "search-01"}
	// Half an hour passes between two changes. Closing waits for a backup that was asked for.
	session := func(change func(*Store) error) {
		t.Helper()
		s, err := Open(dir, Options{Clock: clock.Now})
		if err != nil {
			t.Fatal(err)
		}
		clock.Advance(30 * time.Minute)
		if err := errors.Join(change(s), s.Close()); err != nil {
			t.Fatal(err)
		}
	}
	session(func(s *Store) error { _, err := s.CreateRun(t.Context(), r); return err })
	for range 60 {
		session(func(s *Store) error { return s.UpdateRun(t.Context(), r) })
	}
	files := backupFiles(dir)
	if len(files) != backupsKept {
		t.Fatalf("%d backups", len(files))
	}
	for i := 1; i < len(files); i++ {
		if gap := backupAge(files[i-1]).Sub(backupAge(files[i])); gap != time.Hour {
			t.Errorf("%v between backups %d and %d", gap, i, i-1)
		}
	}
	session(func(s *Store) error { return s.UpdateRun(t.Context(), r) })
	r.State = run.Done
	clock.Advance(-25 * time.Minute)
	session(func(s *Store) error { return s.UpdateRun(t.Context(), r) })
	if got := backupAge(backupFiles(dir)[0]); !got.Equal(clock.Now()) {
		t.Errorf("the newest backup after the run's end is of %v, now is %v", got, clock.Now())
	}
}

func TestBackupOpens(t *testing.T) {
	dir, copied := t.TempDir(), t.TempDir()
	s := open(t, dir, Options{})
	r, err := s.CreateRun(t.Context(), run.Run{Kind: "search"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.AddEvents(t.Context(), []run.Event{{Run: r.ID, Text: "just now"}}); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(copied, databaseFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Backup(t.Context(), f), f.Close()); err != nil {
		t.Fatal(err)
	}
	c := open(t, copied, Options{})
	if e, err := c.Events(t.Context(), r.ID, 10); err != nil || len(e) != 1 || e[0].Text != "just now" {
		t.Errorf("events %v, %v", e, err)
	}
}

// TestReopenKeepsNumbers: a second session goes on with the numbers of the first.
func TestReopenKeepsNumbers(t *testing.T) {
	dir := t.TempDir()
	var last uint64
	for i := range 3 {
		s := open(t, dir, Options{})
		r, err := s.CreateRun(t.Context(), run.Run{Kind: "search"})
		if err != nil || r.ID != fmt.Sprintf("search-%02d", i+1) {
			t.Fatalf("run %q, %v", r.ID, err)
		}
		e := []run.Event{{Run: r.ID}, {Run: r.ID}}
		if err := s.AddEvents(t.Context(), e); err != nil || e[0].Seq != last+1 || e[1].Seq != last+2 {
			t.Fatalf("events %+v after %d, %v", e, last, err)
		}
		last = e[1].Seq
		if err := s.AddPoints(t.Context(), "search-01", 0, make([]run.Point, 100)); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, dir, Options{})
	if p, err := s.Points(t.Context(), "search-01", 0); err != nil || len(p) != 300 {
		t.Errorf("%d points, %v", len(p), err)
	}
	if e, err := s.Events(t.Context(), "", 100); err != nil || len(e) != 6 {
		t.Errorf("%d events, %v", len(e), err)
	}
}
