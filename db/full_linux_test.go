package db

import (
	"context"
	"io"
	"testing"

	"golang.org/x/sys/unix"

	"flexi/core/run"
)

// tmpfs mounts a file system of a few megabytes.
func tmpfs(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("flexi-test", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("mounting a small tmpfs needs more rights than this test has: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

func TestFullDisk(t *testing.T) {
	fillers := map[string]func(ctx context.Context, s *Store, id string, n int) error{
		"by the database": func(ctx context.Context, s *Store, id string, n int) error {
			return s.PutTrial(ctx, run.Trial{Run: id, ID: n, Title: string(make([]byte, 5000))}, []byte{byte(n)})
		},
		"by weights": func(ctx context.Context, s *Store, id string, n int) error {
			hash, _, err := s.PutBlob(ctx, func(w io.Writer) error {
				b := make([]byte, 300_000)
				b[0], b[1] = byte(n), byte(n>>8)
				_, err := w.Write(b)
				return err
			})
			if err != nil {
				return err
			}
			return s.PutTrial(ctx, run.Trial{Run: id, ID: n, Weights: hash}, []byte{byte(n)})
		},
	}
	for name, fill := range fillers {
		t.Run(name, func(t *testing.T) {
			dir := tmpfs(t, "size=4m")
			s := open(t, dir, Options{})
			r, err := s.CreateRun(t.Context(), run.Run{Kind: "search"})
			if err != nil {
				t.Fatal(err)
			}
			n := untilFull(t, s, r.ID, func(n int) error { return fill(t.Context(), s, r.ID, n) })
			if n == 0 {
				t.Fatal("nothing fitted")
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if err := unix.Mount("flexi-test", dir, "tmpfs", unix.MS_REMOUNT, "size=16m"); err != nil {
				t.Fatal(err)
			}
			s = open(t, dir, Options{})
			trials, err := s.Trials(t.Context(), r.ID)
			if err != nil || len(trials) < n {
				t.Errorf("%d trials of %d, %v", len(trials), n, err)
			}
			if err := fill(t.Context(), s, r.ID, len(trials)); err != nil {
				t.Errorf("with more room: %v", err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := Check(dir); err != nil {
				t.Error(err)
			}
		})
	}
}
