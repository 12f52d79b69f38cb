package db

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
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
	open(t, dir, Options{})
}

func TestHeldByAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), writerDirEnv+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// Its first line says that it has the workspace; from then on nobody reads, until the kill.
	_, err = out.Read(make([]byte, 1))
	_, held := Open(dir, Options{})
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if !errors.Is(held, ErrHeld) || !strings.Contains(held.Error(), fmt.Sprintf("process %d since", cmd.Process.Pid)) {
		t.Errorf("opened beside another process: %v", held)
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
	if err := os.RemoveAll(filepath.Join(dir, journalsFolder)); err != nil { // it knows nothing of these changes
		t.Fatal(err)
	}
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
	s := open(t, dir, Options{Clock: clock.Now})
	r, err := s.CreateRun(t.Context(), run.Run{Kind: "search"})
	if err != nil {
		t.Fatal(err)
	}
	begin := clock.Now()
	waitForBackup(t, dir, begin)
	for half := 1; half <= 6; half++ {
		clock.Advance(30 * time.Minute)
		if err := s.UpdateRun(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if half%2 == 0 {
			waitForBackup(t, dir, clock.Now())
		}
	}
	clock.Advance(5 * time.Minute)
	r.State = run.Done
	if err := s.UpdateRun(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	waitForBackup(t, dir, clock.Now())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var after []string
	for _, path := range backupFiles(dir) {
		after = append(after, backupAge(path).Sub(begin).String())
	}
	if got := strings.Join(after, " "); got != "3h5m0s 3h0m0s 2h0m0s 1h0m0s 0s" {
		t.Errorf("backups after %s", got)
	}
}

// waitForBackup waits until the newest backup is of a time.
func waitForBackup(t *testing.T, dir string, at time.Time) {
	t.Helper()
	require.Eventually(t, func() bool {
		files := backupFiles(dir)
		return len(files) > 0 && backupAge(files[0]).Equal(at)
	}, 20*time.Second, time.Millisecond, "no backup of %v", at)
}

func TestBackupWhenClosed(t *testing.T) {
	dir, clock := t.TempDir(), newClock()
	session := func(change func(*Store) error) {
		t.Helper()
		s, err := Open(dir, Options{Clock: clock.Now})
		if err != nil {
			t.Fatal(err)
		}
		clock.Advance(time.Minute)
		if err := errors.Join(change(s), s.Close()); err != nil {
			t.Fatal(err)
		}
	}
	session(func(*Store) error { return nil })
	if files := backupFiles(dir); len(files) != 0 {
		t.Errorf("an empty workspace has backups: %v", files)
	}
	for range backupsKept + 3 {
		session(func(s *Store) error {
			return s.AddEvents(t.Context(), []run.Event{{Text: "just now"}})
		})
	}
	if got := backupAge(backupFiles(dir)[0]); !got.Equal(clock.Now()) {
		t.Errorf("the newest backup is of %v, the last change of %v", got, clock.Now())
	}
	session(func(*Store) error { return nil })
	files := backupFiles(dir)
	if len(files) != backupsKept {
		t.Errorf("%d backups", len(files))
	}
	if got := backupAge(files[0]); got.Equal(clock.Now()) {
		t.Error("a session without changes left a backup")
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
