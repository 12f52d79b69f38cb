package cpu

import (
	"math/rand/v2"
	"sync"
	"time"

	"flexi/core/device"
	"flexi/core/device/cpu/kern"
)

// Resolve is the precision that this processor computes in when p is asked for: F32 where bfloat16 instructions are missing, and for Auto the one in
// which a product of a typical size is faster, measured once in a process.
func Resolve(p device.Precision) (device.Precision, error) {
	if _, err := device.ParsePrecision(string(p)); err != nil {
		return "", err
	}
	level, err := kern.FromEnv()
	if err != nil {
		return "", err
	}
	t, err := kern.For(level)
	switch {
	case err != nil:
		return "", err
	case p == device.PrecisionF32 || !t.HasBF16():
		return device.PrecisionF32, nil
	case p == device.PrecisionAuto:
		return faster(), nil
	}
	return device.PrecisionBF16, nil
}

var faster = sync.OnceValue(func() device.Precision {
	const rows, inner, columns, trials = 1024, 256, 256, 9
	level, _ := kern.FromEnv()
	t, err := kern.For(level)
	if err != nil {
		return device.PrecisionF32
	}
	g := kern.Gemm{M: rows, N: columns, K: inner, TransB: true, LDA: inner, LDB: inner, LDC: columns}
	r := rand.New(rand.NewPCG(1, 1))
	for _, s := range []struct {
		into *[]float32
		n    int
	}{{&g.A, rows * inner}, {&g.B, columns * inner}, {&g.C, rows * columns}} {
		*s.into = make([]float32, s.n)
		for i := range *s.into {
			(*s.into)[i] = r.Float32()
		}
	}
	var ws kern.Workspace
	best := map[bool]time.Duration{false: time.Hour, true: time.Hour}
	for range trials {
		for _, g.BF16 = range []bool{false, true} {
			start := time.Now()
			t.GemmSerial(&ws, g)
			best[g.BF16] = min(best[g.BF16], time.Since(start))
		}
	}
	if best[true] < best[false] {
		return device.PrecisionBF16
	}
	return device.PrecisionF32
})
