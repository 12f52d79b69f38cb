package choose

import (
	"strings"
	"testing"

	"flexi/core/device"
)

func TestNames(t *testing.T) {
	for name, index := range map[string]int{"auto": 0, "cpu": 0, "cuda": 0, "cuda:0": 0, "cuda:7": 7} {
		if got, err := parse(name); err != nil || got != index {
			t.Errorf("%s is number %d, %v", name, got, err)
		}
	}
	for _, name := range []string{"", "gpu", "cuda:", "cuda:-1", "cuda:x", "cpu:0", "7"} {
		if _, err := Decide(name); err == nil || !strings.Contains(err.Error(), "cuda:N") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestDevicesComputeInTheResolvedPrecision(t *testing.T) {
	for _, name := range []string{"cpu", "auto"} {
		c, err := Decide(name)
		if err != nil {
			t.Fatal(err)
		}
		if c.Describe == "" || name == "cpu" && c.GPU() {
			t.Errorf("%s is %q", name, c.Describe)
		}
		for _, p := range device.Precisions() {
			want, err := c.Resolve(p)
			if err != nil {
				t.Fatal(err)
			}
			d, err := c.Open(1, p)
			if err != nil {
				t.Fatal(err)
			}
			if d.Precision() != want {
				t.Errorf("%s: %s becomes %s, the device computes in %s", name, p, want, d.Precision())
			}
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// A GPU that is asked for and missing is an error with the next step, not the CPU.
func TestMissingGPUIsAnError(t *testing.T) {
	_, err := Decide("cuda:99")
	if err == nil || !strings.Contains(err.Error(), "--device cpu") || !strings.Contains(err.Error(), "doctor") {
		t.Errorf("cuda:99: %v", err)
	}
}
