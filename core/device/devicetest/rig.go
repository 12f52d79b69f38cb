package devicetest

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"flexi/core/device"
)

// guard is a NaN that no computation gives.
var guard = math.Float32frombits(0x7fc0dead)

// tail is how many guards follow the last element of a buffer.
const tail = 19

// layout places a matrix in its memory: lead guards before the first row and gap guards between rows.
type layout struct{ lead, gap int }

// buffer is one allocation with an image of what it held before the kernel.
type buffer struct {
	mem     *device.Memory
	all     device.Tensor
	image   []float32
	written []bool // elements a kernel may change
}

// outcome is one output as it came from the device.
type outcome struct {
	name   string
	values []float32
}

// rig holds the operands of one case.
type rig struct {
	t         *testing.T
	d         device.Device
	rng       *rand.Rand
	buffers   []*buffer
	layout    layout
	least     float64 // bounds are at least this
	recording bool    // keep outputs instead of comparing them
	outcomes  []outcome
}

func newRig(t *testing.T, d device.Device, l layout) *rig {
	return &rig{t: t, d: d, layout: l, rng: rand.New(rand.NewPCG(20, 26))}
}

// normal is a matrix of normally distributed values that float32 holds exactly.
func (r *rig) normal(rows, cols int) matrix { return normal(r.rng, rows, cols) }

func (r *rig) alloc(n int) *buffer {
	mem, err := r.d.Alloc(4 * n)
	if err != nil {
		r.t.Fatalf("allocate %d values: %v", n, err)
	}
	b := &buffer{mem: mem, all: device.NewTensor(mem, 0, n, device.F32), image: make([]float32, n), written: make([]bool, n)}
	for i := range b.image {
		b.image[i] = guard
	}
	r.d.UploadF32(b.all, b.image)
	r.buffers = append(r.buffers, b)
	return b
}

func (r *rig) of(mem *device.Memory) *buffer {
	for _, b := range r.buffers {
		if b.mem == mem {
			return b
		}
	}
	r.t.Fatal("view of foreign memory")
	return nil
}

// blank is a view of guards.
func (r *rig) blank(rows, cols int) device.Mat {
	stride := cols + r.layout.gap
	b := r.alloc(r.layout.lead + rows*stride + tail)
	return device.Mat{T: b.all.Slice(r.layout.lead, (rows-1)*stride+cols), Rows: rows, Cols: cols, Stride: stride}
}

// fill gives a view values.
func (r *rig) fill(to device.Mat, m matrix) device.Mat {
	b := r.of(to.T.Mem)
	eachRow(to, func(i, at int) {
		line := b.image[at:][:m.cols]
		for j, v := range m.row(i) {
			line[j] = float32(v)
		}
	})
	r.d.UploadF32(b.all, b.image)
	return to
}

// writable lets kernels change a view.
func (r *rig) writable(m device.Mat) device.Mat {
	b := r.of(m.T.Mem)
	eachRow(m, func(_, at int) {
		line := b.written[at:][:m.Cols]
		for j := range line {
			line[j] = true
		}
	})
	return m
}

// eachRow calls f with every row and where it starts in the memory of the view.
func eachRow(m device.Mat, f func(i, at int)) {
	for i := range m.Rows {
		f(i, m.T.Off+i*m.Stride)
	}
}

func (r *rig) input(m matrix) device.Mat            { return r.fill(r.blank(m.rows, m.cols), m) }
func (r *rig) output(rows, cols int) device.Mat     { return r.writable(r.blank(rows, cols)) }
func (r *rig) inPlace(m matrix) device.Mat          { return r.writable(r.input(m)) }
func (r *rig) vector(m matrix) device.Tensor        { return r.input(m).T }
func (r *rig) vectorOutput(n int) device.Tensor     { return r.output(1, n).T }
func (r *rig) vectorInPlace(m matrix) device.Tensor { return r.inPlace(m).T }

// indices is an int32 view.
func (r *rig) indices(values []int32) device.Tensor {
	b := r.alloc(r.layout.lead + len(values) + tail)
	for i, v := range values {
		b.image[r.layout.lead+i] = math.Float32frombits(uint32(v))
	}
	view := device.NewTensor(b.mem, r.layout.lead, len(values), device.I32)
	r.d.UploadI32(view, values)
	return view
}

// sync waits for the device.
func (r *rig) sync() {
	r.t.Helper()
	if err := r.d.Sync(context.Background()); err != nil {
		r.t.Fatalf("sync: %v", err)
	}
}

// read is the present content of a view.
func (r *rig) read(m device.Mat) []float32 {
	r.t.Helper()
	r.sync()
	b := r.of(m.T.Mem)
	now := make([]float32, len(b.image))
	r.d.DownloadF32(now, b.all)
	values := make([]float32, m.Rows*m.Cols)
	eachRow(m, func(i, at int) { copy(values[i*m.Cols:][:m.Cols], now[at:]) })
	return values
}

// result names an output and bounds its error relative to the largest magnitude in its reference, or to the scale of that.
type result struct {
	name  string
	got   device.Mat
	bound float64
}

func flat(t device.Tensor) device.Mat {
	if t.Empty() {
		return device.Mat{}
	}
	return t.Mat(1, t.Len)
}

// floor is the least magnitude that a bound is relative to, for outputs that cancel to zero.
const floor = 0.01

// compare checks results against references, given in the same order; absent outputs are skipped. The references are not computed when recording.
func (r *rig) compare(references func() []matrix, results ...result) {
	r.t.Helper()
	var want []matrix
	if !r.recording {
		want = references()
	}
	for i, res := range results {
		if res.got.Empty() {
			continue
		}
		got := r.read(res.got)
		if r.recording {
			r.outcomes = append(r.outcomes, outcome{res.name, got})
			continue
		}
		if want[i].rows*want[i].cols != len(got) {
			r.t.Fatalf("%s: %d values, reference %dx%d", res.name, len(got), want[i].rows, want[i].cols)
		}
		r.near(res, got, want[i])
	}
}

func (r *rig) near(res result, got []float32, want matrix) {
	r.t.Helper()
	limit := max(res.bound, r.least) * max(floor, want.scale, want.largest())
	for i, w := range want.x {
		if diff := math.Abs(float64(got[i]) - w); !(diff <= limit) {
			r.t.Errorf("%s[%d,%d] = %v, want %v (off by %.3g, bound %.3g)", res.name, i/want.cols, i%want.cols, got[i], w, diff, limit)
			return
		}
	}
}

// finish checks that nothing but the outputs has changed, and frees everything.
func (r *rig) finish() {
	r.t.Helper()
	r.sync()
	for n, b := range r.buffers {
		now := make([]float32, len(b.image))
		r.d.DownloadF32(now, b.all)
		for i, v := range now {
			if !b.written[i] && math.Float32bits(v) != math.Float32bits(b.image[i]) {
				r.t.Errorf("operand %d of the case: element %d outside of the outputs is now %v, was %v", n, i, v, b.image[i])
				break
			}
		}
		r.d.Free(b.mem)
	}
}
