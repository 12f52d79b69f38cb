//go:build ignore

package main

import "fmt"

// Arithmetic without elementary functions: maps, the rows of LayerNorm, and the optimiser.

var (
	unary  = []arg{{"dst", "*float32"}, {"src", "*float32"}, {"n", "int"}}
	binary = []arg{{"dst", "*float32"}, {"a", "*float32"}, {"b", "*float32"}, {"n", "int"}}
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
	v.function("reverse", "is src from its last element to its first.", unary, nil, func() {
		v.descending(fmt.Sprintf("$%d", v.width-1), 2)
		v.loop(nil, func() {
			// In the loop CX counts what is left behind this vector, in the tail what is left with it.
			if v.tail {
				v.op("LEAQ", "-1(CX)", "R12")
				v.descending("R12", 2)
				v.loadTail("(SI)", 0)
			} else {
				v.op("VMOVUPS", "(SI)(CX*4)", 0)
			}
			v.op("VPERMPS", 0, 2, 0)
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

// descending sets the lanes of a register to first, first-1, and so on.
func (v *vec) descending(first string, reg int) {
	v.op("MOVQ", first, "R13")
	v.op("MOVQ", "R13", fmt.Sprintf("X%d", reg))
	v.op("VPBROADCASTD", fmt.Sprintf("X%d", reg), reg)
	v.op("VMOVDQU"+map[bool]string{true: "32"}[v.z()], "·laneNumbers(SB)", 3)
	v.op("VPSUBD", 3, reg, reg)
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
