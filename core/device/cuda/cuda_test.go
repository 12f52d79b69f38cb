package cuda

import (
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
