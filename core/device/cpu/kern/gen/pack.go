//go:build ignore

package main

import "fmt"

// transpose emits a function that copies up to one vector of columns, stored as rows, into a panel: dst[k·width + j] = src[j·stride + k].
// It works on square blocks, one vector wide: load rows, interleave pairs of floats, then pairs of pairs, then 128-bit
// lanes, store columns. Rows beyond the last column repeat it and are masked out of the stores.
func (v *vec) transpose() {
	v.packing("transpose", "width", "columns", fmt.Sprintf("dst[k·width+j] = src[j·stride+k] for j < columns <= %d and k < steps; width and stride in bytes", v.width))
	if v.z() {
		v.laneMask("CX", "K1")
	}
	v.label("block")
	v.op("MOVQ", fmt.Sprintf("$%d", v.width), "AX")
	v.op("CMPQ", "DX", "AX")
	v.op("CMOVQLT", "DX", "AX")
	v.loadRows()
	if v.z() {
		v.transpose16()
	} else {
		v.transpose8()
	}
	v.storeColumns()
	v.op("ADDQ", fmt.Sprintf("$%d", 4*v.width), "BX")
	v.op("SUBQ", fmt.Sprintf("$%d", v.width), "DX")
	v.op("JGT", "block")
	v.ret()
}

// packing starts a packing function: DI, BX and DX are the destination, the source and the steps, R9 and R8 the distances width (of a panel's
// columns, or depth, from panel to panel) and stride, CX the count.
func (v *vec) packing(name, distance, count, doc string) {
	name += v.suffix
	signature := fmt.Sprintf("func %s(dst *float32, %s int, src *float32, stride, %s, steps int)", name, distance, count)
	fmt.Fprintf(v.decl, "// %s is %s.\n//\n//go:noescape\n%s\n\n", name, doc, signature)
	fmt.Fprintf(v, "\n// %s\nTEXT ·%s(SB), NOSPLIT, $0-48\n", signature, name)
	for i, reg := range []string{"DI", "R9", "BX", "R8", "CX", "DX"} {
		arg := []string{"dst", distance, "src", "stride", count, "steps"}[i]
		v.op("MOVQ", fmt.Sprintf("%s+%d(FP)", arg, 8*i), reg)
	}
}

// laneMask selects the first count lanes, count being at least 1 and at most the width. It uses R12 and R13.
func (v *vec) laneMask(count, mask string) {
	v.op("MOVQ", count, "R13")
	if v.z() {
		// 16 ones, shifted right by 16-count.
		v.op("NEGQ", "R13")
		v.op("ADDQ", "$16", "R13")
		v.op("MOVL", "$0xffff", "R12")
		v.op("SHRXL", "R13", "R12", "R12")
		v.op("KMOVW", "R12", mask)
		return
	}
	v.op("SHLQ", "$2", "R13")
	v.op("LEAQ", "·laneMask+32(SB)", "R12")
	v.op("SUBQ", "R13", "R12")
	v.op("VMOVUPS", "(R12)", mask)
}

// loadRows loads AX floats of each row from BX on into the first registers.
func (v *vec) loadRows() {
	if v.z() {
		v.laneMask("AX", "K2")
	} else {
		v.laneMask("AX", "Y15")
	}
	v.op("MOVQ", "BX", "SI")
	for row := range v.width {
		if v.z() {
			v.op("VMOVUPS.Z", "(SI)", "K2", row)
		} else {
			v.op("VMASKMOVPS", "(SI)", 15, row)
		}
		if row < v.width-1 {
			v.op("LEAQ", "(SI)(R8*1)", "R10")
			v.op("CMPQ", "CX", fmt.Sprintf("$%d", row+1))
			v.op("CMOVQGT", "R10", "SI")
		}
	}
}

// interleave turns rows in 0.. into u in 0..: the 128-bit lane L of u[4g+m] holds column 4L+m of rows 4g to 4g+3.
func (v *vec) interleave() {
	w := v.width
	for i := 0; i < w; i += 2 {
		v.op("VUNPCKLPS", i+1, i, w+i)
		v.op("VUNPCKHPS", i+1, i, w+i+1)
	}
	for i := 0; i < w; i += 4 {
		a, b, c, d := w+i, w+i+1, w+i+2, w+i+3
		v.op("VUNPCKLPD", c, a, i)
		v.op("VUNPCKHPD", c, a, i+1)
		v.op("VUNPCKLPD", d, b, i+2)
		v.op("VUNPCKHPD", d, b, i+3)
	}
}

// transpose16 leaves column k in register k.
func (v *vec) transpose16() {
	v.interleave()
	for m := range 4 {
		even, odd := 16+m, 20+m // lanes 0, 2 and lanes 1, 3 of rows 0 to 7
		v.op("VSHUFF32X4", "$0x88", 4+m, m, even)
		v.op("VSHUFF32X4", "$0xdd", 4+m, m, odd)
		v.op("VSHUFF32X4", "$0x88", 12+m, 8+m, 24+m)
		v.op("VSHUFF32X4", "$0xdd", 12+m, 8+m, 28+m)
		v.op("VSHUFF32X4", "$0x88", 24+m, even, m)
		v.op("VSHUFF32X4", "$0xdd", 24+m, even, 8+m)
		v.op("VSHUFF32X4", "$0x88", 28+m, odd, 4+m)
		v.op("VSHUFF32X4", "$0xdd", 28+m, odd, 12+m)
	}
}

// transpose8 leaves column k in register 8+k.
func (v *vec) transpose8() {
	v.interleave()
	for m := range 4 {
		v.op("VPERM2F128", "$0x20", 4+m, m, 8+m)
		v.op("VPERM2F128", "$0x31", 4+m, m, 12+m)
	}
}

// storeColumns stores the first AX columns, of CX floats each, and advances DI past them.
func (v *vec) storeColumns() {
	from := 0
	if !v.z() {
		from = 8
		v.laneMask("CX", "Y0")
	}
	for column := range v.width {
		if v.z() {
			v.op("VMOVUPS", column, "K1", "(DI)")
		} else {
			v.op("VMASKMOVPS", from+column, 0, "(DI)")
		}
		v.op("ADDQ", "R9", "DI")
		v.op("DECQ", "AX")
		v.op("JEQ", "stored")
	}
	v.label("stored")
}

// dealAhead is how many source rows ahead of the copy rows are prefetched: they lie too far apart for the hardware to guess.
const dealAhead = 8

// deal emits a function that copies rows of panels·n floats to panels: dst[(p·depth + k)·n + j] = src[k·stride + p·n + j].
func (v *vec) deal(n int) {
	v.packing(fmt.Sprintf("deal%d", n), "depth", "panels",
		fmt.Sprintf("dst[(p·depth+k)·%d+j] = src[k·stride+p·%d+j] for p < panels, k < steps, j < %d; depth·%d and stride in bytes", n, n, n, n))
	v.op("MOVQ", "R8", "R13")
	v.op("IMULQ", fmt.Sprintf("$%d", dealAhead), "R13")
	v.label("row")
	v.op("MOVQ", "BX", "SI")
	v.op("MOVQ", "DI", "R11")
	v.op("MOVQ", "CX", "R10")
	v.label("panel")
	for line := 0; line < n; line += 16 {
		v.op("PREFETCHT0", fmt.Sprintf("%d(SI)(R13*1)", 4*line))
	}
	v.move("SI", "R11", n)
	v.op("ADDQ", fmt.Sprintf("$%d", 4*n), "SI")
	v.op("ADDQ", "R9", "R11")
	v.op("DECQ", "R10")
	v.op("JNZ", "panel")
	v.op("ADDQ", "R8", "BX")
	v.op("ADDQ", fmt.Sprintf("$%d", 4*n), "DI")
	v.op("DECQ", "DX")
	v.op("JNZ", "row")
	v.ret()
}

// move copies n floats, n even, by the widest registers that fit.
func (v *vec) move(from, to string, n int) {
	for at, reg := 0, 0; at < n; reg++ {
		class, size := "X", 2
		load := "VMOVSD"
		for _, c := range []struct {
			class string
			size  int
		}{{v.reg, v.width}, {"Y", 8}, {"X", 4}} {
			if n-at >= c.size {
				class, size, load = c.class, c.size, "VMOVUPS"
				break
			}
		}
		name := fmt.Sprintf("%s%d", class, reg)
		v.op(load, fmt.Sprintf("%d(%s)", 4*at, from), name)
		v.op(load, name, fmt.Sprintf("%d(%s)", 4*at, to))
		at += size
	}
}
