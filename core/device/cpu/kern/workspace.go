package kern

import "unsafe"

// vectorBytes is the width of the widest vector and of a cache line: packed panels start on such a border.
const vectorBytes = 64

// Workspace is scratch memory of one thread. It grows to the largest request it has seen and is reused, so a steady state allocates nothing.
// The zero value is ready; a Workspace must not be used by two threads at once.
type Workspace struct {
	panelsA, panelsB []float32
	wide             []float32 // some of a half-width B
	tile             tile
	gemm             gemmJob
}

// grow returns n floats of *buf, 64-byte aligned, with old contents or none; it allocates when the buffer is too small.
func grow(buf *[]float32, n int) []float32 {
	if cap(*buf) < n {
		raw := make([]float32, n+vectorBytes/4)
		skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(raw)))/4) & (vectorBytes/4 - 1)
		*buf = raw[skip : skip+n : skip+n]
	}
	return (*buf)[:n]
}
