//go:build ignore

package main

// Reductions. Their order is fixed by the length: lanes and accumulators take turns, and are folded in a fixed tree at the end.

var (
	vector = []arg{{"x", "*float32"}, {"n", "int"}}
	sum    = []arg{{"sum", "float32"}}
)

// reduction emits a sum over four accumulators: body adds the vector at the offset into accumulator acc, with 8 and above for work.
func (v *vec) reduction(name, comment string, args []arg, setup func(), body func(acc, offset int)) {
	v.function(name, comment, args, sum, func() {
		for acc := range 4 {
			v.zero(acc)
		}
		if setup != nil {
			setup()
		}
		v.unrolled(body)
		v.fold("VADDPS", 0, 8)
		v.ret(result{"sum", 0})
	})
}

func (v *vec) reductions() {
	v.reduction("sum", "is the sum of x.", vector, nil, func(acc, offset int) {
		v.loadFrom("DI", offset, 8)
		v.op("VADDPS", 8, acc, acc)
	})
	v.reduction("dot", "is the sum of a·b.", []arg{{"a", "*float32"}, {"b", "*float32"}, {"n", "int"}}, nil, func(acc, offset int) {
		v.loadFrom("DI", offset, 8)
		v.loadFrom("SI", offset, 9)
		v.op("VFMADD231PS", 8, 9, acc)
	})
	v.reduction("deviation", "is the sum of (x - mean)².", params(vector, "mean"), func() { v.broadcast("mean", 13) },
		func(acc, offset int) {
			v.loadFrom("DI", offset, 8)
			v.op("VSUBPS", 13, 8, 8)
			v.drop(8)
			v.op("VFMADD231PS", 8, 8, acc)
		})
	v.largest()
	v.sumSquares()
	v.softmaxExp()
	v.firstNonFinite()
}

func (v *vec) largest() {
	v.function("largest", "is the largest element, or -Inf.", vector, []arg{{"result", "float32"}}, func() {
		for acc := range 4 {
			v.setBits(0xff800000, acc)
		}
		v.setBits(0xff800000, 13)
		v.unrolled(func(acc, offset int) {
			v.loadFrom("DI", offset, 8)
			switch {
			case !v.tail:
				v.op("VMAXPS", 8, acc, acc)
			case v.z():
				v.op("VMAXPS", 8, acc, "K1", acc)
			default:
				v.op("VBLENDVPS", 15, 8, 13, 8)
				v.op("VMAXPS", 8, acc, acc)
			}
		})
		v.fold("VMAXPS", 0, 8)
		v.ret(result{"result", 0})
	})
}

// sumSquares widens both halves of a vector to float64.
func (v *vec) sumSquares() {
	v.function("sumSquares", "is the sum of x² in float64.", vector, []arg{{"sum", "float64"}}, func() {
		for acc := range 4 {
			v.zero(acc)
		}
		v.unrolled(func(acc, offset int) {
			v.loadFrom("DI", offset, 8)
			if v.z() {
				v.op("VCVTPS2PD", "Y8", 9)
				v.op("VEXTRACTF64X4", "$1", 8, "Y8")
				v.op("VCVTPS2PD", "Y8", 8)
			} else {
				v.op("VCVTPS2PD", "X8", 9)
				v.op("VEXTRACTF128", "$1", 8, "X8")
				v.op("VCVTPS2PD", "X8", 8)
			}
			v.op("VFMADD231PD", 9, 9, acc)
			v.op("VFMADD231PD", 8, 8, acc)
		})
		v.op("VADDPD", 1, 0, 0)
		v.op("VADDPD", 3, 2, 2)
		v.op("VADDPD", 2, 0, 0)
		if v.z() {
			v.op("VEXTRACTF64X4", "$1", 0, "Y8")
			v.op("VADDPD", "Y8", "Y0", "Y0")
		}
		v.op("VEXTRACTF128", "$1", "Y0", "X8")
		v.op("VADDPD", "X8", "X0", "X0")
		v.op("VUNPCKHPD", "X0", "X0", "X8")
		v.op("VADDPD", "X8", "X0", "X0")
		v.op("VMOVSD", "X0", "sum+16(FP)")
		v.ret()
	})
}

func (v *vec) softmaxExp() {
	v.function("softmaxExp", "is dst = e^(scale·(x-largest)) and its sum.", params(unary, "largest", "scale"), sum, func() {
		v.broadcast("largest", 12)
		v.broadcast("scale", 11)
		v.setExpLimits(14, 13)
		v.zero(4)
		v.loop(nil, func() {
			v.load("SI", 0)
			v.op("VSUBPS", 12, 0, 0)
			v.op("VMULPS", 11, 0, 0)
			v.clamp(0, 14, 13)
			v.exp(0, 1, 2, 3)
			v.store(2, "DI")
			v.drop(2)
			v.op("VADDPS", 2, 4, 4)
		})
		v.foldLanes("VADDPS", 4, 5)
		v.ret(result{"sum", 4})
	})
}

// firstNonFinite looks for an exponent field of all ones.
func (v *vec) firstNonFinite() {
	const exponent = 0x7f800000
	v.function("firstNonFinite", "is the index of the first NaN or infinity, or -1.", vector, []arg{{"index", "int"}}, func() {
		v.setBits(exponent, 13)
		v.loop(nil, func() {
			v.load("DI", 0)
			v.op("VANDPS", 13, 0, 0)
			if v.z() {
				v.op("VPCMPEQD", 13, 0, "K2")
				v.op("KMOVW", "K2", "R12")
			} else {
				v.op("VPCMPEQD", 13, 0, 0)
				v.op("VMOVMSKPS", 0, "R12")
			}
			v.op("TESTL", "R12", "R12")
			v.op("JNZ", "found")
		})
		v.op("MOVQ", "$-1", "AX")
		v.op("JMP", "out")
		v.label("found")
		v.op("BSFL", "R12", "R12")
		v.op("ADDQ", "R12", "AX")
		v.label("out")
		v.op("MOVQ", "AX", "index+16(FP)")
		v.ret()
	})
}
