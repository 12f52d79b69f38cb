package db

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"flexi/core/run"
)

// killed ends a session as SIGKILL does: without a last transaction and without a backup.
func (s *Store) killed(t *testing.T) {
	t.Helper()
	s.closing.Do(func() {
		s.closed.Store(true)
		s.writer.stop()
		s.backups.changed.Store(false)
		s.backups.stop()
		if err := errors.Join(s.journal.close(), s.bolt.Close(), unlock(s.lock)); err != nil {
			t.Fatal(err)
		}
	})
}

// damagedWorkspace has a backup, changes after it, and a database that cannot be used; want is what that held.
func damagedWorkspace(t *testing.T, clock *clock) (dir, want string) {
	t.Helper()
	dir = t.TempDir()
	fill(t, dir, Options{Clock: clock.Now}, 3)
	clock.Advance(time.Minute)
	s := open(t, dir, Options{Clock: clock.Now})
	for n := 3; n < 20; n++ {
		if err := writeTrial(t.Context(), s, "search-01", n); err != nil {
			t.Fatal(err)
		}
	}
	s.killed(t)
	want, _, err := content(used(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	cut(t, filepath.Join(dir, databaseFile), 5000)
	return dir, want
}

func TestJournalGivesBackEveryChange(t *testing.T) {
	clock := newClock()
	dir, want := damagedWorkspace(t, clock)
	s := open(t, dir, Options{Clock: clock.Now})
	if n := s.Notices(); len(n) != 1 || !strings.Contains(n[0], "the journal gave back the ") {
		t.Errorf("notices: %q", n)
	}
	s.killed(t)
	if got, _, err := content(used(t, dir)); err != nil || got != want {
		t.Errorf("the database came back as another, %v", err)
	}
	// The journal goes on where it was: a second damage loses nothing, either.
	s = open(t, dir, Options{Clock: clock.Now})
	if err := writeTrial(t.Context(), s, "search-01", 20); err != nil {
		t.Fatal(err)
	}
	s.killed(t)
	if files := journalFiles(dir); len(files) != 2 { // the empty workspace's, and the one that began with the first change
		t.Errorf("journals: %v", files)
	}
	cut(t, filepath.Join(dir, databaseFile), 5000)
	s = open(t, dir, Options{Clock: clock.Now}) // at the same second: the first damaged file stays, too
	s.killed(t)
	if bad, err := filepath.Glob(filepath.Join(dir, databaseFile+".bad-*")); err != nil || len(bad) != 2 {
		t.Errorf("kept: %v, %v", bad, err)
	}
	checkTrials(t, dir, 21)
}

func checkTrials(t *testing.T, dir string, want int) {
	t.Helper()
	s := open(t, dir, Options{})
	trials, err := s.Trials(t.Context(), "search-01")
	if err != nil || len(trials) != want {
		t.Errorf("%d trials, want %d, %v", len(trials), want, err)
	}
}

// TestDamagedJournal: with both the database and its journal damaged, flexi says that something is missing.
func TestDamagedJournal(t *testing.T) {
	for name, damage := range map[string]func(path string, size int64) error{
		"cut":     func(path string, size int64) error { return os.Truncate(path, size-10) },
		"flipped": func(path string, size int64) error { return flip(path, size/2) },
		"head":    func(path string, _ int64) error { return flip(path, 13) },
		"gone":    func(path string, _ int64) error { return os.Remove(path) },
	} {
		t.Run(name, func(t *testing.T) {
			clock := newClock()
			dir, _ := damagedWorkspace(t, clock)
			files := journalFiles(dir)
			path := files[len(files)-1]
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := damage(path, info.Size()); err != nil {
				t.Fatal(err)
			}
			s := open(t, dir, Options{Clock: clock.Now})
			if n := s.Notices(); len(n) != 1 || !strings.Contains(n[0], "missing") {
				t.Errorf("notices: %q", n)
			}
			trials, err := s.Trials(t.Context(), "search-01")
			if err != nil || len(trials) < 3 || len(trials) == 20 {
				t.Errorf("%d trials, %v", len(trials), err)
			}
			// What was set aside must not come back, and what is new must.
			if err := writeTrial(t.Context(), s, "search-01", len(trials)); err != nil {
				t.Fatal(err)
			}
			clock.Advance(time.Second)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			cut(t, filepath.Join(dir, databaseFile), 5000)
			checkTrials(t, dir, len(trials)+1)
		})
	}
}

func flip(path string, at int64) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	b[at] ^= 0x10
	return os.WriteFile(path, b, 0o600)
}

// TestLostHeadIsDoneAgain: the newest head page is unreadable, so the database is one transaction behind; the journal has it.
func TestLostHeadIsDoneAgain(t *testing.T) {
	for page := range int64(2) {
		dir := t.TempDir()
		fill(t, dir, Options{}, 4)
		want, _, err := content(used(t, dir))
		if err != nil {
			t.Fatal(err)
		}
		if err := flip(filepath.Join(dir, databaseFile), page*int64(os.Getpagesize())+40); err != nil {
			t.Fatal(err)
		}
		s := open(t, dir, Options{})
		s.killed(t)
		if got, _, err := content(used(t, dir)); err != nil || got != want {
			t.Errorf("head %d: the last change is missing, %v", page, err)
		}
		s = open(t, dir, Options{})
		if err := writeTrial(t.Context(), s, "search-01", 4); err != nil { // the next change repairs the page
			t.Fatal(err)
		}
	}
}

// TestJournalsBeginWithBackups: an hour's journal ends with a backup, and those that the newest backups do not need go.
func TestJournalsBeginWithBackups(t *testing.T) {
	dir, clock := t.TempDir(), newClock()
	s := open(t, dir, Options{Clock: clock.Now})
	if _, err := s.CreateRun(t.Context(), run.Run{Kind: "search"}); err != nil {
		t.Fatal(err)
	}
	for n := range 8 {
		clock.Advance(time.Hour)
		if err := writeTrial(t.Context(), s, "search-01", n); err != nil {
			t.Fatal(err)
		}
		waitForBackup(t, dir, clock.Now())
	}
	s.killed(t)
	if n := len(journalFiles(dir)); n < 2 || n > journaled+1 {
		t.Errorf("%d journals", n)
	}
	want, _, err := content(used(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	// Each of the newest backups and the journals make the same database.
	for range journaled {
		if err := os.Remove(filepath.Join(dir, databaseFile)); err != nil {
			t.Fatal(err)
		}
		s = open(t, dir, Options{Clock: clock.Now})
		s.killed(t)
		if got, _, err := content(used(t, dir)); err != nil || got != want {
			t.Errorf("from %s: another database, %v, %q", backupFiles(dir)[0], err, s.Notices())
		}
		if err := os.Remove(backupFiles(dir)[0]); err != nil {
			t.Fatal(err)
		}
	}
}

// schema1 is a database of layout 1: the backup that fill with three trials left at commit 87a7700.
func schema1(t testing.TB) []byte {
	t.Helper()
	packed, err := os.Open("testdata/schema1.db.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	r, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	old, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return old
}

func TestOlderLayout(t *testing.T) {
	dir := t.TempDir()
	old := schema1(t)
	path := filepath.Join(dir, databaseFile)
	if err := os.WriteFile(path, old, 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, Options{})
	if n := strings.Join(s.Notices(), "\n"); !strings.Contains(n, "changed from 1 to 2") || !strings.Contains(n, "flexi.db.v1") {
		t.Errorf("notices: %q", n)
	}
	trials, err := s.Trials(t.Context(), "search-01")
	if err != nil || len(trials) != 3 || trials[2].Title != "2" {
		t.Errorf("trials %+v, %v", trials, err)
	}
	if err := s.PutView(t.Context(), "search-01", &run.Surrogate{Fitted: 3}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	want, _, err := content(old)
	if err != nil {
		t.Fatal(err)
	}
	copied, err := os.ReadFile(path + ".v1")
	if err != nil {
		t.Fatal(err)
	}
	if got, _, err := content(copied); err != nil || got != want {
		t.Errorf("the copy is another database, %v", err)
	}
	if s = open(t, dir, Options{}); len(s.Notices()) != 0 {
		t.Errorf("the next start says %q", s.Notices())
	}
	if v, err := s.View(t.Context(), "search-01"); err != nil || v == nil || v.Fitted != 3 {
		t.Errorf("view %+v, %v", v, err)
	}
}

func TestTransactionsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.SliceOfN(rapid.Byte(), 0, 20)
		puts := rapid.SliceOf(rapid.Custom(func(t *rapid.T) put {
			return put{part.Draw(t, "bucket"), part.Draw(t, "key"), part.Draw(t, "value")}
		})).Draw(t, "puts")
		after := position{rapid.Uint64Max(1<<60).Draw(t, "transaction"), rapid.Uint64().Draw(t, "chain")}
		b, end := encodeTransaction(7, after, puts)
		got, err := decodeTransaction(nextRecord(bytes.NewReader(b), 7, int64(len(b))))
		if err != nil || got.after != after || got.end != end || fmt.Sprint(got.puts) != fmt.Sprint(puts) {
			t.Fatalf("%+v %v became %+v, %v", after, puts, got, err)
		}
		at := rand.IntN(len(b))
		b[at] ^= 1
		if nextRecord(bytes.NewReader(b), 7, int64(len(b))) != nil {
			t.Fatalf("a record with byte %d changed is read", at)
		}
	})
}

// TestForeignDatabase: a database of another history in the place of this one takes nothing from its journals, also where the numbers would fit.
func TestForeignDatabase(t *testing.T) {
	ours, other := t.TempDir(), t.TempDir()
	fill(t, ours, Options{}, 9)
	fill(t, other, Options{}, 4)
	want, _, err := content(used(t, other))
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(other, databaseFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(ours, databaseFile), b, 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, ours, Options{}) // the weights of both are the same
	s.abandon()
	if got, _, err := content(used(t, ours)); err != nil || got != want {
		t.Errorf("the foreign database was changed, %v", err)
	}
	if s = open(t, ours, Options{}); len(s.Notices()) > 0 {
		t.Errorf("notices: %q", s.Notices())
	}
	if err := writeTrial(t.Context(), s, "search-01", 4); err != nil {
		t.Error(err)
	}
}
