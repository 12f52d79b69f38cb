package exec

import (
	"cmp"
	"slices"

	"flexi/core/device"
)

// A buffer is the storage of one value: a rows×cols matrix (a vector is one row). It lives in the arena from its first to its last step, or
// is part of another buffer, or is bound to memory outside.
type buffer struct {
	rows, cols int
	dtype      device.DType

	parent *buffer // it is columns [column, column+cols) of parent
	column int
	bound  device.Tensor // external memory
	// pinned buffers stay where they are: something else reads or writes them by their own view.
	pinned bool

	first, last int // steps; -1 before the first use
	offset      int // elements from the start of the arena
	mat         device.Mat
}

func newBuffer(rows, cols int, of device.DType) *buffer {
	return &buffer{rows: rows, cols: cols, dtype: of, first: -1, last: -1}
}

// root is the buffer that owns the storage.
func (b *buffer) root() *buffer {
	for b.parent != nil {
		b = b.parent
	}
	return b
}

// touch extends the life of the storage to a step.
func (b *buffer) touch(step int) {
	r := b.root()
	if r.first < 0 || step < r.first {
		r.first = step
	}
	r.last = max(r.last, step)
}

func (b *buffer) elements() int { return b.rows * b.cols }

// ref is a column range of a buffer.
type ref struct {
	buf           *buffer
	column, width int
}

func whole(b *buffer) ref { return ref{buf: b, width: b.cols} }

func (r ref) isWhole() bool { return r.buf != nil && r.column == 0 && r.width == r.buf.cols }

// mat is the view; empty for the zero ref.
func (r ref) mat() device.Mat {
	switch {
	case r.buf == nil:
		return device.Mat{}
	case r.isWhole():
		return r.buf.mat
	default:
		return r.buf.mat.Columns(r.column, r.width)
	}
}

// alignment of buffers in the arena, in elements (64 bytes).
const alignment = 16

// place assigns arena offsets so that buffers that live at the same time do not overlap, largest first, each at the lowest free offset. It
// returns the arena's size in elements.
func place(buffers []*buffer) int {
	var mine []*buffer
	for _, b := range buffers {
		if b.parent == nil && b.bound.Empty() && b.first >= 0 {
			mine = append(mine, b)
		}
	}
	slices.SortStableFunc(mine, func(a, b *buffer) int { return cmp.Compare(b.elements(), a.elements()) })
	size := 0
	var placed []*buffer // by offset
	for _, b := range mine {
		b.offset = 0
		for _, o := range placed {
			if o.first > b.last || o.last < b.first {
				continue
			}
			if b.offset+aligned(b.elements()) <= o.offset {
				break
			}
			b.offset = max(b.offset, o.offset+aligned(o.elements()))
		}
		at, _ := slices.BinarySearchFunc(placed, b.offset, func(o *buffer, off int) int { return cmp.Compare(o.offset, off) })
		placed = slices.Insert(placed, at, b)
		size = max(size, b.offset+aligned(b.elements()))
	}
	return size
}

func aligned(n int) int { return (n + alignment - 1) / alignment * alignment }
