package run

import (
	"context"
	"sync"
	"testing"
)

// TestStalledSubscriber: 20 subscribers, one of which never reads, and nobody waits for anybody.
func TestStalledSubscriber(t *testing.T) {
	h := newHub()
	stalled := h.subscribe(t.Context())
	var readers sync.WaitGroup
	const last = 1000
	for range 19 {
		box := h.subscribe(t.Context())
		readers.Go(func() {
			seen := -1
			for s := range box {
				n := s.System.PID
				if n <= seen {
					t.Errorf("snapshot %d after %d", n, seen)
				}
				if seen = n; n == last {
					return
				}
			}
			t.Error("the mailbox closed")
		})
	}
	for n := range last + 1 {
		h.publish(&Snapshot{System: System{PID: n}})
	}
	readers.Wait()
	if s := <-stalled; s.System.PID != last {
		t.Errorf("the stalled one finds snapshot %d", s.System.PID)
	}
	if h.dropped < last {
		t.Errorf("%d snapshots dropped, the stalled subscriber alone missed %d", h.dropped, last)
	}
	late := h.subscribe(t.Context())
	if s := <-late; s.System.PID != last {
		t.Errorf("a late subscriber finds snapshot %d", s.System.PID)
	}
	h.close()
	if _, open := <-late; open {
		t.Error("a mailbox outlived the hub")
	}
	if _, open := <-h.subscribe(t.Context()); open {
		t.Error("a closed hub gives out open mailboxes")
	}
}

func TestSubscriptionEndsWithItsContext(t *testing.T) {
	h := newHub()
	ctx, cancel := context.WithCancel(t.Context())
	box := h.subscribe(ctx)
	cancel()
	if _, open := <-box; open {
		t.Error("a snapshot came from nowhere")
	}
	h.publish(&Snapshot{})
}
