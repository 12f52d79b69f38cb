//go:build ignore

package main

import "fmt"

// The packing of bfloat16 operands: like transpose and deal, but an element of a panel is a word of two bfloat16, those of steps 2k and 2k+1. An odd
// last step has zeros for its partner.

// convert rounds two vectors of float32 to one of bfloat16.
func (v *vec) convert(high, low, dst int) {
	z := func(n int) string { return fmt.Sprintf("Z%d", n) }
	v.op(fmt.Sprintf("%s // VCVTNE2PS2BF16 Z%d, Z%d, Z%d", convertPairs.bytes(z(low), z(high), z(dst)), low, high, dst))
}

// transposePairs emits transpose for pairs, in blocks of 16 rows and 32 steps.
func (v *vec) transposePairs() {
	v.packing("transposePairs", "width", "columns",
		"dst[k·width+j] = the pair src[j·stride+2k], src[j·stride+2k+1] for j < columns <= 16 and 2k < steps; width and stride in bytes")
	v.laneMask("CX", "K1")
	v.op("MOVQ", "$-1", "R13")
	v.label("block")
	v.op("MOVQ", "$32", "AX")
	v.op("CMPQ", "DX", "AX")
	v.op("CMOVQLT", "DX", "AX")
	v.halfMasks()
	v.op("MOVQ", "BX", "SI")
	for row := range 16 {
		v.op("VMOVUPS.Z", "(SI)", "K2", 30)
		v.op("VMOVUPS.Z", "64(SI)", "K3", 31)
		v.convert(31, 30, row)
		if row < 15 {
			v.op("LEAQ", "(SI)(R8*1)", "R10")
			v.op("CMPQ", "CX", fmt.Sprintf("$%d", row+1))
			v.op("CMOVQGT", "R10", "SI")
		}
	}
	v.op("INCQ", "AX")
	v.op("SHRQ", "$1", "AX")
	v.transpose16()
	v.storeColumns()
	v.op("ADDQ", "$128", "BX")
	v.op("SUBQ", "$32", "DX")
	v.op("JGT", "block")
	v.ret()
}

// halfMasks selects the first AX of 32 lanes: K2 has the first sixteen, K3 the others. R13 has all bits set.
func (v *vec) halfMasks() {
	v.op("BZHIQ", "AX", "R13", "R12")
	v.op("KMOVW", "R12", "K2")
	v.op("SHRQ", "$16", "R12")
	v.op("KMOVW", "R12", "K3")
}

// dealPairs emits deal for pairs; the last panel may be partial.
func (v *vec) dealPairs(n int) {
	v.packing(fmt.Sprintf("dealPairs%d", n), "depth", "columns",
		fmt.Sprintf("dst[(p·depth+k)·%d+j] = the pair src[2k·stride+p·%d+j], src[(2k+1)·stride+p·%d+j] for p·%d+j < columns and 2k < steps; depth·%d and stride in bytes",
			n, n, n, n, n))
	v.op("VMOVDQU32", "·pairOrder(SB)", 31)
	v.op("MOVQ", "$-1", "R13")
	v.op("KXNORW", "K1", "K1", "K1")
	v.label("pair")
	v.op("CMPQ", "DX", "$1")
	v.op("JNE", "rows")
	v.op("KXORW", "K1", "K1", "K1") // there is no second row
	v.label("rows")
	v.op("MOVQ", "BX", "SI")
	v.op("MOVQ", "DI", "R11")
	v.op("MOVQ", "CX", "R10")
	v.label("panel")
	v.op("MOVQ", fmt.Sprintf("$%d", n), "AX")
	v.op("CMPQ", "R10", "AX")
	v.op("CMOVQLT", "R10", "AX")
	v.op("LEAQ", fmt.Sprintf("(SI)(R8*%d)", dealAhead), "R12")
	for line := 0; line < n; line += 16 {
		v.op("PREFETCHT0", fmt.Sprintf("%d(R12)", 4*line))
	}
	v.halfMasks()
	for line := 0; line < n; line += 16 {
		first := fmt.Sprintf("K%d", 2+line/16)
		v.op("KANDW", "K1", first, "K4")
		v.op("VMOVUPS.Z", fmt.Sprintf("%d(SI)", 4*line), first, 0)
		v.op("VMOVUPS.Z", fmt.Sprintf("%d(SI)(R8*1)", 4*line), "K4", 1)
		v.convert(1, 0, 2)
		v.op("VPERMW", 2, 31, 3)
		v.op("VMOVUPS", 3, first, fmt.Sprintf("%d(R11)", 4*line))
	}
	v.op("ADDQ", fmt.Sprintf("$%d", 4*n), "SI")
	v.op("ADDQ", "R9", "R11")
	v.op("SUBQ", fmt.Sprintf("$%d", n), "R10")
	v.op("JGT", "panel")
	v.op("LEAQ", "(BX)(R8*2)", "BX")
	v.op("ADDQ", fmt.Sprintf("$%d", 4*n), "DI")
	v.op("SUBQ", "$2", "DX")
	v.op("JGT", "pair")
	v.ret()
}
