//go:build ignore

package main

import (
	"bytes"
	"fmt"
	"math"
	"strings"
)

// arg is a parameter or result of an assembly function.
type arg struct{ name, goType string }

func (a arg) size() int {
	if a.goType == "float32" || a.goType == "uint32" {
		return 4
	}
	return 8
}

// vec emits the vector kernels of one instruction set. Registers are numbers; AX is the index of the current vector's first element, CX
// the number of elements left. In the tail (the last, partial vector) loads give zeros for absent lanes and stores leave memory alone.
type vec struct {
	bytes.Buffer
	decl    *bytes.Buffer
	suffix  string // of function names
	reg     string // register class: Z or Y
	width   int    // floats in a vector
	tail    bool
	frame   map[string]int
	symbols *constants
}

// constants collects the broadcast constants of all kernels: eight copies of each, so that AVX2 can use them as memory operands.
type constants struct {
	index map[uint32]int
	words []uint32
}

func (c *constants) at(bits uint32) string {
	i, known := c.index[bits]
	if !known {
		i = len(c.words)
		c.index[bits] = i
		c.words = append(c.words, bits)
	}
	return fmt.Sprintf("·vectorConstants+%d(SB)", 32*i)
}

func (c *constants) file() []byte {
	var b bytes.Buffer
	b.WriteString(header + "#include \"textflag.h\"\n\n// Constants of the vector kernels, eight copies each.\n")
	for i, w := range c.words {
		for lane := range 8 {
			fmt.Fprintf(&b, "DATA ·vectorConstants+%d(SB)/4, $0x%08x\n", 32*i+4*lane, w)
		}
	}
	fmt.Fprintf(&b, "GLOBL ·vectorConstants(SB), RODATA|NOPTR, $%d\n", 32*len(c.words))
	b.WriteString("\n// The numbers of the lanes of a vector.\n")
	for lane := range 16 {
		fmt.Fprintf(&b, "DATA ·laneNumbers+%d(SB)/4, $%d\n", 4*lane, lane)
	}
	b.WriteString("GLOBL ·laneNumbers(SB), RODATA|NOPTR, $64\n")
	b.WriteString("\n// The lanes of a lower and an upper half, taken in turns.\n")
	for lane := range 16 {
		fmt.Fprintf(&b, "DATA ·pairOrder+%d(SB)/4, $0x%08x\n", 4*lane, lane|(16+lane)<<16)
	}
	b.WriteString("GLOBL ·pairOrder(SB), RODATA|NOPTR, $64\n")
	return b.Bytes()
}

func (v *vec) z() bool { return v.reg == "Z" }

func (v *vec) op(name string, operands ...any) {
	text := make([]string, len(operands))
	for i, o := range operands {
		if n, ok := o.(int); ok {
			text[i] = fmt.Sprintf("%s%d", v.reg, n)
		} else {
			text[i] = fmt.Sprint(o)
		}
	}
	fmt.Fprintf(v, "\t%s\n", strings.TrimSpace(name+" "+strings.Join(text, ", ")))
}

// opc is an operation whose first operand is a constant in memory.
func (v *vec) opc(name string, constant float64, operands ...any) {
	v.opBits(name, math.Float32bits(float32(constant)), operands...)
}

func (v *vec) opBits(name string, bits uint32, operands ...any) {
	if v.z() {
		name += ".BCST"
	}
	v.op(name, append([]any{v.symbols.at(bits)}, operands...)...)
}

// set broadcasts a constant.
func (v *vec) set(constant float64, reg int) { v.setBits(math.Float32bits(float32(constant)), reg) }

func (v *vec) setBits(bits uint32, reg int) { v.op("VBROADCASTSS", v.symbols.at(bits), reg) }

// broadcast broadcasts a 4-byte parameter.
func (v *vec) broadcast(param string, reg int) {
	v.op("VBROADCASTSS", fmt.Sprintf("%s+%d(FP)", param, v.frame[param]), reg)
}

func (v *vec) zero(reg int) {
	if v.z() {
		v.op("VPXORD", reg, reg, reg)
		return
	}
	v.op("VXORPS", reg, reg, reg)
}

func (v *vec) load(pointer string, reg int) { v.loadFrom(pointer, 0, reg) }

// loadFrom loads the vector that starts offset floats behind the current one.
func (v *vec) loadFrom(pointer string, offset, reg int) {
	address := fmt.Sprintf("%d(%s)(AX*4)", 4*offset, pointer)
	if !v.tail {
		v.op("VMOVUPS", address, reg)
		return
	}
	v.loadTail(address, reg)
}

// loadTail loads the lanes of the tail.
func (v *vec) loadTail(address string, reg int) {
	if v.z() {
		v.op("VMOVUPS.Z", address, "K1", reg)
		return
	}
	v.op("VMASKMOVPS", address, 15, reg)
}

func (v *vec) store(reg int, pointer string) {
	address := "(" + pointer + ")(AX*4)"
	switch {
	case !v.tail:
		v.op("VMOVUPS", reg, address)
	case v.z():
		v.op("VMOVUPS", reg, "K1", address)
	default:
		v.op("VMASKMOVPS", reg, 15, address)
	}
}

// drop clears the absent lanes in the tail.
func (v *vec) drop(reg int) {
	switch {
	case !v.tail:
	case v.z():
		v.op("VMOVAPS.Z", reg, "K1", reg)
	default:
		v.op("VANDPS", 15, reg, reg)
	}
}

var pointerRegs = []string{"DI", "SI", "DX", "R8", "R9", "BX"}

// function opens an assembly function, declares it in Go, loads its pointers into DI, SI, DX, R8, R9, BX, the count n into CX, and runs
// body, which must return by v.ret.
func (v *vec) function(name, comment string, args, results []arg, body func()) {
	name += v.suffix
	v.frame = map[string]int{}
	offset := 0
	place := func(list []arg) string {
		var parts []string
		for _, a := range list {
			offset = (offset + a.size() - 1) / a.size() * a.size()
			v.frame[a.name] = offset
			offset += a.size()
			parts = append(parts, a.name+" "+a.goType)
		}
		return strings.Join(parts, ", ")
	}
	signature := fmt.Sprintf("func %s(%s)", name, place(args))
	size := offset
	if len(results) > 0 {
		offset = (offset + 7) / 8 * 8
		signature += " (" + place(results) + ")"
		size = offset
	}
	fmt.Fprintf(v.decl, "// %s\n//\n//go:noescape\n%s\n\n", name+" "+comment, signature)
	fmt.Fprintf(v, "\n// %s\nTEXT ·%s(SB), NOSPLIT, $0-%d\n", signature, name, size)
	pointers := 0
	for _, a := range args {
		switch {
		case strings.HasPrefix(a.goType, "*"):
			v.op("MOVQ", fmt.Sprintf("%s+%d(FP)", a.name, v.frame[a.name]), pointerRegs[pointers])
			pointers++
		case a.goType == "int":
			v.op("MOVQ", fmt.Sprintf("%s+%d(FP)", a.name, v.frame[a.name]), "CX")
		}
	}
	body()
}

// result is the lowest lane of a register, returned as a float32.
type result struct {
	name string
	reg  int
}

func (v *vec) ret(results ...result) {
	for _, r := range results {
		v.op("VMOVSS", fmt.Sprintf("X%d", r.reg), fmt.Sprintf("%s+%d(FP)", r.name, v.frame[r.name]))
	}
	v.op("VZEROUPPER")
	v.op("RET")
}

func (v *vec) label(name string) { fmt.Fprintf(v, "%s:\n", name) }

// loop runs body for every whole vector, then once for the tail.
func (v *vec) loop(advance func(), body func()) {
	v.op("XORQ", "AX", "AX")
	v.singles(advance, body)
}

func (v *vec) singles(advance, body func()) {
	v.op("SUBQ", fmt.Sprintf("$%d", v.width), "CX")
	v.op("JLT", "tail")
	v.op("PCALIGN", "$32")
	v.label("loop")
	body()
	if advance != nil {
		advance()
	}
	v.op("ADDQ", fmt.Sprintf("$%d", v.width), "AX")
	v.op("SUBQ", fmt.Sprintf("$%d", v.width), "CX")
	v.op("JGE", "loop")
	v.label("tail")
	v.op("ADDQ", fmt.Sprintf("$%d", v.width), "CX")
	v.op("JEQ", "done")
	v.mask()
	v.tail = true
	body()
	v.tail = false
	v.label("done")
}

// unrolled runs body for groups of four vectors, with accumulator set 0..3 and the index offset of the vector, then for single vectors
// and the tail with accumulator set 0.
func (v *vec) unrolled(body func(set, offset int)) {
	v.op("XORQ", "AX", "AX")
	group := fmt.Sprintf("$%d", 4*v.width)
	v.op("SUBQ", group, "CX")
	v.op("JLT", "rest")
	v.op("PCALIGN", "$32")
	v.label("group")
	for set := range 4 {
		body(set, set*v.width)
	}
	v.op("ADDQ", group, "AX")
	v.op("SUBQ", group, "CX")
	v.op("JGE", "group")
	v.label("rest")
	v.op("ADDQ", group, "CX")
	v.singles(nil, func() { body(0, 0) })
}

// mask selects the first CX lanes.
func (v *vec) mask() {
	if v.z() {
		v.op("MOVL", "$1", "R12")
		v.op("SHLL", "CX", "R12")
		v.op("DECL", "R12")
		v.op("KMOVW", "R12", "K1")
		return
	}
	v.op("MOVQ", "CX", "R13")
	v.op("SHLQ", "$2", "R13")
	v.op("LEAQ", "·laneMask+32(SB)", "R12")
	v.op("SUBQ", "R13", "R12")
	v.op("VMOVUPS", "(R12)", 15)
}

// fold combines the four accumulators of a set and their lanes by op (VADDPS, VMAXPS), in a fixed tree, into lane 0 of acc.
func (v *vec) fold(op string, acc, temp int) {
	v.op(op, acc+1, acc, acc)
	v.op(op, acc+3, acc+2, acc+2)
	v.op(op, acc+2, acc, acc)
	v.foldLanes(op, acc, temp)
}

func (v *vec) foldLanes(op string, acc, temp int) {
	x, t := fmt.Sprintf("X%d", acc), fmt.Sprintf("X%d", temp)
	if v.z() {
		v.op("VEXTRACTF64X4", "$1", acc, fmt.Sprintf("Y%d", temp))
		v.op(op, fmt.Sprintf("Y%d", temp), fmt.Sprintf("Y%d", acc), fmt.Sprintf("Y%d", acc))
	}
	v.op("VEXTRACTF128", "$1", fmt.Sprintf("Y%d", acc), t)
	v.op(op, t, x, x)
	v.op("VMOVHLPS", x, x, t)
	v.op(op, t, x, x)
	v.op("VMOVSHDUP", x, t)
	v.op(op, t, x, x)
}

// vectors writes all vector kernels of the instruction sets, their declarations and their constants.
func vectors(decl *bytes.Buffer) map[string][]byte {
	files := map[string][]byte{}
	symbols := &constants{index: map[uint32]int{}}
	for _, set := range isas {
		v := &vec{decl: decl, suffix: set.name, reg: set.reg, width: set.bytes / 4, symbols: symbols}
		v.WriteString(header + "#include \"go_asm.h\"\n#include \"textflag.h\"\n")
		kernels := []func(){
			v.expKernel, v.erf, v.tanh, v.gelu, v.geluGrad, v.dropout, v.maps, v.reductions, v.norms, v.adamW, v.transpose,
			func() { v.deal(set.rows) }, func() { v.deal(2 * v.width) },
		}
		if set.pairs {
			kernels = []func(){v.transposePairs, func() { v.dealPairs(set.rows) }, func() { v.dealPairs(2 * v.width) }}
		}
		for _, emit := range kernels {
			emit()
		}
		files["vector_"+set.file+"_amd64.s"] = v.Bytes()
	}
	files["constants_amd64.s"] = symbols.file()
	return files
}
