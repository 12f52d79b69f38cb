package cpu

import (
	"flexi/core/device"
	"flexi/core/device/cpu/kern"
)

// The tasks of a kernel are methods of Device that find their operands in Device.call: closures over the operands would be allocated by every call of
// the kernel, and a training step is to allocate nothing.

// call is the operands of the running kernel, each field set by the kernels that use it.
type call struct {
	x, y device.Mat
	drop device.Dropout
	// flat views
	values, grads, first, second []float32
	adamW                        kern.AdamW
	sums                         []float64

	indices, segments []int32
	embedding         device.Embedding
	linear            device.Linear
	linearGrad        device.LinearGrad
	grad              device.Mat // the gradient before activation and dropout
	bias              []float32
	norm              device.LayerNorm
	normGrad          device.LayerNormGrad
	depthwise         device.DepthwiseGrad
	taps              device.TapsGrad
	mix               device.Mix
	waves             [4]dense // of the transform along positions and along channels
	loss              crossEntropy
	attention         attention
	attentionGrad     attentionGrad
	rms               device.RMSNorm
	rmsGrad           device.RMSNormGrad
	grouped           grouped
	common            device.Memory // Device.common as memory of a view
	adapted           device.AdaptedNorms
	magnitude         device.Magnitude
	magnitudeGrad     device.MagnitudeGrad
	factor            float32

	// weights of the kernel in an order of its own, and the partial results of its tasks
	weights, parts []float32
}

// job is how work is cut into the tasks that run now.
type job struct {
	n, piece int
	body     func(d *Device, worker, lo, hi int)
	z        device.Mat
	row      func(d *Device, worker, i int, z []float32)
}

// ranges calls body for fixed pieces [lo, hi) of [0, n), in parallel. A body is a method expression, (*Device).undoRows.
func (d *Device) ranges(n, piece int, body func(d *Device, worker, lo, hi int)) {
	if n <= piece {
		if n > 0 {
			body(d, 0, 0, n)
		}
		return
	}
	d.job.n, d.job.piece, d.job.body = n, piece, body
	d.pool.ParallelFor((n+piece-1)/piece, d.runPiece)
}

func (d *Device) piece(task, worker int) {
	j := &d.job
	j.body(d, worker, task*j.piece, min(j.n, (task+1)*j.piece))
}

// rows calls f, a method expression, for every row of z, in parallel.
func (d *Device) rows(z device.Mat, f func(d *Device, worker, i int, z []float32)) {
	if z.Cols == 0 {
		return
	}
	d.job.z, d.job.row = z, f
	d.ranges(z.Rows, rowsPerTask(z.Cols), (*Device).rowRange)
}

func (d *Device) rowRange(worker, lo, hi int) {
	for i := lo; i < hi; i++ {
		d.job.row(d, worker, i, row(d.job.z, i))
	}
}

// rowsPerTask cuts rows of the given width into tasks of about 16,000 elements.
func rowsPerTask(width int) int { return max(1, 16384/max(width, 1)) }
