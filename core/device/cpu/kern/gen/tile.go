//go:build ignore

package main

import (
	"bytes"
	"fmt"
)

// The matrix-product tiles. One tile holds rows × vectors accumulators. A step of k loads the vectors of B once, and for each row
// broadcasts one element of A and multiplies it into the row's accumulators: rows·vectors FMAs for rows + vectors loads, so with 12×2
// (AVX-512) or 6×2 (AVX2) the FMA units and not the load ports are the limit. Rows are addressed as base, base+row, base+2·row, with a
// base register for every three rows.

// isa is an instruction set as the tiles see it.
type isa struct {
	name  string // suffix of functions
	file  string // infix of file names
	reg   string // register class
	bytes int    // of a vector
	rows  int    // of the full tile
	regs  int
	pairs bool // a word of A or B is two bfloat16 that are next to each other in k
}

type gen struct {
	bytes.Buffer
	isa
	nrows, nvecs int
	partial      bool // the last vector of a row is partial
}

func (g *gen) op(f string, args ...any) { fmt.Fprintf(g, "\t"+f+"\n", args...) }

func (g *gen) acc(r, v int) string { return fmt.Sprintf("%s%d", g.reg, r*g.nvecs+v) }
func (g *gen) b(v int) string      { return fmt.Sprintf("%s%d", g.reg, g.rows*2+v) }
func (g *gen) a(r int) string {
	spare := g.regs - g.rows*2 - 2
	if g.reg == "Y" && g.partial {
		spare = 1 // Y15 holds the mask
	}
	return fmt.Sprintf("%s%d", g.reg, g.rows*2+2+r%spare)
}

// address of A[r, k].
func address(r int) string {
	base := [...]string{"(AX)", "(BX)", "(CX)", "(DX)"}[r/3]
	return base + [...]string{"", "(R8*1)", "(R8*2)"}[r%3]
}

// bases are the registers that point at rows 0, 3, 6 and 9.
func (g *gen) bases() []string { return []string{"AX", "BX", "CX", "DX"}[:(g.nrows+2)/3] }

func at(base string, offset int) string {
	if offset == 0 {
		return "(" + base + ")"
	}
	return fmt.Sprintf("%d(%s)", offset, base)
}

// isPartial reports whether vector v is the partial one.
func (g *gen) isPartial(v int) bool { return g.partial && v == g.nvecs-1 }

func (g *gen) load(v int, from, to string) {
	switch {
	case !g.isPartial(v):
		g.op("VMOVUPS %s, %s", from, to)
	case g.reg == "Z":
		g.op("VMOVUPS.Z %s, K1, %s", from, to)
	default:
		g.op("VMASKMOVPS %s, Y15, %s", from, to)
	}
}

func (g *gen) store(v int, from, to string) {
	switch {
	case !g.isPartial(v):
		g.op("VMOVUPS %s, %s", from, to)
	case g.reg == "Z":
		g.op("VMOVUPS %s, K1, %s", from, to)
	default:
		g.op("VMASKMOVPS %s, Y15, %s", from, to)
	}
}

func (g *gen) function() {
	name := g.funcName()
	fmt.Fprintf(g, "\n// func %s(t *tile)\n// Requires: %s\nTEXT ·%s(SB), NOSPLIT, $0-8\n", name, g.name, name)
	g.op("MOVQ t+0(FP), DI")
	g.op("MOVQ tile_a(DI), AX")
	g.op("MOVQ tile_c(DI), SI")
	g.op("MOVQ tile_rowA(DI), R8")
	g.op("MOVQ tile_colA(DI), R9")
	g.op("MOVQ tile_rowB(DI), R10")
	g.op("MOVQ tile_rowC(DI), R11")
	if g.partial {
		g.loadMask()
	}
	g.WriteString("tile:\n")
	g.rowBases()
	for r := range g.nrows {
		for v := range g.nvecs {
			g.zero(g.acc(r, v))
		}
	}
	g.prefetch()
	g.op("MOVQ tile_b(DI), R12")
	g.op("MOVQ tile_k(DI), R13")
	g.op("PCALIGN $32")
	g.WriteString("step:\n")
	g.step()
	g.op("DECQ R13")
	g.op("JNZ step")
	g.finish()
	g.op("ADDQ tile_nextA(DI), AX")
	g.op("DECQ tile_tiles(DI)")
	g.op("JNZ tile")
	g.op("VZEROUPPER")
	g.op("RET")
}

func (g *gen) funcName() string {
	if !g.partial {
		return "tile" + g.name
	}
	return fmt.Sprintf("edge%s_%dx%d", g.name, g.nrows, g.nvecs)
}

func (g *gen) loadMask() {
	if g.reg == "Z" {
		g.op("KMOVW tile_mask(DI), K1")
		return
	}
	// The eight lanes from 8-lanes on in eight set, then eight clear words.
	g.op("MOVQ tile_lanes(DI), R12")
	g.op("SHLQ $2, R12")
	g.op("LEAQ ·laneMask+32(SB), R13")
	g.op("SUBQ R12, R13")
	g.op("VMOVUPS (R13), Y15")
}

// rowBases points BX, CX, DX at rows 3, 6, 9.
func (g *gen) rowBases() {
	b := g.bases()
	if len(b) == 1 {
		return
	}
	g.op("LEAQ (R8)(R8*2), R12")
	for i := 1; i < len(b); i++ {
		g.op("LEAQ (%s)(R12*1), %s", b[i-1], b[i])
	}
}

func (g *gen) zero(reg string) {
	if g.reg == "Z" {
		g.op("VPXORD %s, %s, %s", reg, reg, reg)
		return
	}
	g.op("VXORPS %s, %s, %s", reg, reg, reg)
}

// prefetch asks for the block of C, which is needed when the sums are done.
func (g *gen) prefetch() {
	g.op("MOVQ SI, R12")
	for r := range g.nrows {
		for v := 0; v < g.nvecs*g.isa.bytes; v += 64 {
			g.op("PREFETCHT0 %s", at("R12", v))
		}
		if r < g.nrows-1 {
			g.op("ADDQ R11, R12")
		}
	}
}

func (g *gen) step() {
	for v := range g.nvecs {
		g.load(v, at("R12", v*g.isa.bytes), g.b(v))
	}
	for r := range g.nrows {
		g.op("VBROADCASTSS %s, %s", address(r), g.a(r))
		for v := range g.nvecs {
			g.multiplyAdd(g.b(v), g.a(r), g.acc(r, v))
		}
	}
	for _, b := range g.bases() {
		g.op("ADDQ R9, %s", b)
	}
	g.op("ADDQ R10, R12")
}

// multiplyAdd is acc += a·b, lane by lane.
func (g *gen) multiplyAdd(b, a, acc string) {
	if g.pairs {
		g.op("%s // VDPBF16PS %s, %s, %s", dotPairs.bytes(b, a, acc), b, a, acc)
		return
	}
	g.op("VFMADD231PS %s, %s, %s", b, a, acc)
}

// finish stores the accumulators or adds them to C, and leaves SI at the row below the tile.
func (g *gen) finish() {
	g.op("CMPQ tile_add(DI), $0")
	g.op("JEQ store")
	g.op("MOVQ SI, R12")
	for r := range g.nrows {
		for v := range g.nvecs {
			g.load(v, at("R12", v*g.isa.bytes), g.b(v))
			g.op("VADDPS %s, %s, %s", g.b(v), g.acc(r, v), g.acc(r, v))
		}
		if r < g.nrows-1 {
			g.op("ADDQ R11, R12")
		}
	}
	g.WriteString("store:\n")
	for r := range g.nrows {
		for v := range g.nvecs {
			g.store(v, g.acc(r, v), at("SI", v*g.isa.bytes))
		}
		g.op("ADDQ R11, SI")
	}
}

// peak emits a loop that does nothing but the tile's FMAs, independent of each other and without memory: the most that a tile can reach.
func (g *gen) peak() {
	name := "peak" + g.name
	fmt.Fprintf(g, "\n// func %s(rounds int)\nTEXT ·%s(SB), NOSPLIT, $0-8\n", name, name)
	g.op("MOVQ rounds+0(FP), CX")
	for i := range g.rows*2 + 2 {
		g.zero(fmt.Sprintf("%s%d", g.reg, i))
	}
	g.op("PCALIGN $32")
	g.WriteString("round:\n")
	for i := range g.rows * 2 {
		g.multiplyAdd(g.b(0), g.b(1), fmt.Sprintf("%s%d", g.reg, i))
	}
	g.op("DECQ CX")
	g.op("JNZ round")
	g.op("VZEROUPPER")
	g.op("RET")
}

// tiles writes all tiles of the instruction sets, their declarations and the tables of edge tiles.
func tiles(decl *bytes.Buffer) map[string][]byte {
	files := map[string][]byte{}
	for _, set := range isas {
		g := &gen{isa: set}
		g.WriteString(header + "#include \"go_asm.h\"\n#include \"textflag.h\"\n")
		var table bytes.Buffer
		declare := func() string {
			fmt.Fprintf(decl, "//go:noescape\nfunc %s(t *tile)\n\n", g.funcName())
			return g.funcName()
		}
		g.nrows, g.nvecs, g.partial = set.rows, 2, false
		g.function()
		declare()
		g.peak()
		fmt.Fprintf(decl, "//go:noescape\nfunc peak%s(rounds int)\n\n", set.name)
		g.partial = true
		for g.nrows = 1; g.nrows <= set.rows; g.nrows++ {
			table.WriteString("{")
			for g.nvecs = 1; g.nvecs <= 2; g.nvecs++ {
				g.function()
				fmt.Fprintf(&table, "%s, ", declare())
			}
			table.WriteString("},\n")
		}
		fmt.Fprintf(decl, "var edges%s = [][]tileKernel{\n%s}\n\n", set.name, table.String())
		files["tile_"+set.file+"_amd64.s"] = g.Bytes()
	}
	return files
}

var isas = []isa{
	{name: "AVX512", file: "avx512", reg: "Z", bytes: 64, rows: 12, regs: 32},
	{name: "AVX2", file: "avx2", reg: "Y", bytes: 32, rows: 6, regs: 16},
	{name: "BF16", file: "bf16", reg: "Z", bytes: 64, rows: 12, regs: 32, pairs: true},
}
