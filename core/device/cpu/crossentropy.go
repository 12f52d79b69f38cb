package cpu

import (
	"math"

	"flexi/core/device"
	"flexi/core/device/cpu/kern"
)

// lossRows is how many rows of logits exist at a time. The product of weight gradients visits its result once for so many rows anyway.
const lossRows = 256

// lossGroup is the least number of rows whose bias gradients are summed by themselves first.
const lossGroup = 16

// crossEntropy is one call of the kernel. It turns a chunk of logits into their gradient in place.
type crossEntropy struct {
	device.CrossEntropy
	d        *Device
	bias     []float32
	labels   []int32
	gradient bool
	scale    float32   // 1/count
	group    int       // rows to a task
	logits   []float32 // of the chunk
	parts    []float32 // bias gradients of each group of the chunk
	first    int       // first row of the chunk
	losses   [lossRows]float64
}

// CrossEntropy is the mean of -log softmax(X·Wᵀ + Bias) at the label over labelled rows, and its gradient.
func (d *Device) CrossEntropy(c device.CrossEntropy) {
	c.Check()
	t := &d.call.loss
	t.CrossEntropy, t.d, t.labels, t.bias = c, d, c.Labels.I32()[:c.X.Rows], nil
	t.gradient = !c.DX.Empty() || !c.DW.Empty() || !c.DBias.Empty()
	if !c.Bias.Empty() {
		t.bias = c.Bias.F32()
	}
	count := 0
	for _, label := range t.labels {
		if label >= 0 {
			count++
		}
	}
	t.scale = 1 / float32(max(count, 1))
	classes, rows := c.W.Rows, min(c.X.Rows, lossRows)
	t.group = max(lossGroup, rowsPerTask(classes))
	buf := d.shared((rows + (rows+t.group-1)/t.group) * classes)
	t.logits, t.parts = buf[:rows*classes], buf[rows*classes:]
	var sum float64
	for t.first = 0; t.first < c.X.Rows; t.first += lossRows {
		sum += t.chunk(min(lossRows, c.X.Rows-t.first))
	}
	c.Loss.F32()[0] = float32(sum / float64(max(count, 1)))
	if c.X.Rows == 0 {
		d.clear(c.DW)
		if !c.DBias.Empty() {
			clear(c.DBias.F32())
		}
	}
}

// chunk adds rows [first, first+n) to the gradients, and returns the sum of their losses.
func (t *crossEntropy) chunk(n int) float64 {
	d, x, classes := t.d, t.X.RowsView(t.first, n), t.W.Rows
	g := kern.Gemm{BF16: d.bf16, M: n, N: classes, K: x.Cols, TransB: true, A: data(x), LDA: x.Stride, B: data(t.W), LDB: t.W.Stride, C: t.logits, LDC: classes}
	if t.bias != nil {
		g.Epilogue = d.biasBlock
	}
	d.t.Gemm(d.pool, g)
	d.ranges(n, t.group, (*Device).lossRange)
	var sum float64
	for _, loss := range t.losses[:n] {
		sum += loss
	}
	if !t.DX.Empty() {
		dx := t.DX.RowsView(t.first, n)
		d.t.Gemm(d.pool, kern.Gemm{
			BF16: d.bf16, M: n, N: x.Cols, K: classes, A: t.logits, LDA: classes, B: data(t.W), LDB: t.W.Stride, C: data(dx), LDC: dx.Stride,
		})
	}
	if !t.DW.Empty() {
		d.t.Gemm(d.pool, kern.Gemm{
			BF16: d.bf16, M: classes, N: x.Cols, K: n, TransA: true, Accumulate: t.first > 0,
			A: t.logits, LDA: classes, B: data(x), LDB: x.Stride, C: data(t.DW), LDC: t.DW.Stride,
		})
	}
	if !t.DBias.Empty() {
		dBias := t.DBias.F32()
		if t.first == 0 {
			clear(dBias)
		}
		addParts(d.t, dBias, t.parts, (n+t.group-1)/t.group, classes, 0)
	}
	return sum
}

func (t *crossEntropy) addBias(_, row0, row1, col0, col1 int) {
	for i := row0; i < row1; i++ {
		x := t.logits[i*t.W.Rows:][col0:col1]
		t.d.t.Add(x, x, t.bias[col0:col1])
	}
}

func (d *Device) lossRange(_, lo, hi int) { d.call.loss.rows(lo, hi) }

// rows turns rows [lo, hi) of the chunk, a group, from logits into losses and the gradient of the logits.
func (t *crossEntropy) rows(lo, hi int) {
	classes, k := t.W.Rows, t.d.t
	part := t.parts[lo/t.group*classes:][:classes]
	clear(part)
	for i := lo; i < hi; i++ {
		x, label := t.logits[i*classes:][:classes], t.labels[t.first+i]
		if label < 0 {
			t.losses[i] = 0
			clear(x)
			continue
		}
		at, top := x[label], k.Max(x)
		sum := k.ExpSum(x, x, top)
		t.losses[i] = float64(top) - float64(at) + math.Log(float64(sum))
		if t.gradient {
			k.Scale(x, x, t.scale/sum)
			x[label] -= t.scale
		}
		if !t.DBias.Empty() {
			k.Add(part, part, x)
		}
	}
}
