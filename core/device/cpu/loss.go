package cpu

import (
	"math"

	"flexi/core/device"
)

// CrossEntropyForward is the mean of -log softmax at the label over labelled rows.
func (d *Device) CrossEntropyForward(c device.CrossEntropy) {
	long("Labels", c.Labels, c.Logits.Rows)
	long("LogSum", c.LogSum, c.Logits.Rows)
	labels, logSum := c.Labels.I32(), c.LogSum.F32()
	d.each(c.Logits, func(_, i int, x []float32) {
		top := d.t.Max(x)
		logSum[i] = top + float32(math.Log(float64(d.t.SumExp(x, top))))
	})
	var sum float64
	count := 0
	for i, label := range labels[:c.Logits.Rows] {
		if label >= 0 {
			sum += float64(logSum[i]) - float64(row(c.Logits, i)[label])
			count++
		}
	}
	c.Loss.F32()[0] = float32(sum / float64(max(count, 1)))
}

// CrossEntropyBackward is DLoss·(softmax - onehot)/count, zero in rows without a label.
func (d *Device) CrossEntropyBackward(c device.CrossEntropyGrad) {
	long("Labels", c.Labels, c.Logits.Rows)
	shaped("DLogits", c.DLogits, c.Logits.Rows, c.Logits.Cols)
	labels := c.Labels.I32()
	count := 0
	for _, label := range labels[:c.Logits.Rows] {
		if label >= 0 {
			count++
		}
	}
	scale := c.DLoss.F32()[0] / float32(max(count, 1))
	d.each(c.DLogits, func(_, i int, out []float32) {
		if labels[i] < 0 {
			clear(out)
			return
		}
		d.t.Softmax(out, row(c.Logits, i), 1)
		d.t.Scale(out, out, scale)
		out[labels[i]] -= scale
	})
}

// SquaredErrorForward is the mean squared error.
func (d *Device) SquaredErrorForward(s device.SquaredError) {
	long("Target", s.Target, s.X.Rows)
	shaped("X", s.X, s.X.Rows, 1)
	target := s.Target.F32()
	var sum float64
	for i := range s.X.Rows {
		e := float64(row(s.X, i)[0]) - float64(target[i])
		sum += e * e
	}
	s.Loss.F32()[0] = float32(sum / float64(max(s.X.Rows, 1)))
}

// SquaredErrorBackward is DLoss·2(X - Target)/n.
func (d *Device) SquaredErrorBackward(s device.SquaredErrorGrad) {
	long("Target", s.Target, s.X.Rows)
	shaped("DX", s.DX, s.X.Rows, 1)
	target := s.Target.F32()
	scale := 2 * s.DLoss.F32()[0] / float32(max(s.X.Rows, 1))
	for i := range s.X.Rows {
		row(s.DX, i)[0] = scale * (row(s.X, i)[0] - target[i])
	}
}
