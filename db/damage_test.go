package db

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"flexi/core/run"
)

// fill makes a workspace with enough in it for branch pages, inline buckets and several chunks of points.
func fill(t *testing.T, dir string, o Options, trials int) {
	t.Helper()
	s := open(t, dir, o)
	r, err := s.CreateRun(t.Context(), run.Run{Kind: "search", Created: newClock().Now()})
	if err != nil {
		t.Fatal(err)
	}
	for n := range trials {
		if err := writeTrial(t.Context(), s, r.ID, n); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// removeBackups leaves a workspace with nothing to fall back on.
func removeBackups(t *testing.T, dir string) {
	t.Helper()
	for _, path := range backupFiles(dir) {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// used reads a database file without the space behind its last page, which bbolt allocates in advance.
func used(t *testing.T, dir string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, databaseFile))
	if err != nil {
		t.Fatal(err)
	}
	w := &walker{file: bytes.NewReader(b)}
	if err := w.readMeta(uint64(len(b))); err != nil {
		t.Fatal(err)
	}
	return b[:w.meta.high*w.meta.pageSize]
}

// content is everything that a database says, as text, so that two can be compared. stale says that it may lack the last transaction.
func content(file []byte) (text string, stale bool, err error) {
	r := bytes.NewReader(file)
	inv, err := inventoryOf(r, int64(len(file)))
	if err != nil {
		return "", false, err
	}
	var b strings.Builder
	_, err = walk(r, int64(len(file)), func(bucket, key, value []byte) error {
		fmt.Fprintf(&b, "%s %x %x\n", bucket, key, value)
		return nil
	})
	return b.String(), inv.stale, err
}

// checkDamage requires that a damaged file is refused, or says the same as the sound one, or lacks at most the last transaction and says
// so. It reports whether the file was refused.
func checkDamage(t *testing.T, what string, broken []byte, want string) (text string, refused bool) {
	t.Helper()
	got, stale, err := content(broken)
	switch {
	case err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNewer):
		t.Fatalf("%s: %v", what, err)
	case err == nil && got != want && !stale:
		t.Fatalf("%s: the check passed, but the content is another", what)
	}
	return got, err != nil
}

// TestDamageIsDetectedOrHarmless flips bits and cuts the file; bbolt must then read what the check saw.
func TestDamageIsDetectedOrHarmless(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, Options{}, 40)
	sound := used(t, dir)
	want, _, err := content(sound)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	refused := 0
	for i := range 1000 {
		broken := bytes.Clone(sound)
		var what string
		if i%8 == 0 {
			broken = broken[:random.IntN(len(broken))]
			what = fmt.Sprintf("cut to %d bytes", len(broken))
		} else {
			at, bit := random.IntN(len(broken)), random.IntN(8)
			broken[at] ^= 1 << bit
			what = fmt.Sprintf("byte %#x, bit %d", at, bit)
		}
		got, bad := checkDamage(t, what, broken, want)
		switch {
		case bad:
			refused++
		case i%10 == 1 && readByBolt(t, broken) != got:
			t.Fatalf("%s: bbolt reads something else than the check", what)
		}
	}
	if refused < 1000/8 {
		t.Error("some cut files were not refused")
	}
	t.Logf("%d of 1000 damages refused, the others were harmless", refused)
}

// readByBolt is what bbolt finds in a file, in the form of content.
func readByBolt(t testing.TB, file []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), databaseFile)
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := bbolt.Open(path, 0o600, boltOptions(0))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var text strings.Builder
	err = b.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, bucket *bbolt.Bucket) error {
			return bucket.ForEach(func(k, v []byte) error {
				fmt.Fprintf(&text, "%s %x %x\n", name, k, v)
				return nil
			})
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// TestEveryByteIsChecked flips one bit in each byte of a small database.
func TestEveryByteIsChecked(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, Options{}, 2)
	sound := used(t, dir)
	want, _, err := content(sound)
	if err != nil {
		t.Fatal(err)
	}
	for at := range sound {
		bit := byte(1 << (at % 8))
		sound[at] ^= bit
		checkDamage(t, fmt.Sprintf("byte %#x", at), sound, want)
		sound[at] ^= bit
	}
}

// spoil changes a byte in the middle of the first occurrence of text.
func spoil(t *testing.T, path, text string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	i := bytes.Index(b, []byte(text))
	if i < 0 {
		t.Fatalf("%q is not in %s", text, path)
	}
	for ; i >= 0; i = bytes.Index(b, []byte(text)) {
		b[i+len(text)/2]++
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDamagedWithoutBackup(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, Options{}, 5)
	removeBackups(t, dir)
	path := filepath.Join(dir, databaseFile)
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	spoil(t, path, `"Title":"3"`)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(dir, Options{})
	if !errors.Is(err, ErrDamaged) {
		t.Fatalf("opened: %v", err)
	}
	for _, want := range []string{"trial 3 of search-01", "no sound backup", "Nothing was changed", "--workspace"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
	if _, err := Check(dir); !errors.Is(err, ErrDamaged) {
		t.Errorf("check: %v", err)
	}
	after, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the damaged file was changed, %v", err)
	}
	if err := os.WriteFile(path, sound, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDamagedWithBackup(t *testing.T) {
	for _, name := range []string{"value", "cut", "empty", "gone"} {
		t.Run(name, func(t *testing.T) {
			dir, clock := t.TempDir(), newClock()
			o := Options{Clock: clock.Now}
			fill(t, dir, o, 5)
			clock.Advance(2 * time.Hour)
			s := open(t, dir, o)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, databaseFile)
			switch name {
			case "value":
				spoil(t, path, `"Title":"4"`)
			case "cut":
				cut(t, path, 9000)
			case "empty":
				cut(t, path, 0)
			case "gone":
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			}
			// A damaged backup, newer than the sound one, must be passed over.
			bad := filepath.Join(dir, backupsFolder, "flexi-20990101T000000Z.db")
			if err := os.WriteFile(bad, []byte("not a database"), 0o600); err != nil {
				t.Fatal(err)
			}
			clock.Advance(37 * time.Minute)
			s = open(t, dir, o)
			trials, err := s.Trials(t.Context(), "search-01")
			if err != nil || len(trials) != 5 {
				t.Errorf("%d trials, %v", len(trials), err)
			}
			if n := s.Notices(); len(n) != 1 || !strings.Contains(n[0], "37m0s old") {
				t.Errorf("notices: %q", n)
			}
			if _, err := Check(dir); !errors.Is(err, ErrHeld) {
				t.Errorf("check of a workspace in use: %v", err)
			}
			if err := os.Remove(bad); err != nil {
				t.Fatal(err)
			}
			kept, err := filepath.Glob(path + ".bad-*")
			if err != nil || (len(kept) == 1) != (name != "gone") {
				t.Errorf("kept: %v, %v", kept, err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if s = open(t, dir, o); len(s.Notices()) != 0 {
				t.Errorf("the next start says %q", s.Notices())
			}
		})
	}
}

func cut(t *testing.T, path string, size int64) {
	t.Helper()
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
}

// TestRestoreWithoutItsCheckpoints: a backup may name checkpoints that were replaced since; those trials start again.
func TestRestoreWithoutItsCheckpoints(t *testing.T) {
	dir, clock := t.TempDir(), newClock()
	o := Options{Clock: clock.Now}
	s := open(t, dir, o)
	r, err := s.CreateRun(t.Context(), run.Run{Kind: "search"})
	if err != nil {
		t.Fatal(err)
	}
	put := func(n int, content string) run.Trial {
		hash, _, err := s.PutBlob(t.Context(), func(w io.Writer) error { _, err := io.WriteString(w, content); return err })
		if err != nil {
			t.Fatal(err)
		}
		tr := run.Trial{Run: r.ID, ID: n, State: run.Paused, Checkpoint: hash}
		if err := s.PutTrial(t.Context(), tr, nil); err != nil {
			t.Fatal(err)
		}
		return tr
	}
	put(0, "step 1")
	kept := put(1, "other")
	clock.Advance(2 * time.Hour)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, o)
	clock.Advance(time.Minute)
	newer := put(0, "step 2")
	// Without the newest backup it is as if the process had been killed; the journal would give back everything.
	if err := errors.Join(s.Close(), os.Remove(backupFiles(dir)[0]), os.RemoveAll(filepath.Join(dir, journalsFolder))); err != nil {
		t.Fatal(err)
	}
	cut(t, filepath.Join(dir, databaseFile), 100)
	s = open(t, dir, o)
	trials, err := s.Trials(t.Context(), r.ID)
	if err != nil || len(trials) != 2 || trials[0].Checkpoint != "" || trials[1].Checkpoint != kept.Checkpoint {
		t.Errorf("trials %+v, %v", trials, err)
	}
	if !slices.ContainsFunc(s.Notices(), func(n string) bool { return strings.Contains(n, "checkpoint of trial 0 of search-01 is missing") }) {
		t.Errorf("notices: %q", s.Notices())
	}
	if !s.blobs.has(newer.Checkpoint) {
		t.Error("a checkpoint that only the damaged database names is gone")
	}
	bad, err := filepath.Glob(filepath.Join(dir, databaseFile+".bad-*"))
	if err != nil || len(bad) != 1 {
		t.Fatalf("kept: %v, %v", bad, err)
	}
	if err := errors.Join(s.Close(), os.Remove(bad[0])); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, o)
	if st := s.Stats(); st.Blobs != 1 || !s.blobs.has(kept.Checkpoint) {
		t.Errorf("%d blobs, want the one that is still named", st.Blobs)
	}
}

func TestDamagedBlob(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, Options{}, 1)
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	trials, err := s.Trials(t.Context(), "search-01")
	if err != nil {
		t.Fatal(err)
	}
	path := s.blobs.path(trials[0].Weights)
	spoil(t, path, "0 0 0 0")
	if _, err := s.OpenBlob(trials[0].Weights); !errors.Is(err, ErrDamaged) {
		t.Errorf("damaged weights opened: %v", err)
	}
	if err := writeTrial(t.Context(), s, "search-01", 0); err != nil {
		t.Fatal(err)
	}
	if f, err := s.OpenBlob(trials[0].Weights); err != nil {
		t.Errorf("weights written again: %v", err)
	} else {
		f.Close()
	}
	spoil(t, path, "0 0 0 0")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Check(dir); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), path) {
		t.Errorf("check: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := Check(dir); !errors.Is(err, ErrNotFound) {
		t.Errorf("check without the file: %v", err)
	}
	s, err = Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if n := s.Notices(); len(n) != 1 || !strings.Contains(n[0], "weights of trial 0 of search-01 are missing") {
		t.Errorf("notices: %q", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Repeat("0 ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
}
