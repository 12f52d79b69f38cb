package cpu

import "flexi/core/device"

// SquaredErrorForward is the mean squared error.
func (d *Device) SquaredErrorForward(s device.SquaredError) {
	s.Check()
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
	s.Check()
	target := s.Target.F32()
	scale := 2 * s.DLoss.F32()[0] / float32(max(s.X.Rows, 1))
	for i := range s.X.Rows {
		row(s.DX, i)[0] = scale * (row(s.X, i)[0] - target[i])
	}
}
