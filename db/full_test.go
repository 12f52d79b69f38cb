package db

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"flexi/core/run"
)

// untilFull stores trials until the store refuses, and returns how many it acknowledged.
func untilFull(t *testing.T, s *Store, id string, store func(n int) error) int {
	t.Helper()
	for n := range 100_000 {
		err := store(n)
		if err == nil {
			continue
		}
		if !errors.Is(err, ErrReadOnly) || !strings.Contains(err.Error(), "start flexi again") {
			t.Fatalf("trial %d: %v", n, err)
		}
		if s.Stats().ReadOnly == "" {
			t.Error("the statistics do not say that the store is read-only")
		}
		again := s.UpdateRun(t.Context(), run.Run{ID: id})
		_, _, blob := s.PutBlob(t.Context(), func(io.Writer) error { return nil })
		for what, err := range map[string]error{
			"run": again, "blob": blob, "points": s.AddPoints(t.Context(), id, 0, nil), "events": s.AddEvents(t.Context(), nil),
		} {
			if !errors.Is(err, ErrReadOnly) {
				t.Errorf("%s after the disk was full: %v", what, err)
			}
		}
		if trials, err := s.Trials(t.Context(), id); err != nil || len(trials) < n {
			t.Errorf("the full store reads %d trials of %d, %v", len(trials), n, err)
		}
		return n
	}
	t.Fatal("the disk never filled")
	return 0
}

func TestFullDatabase(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{MaxSize: 1 << 20})
	r, err := s.CreateRun(t.Context(), run.Run{Kind: "search"})
	if err != nil {
		t.Fatal(err)
	}
	title := strings.Repeat("x", 50_000)
	n := untilFull(t, s, r.ID, func(n int) error {
		return s.PutTrial(t.Context(), run.Trial{Run: r.ID, ID: n, Title: title}, []byte{byte(n)})
	})
	if n == 0 {
		t.Fatal("nothing fitted")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, Options{})
	if trials, err := s.Trials(t.Context(), r.ID); err != nil || len(trials) != n {
		t.Errorf("%d trials of %d, %v", len(trials), n, err)
	}
	if state, err := s.JobState(t.Context(), r.ID); err != nil || !bytes.Equal(state, []byte{byte(n - 1)}) {
		t.Errorf("state %v, %v", state, err)
	}
	if err := s.PutTrial(t.Context(), run.Trial{Run: r.ID, ID: n}, nil); err != nil {
		t.Errorf("with more room: %v", err)
	}
}
