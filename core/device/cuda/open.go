package cuda

import (
	"context"
	"fmt"
	"time"

	"flexi/core/device"
)

// Open makes GPU number index ready. The first time on a machine it compiles the kernels, which takes some ten seconds. Errors are ErrNoGPU, ErrOldDriver or
// ErrMissingLibrary where they say what to do.
func Open(index int, p device.Precision) (*Device, error) {
	if _, err := Resolve(p); err != nil {
		return nil, err
	}
	g, err := openGPU(index)
	if err != nil {
		return nil, fmt.Errorf("open cuda:%d: %w", index, err)
	}
	return newDevice(g, index, p), nil
}

// Resolve is the precision that GPUs compute in when p is asked for: all that the kernels are made for have tensor cores for bfloat16.
func Resolve(p device.Precision) (device.Precision, error) {
	if p == device.PrecisionAuto {
		return device.PrecisionBF16, nil
	}
	return device.ParsePrecision(string(p))
}

// PeakFlops measures the fastest of a few large products in the device's precision, in operations per second; 0 if the memory for it is missing.
func (d *Device) PeakFlops() float64 {
	const n, trials = 8192, 5
	m, err := d.Alloc(3 * 4 * n * n)
	if err != nil {
		return 0
	}
	defer d.Free(m)
	mat := func(i int) device.Mat { return device.NewTensor(m, i*n*n, n*n, device.F32).Mat(n, n) }
	for i := range 2 {
		d.Dropout(mat(i), mat(i), device.Dropout{P: 0.5, Seed: 1})
	}
	best := time.Duration(0)
	for range trials {
		start := time.Now()
		d.Gemm(device.Gemm{A: mat(0), B: mat(1), C: mat(2)})
		if d.Sync(context.Background()) != nil {
			return 0
		}
		if took := time.Since(start); best == 0 || took < best {
			best = took
		}
	}
	return 2 * float64(n) * n * n / best.Seconds()
}

// Finding is one thing that Examine looked at.
type Finding struct {
	Name string // "cuda driver", "nvrtc", "cublasLt", "nvml", "cuda:0"
	OK   bool
	Text string // version and place, or what is missing and what to do
}

// Examine looks for all that a GPU is used through, for people who wonder why theirs is not.
func Examine() []Finding {
	lib, version, count, err := openDriver()
	findings := []Finding{found("cuda driver", err, func() string { return fmt.Sprintf("for CUDA %s, %s", cudaVersion(version), lib.path) })}
	nvrtc, missing := openCompiler()
	findings = append(findings, found("nvrtc", missing, func() string { return nvrtc.version() + ", " + nvrtc.lib.path }))
	blas, missing := findBlas()
	findings = append(findings, found("cublasLt", missing, func() string { return blasVersion(blas) + ", " + blas.path }))
	nvml, missing := openMonitor()
	findings = append(findings, found("nvml", missing, func() string { return "driver " + nvml.driverVersion() + ", " + nvml.lib.path }))
	for i := range count {
		findings = append(findings, examineGPU(i))
	}
	return findings
}

func found(name string, err error, describe func() string) Finding {
	if err != nil {
		return Finding{Name: name, Text: err.Error()}
	}
	return Finding{Name: name, OK: true, Text: describe()}
}

// examineGPU opens a GPU and computes something on it.
func examineGPU(i int) Finding {
	name := fmt.Sprintf("cuda:%d", i)
	d, err := Open(i, device.PrecisionBF16)
	if err != nil {
		return Finding{Name: name, Text: err.Error()}
	}
	defer d.Close()
	m, err := d.Alloc(4 * 3 * 64)
	if err != nil {
		return Finding{Name: name, Text: err.Error()}
	}
	defer d.Free(m)
	mat := func(i int) device.Mat { return device.NewTensor(m, 64*i, 64, device.F32).Mat(8, 8) }
	d.Gemm(device.Gemm{A: mat(0), B: mat(1), C: mat(2)})
	if err := d.Sync(context.Background()); err != nil {
		return Finding{Name: name, Text: err.Error()}
	}
	text := d.Describe()
	if free, total, err := d.drv.memory(); err == nil {
		text += fmt.Sprintf(", %s of %s free", size(free), size(total))
	}
	for _, h := range d.drv.holders() {
		text += fmt.Sprintf(", %s (process %d) has %s", h.name, h.pid, size(h.bytes))
	}
	return Finding{Name: name, OK: true, Text: text}
}
