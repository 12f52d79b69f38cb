package device

import (
	"fmt"
	"math"
	"unsafe"
)

// DType is an element type.
type DType uint8

// Element types.
const (
	F32 DType = iota
	I32
	// BF16 is bfloat16, the upper half of a float32: frozen weights of linear maps, on devices that are HalfWeights.
	BF16
)

// Size is the element size in bytes.
func (d DType) Size() int {
	if d == BF16 {
		return 2
	}
	return 4
}

// ToBF16 rounds to the nearest bfloat16, halves to even. A NaN stays one.
func ToBF16(x float32) uint16 {
	bits := math.Float32bits(x)
	if x != x {
		return uint16(bits>>16) | 1
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

// FromBF16 is exact.
func FromBF16(x uint16) float32 { return math.Float32frombits(uint32(x) << 16) }

// Memory is one allocation. Host memory is visible as bytes; device memory only by its address.
type Memory struct {
	Host  []byte  // nil unless the memory is host memory
	Addr  uintptr // device address, 0 for host memory
	Bytes int
}

// Tensor is a dense, row-major view of a Memory.
type Tensor struct {
	Mem   *Memory
	Off   int // elements from the start of Mem
	Len   int // elements
	DType DType
}

// NewTensor views n elements of m from element off. It panics if they do not fit.
func NewTensor(m *Memory, off, n int, dt DType) Tensor {
	if off < 0 || n < 0 || (off+n)*dt.Size() > m.Bytes {
		panic(fmt.Sprintf("device: view of %d elements at %d does not fit %d bytes", n, off, m.Bytes))
	}
	return Tensor{Mem: m, Off: off, Len: n, DType: dt}
}

// Empty reports whether the view is absent (the zero Tensor).
func (t Tensor) Empty() bool { return t.Mem == nil }

// Slice views elements [off, off+n) of t.
func (t Tensor) Slice(off, n int) Tensor {
	if off < 0 || n < 0 || off+n > t.Len {
		panic(fmt.Sprintf("device: slice [%d:%d] of %d elements", off, off+n, t.Len))
	}
	return Tensor{Mem: t.Mem, Off: t.Off + off, Len: n, DType: t.DType}
}

// Mat views t as a dense rows×cols matrix.
func (t Tensor) Mat(rows, cols int) Mat {
	if rows*cols > t.Len {
		panic(fmt.Sprintf("device: %d×%d matrix in %d elements", rows, cols, t.Len))
	}
	return Mat{T: t, Rows: rows, Cols: cols, Stride: cols}
}

// F32 is the view as a slice; only for host memory of type F32.
func (t Tensor) F32() []float32 {
	if t.Len == 0 {
		return nil
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(&t.Mem.Host[t.Off*4])), t.Len)
}

// I32 is the view as a slice; only for host memory of type I32.
func (t Tensor) I32() []int32 {
	if t.Len == 0 {
		return nil
	}
	return unsafe.Slice((*int32)(unsafe.Pointer(&t.Mem.Host[t.Off*4])), t.Len)
}

// BF16 is the view as a slice; only for host memory of type BF16.
func (t Tensor) BF16() []uint16 {
	if t.Len == 0 {
		return nil
	}
	return unsafe.Slice((*uint16)(unsafe.Pointer(&t.Mem.Host[t.Off*2])), t.Len)
}

// Mat is a row-major float32 matrix view with a row stride, in elements.
type Mat struct {
	T                  Tensor
	Rows, Cols, Stride int
}

// Empty reports whether the view is absent (the zero Mat).
func (m Mat) Empty() bool { return m.T.Mem == nil }

// Columns views n columns from column c.
func (m Mat) Columns(c, n int) Mat {
	if c < 0 || n < 0 || c+n > m.Cols {
		panic(fmt.Sprintf("device: columns [%d:%d] of %d", c, c+n, m.Cols))
	}
	last := (m.Rows-1)*m.Stride + n
	if m.Rows == 0 {
		last = 0
	}
	return Mat{T: m.T.Slice(c, last), Rows: m.Rows, Cols: n, Stride: m.Stride}
}

// RowsView views n rows from row r.
func (m Mat) RowsView(r, n int) Mat {
	if r < 0 || n < 0 || r+n > m.Rows {
		panic(fmt.Sprintf("device: rows [%d:%d] of %d", r, r+n, m.Rows))
	}
	if n == 0 {
		return Mat{T: m.T.Slice(0, 0), Cols: m.Cols, Stride: m.Stride}
	}
	return Mat{T: m.T.Slice(r*m.Stride, (n-1)*m.Stride+m.Cols), Rows: n, Cols: m.Cols, Stride: m.Stride}
}
