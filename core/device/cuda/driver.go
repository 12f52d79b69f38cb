package cuda

import (
	"errors"
	"fmt"
	"unsafe"

	"flexi/core/device"
)

// driver is what a Device needs of a GPU: memory, copies, kernels and matrix products, in the order of one stream. libcuda implements it; in tests, the
// processor does, with the same kernels.
type driver interface {
	info() info
	// alloc returns memory aligned to 256 bytes, or an error that is errFull where there is not so much.
	alloc(bytes int) (uintptr, error)
	free(p uintptr) error
	// memory is what the GPU has free and in all.
	memory() (free, total int, err error)
	// holders are the processes that hold memory of the GPU, as far as that can be known.
	holders() []holder
	// pinned is host memory that copies in the background may use.
	pinned(bytes int) ([]byte, error)
	upload(to uintptr, from []byte) error
	download(to []byte, from uintptr) error
	fill(to uintptr, value byte, bytes int) error
	// launch queues a kernel whose arguments are one struct.
	launch(l launch) error
	multiply(p product) error
	// record queues nothing, but makes a graph of what f queues.
	record(f func() error) (graph, error)
	// sync waits for the stream and reports what failed in it.
	sync() error
	// mark notes what is queued so far under a number below marks; await waits for that.
	mark(i int) error
	await(i int) error
	close() error
}

// marks is how many things can be waited for one by one.
const marks = 2

// launch is one kernel with its grid.
type launch struct {
	kernel               kernel
	columns, rows, block int
	shared               int // bytes
	args                 unsafe.Pointer
	size                 int // of the arguments, in bytes
}

// graph is a sequence of kernels and products that is queued as a whole.
type graph interface {
	// update gives launch number i other arguments.
	update(i int, l launch) error
	run() error
	close()
}

// info describes a GPU.
type info struct {
	name          string
	major, minor  int // compute capability
	processors    int
	driverVersion int // 12040 is 12.4
	sharedBytes   int // that a block may have
}

// holder is a process with memory on the GPU.
type holder struct {
	pid   int
	name  string
	bytes int
}

// Failures of a GPU that callers can tell apart with errors.Is.
var (
	// ErrNoGPU is returned where there is no driver or no GPU.
	ErrNoGPU = errors.New("no NVIDIA GPU")
	// ErrOldDriver is returned where the driver is too old for this program.
	ErrOldDriver = errors.New("the NVIDIA driver is too old")
	// ErrMissingLibrary is returned where NVRTC or cuBLASLt is not found.
	ErrMissingLibrary = errors.New("a CUDA library is missing")
	// ErrLost is returned when the GPU stopped working; the Device is dead, and so is everything in its memory.
	ErrLost = errors.New("the GPU was lost")
)

// code is a result of the CUDA driver.
type code int

// Results that are told apart.
const (
	success     code = 0
	outOfMemory code = 2
)

// lost says that nothing more can be done with the context.
func (c code) lost() bool {
	switch c {
	case 46, 101, 214, 220, 226, 700, 702, 704, 709, 710, 713, 714, 715, 716, 717, 718, 719, 999:
		return true
	}
	return false
}

// result is a failed call.
type result struct {
	call string
	code code
	text string // of the driver
}

func (r *result) Error() string { return fmt.Sprintf("%s: %s (%d)", r.call, r.text, r.code) }

// Unwrap gives the class of the failure.
func (r *result) Unwrap() error {
	switch {
	case r.code == outOfMemory:
		return device.ErrFull
	case r.code.lost():
		return ErrLost
	}
	return nil
}

// product is D = op(A)·op(B) + beta·C + bias in column-major order, as cuBLASLt has it: op(A) is m×k, op(B) is k×n, D is m×n; bias has m elements. A and B
// are float32, or bfloat16 if half is set; C, D and the bias are float32. With a batch, operands lie stride elements apart.
type product struct {
	m, n, k                   int
	transA, transB, half      bool
	a, b, c, d, bias          uintptr
	lda, ldb, ldc, ldd        int
	beta                      float32
	batch                     int
	strideA, strideB, strideD int
}
