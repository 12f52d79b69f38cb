package run

import (
	"context"
	"sync"
)

// hub hands the newest snapshot to every subscriber through a channel of one: a subscriber that is slow finds only the newest, and one that never reads
// blocks nobody.
type hub struct {
	mu      sync.Mutex
	boxes   map[chan *Snapshot]struct{}
	latest  *Snapshot
	dropped uint64
	closed  bool
}

func newHub() *hub { return &hub{boxes: map[chan *Snapshot]struct{}{}} }

func (h *hub) publish(s *Snapshot) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	s.Dropped = h.dropped
	h.latest = s
	for box := range h.boxes {
		select {
		case <-box:
			h.dropped++
		default:
		}
		box <- s
	}
}

// subscribe returns a mailbox that closes with ctx or with the hub.
func (h *hub) subscribe(ctx context.Context) <-chan *Snapshot {
	box := make(chan *Snapshot, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		close(box)
		return box
	}
	h.boxes[box] = struct{}{}
	if h.latest != nil {
		box <- h.latest
	}
	context.AfterFunc(ctx, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.remove(box)
	})
	return box
}

func (h *hub) remove(box chan *Snapshot) {
	if _, ok := h.boxes[box]; ok {
		delete(h.boxes, box)
		close(box)
	}
}

func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for box := range h.boxes {
		h.remove(box)
	}
}
