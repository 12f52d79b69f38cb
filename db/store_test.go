package db

import (
	"testing"
	"time"

	"flexi/core/run"
	"flexi/core/run/runtest"
)

// open opens a workspace whose files are checked, page by page, at the end of the test.
func open(t *testing.T, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.Close() // the test may have closed it
		if _, err := Check(dir); err != nil {
			t.Errorf("the workspace is not sound after the test: %v", err)
		}
	})
	return s
}

func TestContract(t *testing.T) {
	runtest.TestStore(t, func() run.Store { return open(t, t.TempDir(), Options{}) })
}

// clock is a time that only a test moves.
type clock struct{ now time.Time }

func newClock() *clock { return &clock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) Now() time.Time { return c.now }

func (c *clock) Advance(d time.Duration) { c.now = c.now.Add(d) }
