package op

import (
	"gorgonia.org/gorgonia"

	"flexi/core/device"
)

// adaptedGrad is the backward pass of an adapted linear map. With V = dP·B and U = A·x of every row, dP the gradient at the product:
//
//	dX = dP·W + s·gamma·V·A;  dA = s·gamma·Vᵀ·x;  dB = s·gamma·dPᵀ·U;  ds = gamma·<V, U>
//
// Its operands are those of the forward pass, dY, the U of every adapter and, with DoRA, the product and the norms. Its parts are dX, dS, then dA, dB
// and with DoRA dMagnitude of every adapter, then scratch.
type adaptedGrad struct {
	*adapted
	dy   int // place of dY in the operands
	each int // parts of an adapter
}

func (t *adapted) grad(y, dy *gorgonia.Node) gorgonia.Nodes {
	n := len(t.Adapters)
	b := &adaptedGrad{adapted: t, dy: len(t.in), each: 2}
	in := append(t.in[:len(t.in):len(t.in)], dy)
	kept := n
	if t.dora {
		kept, b.each = n+2, 3
	}
	for i := range kept {
		in = append(in, t.g.part(y, 1+i))
	}
	parts := []Shape{matrix(OnDemand, t.m, t.inputs), vector(OnDemand, 1)}
	for _, d := range t.Adapters {
		rank, rows := d.A.Shape()[0], d.B.Shape()[0]
		parts = append(parts, matrix(OnDemand, rank, t.inputs), matrix(OnDemand, rows, rank))
		if t.dora {
			parts = append(parts, vector(OnDemand, rows))
		}
	}
	for _, d := range t.Adapters {
		rank := d.A.Shape()[0]
		parts = append(parts, matrix(Scratch, t.m, rank), matrix(Scratch, t.m, rank))
	}
	if t.dora {
		parts = append(parts, matrix(Scratch, t.m, t.n))
	}
	if t.Dropout > 0 {
		parts = append(parts, matrix(Scratch, t.m, t.inputs))
	}
	dx := t.g.kernel(kernelSpec{name: "adapted linear gradient", in: in, parts: parts, run: b.run})
	grads := make(gorgonia.Nodes, len(t.in))
	grads[0] = t.g.gradient(t.X, dx, 0)
	for i := range n * b.each {
		grads[2+i] = t.g.gradient(t.in[2+i], dx, 2+i)
	}
	if t.residue > 0 && t.g.trained[t.Residual] {
		grads[t.residue] = dy
	}
	if t.s > 0 {
		grads[t.s] = t.g.gradient(t.S, dx, 1)
	}
	return grads
}

func (b *adaptedGrad) run(e *Env, in, out []device.Mat) {
	n := len(b.Adapters)
	first := 2 + n*b.each // scratch
	dp := in[b.dy]
	if b.dora {
		dp = out[first+2*n]
		b.magnitudes(e, in, out, dp)
	}
	dx := out[0]
	if !dx.Empty() {
		e.Device.Gemm(device.Gemm{A: dp, B: in[1], C: dx})
	}
	x, spare := in[0], device.Mat{}
	if b.Dropout > 0 {
		spare = out[len(out)-1]
	}
	for i, d := range b.Adapters {
		a, w, _ := b.factors(in, i)
		dq, u, v, us := dp.Columns(d.Column, w.Rows), in[b.dy+1+i], out[first+2*i], out[first+2*i+1]
		e.Device.Gemm(device.Gemm{A: dq, B: w, C: v})
		if dS := out[1]; !dS.Empty() {
			e.Device.Inner(dS.T, v, u, d.Scale, i > 0)
		}
		e.Device.Scale(v, v, d.Scale, b.multiplier(in))
		if dB := out[2+i*b.each+1]; !dB.Empty() {
			e.Device.Scale(us, u, d.Scale, b.multiplier(in))
			e.Device.Gemm(device.Gemm{A: dq, B: us, C: dB, TransA: true})
		}
		if dA := out[2+i*b.each]; !dA.Empty() {
			if b.Dropout > 0 {
				x = spare
				e.Device.Dropout(x, in[0], e.dropout(b.Dropout, b.site))
			}
			e.Device.Gemm(device.Gemm{A: v, B: x, C: dA, TransA: true})
		}
		b.input(e, dx, v, a, spare)
	}
}

// input adds an adapter's part of the gradient of X.
func (b *adaptedGrad) input(e *Env, dx, v, a, spare device.Mat) {
	switch {
	case dx.Empty():
	case b.Dropout > 0:
		e.Device.Gemm(device.Gemm{A: v, B: a, C: spare})
		e.Device.Dropout(spare, spare, e.dropout(b.Dropout, b.site))
		e.Device.Add(dx, dx, spare)
	default:
		e.Device.Gemm(device.Gemm{A: v, B: a, C: dx, Accumulate: true})
	}
}

// magnitudes takes dY back to the product, and computes the gradients of the magnitudes.
func (b *adaptedGrad) magnitudes(e *Env, in, out []device.Mat, dp device.Mat) {
	n := len(b.Adapters)
	dy, x, norms := in[b.dy], in[b.dy+1+n], in[b.dy+2+n].T
	at := 0
	columns := func(lo, hi int, g device.MagnitudeGrad) {
		if lo == hi {
			return
		}
		g.X, g.DY, g.DX = x.Columns(lo, hi-lo), dy.Columns(lo, hi-lo), dp.Columns(lo, hi-lo)
		e.Device.MagnitudeBackward(g)
	}
	for i, d := range b.Adapters {
		_, w, magnitude := b.factors(in, i)
		end := d.Column + w.Rows
		columns(at, d.Column, device.MagnitudeGrad{})
		columns(d.Column, end, device.MagnitudeGrad{Mag: magnitude, Norm: norms.Slice(d.Column, w.Rows), DMag: out[2+3*i+2].T})
		at = end
	}
	columns(at, b.n, device.MagnitudeGrad{})
}
