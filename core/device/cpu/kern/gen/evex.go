//go:build ignore

package main

import (
	"fmt"
	"strconv"
	"strings"
)

// evex is an instruction on three Z registers that the Go assembler does not know, encoded by hand (Intel SDM, volume 2, 2.7: EVEX prefix).
type evex struct{ prefix, opcode int }

// The instructions of AVX512_BF16.
var (
	dotPairs     = evex{prefix: 2, opcode: 0x52} // VDPBF16PS: dst += products of the bfloat16 pairs of two sources
	convertPairs = evex{prefix: 3, opcode: 0x72} // VCVTNE2PS2BF16: two vectors of float32 to one of bfloat16, the middle operand to the upper half
)

// bytes is the instruction in the operand order of Go's assembler: last source, first source, destination.
func (e evex) bytes(src2, src1, dst string) string {
	m, v, r := register(src2), register(src1), register(dst)
	inverted := func(n, bit int) int { return ^n >> bit & 1 }
	code := []int{
		0x62,
		inverted(r, 3)<<7 | inverted(m, 4)<<6 | inverted(m, 3)<<5 | inverted(r, 4)<<4 | 2, // opcode map 0F38
		^v&15<<3 | 4 | e.prefix,
		2<<5 | inverted(v, 4)<<3, // 512 bits, no mask
		e.opcode,
		0xc0 | r&7<<3 | m&7,
	}
	text := make([]string, len(code))
	for i, b := range code {
		text[i] = fmt.Sprintf("BYTE $0x%02x", b)
	}
	return strings.Join(text, "; ")
}

func register(name string) int {
	n, err := strconv.Atoi(name[1:])
	if err != nil || name[0] != 'Z' {
		fail(fmt.Errorf("%q is no Z register", name))
	}
	return n
}
