package cuda

import (
	"testing"

	"flexi/core/device"
)

// NewOnProcessor is a Device whose kernels run on the processor, for tests in other packages' terms.
func NewOnProcessor(t *testing.T, p device.Precision) *Device {
	t.Helper()
	return openOn(t, newHost(t), p)
}

// NewOnGPU is a Device on the GPU; without one the test is skipped.
func NewOnGPU(t *testing.T, p device.Precision) *Device { return onGPU(t, p) }

// Lose makes a Device of NewOnProcessor fail from now on, as if its GPU were gone.
func Lose(d *Device) {
	h := d.drv.(*host)
	h.lostAt = h.launches
}
