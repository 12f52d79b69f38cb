package kern

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
)

// forEachLevel runs a test with the table of each level that this machine has.
func forEachLevel(t *testing.T, test func(t *testing.T, table *Table)) {
	t.Helper()
	for _, level := range Levels() {
		table, err := For(level)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(level.String(), func(t *testing.T) { test(t, table) })
	}
}

func randomFloats(r *rand.Rand, n int) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = float32(r.NormFloat64())
	}
	return s
}

// forEachForm runs a test with each level's products in float32 and, where there are such, in bfloat16.
func forEachForm(t *testing.T, test func(t *testing.T, table *Table, bf16 bool)) {
	t.Helper()
	forEachLevel(t, func(t *testing.T, table *Table) {
		test(t, table, false)
		if table.HasBF16() {
			t.Run("bf16", func(t *testing.T) { test(t, table, true) })
		}
	})
}

// product is a random product whose C has a guard zone behind it and between its rows.
type product struct {
	Gemm
	before []float32 // C before the product
}

func randomProduct(r *rand.Rand, m, n, k int, transA, transB, accumulate bool, slack int) *product {
	g := Gemm{M: m, N: n, K: k, TransA: transA, TransB: transB, Accumulate: accumulate}
	matrix := func(rows, cols int, swapped bool) ([]float32, int) {
		if swapped {
			rows, cols = cols, rows
		}
		stride := cols + r.IntN(slack+1)
		return randomFloats(r, rows*stride+slack), stride
	}
	g.A, g.LDA = matrix(m, k, transA)
	g.B, g.LDB = matrix(k, n, transB)
	g.C, g.LDC = matrix(m, n, false)
	return &product{g, append([]float32(nil), g.C...)}
}

// bfloat16 rounds to the nearest bfloat16, halves to even.
func bfloat16(x float32) float32 {
	bits := math.Float32bits(x)
	return math.Float32frombits((bits + 0x7fff + bits>>16&1) &^ 0xffff)
}

// wrong compares C with a float64 sum. The error of K rounded multiply-adds is at most (K+2)·2^-24·sum|a·b| (Higham, 3.1), also in bfloat16, where
// the products of the rounded operands are exact.
func (p *product) wrong() error {
	at := func(s []float32, stride, i, j int, swapped bool) float64 {
		if swapped {
			i, j = j, i
		}
		x := s[i*stride+j]
		if p.BF16 {
			x = bfloat16(x)
		}
		return float64(x)
	}
	seen := make([]bool, len(p.C))
	for i := range p.M {
		for j := range p.N {
			at0 := i*p.LDC + j
			seen[at0] = true
			var want, size float64
			if p.Accumulate {
				want = float64(p.before[at0])
				size = math.Abs(want)
			}
			for k := range p.K {
				x := at(p.A, p.LDA, i, k, p.TransA) * at(p.B, p.LDB, k, j, p.TransB)
				want += x
				size += math.Abs(x)
			}
			if got := float64(p.C[at0]); !(math.Abs(got-want) <= float64(p.K+2)*0x1p-24*size) {
				return fmt.Errorf("C[%d,%d] = %g, want %g", i, j, got, want)
			}
		}
	}
	for i := range p.C {
		if !seen[i] && p.C[i] != p.before[i] {
			return fmt.Errorf("element %d outside of C was written", i)
		}
	}
	return nil
}

func TestGemmMatchesReference(t *testing.T) {
	sizes := []int{1, 2, 3, 5, 7, 12, 13, 17, 31, 33, 63, 65, 100, 127, 257}
	forEachForm(t, func(t *testing.T, table *Table, bf16 bool) {
		pool := NewPool(2)
		defer pool.Close()
		r := rand.New(rand.NewPCG(1, 2))
		pick := func() int { return sizes[r.IntN(len(sizes))] }
		for i := range 240 {
			p := randomProduct(r, pick(), pick(), pick(), i&1 != 0, i&2 != 0, i&4 != 0, i%7)
			p.BF16 = bf16
			if i&8 == 0 {
				table.Gemm(pool, p.Gemm)
			} else {
				table.GemmSerial(pool.Workspace(1), p.Gemm)
			}
			if err := p.wrong(); err != nil {
				t.Fatalf("%d×%d×%d transA %v transB %v accumulate %v strides %d %d %d: %v",
					p.M, p.N, p.K, p.TransA, p.TransB, p.Accumulate, p.LDA, p.LDB, p.LDC, err)
			}
		}
	})
}

// Shapes of attention heads, vectors, empty sums, and each size of edge tile.
func TestGemmSmallShapes(t *testing.T) {
	forEachForm(t, func(t *testing.T, table *Table, bf16 bool) {
		var ws Workspace
		r := rand.New(rand.NewPCG(3, 4))
		for m := range 15 {
			for n := range 36 {
				for _, k := range []int{0, 1, 3, 32} {
					for layout := range 8 {
						p := randomProduct(r, m, n, k, layout&1 != 0, layout&2 != 0, layout&4 != 0, 2)
						p.BF16 = bf16
						table.GemmSerial(&ws, p.Gemm)
						if err := p.wrong(); err != nil {
							t.Fatalf("%d×%d×%d layout %d: %v", m, n, k, layout, err)
						}
					}
				}
			}
		}
	})
}

// The epilogue must come once per element, and after all of K: it adds 1000 to C, which a later pass over C would keep and an
// earlier one lose.
func TestGemmEpilogueSeesEachElementOnce(t *testing.T) {
	forEachLevel(t, func(t *testing.T, table *Table) {
		pool := NewPool(3)
		defer pool.Close()
		r := rand.New(rand.NewPCG(5, 6))
		for _, shape := range [][3]int{{1, 1, 0}, {1, 1, 1}, {31, 77, 5}, {300, 513, 20}, {64, 260, 530}} {
			p := randomProduct(r, shape[0], shape[1], shape[2], false, true, false, 3)
			visits := make([]atomic.Int32, p.M*p.N)
			g := p.Gemm
			g.Epilogue = func(_, row0, row1, col0, col1 int) {
				for i := row0; i < row1; i++ {
					for j := col0; j < col1; j++ {
						visits[i*p.N+j].Add(1)
						g.C[i*g.LDC+j] += 1000
					}
				}
			}
			table.Gemm(pool, g)
			for i := range visits {
				if v := visits[i].Load(); v != 1 {
					t.Fatalf("%v: element %d was visited %d times", shape, i, v)
				}
			}
			for i := range p.M {
				for j := range p.N {
					p.C[i*p.LDC+j] -= 1000
				}
			}
			for i := range p.M {
				for j := range p.N {
					want := 0.0
					for k := range p.K {
						want += float64(p.A[i*p.LDA+k]) * float64(p.B[j*p.LDB+k])
					}
					if got := float64(p.C[i*p.LDC+j]); math.Abs(got-want) > 1e-3+1e-5*float64(p.K) {
						t.Fatalf("%v: C[%d,%d] = %g, want %g: the epilogue ran too early", shape, i, j, got, want)
					}
				}
			}
		}
	})
}

func TestGemmRefusesShortOperands(t *testing.T) {
	table, err := For(Generic)
	if err != nil {
		t.Fatal(err)
	}
	good := Gemm{M: 3, N: 4, K: 5, A: make([]float32, 15), LDA: 5, B: make([]float32, 20), LDB: 4, C: make([]float32, 12), LDC: 4}
	for name, spoil := range map[string]func(*Gemm){
		"short A":       func(g *Gemm) { g.A = g.A[:14] },
		"short B":       func(g *Gemm) { g.B = g.B[:19] },
		"short C":       func(g *Gemm) { g.C = g.C[:11] },
		"narrow stride": func(g *Gemm) { g.LDB = 3 },
		"negative size": func(g *Gemm) { g.K = -1 },
	} {
		g := good
		spoil(&g)
		if catch(func() { table.GemmSerial(new(Workspace), g) }) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	table.GemmSerial(new(Workspace), good)
	good.BF16 = true
	if catch(func() { table.GemmSerial(new(Workspace), good) }) == nil {
		t.Error("bfloat16 in portable Go: accepted")
	}
}

// The bits of C depend on the values of the operands alone, not on their layout, on strides or on the number of threads.
func TestGemmBitsAreThoseOfTheValues(t *testing.T) {
	forEachForm(t, func(t *testing.T, table *Table, bf16 bool) {
		pool := NewPool(3)
		defer pool.Close()
		r := rand.New(rand.NewPCG(7, 8))
		for _, shape := range [][3]int{{1, 1, 1}, {13, 33, 7}, {97, 131, 515}, {150, 100, 300}} {
			plain := randomProduct(r, shape[0], shape[1], shape[2], false, false, false, 0)
			plain.BF16 = bf16
			table.GemmSerial(new(Workspace), plain.Gemm)
			for layout := range 4 {
				other := randomProduct(r, shape[0], shape[1], shape[2], layout&1 != 0, layout&2 != 0, false, 5)
				other.BF16 = bf16
				lay(other.A, other.LDA, plain.A, shape[0], shape[2], other.TransA)
				lay(other.B, other.LDB, plain.B, shape[2], shape[1], other.TransB)
				table.Gemm(pool, other.Gemm)
				for i := range shape[0] {
					for j := range shape[1] {
						if got, want := other.C[i*other.LDC+j], plain.C[i*plain.LDC+j]; got != want {
							t.Fatalf("%v layout %d: C[%d,%d] = %g, plain %g", shape, layout, i, j, got, want)
						}
					}
				}
			}
		}
	})
}

// A packed B gives the bits of a plain one, also from the middle of a larger matrix.
func TestGemmOfPanels(t *testing.T) {
	forEachForm(t, func(t *testing.T, table *Table, bf16 bool) {
		var ws Workspace
		r := rand.New(rand.NewPCG(9, 10))
		for i := range 60 {
			m, n, k := 1+r.IntN(100), 1+r.IntN(100), 1+r.IntN(300)
			row, col := PanelAlign*r.IntN(3), PanelAlign*r.IntN(3)
			whole := randomProduct(r, m, n+col, k+row, i&1 != 0, i&2 != 0, false, 3)
			part := randomProduct(r, m, n, k, whole.TransA, whole.TransB, i&4 != 0, 3)
			start := row*whole.LDB + col
			if whole.TransB {
				start = col*whole.LDB + row
			}
			part.B, part.LDB, part.BF16 = whole.B[start:], whole.LDB, bf16
			table.GemmSerial(&ws, part.Gemm)
			want := append([]float32(nil), part.C...)
			if err := part.wrong(); err != nil {
				t.Fatal(err)
			}
			copy(part.C, part.before)
			panels := table.Pack(make([]float32, table.PanelsLen(k+row, n+col, bf16)), whole.B, whole.LDB, k+row, n+col, whole.TransB, bf16)
			g := part.Gemm
			g.B, g.Packed = nil, panels.From(row, col)
			table.GemmSerial(&ws, g)
			for j := range want {
				if part.C[j] != want[j] {
					t.Fatalf("%d×%d×%d from %d, %d: C[%d] = %g, plain %g", m, n, k, row, col, j, part.C[j], want[j])
				}
			}
		}
	})
}

// A half-width B gives the bits that its values give as float32, and is not read beyond its matrix.
func TestGemmOfHalfB(t *testing.T) {
	forEachForm(t, func(t *testing.T, table *Table, bf16 bool) {
		if !bf16 {
			return
		}
		pool := NewPool(2)
		defer pool.Close()
		r := rand.New(rand.NewPCG(11, 12))
		sizes := []int{1, 2, 3, 31, 33, 64, 65, 97, 130, 257, 515, 1100}
		for i := range 120 {
			m, n, k := sizes[r.IntN(len(sizes))], sizes[r.IntN(len(sizes))], sizes[r.IntN(len(sizes))]
			p := randomProduct(r, m, n, k, i&1 != 0, i&2 != 0, i&4 != 0, i%5)
			p.BF16 = true
			rows, cols := k, n
			if p.TransB {
				rows, cols = n, k
			}
			half := make([]uint16, (rows-1)*p.LDB+cols)
			for j := range half {
				p.B[j] = bfloat16(p.B[j])
				half[j] = uint16(math.Float32bits(p.B[j]) >> 16)
			}
			table.Gemm(pool, p.Gemm)
			want := append([]float32(nil), p.C...)
			copy(p.C, p.before)
			g := p.Gemm
			g.B, g.HalfB = nil, half
			if i&8 == 0 {
				table.Gemm(pool, g)
			} else {
				table.GemmSerial(new(Workspace), g)
			}
			for j := range want {
				if p.C[j] != want[j] {
					t.Fatalf("%d×%d×%d, %v %v: C[%d] = %g, plain %g", m, n, k, p.TransA, p.TransB, j, p.C[j], want[j])
				}
			}
			if err := p.wrong(); err != nil {
				t.Fatal(err)
			}
		}
		require := func(g Gemm, text string) {
			t.Helper()
			defer func() {
				if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), text) {
					t.Errorf("%v, want %q", r, text)
				}
			}()
			table.GemmSerial(new(Workspace), g)
		}
		x := make([]float32, 6)
		require(Gemm{M: 2, N: 3, K: 2, BF16: true, A: x, C: x, LDA: 2, LDB: 3, LDC: 3, HalfB: make([]uint16, 5)}, "does not fit")
		require(Gemm{M: 2, N: 3, K: 2, A: x, C: x, LDA: 2, LDB: 3, LDC: 3, HalfB: make([]uint16, 6)}, "in float32")
	})
}

// lay copies a dense rows×cols matrix to strided, perhaps transposed storage.
func lay(dst []float32, stride int, src []float32, rows, cols int, swapped bool) {
	for i := range rows {
		for j := range cols {
			if swapped {
				dst[j*stride+i] = src[i*cols+j]
			} else {
				dst[i*stride+j] = src[i*cols+j]
			}
		}
	}
}

func FuzzGemm(f *testing.F) {
	f.Add(uint64(1), uint16(12), uint16(32), uint16(64), uint8(0))
	f.Add(uint64(2), uint16(145), uint16(513), uint16(257), uint8(7))
	f.Add(uint64(3), uint16(1), uint16(1), uint16(0), uint8(5))
	pool := NewPool(2)
	f.Cleanup(pool.Close)
	f.Fuzz(func(t *testing.T, seed uint64, m, n, k uint16, layout uint8) {
		r := rand.New(rand.NewPCG(seed, 0))
		p := randomProduct(r, int(m)%600, int(n)%600, int(k)%300, layout&1 != 0, layout&2 != 0, layout&4 != 0, int(layout>>3))
		for _, level := range Levels() {
			table, err := For(level)
			if err != nil {
				t.Fatal(err)
			}
			for _, p.BF16 = range []bool{false, true} {
				if p.BF16 && !table.HasBF16() {
					continue
				}
				copy(p.C, p.before)
				table.Gemm(pool, p.Gemm)
				if err := p.wrong(); err != nil {
					t.Fatalf("%s: %d×%d×%d layout %d bf16 %v: %v", level, p.M, p.N, p.K, layout, p.BF16, err)
				}
			}
		}
	})
}

func BenchmarkGemm(b *testing.B) {
	shapes := [][3]int{{4096, 256, 1024}, {4096, 1024, 256}, {256, 1024, 4096}, {128, 128, 64}, {128, 64, 128}, {614, 4096, 256}}
	for _, level := range Levels() {
		table, err := For(level)
		if err != nil {
			b.Fatal(err)
		}
		for _, bf16 := range []bool{false, true} {
			if bf16 && !table.HasBF16() {
				continue
			}
			for _, shape := range shapes {
				for _, layout := range []string{"NN", "NT", "TN"} {
					for threads := 1; threads <= 2; threads++ {
						name := fmt.Sprintf("%s/bf16=%v/%dx%dx%d/%s/threads=%d", level, bf16, shape[0], shape[1], shape[2], layout, threads)
						b.Run(name, func(b *testing.B) {
							pool := NewPool(threads)
							defer pool.Close()
							r := rand.New(rand.NewPCG(1, 2))
							p := randomProduct(r, shape[0], shape[1], shape[2], layout[0] == 'T', layout[1] == 'T', false, 0)
							p.BF16 = bf16
							peak := table.PeakFlops(pool, bf16)
							for b.Loop() {
								table.Gemm(pool, p.Gemm)
							}
							rate := 2 * float64(p.M) * float64(p.N) * float64(p.K) * float64(b.N) / b.Elapsed().Seconds()
							b.ReportMetric(rate/1e9, "GFLOP/s")
							b.ReportMetric(rate/peak, "of-peak")
						})
					}
				}
			}
		}
	}
}
