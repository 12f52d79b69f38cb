package kern

import "fmt"

// Gemm is a matrix product C = op(A)·op(B), or C += op(A)·op(B), of float32 matrices in row-major storage. op(A) is M×K and op(B) is K×N.
type Gemm struct {
	M, N, K        int
	TransA, TransB bool // A is stored K×M, B is stored N×K
	Accumulate     bool // add to C instead of overwriting it
	BF16           bool // round A and B to bfloat16 first; sums stay in float32. Only where HasBF16.
	A, B, C        []float32
	HalfB          []uint16 // B as bfloat16, in its place; only with BF16
	LDA, LDB, LDC  int      // elements from one stored row to the next
	Packed         Panels   // if set, is B, and at least K×N; made in the same precision
	// Epilogue, if set, is called exactly once for every finished block of C, right after it was computed and while it is in the cache:
	// rows [row0, row1), columns [col0, col1). Blocks cover C without overlap; their sizes and order are not determined, so what the
	// epilogue computes for an element must not depend on the block. Calls run at the same time on different workers (GemmSerial: worker 0).
	// The product still needs the worker's Workspace, so an epilogue must not run other products with it.
	Epilogue func(worker, row0, row1, col0, col1 int)
}

// check panics if a slice cannot hold its matrix.
func (g *Gemm) check() {
	if g.M < 0 || g.N < 0 || g.K < 0 {
		panic(fmt.Sprintf("kern: gemm of negative size %d×%d×%d", g.M, g.N, g.K))
	}
	operand := func(name string, length, rows, cols, stride int, swapped bool) {
		if swapped {
			rows, cols = cols, rows
		}
		if rows == 0 || cols == 0 {
			return
		}
		if stride < cols && rows > 1 || length < (rows-1)*stride+cols {
			panic(fmt.Sprintf("kern: gemm: %s of %d×%d with row stride %d does not fit %d elements", name, rows, cols, stride, length))
		}
	}
	operand("A", len(g.A), g.M, g.K, g.LDA, g.TransA)
	if g.HalfB != nil && (!g.BF16 || g.B != nil || g.Packed.set != nil) {
		panic("kern: gemm: half-width B beside another, or in float32")
	}
	if g.Packed.set == nil {
		operand("B", len(g.B)+len(g.HalfB), g.K, g.N, g.LDB, g.TransB)
	} else if s := g.Packed.set; g.Packed.bf16 != g.BF16 || g.M > 0 && g.N > 0 && len(g.Packed.words) < (ceilDiv(g.N, s.columns)-1)*s.columns*g.Packed.depth+ceilDiv(g.K, s.perWord)*s.columns {
		panic(fmt.Sprintf("kern: gemm: packed B does not hold %d×%d, or is of another precision", g.K, g.N))
	}
	operand("C", len(g.C), g.M, g.N, g.LDC, false)
}

// inlineWork is the number of multiply-adds below which waking other threads costs more than it gains.
const inlineWork = 1 << 18

// Gemm computes g on all threads of p; inside a task of p, use GemmSerial with the worker's Workspace. The bits of C depend on the level and on the operands' values and K, not on p, strides or transposes.
func (t *Table) Gemm(p *Pool, g Gemm) {
	if len(p.helpers) == 0 || g.M*g.N*g.K < inlineWork {
		t.GemmSerial(p.Workspace(0), g)
		return
	}
	g.check()
	if g.M == 0 || g.N == 0 {
		return
	}
	j := &p.gemm
	j.start(t, g, p.Threads())
	for j.nextPass() {
		p.ParallelFor(j.packTasks(), j.packTask)
		p.ParallelFor(j.blocks(), j.runBlock)
	}
	j.finish()
}

// GemmSerial computes g on the calling thread alone with scratch memory ws; the same bits as Gemm. Small products are not packed unless
// the layout needs it, so that attention heads and single rows have little overhead.
func (t *Table) GemmSerial(ws *Workspace, g Gemm) {
	g.check()
	if g.M == 0 || g.N == 0 {
		return
	}
	j := &ws.gemm
	j.scratch = ws
	j.start(t, g, 1)
	for j.nextPass() {
		for task := range j.packTasks() {
			j.pack(task, ws)
		}
		for block := range j.blocks() {
			j.block(block, 0, ws)
		}
	}
	j.finish()
}
