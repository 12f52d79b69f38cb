package cpu

import (
	"fmt"
	"testing"

	"flexi/core/device"
	"flexi/core/device/cpu/kern"
	"flexi/core/device/devicetest"
)

// opener starts devices that the test closes.
func opener(level kern.Level, threads int) func(t *testing.T) device.Device {
	return func(t *testing.T) device.Device {
		t.Helper()
		d, err := newLevel(level, threads)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		})
		return d
	}
}

func TestContract(t *testing.T) {
	for _, level := range kern.Levels() {
		for _, threads := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s/%d threads", level, threads), func(t *testing.T) {
				devicetest.Run(t, opener(level, threads))
			})
		}
	}
}

func TestSameBitsForAnyThreads(t *testing.T) {
	for _, level := range kern.Levels() {
		t.Run(level.String(), func(t *testing.T) {
			devicetest.SameBits(t, opener(level, 1), opener(level, 2), opener(level, 4))
		})
	}
}

func TestNoThreadsIsAnError(t *testing.T) {
	if _, err := New(0); err == nil {
		t.Error("a device with no threads")
	}
}

func TestSizesOutOfRangeAreErrors(t *testing.T) {
	d := opener(kern.Generic, 1)(t)
	for _, bytes := range []int{-1, maxBytes + 1} {
		if _, err := d.Alloc(bytes); err == nil {
			t.Errorf("allocated %d bytes", bytes)
		}
	}
}
