package cuda

import (
	"math"
	"testing"

	"flexi/core/device"
)

// updateRig is weights, gradients and moments of n elements, and two scalars, in one allocation.
type updateRig struct {
	d                *Device
	w, g, m, v       device.Tensor
	sums, loss, halt device.Tensor
}

func newUpdateRig(t *testing.T, n int) updateRig {
	t.Helper()
	d := openOn(t, newHost(t), device.PrecisionF32)
	mem, err := d.Alloc(4 * (4*n + 3))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Free(mem) })
	part := func(i, n int) device.Tensor { return device.NewTensor(mem, i, n, device.F32) }
	r := updateRig{d, part(0, n), part(n, n), part(2*n, n), part(3*n, n), part(4*n, 1), part(4*n+1, 1), part(4*n+2, 1)}
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(math.Cos(float64(i)))
	}
	d.UploadF32(r.w, values)
	d.UploadF32(r.g, values)
	d.UploadF32(r.loss, []float32{1})
	d.SumSquares(r.sums, r.g)
	return r
}

func (r updateRig) adamW() device.AdamW {
	return device.AdamW{
		W: r.w, G: r.g, M: r.m, V: r.v, LR: 0.1, Beta1: 0.9, Beta2: 0.99, Eps: 1e-6, Decay: 0.3, GradScale: 1, Step: 1,
	}
}

func values(d *Device, t device.Tensor) []float32 {
	out := make([]float32, t.Len)
	d.DownloadF32(out, t)
	return out
}

// One kernel does what clipping on the host and two calls of AdamW do.
func TestUpdateIsAdamWWithClipping(t *testing.T) {
	const n, decayed = 1000, 700
	for _, clip := range []float64{0, 0.5, 1e9} {
		r, want := newUpdateRig(t, n), newUpdateRig(t, n)
		r.d.Update(device.Update{AdamW: r.adamW(), Decayed: decayed, Squares: r.sums, Loss: r.loss, Halt: r.halt, Clip: clip})
		scale := 1.0
		if clip > 0 {
			scale = min(1, clip/(math.Sqrt(float64(values(want.d, want.sums)[0]))+1e-6))
		}
		for _, p := range []struct {
			off, n int
			decay  float64
		}{{0, decayed, 0.3}, {decayed, n - decayed, 0}} {
			a := want.adamW()
			a.W, a.G, a.M, a.V = a.W.Slice(p.off, p.n), a.G.Slice(p.off, p.n), a.M.Slice(p.off, p.n), a.V.Slice(p.off, p.n)
			a.Decay, a.GradScale = p.decay, float32(scale)
			want.d.AdamW(a)
		}
		for i, x := range values(want.d, want.w) {
			if got := values(r.d, r.w)[i]; !(math.Abs(float64(got-x)) <= 1e-6) {
				t.Fatalf("clip %v: weight %d is %v, want %v", clip, i, got, x)
			}
		}
	}
}

func TestUpdateLeavesWeightsWhereSomethingIsNotFinite(t *testing.T) {
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		for _, which := range []string{"loss", "gradient"} {
			r := newUpdateRig(t, 300)
			if which == "loss" {
				r.d.UploadF32(r.loss, []float32{float32(bad)})
			} else {
				r.d.UploadF32(r.g.Slice(299, 1), []float32{float32(bad)})
				r.d.SumSquares(r.sums, r.g)
			}
			before := values(r.d, r.w)
			update := device.Update{AdamW: r.adamW(), Squares: r.sums, Loss: r.loss, Halt: r.halt}
			r.d.Update(update)
			// Nor does what is finite again change anything, until somebody says so.
			r.d.UploadF32(r.loss, []float32{1})
			r.d.UploadF32(r.g.Slice(299, 1), []float32{1})
			r.d.SumSquares(r.sums, r.g)
			r.d.Update(update)
			same(t, which+" halts", []float32{1}, values(r.d, r.halt))
			same(t, which, before, values(r.d, r.w))
			same(t, which+" moment", make([]float32, 300), values(r.d, r.m))
		}
	}
}
