package exec

import (
	"testing"

	"pgregory.net/rapid"

	"flexi/core/device"
)

// Buffers that live at the same time never overlap, every buffer is aligned, and the arena is no larger than all of them and no smaller than the
// most that lives at once.
func TestPlacement(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var buffers []*buffer
		total := 0
		for range rapid.IntRange(0, 40).Draw(t, "buffers") {
			b := newBuffer(rapid.IntRange(0, 5).Draw(t, "rows"), rapid.IntRange(1, 40).Draw(t, "cols"), device.F32)
			b.first = rapid.IntRange(0, 20).Draw(t, "first")
			b.last = b.first + rapid.IntRange(0, 10).Draw(t, "length")
			total += aligned(b.elements())
			buffers = append(buffers, b)
		}
		size := place(buffers)
		if size > total {
			t.Fatalf("arena of %d, buffers of %d", size, total)
		}
		for step := range 31 {
			live := 0
			for _, b := range buffers {
				if b.first <= step && step <= b.last {
					live += aligned(b.elements())
				}
			}
			if size < live {
				t.Fatalf("arena of %d, %d live at step %d", size, live, step)
			}
		}
		for i, a := range buffers {
			if a.offset%alignment != 0 || a.offset+a.elements() > size {
				t.Fatalf("buffer of %d at %d of %d", a.elements(), a.offset, size)
			}
			for _, b := range buffers[:i] {
				apart := a.last < b.first || b.last < a.first || a.offset+a.elements() <= b.offset || b.offset+b.elements() <= a.offset
				if !apart && a.elements() > 0 && b.elements() > 0 {
					t.Fatalf("[%d,%d] at %d+%d and [%d,%d] at %d+%d overlap", a.first, a.last, a.offset, a.elements(), b.first, b.last, b.offset, b.elements())
				}
			}
		}
	})
}
