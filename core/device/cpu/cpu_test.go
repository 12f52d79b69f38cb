package cpu

import (
	"fmt"
	"testing"

	"flexi/core/device"
	"flexi/core/device/cpu/kern"
	"flexi/core/device/devicetest"
)

// form is a way to compute that this machine has.
type form struct {
	level kern.Level
	bf16  bool
}

func forms() []form {
	var all []form
	for _, level := range kern.Levels() {
		all = append(all, form{level, false})
		if t, err := kern.For(level); err == nil && t.HasBF16() {
			all = append(all, form{level, true})
		}
	}
	return all
}

func (f form) precision() device.Precision {
	if f.bf16 {
		return device.PrecisionBF16
	}
	return device.PrecisionF32
}

func (f form) String() string { return fmt.Sprintf("%s %s", f.level, f.precision()) }

// opener starts devices that the test closes.
func (f form) opener(threads int) func(t *testing.T) device.Device {
	return func(t *testing.T) device.Device {
		t.Helper()
		d, err := newLevel(f.level, threads, f.bf16)
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
	for _, f := range forms() {
		for _, threads := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s/%d threads", f, threads), func(t *testing.T) {
				devicetest.Run(t, f.precision(), f.opener(threads))
			})
		}
	}
}

func TestSameBitsForAnyThreads(t *testing.T) {
	for _, f := range forms() {
		t.Run(f.String(), func(t *testing.T) {
			devicetest.SameBits(t, f.opener(1), f.opener(2), f.opener(4))
		})
	}
}

func TestPrecisionIsResolved(t *testing.T) {
	for _, level := range kern.Levels() {
		t.Setenv(kern.EnvVar, level.String())
		table, err := kern.For(level)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range device.Precisions() {
			got, err := Resolve(p)
			if err != nil {
				t.Fatal(err)
			}
			if got == device.PrecisionBF16 && !table.HasBF16() || p == device.PrecisionF32 && got != p || p == device.PrecisionBF16 && table.HasBF16() && got != p {
				t.Errorf("%s: %s is %s", level, p, got)
			}
		}
	}
	if _, err := New(1, "f16"); err == nil {
		t.Error("a precision that does not exist")
	}
}

func TestNoThreadsIsAnError(t *testing.T) {
	if _, err := New(0, device.PrecisionF32); err == nil {
		t.Error("a device with no threads")
	}
}

func TestSizesOutOfRangeAreErrors(t *testing.T) {
	d := form{level: kern.Generic}.opener(1)(t)
	for _, bytes := range []int{-1, maxBytes + 1} {
		if _, err := d.Alloc(bytes); err == nil {
			t.Errorf("allocated %d bytes", bytes)
		}
	}
}
