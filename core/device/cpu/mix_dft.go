package cpu

import "flexi/core/device"

// dft is the real part of the two-dimensional DFT, Re(F_T X F_H) = C X C - S X S with matrices of cosines and sines. A cosine is even about the middle
// of its period and a sine odd, so that C sees of X only the sums of elements that lie opposite each other, S only the differences, and half of the
// results are those of the opposite row or column: with P and Q the products of a quarter of the size,
//
//	y[n, m] = P - Q,  y[T-n, m] = y[n, H-m] = P + Q,  y[T-n, H-m] = P - Q.
//
// That is an eighth of the arithmetic of the whole matrices, and exact. The transform is its own adjoint.
func (d *Device) dft(m device.Mix) {
	c := &d.call
	c.mix = m
	c.waves = [4]dense{
		d.wave(cosines, m.Seq, m.Ortho), d.wave(cosines, m.X.Cols, m.Ortho),
		d.wave(sines, m.Seq, m.Ortho), d.wave(sines, m.X.Cols, m.Ortho),
	}
	d.ranges(m.Batch, 1, (*Device).dftBlocks)
}

func (d *Device) dftBlocks(worker, lo, hi int) {
	m, w := &d.call.mix, &d.call.waves
	cols := m.X.Cols
	evenT, evenH, oddT, oddH := w[0].rows, w[1].rows, w[2].rows, w[3].rows
	buf := d.scratch(worker, 2*(evenT*evenH+oddT*oddH)+3*cols+7*alignment)
	even, evenTurned := matrix(carve(&buf, evenT*evenH), evenT, evenH), matrix(carve(&buf, evenT*evenH), evenT, evenH)
	odd, oddTurned := matrix(carve(&buf, oddT*oddH), oddT, oddH), matrix(carve(&buf, oddT*oddH), oddT, oddH)
	lines := [3][]float32{carve(&buf, cols), carve(&buf, cols), carve(&buf, cols)}
	for b := lo; b < hi; b++ {
		d.fold(m.X.RowsView(b*m.Seq, m.Seq), even, odd, lines)
		d.multiply(worker, evenTurned, even, w[1], false, false, false)
		d.multiply(worker, even, w[0], evenTurned, false, false, false)
		if oddT > 0 && oddH > 0 {
			d.multiply(worker, oddTurned, odd, w[3], false, false, false)
			d.multiply(worker, odd, w[2], oddTurned, false, false, false)
		}
		d.unfold(m.Y.RowsView(b*m.Seq, m.Seq), even, odd, lines, m.Accumulate)
	}
}

// fold adds up rows and columns of x that lie opposite each other, and takes their differences.
func (d *Device) fold(x device.Mat, even, odd dense, lines [3][]float32) {
	rows, cols, half := x.Rows, x.Cols, odd.cols
	sum, difference, reversed := lines[0], lines[1], lines[2][:half]
	for r := range even.rows {
		paired := 0 < r && r < rows-r
		line := row(x, r)
		if paired {
			d.t.Add(sum, line, row(x, rows-r))
			line = sum
		}
		out := even.x[r*even.ld:][:even.cols]
		copy(out, line)
		d.t.Reverse(reversed, line[cols-half:])
		d.t.Add(out[1:1+half], out[1:1+half], reversed)
		if paired && half > 0 {
			copy(difference, row(x, r))
			d.t.Axpy(difference, row(x, rows-r), -1)
			out := odd.x[(r-1)*odd.ld:][:half]
			copy(out, difference[1:])
			d.t.Reverse(reversed, difference[cols-half:])
			d.t.Axpy(out, reversed, -1)
		}
	}
}

// unfold writes or adds the transform to y.
func (d *Device) unfold(y device.Mat, p, q dense, lines [3][]float32, accumulate bool) {
	rows, cols, half := y.Rows, y.Cols, q.cols
	minus, plus, line := lines[0][:p.cols], lines[1][:p.cols], lines[2]
	put := func(r int, left, right []float32) {
		into := row(y, r)
		if accumulate {
			into = line
		}
		copy(into, left)
		d.t.Reverse(into[cols-half:], right[1:1+half])
		if accumulate {
			d.t.Add(row(y, r), row(y, r), line)
		}
	}
	for r := range p.rows {
		copy(minus, p.x[r*p.ld:])
		copy(plus, minus)
		if paired := 0 < r && r < rows-r; !paired {
			put(r, minus, plus)
			continue
		}
		if half > 0 {
			d.t.Axpy(minus[1:1+half], q.x[(r-1)*q.ld:], -1)
			d.t.Add(plus[1:1+half], plus[1:1+half], q.x[(r-1)*q.ld:][:half])
		}
		put(r, minus, plus)
		put(rows-r, plus, minus)
	}
}
