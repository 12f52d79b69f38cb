// Package cuda is the device that computes on an NVIDIA GPU, without cgo and without a toolkit: libcuda, NVRTC and cuBLASLt are found when a Device is
// opened (see Find), kernels are compiled then for the GPU at hand, and matrix products are cuBLASLt's.
//
// Everything is queued on one stream, so memory that one kernel is done with can be given to the next at once. With PrecisionBF16 the operands of products
// are rounded to bfloat16 and multiplied by tensor cores; a rounded copy of an operand is kept until the operand changes, so that the backward pass finds
// what the forward pass made.
//
// The same inputs give the same bits on the same kind of GPU and library: no kernel adds floating-point numbers atomically, and cuBLASLt is kept from it.
package cuda

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"unsafe"

	"flexi/core/device"
)

// Device computes on one GPU. It is used by one goroutine at a time.
type Device struct {
	drv       driver
	index     int
	precision device.Precision
	pool      pool
	shadows   []shadow
	waves     map[waveKey]uintptr
	stage     stage
	rec       recording
	// careful waits for every operation, so that a failure names it.
	careful bool
	op      operation
	queued  int // operations since the last Sync
	err     error
}

var (
	_ device.Device      = (*Device)(nil)
	_ device.HalfWeights = (*Device)(nil)
)

// operation names what is queued now, for errors.
type operation struct {
	name string
	dims [4]int
}

func (o operation) String() string {
	text := o.name
	for i, d := range o.dims {
		if d == 0 {
			break
		}
		text += []string{" ", "x", "x", "x"}[i] + fmt.Sprint(d)
	}
	return text
}

func newDevice(drv driver, index int, p device.Precision) *Device {
	d := &Device{drv: drv, index: index, precision: p, waves: map[waveKey]uintptr{}, careful: os.Getenv("FLEXI_CUDA_SYNC") != ""}
	if p == device.PrecisionAuto {
		d.precision = device.PrecisionBF16
	}
	d.pool = pool{drv: drv, lists: map[int][]uintptr{}, sizes: map[uintptr]int{}}
	d.stage.drv = drv
	return d
}

// Name is "cuda:0".
func (d *Device) Name() string { return fmt.Sprintf("cuda:%d", d.index) }

// Describe names the GPU, its driver and the precision of products.
func (d *Device) Describe() string {
	i := d.drv.info()
	return fmt.Sprintf("%s (%s, sm_%d%d, driver for CUDA %s)", i.name, d.Name(), i.major, i.minor, cudaVersion(i.driverVersion))
}

func cudaVersion(v int) string { return fmt.Sprintf("%d.%d", v/1000, v%1000/10) }

// Precision is what products are computed in: F32 or BF16.
func (d *Device) Precision() device.Precision { return d.precision }

// TakesHalfWeights reports whether products are computed in bfloat16.
func (d *Device) TakesHalfWeights() bool { return d.precision == device.PrecisionBF16 }

// begin names the operation that follows.
func (d *Device) begin(name string, dims ...int) {
	d.op = operation{name: name}
	copy(d.op.dims[:], dims)
	d.queued++
}

// fail keeps the first failure for Sync.
func (d *Device) fail(err error) {
	if err == nil || d.err != nil {
		return
	}
	d.err = fmt.Errorf("%s on %s: %w", d.op, d.Name(), d.explain(err))
}

// explain adds to a failure what the user can do about it.
func (d *Device) explain(err error) error {
	if errors.Is(err, ErrLost) {
		return fmt.Errorf("%w; what was saved is whole: resume from the last checkpoint, or with --device cpu (nvidia-smi and the system's log may say what "+
			"happened): %w", ErrLost, err)
	}
	return err
}

// ready is false once something failed: nothing is queued until Sync has reported it.
func (d *Device) ready() bool { return d.err == nil }

func (d *Device) start(l launch) {
	if !d.ready() {
		return
	}
	if d.rec.patching() {
		d.fail(d.rec.patch(l))
		return
	}
	d.rec.sawLaunch(l)
	d.fail(d.drv.launch(l))
	d.check()
}

func (d *Device) multiply(p product) {
	if !d.ready() {
		return
	}
	if d.rec.patching() {
		d.rec.same(p)
		return
	}
	d.rec.sawProduct(p)
	d.fail(d.drv.multiply(p))
	d.check()
}

// fill queues setting memory to a byte.
func (d *Device) fill(at uintptr, value byte, bytes int) {
	if d.ready() && bytes > 0 && !d.rec.patching() {
		d.fail(d.drv.fill(at, value, bytes))
	}
}

// check waits for what was just queued, if asked to.
func (d *Device) check() {
	if d.careful && !d.rec.active() {
		d.fail(d.drv.sync())
	}
}

// in is a view that a kernel reads; an empty one is absent.
func in(m device.Mat) view {
	if m.Empty() {
		return view{}
	}
	return view{at: address(m.T), rows: int32(m.Rows), cols: int32(m.Cols), ld: int32(m.Stride)}
}

// out is a view that a kernel writes.
func (d *Device) out(m device.Mat) view {
	v := in(m)
	if v.at != 0 && m.Rows > 0 {
		d.changed(v.at, ((m.Rows-1)*m.Stride+m.Cols)*4)
	}
	return v
}

func address(t device.Tensor) uintptr {
	if t.Empty() {
		return 0
	}
	return t.Mem.Addr + uintptr(t.DType.Size()*t.Off)
}

// outTensor is the address of a flat view that a kernel writes.
func (d *Device) outTensor(t device.Tensor) uintptr {
	if !t.Empty() {
		d.changed(address(t), t.DType.Size()*t.Len)
	}
	return address(t)
}

// Alloc returns zeroed memory of the GPU, or an error that says what is free and who has the rest.
func (d *Device) Alloc(bytes int) (*device.Memory, error) {
	if bytes < 0 {
		return nil, fmt.Errorf("allocate %d bytes on %s: out of range", bytes, d.Name())
	}
	d.begin("allocation")
	at, err := d.drv.alloc(max(bytes, 4))
	if errors.Is(err, device.ErrFull) {
		d.drop()
		at, err = d.drv.alloc(max(bytes, 4))
	}
	if err == nil {
		err = d.drv.fill(at, 0, max(bytes, 4))
	}
	if err != nil {
		return nil, d.noMemory(bytes, err)
	}
	d.pool.given += bytes
	return &device.Memory{Addr: at, Bytes: bytes}, nil
}

// drop gives back what the Device keeps to be quick.
func (d *Device) drop() {
	d.forgetAll()
	d.fail(d.drv.sync())
	d.pool.release()
}

// Free gives memory back.
func (d *Device) Free(m *device.Memory) {
	d.changed(m.Addr, m.Bytes)
	d.forgetGraphs()
	d.pool.given -= m.Bytes
	if err := d.drv.free(m.Addr); err != nil {
		d.fail(err)
	}
	m.Addr, m.Bytes = 0, 0
}

// UploadF32 copies host values into a view, rounding them if it is of bfloat16.
func (d *Device) UploadF32(dst device.Tensor, src []float32) {
	if dst.DType != device.BF16 {
		upload(d, dst, src)
		return
	}
	half := make([]uint16, len(src))
	for i, v := range src {
		half[i] = device.ToBF16(v)
	}
	upload(d, dst, half)
}

// UploadI32 copies host values into a view.
func (d *Device) UploadI32(dst device.Tensor, src []int32) { upload(d, dst, src) }

func upload[T uint16 | int32 | float32](d *Device, dst device.Tensor, src []T) {
	sameLength(dst.Len, len(src))
	if len(src) == 0 {
		return
	}
	d.begin("upload", len(src))
	to := d.outTensor(dst)
	if d.ready() {
		d.fail(d.stage.upload(to, bytesOf(src)))
	}
}

func bytesOf[T uint16 | int32 | float32](s []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), int(unsafe.Sizeof(s[0]))*len(s))
}

// DownloadF32 copies a view to the host and waits for it.
func (d *Device) DownloadF32(dst []float32, src device.Tensor) {
	sameLength(len(dst), src.Len)
	if len(dst) == 0 {
		return
	}
	d.begin("download", len(dst))
	if d.ready() && src.DType == device.BF16 {
		half := make([]uint16, len(dst))
		d.fail(d.stage.download(bytesOf(half), address(src)))
		for i, v := range half {
			dst[i] = device.FromBF16(v)
		}
		d.queued = 0
	} else if d.ready() {
		d.fail(d.stage.download(bytesOf(dst), address(src)))
		d.queued = 0
	}
	if !d.ready() {
		fillNaN(dst)
	}
}

// ReadLater queues a copy to the host, and returns what waits for it.
func (d *Device) ReadLater(src device.Tensor) (wait func(dst []float32)) {
	d.begin("read", src.Len)
	op := d.op
	place, memory := 0, []byte(nil)
	if d.ready() {
		var err error
		place, memory, err = d.stage.later(4*src.Len, address(src))
		d.fail(err)
	}
	return func(dst []float32) {
		sameLength(len(dst), src.Len)
		if d.ready() {
			d.op = op
			d.fail(d.drv.await(place))
		}
		if !d.ready() {
			fillNaN(dst)
			return
		}
		copy(bytesOf(dst), memory)
	}
}

func fillNaN(dst []float32) {
	for i := range dst {
		dst[i] = float32(math.NaN())
	}
}

func sameLength(dst, src int) {
	if dst != src {
		panic(fmt.Sprintf("cuda: copy of %d values into %d", src, dst))
	}
}

// Sync waits for all work queued so far and reports the first failure. After ErrLost every Sync fails.
func (d *Device) Sync(ctx context.Context) error {
	if d.ready() && d.queued > 0 {
		last := d.op
		if err := d.drv.sync(); err != nil {
			d.op = operation{name: fmt.Sprintf("one of %d operations up to %s (FLEXI_CUDA_SYNC=1 says which)", d.queued, last)}
			d.fail(err)
		}
		d.stage.used = 0
	}
	d.queued = 0
	err := d.err
	if !errors.Is(err, ErrLost) {
		d.err = nil
	}
	return errors.Join(err, ctx.Err())
}

// Close frees everything.
func (d *Device) Close() error {
	d.forgetGraphs()
	d.forgetAll()
	for _, at := range d.waves {
		d.pool.give(at)
	}
	d.pool.release()
	return d.drv.close()
}
