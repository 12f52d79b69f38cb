package cpu

import (
	"flexi/core/device"

	"strings"
	"testing"
)

// TestAllocRefusesWhatTheMachineLacks: each part would fit, the sum does not, although nothing of it was touched.
func TestAllocRefusesWhatTheMachineLacks(t *testing.T) {
	limit, known := memoryForProcess()
	if !known {
		t.Skip("how much memory is free is not known on this system")
	}
	d, err := New(1, device.PrecisionF32)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	before := live.Load()
	part := int(limit/4) + 1
	for n := range 5 {
		m, err := d.Alloc(part)
		if err != nil {
			if n < 2 || !strings.Contains(err.Error(), "fewer workers") {
				t.Errorf("part %d: %v", n, err)
			}
			break
		}
		defer d.Free(m)
		if n == 4 {
			t.Errorf("five quarters of the memory were given out")
		}
	}
	if _, err := d.Alloc(1 << 20); err != nil {
		t.Errorf("a small allocation after a refusal: %v", err)
	}
	t.Cleanup(func() {
		if got := live.Load(); got != before+1<<20 {
			t.Errorf("%d bytes are counted as given out, want %d", got, before+1<<20)
		}
	})
}
