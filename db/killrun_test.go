package db

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"flexi/core/run"
	"flexi/core/run/runtest"
)

// searcherDirEnv makes the test binary finish the run in the workspace it names, which it creates or resumes.
const searcherDirEnv = "FLEXI_TEST_SEARCHER"

const trialsOfSearch = 25

func searchUntilKilled(dir string) {
	err := search(dir)
	fmt.Println("end:", err)
	if err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

// search works on the first run of a workspace until it is done.
func search(dir string) error {
	s, err := Open(dir, Options{})
	if err != nil {
		return err
	}
	ctx := context.Background()
	c, err := run.New(ctx, s, []run.Kind{&runtest.Kind{Steps: 10, SaveEvery: 3}}, run.Options{})
	if err != nil {
		return err
	}
	runs, err := s.Runs(ctx)
	if err != nil {
		return err
	}
	fmt.Println("begin")
	if len(runs) == 0 {
		_, err = c.Create(ctx, run.Run{Kind: runtest.KindName, Workers: 1, Budget: trialsOfSearch, Seed: 11, Objective: run.Objective{Name: "sum"}})
	} else {
		_, err = c.Do(ctx, run.Command{Verb: run.Resume, Run: runs[0].ID})
	}
	if err != nil {
		return err
	}
	end, err := c.Wait(ctx, runtest.KindName+"-01")
	if err == nil && end.State != run.Done {
		err = fmt.Errorf("the run is %s: %s", end.State, end.Error)
	}
	if err != nil {
		return err
	}
	return c.Shutdown(ctx)
}

// TestKilledRun kills a process that owns a run, again and again, until one of them comes to the end. The run must end as one does that
// nothing interrupted.
func TestKilledRun(t *testing.T) {
	calm, stormy := t.TempDir(), t.TempDir()
	if err := search(calm); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(3, 3))
	kills := 0
	for range 10 {
		if !killSearcher(t, stormy, time.Duration(random.IntN(60))*time.Millisecond) {
			break
		}
		kills++
		if _, err := Check(stormy); err != nil {
			t.Fatal(err)
		}
	}
	if err := search(stormy); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d kills", kills)
	want, got := results(t, calm), results(t, stormy)
	if len(want) != trialsOfSearch || len(got) != len(want) {
		t.Fatalf("%d trials, uninterrupted %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("trial %d:\n got %s\nwant %s", i, got[i], want[i])
		}
	}
}

// killSearcher reports whether it had to kill: the process may have come to the end.
func killSearcher(t *testing.T, dir string, after time.Duration) bool {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), searcherDirEnv+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	last := ""
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if last = lines.Text(); last == "begin" {
			time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		}
	}
	err = cmd.Wait()
	if err != nil && last != "begin" && last != "end: <nil>" {
		t.Fatalf("searcher: %s, %v", last, err)
	}
	return err != nil
}

// results are what must not depend on interruptions, one line per trial.
func results(t *testing.T, dir string) []string {
	t.Helper()
	s := open(t, dir, Options{})
	trials, err := s.Trials(t.Context(), runtest.KindName+"-01")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, tr := range trials {
		if tr.Score == nil {
			t.Fatalf("trial %d is %s", tr.ID, tr.State)
		}
		lines = append(lines, fmt.Sprintf("%s %x %s %s", tr.Arch, *tr.Score, tr.Weights, tr.State))
	}
	return lines
}
