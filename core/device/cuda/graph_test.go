package cuda

import (
	"context"
	"errors"
	"math"
	"testing"

	"flexi/core/device"
)

// passes is a sequence with products, working memory and dropout, of which z is the result.
func passes(d *Device, x, w, y, z device.Mat, seed uint64) {
	drop := device.Dropout{P: 0.3, Seed: seed}
	d.LinearForward(device.Linear{X: x, W: w, Act: device.GELU, Drop: drop, Y: y})
	d.LinearForward(device.Linear{X: y, W: w, Residual: x, Drop: device.Dropout{P: 0.1, Seed: seed + 1}, Y: z})
	d.SumSquares(y.T.Slice(0, 1), z.T)
	d.Gemm(device.Gemm{A: z, B: w, C: y, TransB: true, Accumulate: true})
}

func graphRig(t *testing.T, p device.Precision) (h *host, d *Device, mats [4]device.Mat) {
	t.Helper()
	h = newHost(t)
	d = openOn(t, h, p)
	m, err := d.Alloc(4 * 4 * 64)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if m.Addr != 0 {
			d.Free(m)
		}
	})
	for i := range mats {
		mats[i] = device.NewTensor(m, 64*i, 64, device.F32).Mat(8, 8)
	}
	values := make([]float32, 64)
	for i := range values {
		values[i] = float32(math.Sin(float64(i)))
	}
	d.UploadF32(mats[0].T, values)
	d.UploadF32(mats[1].T, values)
	return h, d, mats
}

func downloaded(d *Device, m device.Mat) []float32 {
	out := make([]float32, m.Rows*m.Cols)
	d.DownloadF32(out, m.T)
	return out
}

func same(t *testing.T, what string, want, got []float32) {
	t.Helper()
	for i := range want {
		if math.Float32bits(want[i]) != math.Float32bits(got[i]) {
			t.Fatalf("%s: element %d is %v, want %v", what, i, got[i], want[i])
		}
	}
}

func TestReplayGivesTheSameBits(t *testing.T) {
	for _, p := range []device.Precision{device.PrecisionF32, device.PrecisionBF16} {
		_, plain, a := graphRig(t, p)
		h, replayed, b := graphRig(t, p)
		for step := range 6 {
			seed := uint64(step / 2) // the same seed twice, then another
			passes(plain, a[0], a[1], a[2], a[3], seed)
			before := h.launches
			if err := replayed.Replay("step", func() error { passes(replayed, b[0], b[1], b[2], b[3], seed); return nil }); err != nil {
				t.Fatal(err)
			}
			if err := replayed.Sync(context.Background()); err != nil {
				t.Fatal(err)
			}
			if h.launches == before {
				t.Fatal("nothing was computed")
			}
			same(t, "y", downloaded(plain, a[2]), downloaded(replayed, b[2]))
			same(t, "z", downloaded(plain, a[3]), downloaded(replayed, b[3]))
			replayed.SumSquares(b[2].T.Slice(0, 1), b[3].T) // other users of working memory in between
			plain.SumSquares(a[2].T.Slice(0, 1), a[3].T)
		}
		g := replayed.rec.graphs["step"].graph.(*hostGraph)
		if g.updates != 2*2 {
			t.Errorf("%d kernels got new arguments, want 2 for each of 2 new seeds", g.updates)
		}
	}
}

func TestReplayNoticesOtherKernelsAndMemory(t *testing.T) {
	_, d, m := graphRig(t, device.PrecisionF32)
	sum := func() error { d.Add(m[3], m[0], m[1]); d.Gemm(device.Gemm{A: m[0], B: m[1], C: m[2]}); return nil }
	other := func() error { d.Mul(m[3], m[0], m[1]); d.Gemm(device.Gemm{A: m[1], B: m[3], C: m[2]}); return nil }
	longer := func() error {
		d.Mul(m[3], m[0], m[1])
		d.Mul(m[3], m[3], m[3])
		d.Gemm(device.Gemm{A: m[1], B: m[3], C: m[2]})
		return nil
	}
	for i, run := range []func() error{sum, sum, sum, other, other, other, longer, sum} {
		if err := d.Replay(1, run); err != nil {
			t.Fatal(err)
		}
		got2, got3 := downloaded(d, m[2]), downloaded(d, m[3])
		if err := run(); err != nil {
			t.Fatal(err)
		}
		same(t, "product", downloaded(d, m[2]), got2)
		if len(got3) != 64 {
			t.Fatal(i)
		}
		same(t, "sum", downloaded(d, m[3]), got3)
	}
}

func TestReplayEndsWithItsMemory(t *testing.T) {
	_, d, m := graphRig(t, device.PrecisionF32)
	for range 3 {
		if err := d.Replay(1, func() error { passes(d, m[0], m[1], m[2], m[3], 1); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	extra, err := d.Alloc(64)
	if err != nil {
		t.Fatal(err)
	}
	d.Free(extra)
	if len(d.rec.graphs) != 0 {
		t.Error("a graph outlives memory it may use")
	}
}

func TestReplayGivesErrorsOn(t *testing.T) {
	_, d, _ := graphRig(t, device.PrecisionF32)
	want := errors.New("stopped")
	for range 3 {
		if err := d.Replay(1, func() error { return want }); !errors.Is(err, want) {
			t.Errorf("got %v", err)
		}
	}
}

// Keys beyond the limit push the oldest out, whose memory is used again.
func TestReplayRemembersAFewKeys(t *testing.T) {
	h, d, m := graphRig(t, device.PrecisionBF16)
	replay := func(key int) {
		if err := d.Replay(key, func() error { passes(d, m[0], m[1], m[2], m[3], 1); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		replay(0)
	}
	for key := range 5 * maxGraphs {
		replay(key + 1)
		if key%4 == 0 {
			replay(0) // in use, so it stays
		}
		if len(d.rec.graphs) > maxGraphs {
			t.Fatalf("%d keys", len(d.rec.graphs))
		}
	}
	if r := d.rec.graphs[0]; r == nil || r.graph == nil {
		t.Error("the key in use was forgotten")
	}
	one := h.used
	for key := range 5 * maxGraphs {
		replay(-key - 1)
	}
	if h.used > one {
		t.Errorf("memory grows from %d to %d bytes", one, h.used)
	}
}
