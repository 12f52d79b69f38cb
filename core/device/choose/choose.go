// Package choose opens devices by the names people give: auto, cpu, cuda, cuda:N. It is the one place above the devices that knows them all.
package choose

import (
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"

	"flexi/core/device"
	"flexi/core/device/cpu"
	"flexi/core/device/cuda"
)

// Device is what trainings need beyond kernels.
type Device interface {
	device.Device
	// Precision is what products are computed in: F32 or BF16.
	Precision() device.Precision
	// PeakFlops measures the fastest products, in operations per second.
	PeakFlops() float64
}

// Usage is what --device is said to take.
const Usage = "auto (the first GPU, the CPU where there is none), cpu, cuda or cuda:N"

// Choice is a device by name, decided but not opened.
type Choice struct {
	cuda  bool
	index int
	// Describe says what was chosen, and why it is the CPU where a GPU might have been expected.
	Describe string
}

// Decide finds out what a name stands for on this machine: a GPU is opened once and closed. An unusable GPU is an error if it was asked for; with auto it
// is the reason for the CPU.
func Decide(name string) (Choice, error) {
	index, err := parse(name)
	if err != nil {
		return Choice{}, err
	}
	reason := ""
	if name != "cpu" {
		c := Choice{cuda: true, index: index}
		if c.Describe, err = describe(c); err == nil {
			return c, nil
		}
		if name != "auto" {
			return Choice{}, fmt.Errorf("device %s: %w; --device cpu does without, flexi doctor says more", name, err)
		}
		if !errors.Is(err, cuda.ErrNoGPU) {
			reason = fmt.Sprintf(" (the GPU cannot be used: %v)", err)
		}
	}
	c := Choice{}
	text, err := describe(c)
	c.Describe = text + reason
	return c, err
}

func parse(name string) (index int, err error) {
	switch name {
	case "auto", "cpu", "cuda":
		return 0, nil
	}
	number, ok := strings.CutPrefix(name, "cuda:")
	if index, err = strconv.Atoi(number); !ok || err != nil || index < 0 {
		return 0, fmt.Errorf("device %q: must be %s", name, Usage)
	}
	return index, nil
}

func describe(c Choice) (string, error) {
	d, err := c.Open(runtime.NumCPU(), device.PrecisionF32)
	if err != nil {
		return "", err
	}
	return d.Describe(), d.Close()
}

// GPU reports whether the choice is a GPU.
func (c Choice) GPU() bool { return c.cuda }

// Open starts the device; threads are for the CPU.
func (c Choice) Open(threads int, p device.Precision) (Device, error) {
	if c.cuda {
		return cuda.Open(c.index, p)
	}
	return cpu.New(threads, p)
}

// Meter gives a function that reads the load of a GPU; nil for the CPU, and where the driver tells nothing.
func (c Choice) Meter() func() device.Load {
	if !c.cuda {
		return nil
	}
	m, err := cuda.OpenMeter(c.index)
	if err != nil {
		return nil
	}
	return m.Read
}

// Resolve is the precision that the device computes in when p is asked for.
func (c Choice) Resolve(p device.Precision) (device.Precision, error) {
	if c.cuda {
		return cuda.Resolve(p)
	}
	return cpu.Resolve(p)
}
