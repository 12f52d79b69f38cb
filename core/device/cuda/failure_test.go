package cuda

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"flexi/core/device"
)

func contains(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("%q lacks %q", err, p)
		}
	}
}

// two are equal matrices on a device.
func two(t *testing.T, d *Device, rows, cols int) (x, y device.Mat) {
	t.Helper()
	m, err := d.Alloc(8 * rows * cols)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Free(m) })
	n := rows * cols
	return device.NewTensor(m, 0, n, device.F32).Mat(rows, cols), device.NewTensor(m, n, n, device.F32).Mat(rows, cols)
}

func TestFullGPUSaysWhoHasIt(t *testing.T) {
	h := newHost(t)
	h.limit = 1 << 20
	d := openOn(t, h, device.PrecisionF32)
	_, err := d.Alloc(200 << 20)
	if !errors.Is(err, device.ErrFull) {
		t.Errorf("not device.ErrFull: %v", err)
	}
	contains(t, err, "0.21 GB asked for", "1.0 MB of 1.0 MB free", "python3 (process 4711) 3.22 GB", "smaller batch")
	if err := d.Sync(context.Background()); err != nil {
		t.Errorf("an allocation that was refused stays: %v", err)
	}
	if m, err := d.Alloc(1 << 10); err != nil {
		t.Errorf("what fits is refused: %v", err)
	} else {
		d.Free(m)
	}
}

func TestWorkingMemoryIsGivenUpForAModel(t *testing.T) {
	h := newHost(t)
	d := openOn(t, h, device.PrecisionF32)
	x, _ := two(t, d, 64, 64)
	d.SumSquares(x.T.Slice(0, 1), x.T) // leaves working memory in the pool
	h.limit = h.used + 100
	m, err := d.Alloc(300)
	if err != nil {
		t.Fatal(err)
	}
	d.Free(m)
}

func TestLostGPUFailsOnceAndForAll(t *testing.T) {
	h := newHost(t)
	d := openOn(t, h, device.PrecisionF32)
	x, y := two(t, d, 5, 7)
	d.Add(y, x, x)
	if err := d.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	h.lostAt = h.launches
	d.Add(y, x, x)
	d.Gemm(device.Gemm{A: x, B: y, C: x.Columns(0, 5), TransB: true})
	for range 2 {
		err := d.Sync(context.Background())
		if !errors.Is(err, ErrLost) {
			t.Fatalf("not ErrLost: %v", err)
		}
		contains(t, err, "add 5x7", "cuda:0", "last checkpoint", "--device cpu")
	}
	got := []float32{1}
	d.DownloadF32(got, x.T.Slice(0, 1))
	if !math.IsNaN(float64(got[0])) {
		t.Errorf("a lost GPU gave %v", got[0])
	}
	if _, err := d.Alloc(4); err == nil {
		t.Error("memory of a lost GPU")
	}
}

func TestGPULostAtAnyKernel(t *testing.T) {
	for at := range 12 {
		h := newHost(t)
		h.lostAt = at
		d := openOn(t, h, device.PrecisionBF16)
		m, err := d.Alloc(1 << 16)
		if err != nil {
			if at > 0 {
				t.Errorf("before kernel %d: %v", at, err)
			}
			continue
		}
		x := device.NewTensor(m, 0, 64, device.F32).Mat(8, 8)
		z := device.NewTensor(m, 64, 64, device.F32).Mat(8, 8)
		for range 4 {
			d.Gemm(device.Gemm{A: x, B: x, C: z})
			d.Dropout(z, x, device.Dropout{P: 0.5})
			d.SumSquares(z.T.Slice(0, 1), x.T)
		}
		if err := d.Sync(context.Background()); !errors.Is(err, ErrLost) {
			t.Errorf("lost at kernel %d: %v", at, err)
		}
		d.Free(m)
	}
}

func TestCodesOfALostGPU(t *testing.T) {
	for c, want := range map[code]error{2: device.ErrFull, 46: ErrLost, 214: ErrLost, 700: ErrLost, 719: ErrLost, 1: nil} {
		if got := (&result{"cuLaunchKernel", c, ""}).Unwrap(); got != want {
			t.Errorf("code %d is %v, want %v", c, got, want)
		}
	}
}

func TestMissingLibraryNamesWhatAndWhere(t *testing.T) {
	_, err := openLibrary([]string{"libflexi-nothing.so.1"}, nil)
	contains(t, err, "libflexi-nothing.so.1")
}

func TestWideHeadsAreRefused(t *testing.T) {
	d := openOn(t, newHost(t), device.PrecisionF32)
	x, _ := two(t, d, 1, maxDim+1)
	defer func() {
		if r := recover(); r == nil || !strings.Contains(r.(string), "up to 128") {
			t.Errorf("panic %v", r)
		}
	}()
	d.AttentionForward(device.Attention{
		AttentionShape: device.AttentionShape{Batch: 1, Seq: 1, Dim: maxDim + 1, Scores: []device.Score{device.ScorePosition}, Bilinear: []int{0}},
		Q:              x, V: x, Out: x, Rel: x,
	})
}
