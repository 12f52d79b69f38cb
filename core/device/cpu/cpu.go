// Package cpu is the device that computes on this machine's processor: Go around the kernels of cpu/kern, on a fixed team of threads.
//
// The same inputs give the same bits for any number of threads: work is cut into tasks whose number and size depend on shapes alone, and partial
// results are summed in the order of the tasks.
package cpu

import (
	"context"
	"fmt"
	"unsafe"

	"flexi/core/device"
	"flexi/core/device/cpu/kern"
)

// Device computes on a team of threads. It is used by one goroutine at a time.
type Device struct {
	t      *kern.Table
	bf16   bool // products of linear maps round their operands to bfloat16
	pool   *kern.Pool
	own    [][]float32 // scratch per worker, grown on demand
	common []float32   // scratch of the running kernel
	parts  []float32   // partial results of attention's backward kernel
	waves  map[waveKey][]float32

	call call
	job  job
	// Methods as functions, bound once.
	runPiece    func(task, worker int)
	finishBlock func(worker, row0, row1, col0, col1 int)
	biasBlock   func(worker, row0, row1, col0, col1 int)
}

var (
	_ device.Device = (*Device)(nil)
)

// New starts a device with the given number of threads, at the instruction-set level that FLEXI_CPU names or the machine supports, and in the
// precision that Resolve gives.
func New(threads int, p device.Precision) (*Device, error) {
	p, err := Resolve(p)
	if err != nil {
		return nil, err
	}
	level, err := kern.FromEnv()
	if err != nil {
		return nil, err
	}
	return newLevel(level, threads, p == device.PrecisionBF16)
}

func newLevel(level kern.Level, threads int, bf16 bool) (*Device, error) {
	if threads < 1 {
		return nil, fmt.Errorf("start CPU device: %d threads, must be at least 1", threads)
	}
	t, err := kern.For(level)
	if err != nil {
		return nil, err
	}
	d := &Device{t: t, bf16: bf16, pool: kern.NewPool(threads), own: make([][]float32, threads), waves: map[waveKey][]float32{}}
	d.runPiece, d.finishBlock, d.biasBlock = d.piece, d.finish, d.call.loss.addBias
	return d, nil
}

// Name is "cpu".
func (d *Device) Name() string { return "cpu" }

// Describe names the instruction set and the threads.
func (d *Device) Describe() string {
	if n := d.pool.Threads(); n > 1 {
		return fmt.Sprintf("CPU %s, %d threads", d.t.Level, n)
	}
	return fmt.Sprintf("CPU %s, 1 thread", d.t.Level)
}

// Precision is what products of linear maps are computed in: F32 or BF16.
func (d *Device) Precision() device.Precision {
	if d.bf16 {
		return device.PrecisionBF16
	}
	return device.PrecisionF32
}

// PeakFlops measures what the multiply-add units reach together in the device's precision, in operations per second.
func (d *Device) PeakFlops() float64 { return d.t.PeakFlops(d.pool, d.bf16) }

// alignment of allocations, the width of an AVX-512 register and of a cache line.
const alignment = 64

// maxBytes bounds one allocation, so that a wrong size is an error and not the end of the process.
const maxBytes = 1 << 40

// Alloc returns zeroed, aligned host memory, or an error if the machine has not so much.
func (d *Device) Alloc(bytes int) (*device.Memory, error) {
	if bytes < 0 || bytes > maxBytes {
		return nil, fmt.Errorf("allocate %d bytes on the CPU: out of range", bytes)
	}
	if err := reserve(bytes); err != nil {
		return nil, err
	}
	raw := make([]byte, bytes+alignment)
	shift := int(-uintptr(unsafe.Pointer(&raw[0])) & (alignment - 1))
	return &device.Memory{Host: raw[shift : shift+bytes : shift+bytes], Bytes: bytes}, nil
}

// Free lets the memory be collected.
func (d *Device) Free(m *device.Memory) {
	live.Add(-int64(m.Bytes))
	m.Host, m.Bytes = nil, 0
}

// UploadF32 copies host values into a view.
func (d *Device) UploadF32(dst device.Tensor, src []float32) {
	if dst.DType != device.BF16 {
		copyExact(dst.F32(), src)
		return
	}
	sameLength(dst.Len, len(src))
	for i, x := range src {
		dst.BF16()[i] = device.ToBF16(x)
	}
}

// UploadI32 copies host values into a view.
func (d *Device) UploadI32(dst device.Tensor, src []int32) { copyExact(dst.I32(), src) }

// DownloadF32 copies a view to the host.
func (d *Device) DownloadF32(dst []float32, src device.Tensor) {
	if src.DType != device.BF16 {
		copyExact(dst, src.F32())
		return
	}
	sameLength(len(dst), src.Len)
	kern.Widen(dst, src.BF16())
}

// TakesHalfWeights reports whether products are computed in bfloat16.
func (d *Device) TakesHalfWeights() bool { return d.bf16 }

func copyExact[T any](dst, src []T) {
	sameLength(len(dst), len(src))
	copy(dst, src)
}

func sameLength(dst, src int) {
	if dst != src {
		panic(fmt.Sprintf("cpu: copy of %d values into %d", src, dst))
	}
}

// Sync has nothing to wait for: kernels are done when they return.
func (d *Device) Sync(ctx context.Context) error { return ctx.Err() }

// Close ends the threads.
func (d *Device) Close() error {
	d.pool.Close()
	return nil
}

// scratch is a worker's own memory of at least n elements; its content is undefined.
func (d *Device) scratch(worker, n int) []float32 { return grown(&d.own[worker], n) }

// shared is memory of at least n elements for one kernel at a time; its content is undefined.
func (d *Device) shared(n int) []float32 { return grown(&d.common, n) }

// grown is the first n elements of a buffer, which is replaced where it is too small.
func grown(buf *[]float32, n int) []float32 {
	if len(*buf) < n {
		*buf = make([]float32, n)
	}
	return (*buf)[:n]
}

// row is row i of a host matrix.
func row(m device.Mat, i int) []float32 {
	at := (m.T.Off + i*m.Stride) * 4
	return unsafe.Slice((*float32)(unsafe.Pointer(&m.T.Mem.Host[at])), m.Cols)
}

// data is a host matrix from its first element on.
func data(m device.Mat) []float32 {
	if m.Rows == 0 || m.Cols == 0 {
		return nil
	}
	if m.T.DType != device.F32 {
		fail("a matrix that is not of float32")
	}
	return m.T.F32()
}

// fail panics with what is wrong. It stands behind a condition, so that nothing is formatted or allocated where all is well.
func fail(format string, args ...any) { panic("cpu: " + fmt.Sprintf(format, args...)) }
