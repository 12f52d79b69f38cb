//go:build ignore

package main

// Arithmetic without elementary functions: maps, reductions, row statistics, and the optimiser.

var (
	unary  = []arg{{"dst", "*float32"}, {"src", "*float32"}, {"n", "int"}}
	binary = []arg{{"dst", "*float32"}, {"a", "*float32"}, {"b", "*float32"}, {"n", "int"}}
	sum    = []arg{{"sum", "float32"}}
)

func params(args []arg, names ...string) []arg {
	all := append([]arg(nil), args...)
	for _, name := range names {
		all = append(all, arg{name, "float32"})
	}
	return all
}

// binaryKernel emits dst = f(a, b): body gets a in 0, b in 1, and leaves the result in 0.
func (v *vec) binaryKernel(name, comment string, body func()) {
	v.function(name, comment, binary, nil, func() {
		v.set(1, 13)
		v.loop(nil, func() {
			v.load("SI", 0)
			v.load("DX", 1)
			body()
			v.store(0, "DI")
		})
		v.ret()
	})
}

func (v *vec) maps() {
	v.binaryKernel("add", "is a + b.", func() { v.op("VADDPS", 1, 0, 0) })
	v.binaryKernel("mul", "is a·b.", func() { v.op("VMULPS", 1, 0, 0) })
	v.binaryKernel("mulAdd", "is dst + a·b.", func() {
		v.load("DI", 2)
		v.op("VFMADD213PS", 2, 1, 0)
	})
	v.binaryKernel("tanhGrad", "is b·(1 - a²).", func() {
		v.op("VFNMADD213PS", 13, 0, 0)
		v.op("VMULPS", 1, 0, 0)
	})
	v.function("scale", "is by·x.", params(unary, "by"), nil, func() {
		v.broadcast("by", 13)
		v.loop(nil, func() {
			v.load("SI", 0)
			v.op("VMULPS", 13, 0, 0)
			v.store(0, "DI")
		})
		v.ret()
	})
	v.function("axpy", "is dst + by·x.", params(unary, "by"), nil, func() {
		v.broadcast("by", 13)
		v.loop(nil, func() {
			v.load("SI", 0)
			v.load("DI", 1)
			v.op("VFMADD213PS", 1, 13, 0)
			v.store(0, "DI")
		})
		v.ret()
	})
	v.function("softmaxGrad", "is scale·p·(dp - mean).",
		params([]arg{{"ds", "*float32"}, {"p", "*float32"}, {"dp", "*float32"}, {"n", "int"}}, "mean", "scale"), nil, func() {
			v.broadcast("mean", 13)
			v.broadcast("scale", 12)
			v.loop(nil, func() {
				v.load("DX", 0)
				v.op("VSUBPS", 13, 0, 0)
				v.load("SI", 1)
				v.op("VMULPS", 12, 1, 1)
				v.op("VMULPS", 1, 0, 0)
				v.store(0, "DI")
			})
			v.ret()
		})
}

var vector = []arg{{"x", "*float32"}, {"n", "int"}}

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
	v.sumExp()
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

func (v *vec) sumExp() {
	v.function("sumExp", "is the sum of e^(x-shift).", params(vector, "shift"), sum, func() {
		v.broadcast("shift", 12)
		v.setExpLimits(14, 13)
		v.zero(4)
		v.loop(nil, func() {
			v.load("DI", 0)
			v.op("VSUBPS", 12, 0, 0)
			v.clamp(0, 14, 13)
			v.exp(0, 1, 2, 3)
			v.drop(2)
			v.op("VADDPS", 2, 4, 4)
		})
		v.foldLanes("VADDPS", 4, 5)
		v.ret(result{"sum", 4})
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

func pointers(names ...string) []arg {
	var args []arg
	for _, name := range names {
		args = append(args, arg{name, "*float32"})
	}
	return append(args, arg{"n", "int"})
}

// standardise turns x in reg into (x - mean)·rstd.
func (v *vec) standardise(reg int) {
	v.op("VSUBPS", 14, reg, reg)
	v.op("VMULPS", 13, reg, reg)
}

func (v *vec) setMoments() {
	v.broadcast("mean", 14)
	v.broadcast("rstd", 13)
}

func (v *vec) norms() {
	v.function("normalize", "is gamma·(x-mean)·rstd + beta.", params(pointers("dst", "x", "gamma", "beta"), "mean", "rstd"), nil, func() {
		v.setMoments()
		v.loop(nil, func() {
			v.load("SI", 0)
			v.standardise(0)
			v.load("DX", 1)
			v.load("R8", 2)
			v.op("VFMADD213PS", 2, 1, 0)
			v.store(0, "DI")
		})
		v.ret()
	})
	v.normSums()
	v.normGrad()
	v.normParamGrad()
}

func (v *vec) normSums() {
	args := params(pointers("dy", "x", "gamma"), "mean", "rstd")
	results := []arg{{"sumU", "float32"}, {"sumUX", "float32"}}
	v.function("normSums", "is the sums of u = dy·gamma and of u·(x-mean)·rstd.", args, results, func() {
		v.setMoments()
		v.zero(4)
		v.zero(5)
		v.loop(nil, func() {
			v.load("DI", 0)
			v.load("DX", 1)
			v.op("VMULPS", 1, 0, 0)
			v.load("SI", 2)
			v.standardise(2)
			v.op("VADDPS", 0, 4, 4)
			v.op("VFMADD231PS", 0, 2, 5)
		})
		v.foldLanes("VADDPS", 4, 6)
		v.foldLanes("VADDPS", 5, 6)
		v.ret(result{"sumU", 4}, result{"sumUX", 5})
	})
}

func (v *vec) normGrad() {
	args := params(pointers("dx", "dy", "x", "gamma"), "mean", "rstd", "meanU", "meanUX")
	v.function("normGrad", "is rstd·(dy·gamma - meanU - x̂·meanUX), x̂ = (x-mean)·rstd.", args, nil, func() {
		v.setMoments()
		v.broadcast("meanU", 12)
		v.broadcast("meanUX", 11)
		v.loop(nil, func() {
			v.load("SI", 0)
			v.load("R8", 1)
			v.op("VFMSUB213PS", 12, 1, 0)
			v.load("DX", 2)
			v.standardise(2)
			v.op("VFNMADD231PS", 2, 11, 0)
			v.op("VMULPS", 13, 0, 0)
			v.store(0, "DI")
		})
		v.ret()
	})
}

func (v *vec) normParamGrad() {
	args := params(pointers("dgamma", "dbeta", "dy", "x"), "mean", "rstd")
	v.function("normParamGrad", "adds dy·(x-mean)·rstd to dgamma and dy to dbeta.", args, nil, func() {
		v.setMoments()
		v.loop(nil, func() {
			v.load("DX", 0)
			v.load("R8", 1)
			v.standardise(1)
			v.load("DI", 2)
			v.op("VFMADD231PS", 0, 1, 2)
			v.store(2, "DI")
			v.load("SI", 3)
			v.op("VADDPS", 0, 3, 3)
			v.store(3, "SI")
		})
		v.ret()
	})
}

// adamW keeps the nine coefficients in registers 5 to 13.
func (v *vec) adamW() {
	args := []arg{{"w", "*float32"}, {"dw", "*float32"}, {"m", "*float32"}, {"v", "*float32"}, {"c", "*AdamW"}, {"n", "int"}}
	fields := []string{"GradScale", "Beta1", "OneLessBeta1", "Beta2", "OneLessBeta2", "Shrink", "Rate", "RootScale", "Eps"}
	const weight, grad, first, second, temp = 0, 1, 2, 3, 4
	v.function("adamW", "is one step of AdamW.", args, nil, func() {
		reg := map[string]int{}
		for i, field := range fields {
			reg[field] = 5 + i
			v.op("VBROADCASTSS", "AdamW_"+field+"(R9)", 5+i)
		}
		v.loop(nil, func() {
			v.load("SI", grad)
			v.op("VMULPS", reg["GradScale"], grad, grad)
			v.load("DX", first)
			v.op("VMULPS", reg["Beta1"], first, first)
			v.op("VFMADD231PS", reg["OneLessBeta1"], grad, first)
			v.store(first, "DX")
			v.load("R8", second)
			v.op("VMULPS", reg["Beta2"], second, second)
			v.op("VMULPS", grad, grad, grad)
			v.op("VFMADD231PS", reg["OneLessBeta2"], grad, second)
			v.store(second, "R8")
			v.op("VSQRTPS", second, temp)
			v.op("VFMADD213PS", reg["Eps"], reg["RootScale"], temp)
			v.op("VMULPS", reg["Rate"], first, first)
			v.divide(first, temp, first)
			v.load("DI", weight)
			v.op("VFMSUB213PS", first, reg["Shrink"], weight)
			v.store(weight, "DI")
		})
		v.ret()
	})
}
