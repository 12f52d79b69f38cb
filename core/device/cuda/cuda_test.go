package cuda

import (
	"os"
	"testing"

	"flexi/core/device"
	"flexi/core/device/devicetest"
)

// on opens a device on the processor, whose threads run in ascending or descending order.
func on(p device.Precision, descending bool) func(t *testing.T) device.Device {
	return func(t *testing.T) device.Device {
		h := newHost(t)
		h.descending = descending
		return openOn(t, h, p)
	}
}

func TestContractOnTheProcessor(t *testing.T) {
	for _, p := range []device.Precision{device.PrecisionF32, device.PrecisionBF16} {
		t.Run(string(p), func(t *testing.T) { devicetest.Run(t, p, on(p, false)) })
	}
}

func TestSameBitsForAnyOrderOfThreads(t *testing.T) {
	for _, p := range []device.Precision{device.PrecisionF32, device.PrecisionBF16} {
		t.Run(string(p), func(t *testing.T) { devicetest.SameBits(t, on(p, false), on(p, true)) })
	}
}

// onGPU opens the GPU, if there is one; FLEXI_GPU=1 makes a missing one a failure.
func onGPU(t *testing.T, p device.Precision) *Device {
	t.Helper()
	d, err := Open(0, p)
	if err != nil && os.Getenv("FLEXI_GPU") != "" {
		t.Fatal(err)
	} else if err != nil {
		t.Skip("no usable GPU: ", err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestContractOnTheGPU(t *testing.T) {
	for _, p := range []device.Precision{device.PrecisionF32, device.PrecisionBF16} {
		t.Run(string(p), func(t *testing.T) {
			d := onGPU(t, p)
			devicetest.Run(t, p, func(*testing.T) device.Device { return d })
		})
	}
}

func TestSameBitsOnTheGPU(t *testing.T) {
	for _, p := range []device.Precision{device.PrecisionF32, device.PrecisionBF16} {
		t.Run(string(p), func(t *testing.T) {
			open := func(t *testing.T) device.Device { return onGPU(t, p) }
			devicetest.SameBits(t, open, open)
		})
	}
}
