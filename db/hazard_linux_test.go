package db

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"flexi/core/run"
)

// remount changes the options of a file system that tmpfs mounted.
func remount(t *testing.T, dir string, flags uintptr) {
	t.Helper()
	if err := unix.Mount("flexi-test", dir, "tmpfs", unix.MS_REMOUNT|flags, ""); err != nil {
		t.Fatal(err)
	}
}

// TestReadOnlyFileSystem: a workspace that cannot be written to is refused with a next step; one that becomes so keeps what it acknowledged.
func TestReadOnlyFileSystem(t *testing.T) {
	mount := tmpfs(t, "size=32m")
	dir := filepath.Join(mount, "ws")
	s := open(t, dir, Options{})
	if _, err := s.CreateRun(t.Context(), run.Run{Kind: "search"}); err != nil {
		t.Fatal(err)
	}
	if err := writeTrial(t.Context(), s, "search-01", 0); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	remount(t, mount, unix.MS_RDONLY)
	for _, dir := range []string{dir, filepath.Join(mount, "new")} {
		_, err := Open(dir, Options{})
		if !errors.Is(err, unix.EROFS) || !strings.Contains(err.Error(), "--workspace") {
			t.Errorf("opened on a read-only file system: %v", err)
		}
	}
	remount(t, mount, 0)
	checkTrials(t, dir, 1)
}

// TestFailedSync: the database's own sync fails (its descriptor leads to a device that takes writes and knows no sync). The store refuses further
// changes, and what was acknowledged before is there after the next start.
func TestFailedSync(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	if _, err := s.CreateRun(t.Context(), run.Run{Kind: "search"}); err != nil {
		t.Fatal(err)
	}
	if err := writeTrial(t.Context(), s, "search-01", 0); err != nil {
		t.Fatal(err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if err := unix.Dup3(int(null.Fd()), descriptorOf(t, s.path()), unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	err = writeTrial(t.Context(), s, "search-01", 1)
	if !errors.Is(err, ErrReadOnly) {
		t.Fatalf("after a failed sync: %v", err)
	}
	if err := writeTrial(t.Context(), s, "search-01", 1); !errors.Is(err, ErrReadOnly) {
		t.Errorf("a second try after a failed sync: %v", err)
	}
	s.abandon()
	checkTrials(t, dir, 1)
}

// descriptorOf is the number under which this process has a file open.
func descriptorOf(t *testing.T, path string) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("this system does not tell open files")
	}
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && to == path {
			var fd int
			if _, err := fmt.Sscan(e.Name(), &fd); err != nil {
				t.Fatal(err)
			}
			return fd
		}
	}
	t.Fatalf("%s is not open", path)
	return -1
}
