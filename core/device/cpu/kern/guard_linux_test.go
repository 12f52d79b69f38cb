package kern

import (
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"unsafe"
)

// guarded returns n floats that end at an inaccessible page, so that reading or writing behind them is a fault.
func guarded(t *testing.T, n int) []float32 {
	t.Helper()
	page := os.Getpagesize()
	bytes := (4*n + page - 1) / page * page
	memory, err := syscall.Mmap(-1, 0, bytes+page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatalf("map a guard page: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Munmap(memory); err != nil {
			t.Errorf("unmap a guard page: %v", err)
		}
	})
	if err := syscall.Mprotect(memory[bytes:], syscall.PROT_NONE); err != nil {
		t.Fatalf("protect a guard page: %v", err)
	}
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(&memory[bytes-4*n])), n)
}

func guardedRandom(t *testing.T, r *rand.Rand, n int) []float32 {
	s := guarded(t, n)
	copy(s, randomFloats(r, n))
	return s
}

func TestVectorKernelsStayInsideTheirSlices(t *testing.T) {
	forEachLevel(t, func(t *testing.T, table *Table) {
		r := rand.New(rand.NewPCG(1, 2))
		c := NewAdamW(1e-3, 0.9, 0.999, 1e-8, 0.01, 1, 1)
		for _, n := range lengths {
			v := func() []float32 { return guardedRandom(t, r, n) }
			dst, a, b, d := v(), v(), v(), v()
			for _, f := range []func(dst, src []float32){table.Exp, table.Erf, table.Tanh, table.GELU} {
				f(dst, a)
			}
			for _, f := range []func(dst, a, b []float32){table.Add, table.Mul, table.MulAdd, table.GELUGrad, table.TanhGrad} {
				f(dst, a, b)
			}
			table.Reverse(dst, a)
			table.Scale(dst, a, 2)
			table.Axpy(dst, a, 2)
			table.Dropout(dst, a, 1, 2, 1<<30, 2)
			table.Sum(a)
			table.Dot(a, b)
			table.Max(a)
			table.SumSquares(a)
			table.FirstNonFinite(a)
			table.ExpSum(dst, a, 0)
			table.Softmax(dst, a, 1)
			table.SoftmaxGrad(dst, a, b, 1)
			table.MeanVar(a)
			table.Normalize(dst, a, b, d, 0, 1)
			table.NormGrad(dst, a, b, d, 0, 1)
			table.NormParamGrad(dst, d, a, b, 0, 1)
			table.AdamW(dst, a, b, d, &c)
		}
	})
}

func TestGemmStaysInsideItsOperands(t *testing.T) {
	forEachForm(t, func(t *testing.T, table *Table, bf16 bool) {
		r := rand.New(rand.NewPCG(3, 4))
		var ws Workspace
		for i := range 200 {
			m, n, k := 1+r.IntN(110), 1+r.IntN(110), 1+r.IntN(40)
			p := randomProduct(r, m, n, k, i&1 != 0, i&2 != 0, i&4 != 0, 0)
			p.BF16 = bf16
			g := p.Gemm
			g.A, g.B, g.C = guarded(t, len(p.A)), guarded(t, len(p.B)), guarded(t, len(p.C))
			copy(g.A, p.A)
			copy(g.B, p.B)
			copy(g.C, p.C)
			table.GemmSerial(&ws, g)
			copy(p.C, g.C)
			if err := p.wrong(); err != nil {
				t.Fatalf("%d×%d×%d: %v", m, n, k, err)
			}
		}
	})
}
