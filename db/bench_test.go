package db

import (
	"testing"

	"flexi/core/run"
)

// BenchmarkPutTrial is the time until a trial with a policy state of 20 kB is durable.
func BenchmarkPutTrial(b *testing.B) {
	s, err := Open(b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	r, err := s.CreateRun(b.Context(), run.Run{Kind: "search"})
	if err != nil {
		b.Fatal(err)
	}
	state := make([]byte, 20_000)
	for n := 0; b.Loop(); n++ {
		if err := s.PutTrial(b.Context(), run.Trial{Run: r.ID, ID: n}, state); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpen is the start on a workspace with 100,000 trials: every page and record checked, and the trials read.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	s, err := Open(dir, Options{})
	if err != nil {
		b.Fatal(err)
	}
	r, err := s.CreateRun(b.Context(), run.Run{Kind: "search"})
	if err != nil {
		b.Fatal(err)
	}
	score := 80.5
	layers := make([]run.LayerRow, 6)
	err = s.writer.commit(b.Context(), func(tx *writing) error {
		for n := range 100_000 {
			t := run.Trial{Run: r.ID, ID: n, Title: "4 layers", State: run.Done, Score: &score, Layers: layers}
			if err := tx.putJSON(trialsBucket, trialKey(r.ID, n), t); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s, err := Open(dir, Options{})
		if err != nil {
			b.Fatal(err)
		}
		trials, err := s.Trials(b.Context(), r.ID)
		if err != nil || len(trials) != 100_000 {
			b.Fatal(len(trials), err)
		}
		b.ReportMetric(float64(s.fileSize.Load())/1e6, "MB")
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
