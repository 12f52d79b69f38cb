package db

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"flexi/core/run"
)

// writerDirEnv makes the test binary append trials to the workspace it names, until somebody kills it.
const writerDirEnv = "FLEXI_TEST_WRITER"

// writeUntilKilled prints the number of each trial after it was acknowledged.
func writeUntilKilled(dir string) {
	err := func() error {
		s, err := Open(dir, Options{})
		if err != nil {
			return err
		}
		ctx := context.Background()
		runs, err := s.Runs(ctx)
		if err == nil && len(runs) == 0 {
			runs = make([]run.Run, 1)
			runs[0], err = s.CreateRun(ctx, run.Run{Kind: "search"})
		}
		if err != nil {
			return err
		}
		trials, err := s.Trials(ctx, runs[0].ID)
		if err != nil {
			return err
		}
		for n := len(trials); ; n++ {
			if err := writeTrial(ctx, s, runs[0].ID, n); err != nil {
				return err
			}
			fmt.Println(n)
		}
	}()
	fmt.Println("error:", err)
	os.Exit(1)
}

// writeTrial stores a trial whose every part tells its number, and so whether the parts belong together.
func writeTrial(ctx context.Context, s *Store, id string, n int) error {
	hash, _, err := s.PutBlob(ctx, func(w io.Writer) error {
		_, err := io.WriteString(w, strings.Repeat(strconv.Itoa(n)+" ", 1000))
		return err
	})
	if err != nil {
		return err
	}
	if err := s.AddPoints(ctx, id, n, []run.Point{{Series: "loss", Step: n, Value: float64(n)}}); err != nil {
		return err
	}
	if err := s.AddEvents(ctx, []run.Event{{Run: id, Trial: n, Kind: "done"}}); err != nil {
		return err
	}
	return s.PutTrial(ctx, run.Trial{Run: id, ID: n, State: run.Done, Weights: hash, Title: strconv.Itoa(n)}, []byte(strconv.Itoa(n)))
}

func TestKilledWriter(t *testing.T) {
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(7, 7))
	total := 0
	for range 10 {
		acknowledged := killWriter(t, dir, time.Duration(20+random.IntN(120))*time.Millisecond)
		total = checkTrialsUpTo(t, dir, max(acknowledged+1, total))
	}
	t.Logf("%d trials, 10 kills", total)
}

// killWriter runs a writer, kills it some time after its first trial, and returns the last number it acknowledged.
func killWriter(t *testing.T, dir string, after time.Duration) int {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), writerDirEnv+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	last := -1
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		n, err := strconv.Atoi(lines.Text())
		if err != nil {
			t.Fatalf("writer: %s", lines.Text())
		}
		if last < 0 {
			time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		}
		last = n
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the writer ended by itself")
	}
	return last
}

// checkPages is bbolt's own check, beside that of takeInventory.
func checkPages(t *testing.T, path string) {
	t.Helper()
	b, err := bbolt.Open(path, 0o600, boltOptions(0))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.View(func(tx *bbolt.Tx) error {
		var wrong []error
		for err := range tx.Check() {
			wrong = append(wrong, err)
		}
		return errors.Join(wrong...)
	}); err != nil {
		t.Errorf("bbolt's check: %v", err)
	}
}

// checkTrialsUpTo requires that at least the first n trials are there and that all parts of each agree, and returns how many there are.
func checkTrialsUpTo(t *testing.T, dir string, n int) int {
	t.Helper()
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := Check(dir); err != nil {
			t.Error(err)
		}
		checkPages(t, filepath.Join(dir, databaseFile))
	}()
	if len(s.Notices()) > 0 {
		t.Errorf("notices: %v", s.Notices())
	}
	trials, err := s.Trials(t.Context(), "search-01")
	if err != nil {
		t.Fatal(err)
	}
	if len(trials) < n {
		t.Fatalf("%d trials of %d acknowledged ones", len(trials), n)
	}
	if state, err := s.JobState(t.Context(), "search-01"); err != nil || string(state) != strconv.Itoa(len(trials)-1) {
		t.Errorf("state %q, %v after %d trials", state, err, len(trials))
	}
	for i, tr := range trials {
		if tr.ID != i || tr.Title != strconv.Itoa(i) {
			t.Fatalf("trial %d says it is %d, %s", i, tr.ID, tr.Title)
		}
		// Everything of a trial arrives before its record, so that it must be there.
		points, err := s.Points(t.Context(), "search-01", i)
		if err != nil || len(points) == 0 || points[0].Value != float64(i) {
			t.Fatalf("trial %d: points %v, %v", i, points, err)
		}
		f, err := s.OpenBlob(tr.Weights)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	events, err := s.Events(t.Context(), "search-01", 1<<30)
	if err != nil || len(events) < len(trials) {
		t.Fatalf("%d events for %d trials, %v", len(events), len(trials), err)
	}
	return len(trials)
}
