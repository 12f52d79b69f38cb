package device

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestToBF16: the result is the nearest of the two neighbours, the even one where both are as near; what is exact stays.
func TestToBF16(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		bits := r.Uint32()
		x := math.Float32frombits(bits)
		if x != x {
			if y := FromBF16(ToBF16(x)); y == y {
				t.Fatalf("NaN %08x becomes %v", bits, y)
			}
			continue
		}
		down := uint16(bits >> 16)
		if ToBF16(FromBF16(down)) != down {
			t.Fatalf("%04x is not kept", down)
		}
		low, high := float64(FromBF16(down)), float64(FromBF16(down+1))
		if math.IsInf(low, 0) || math.IsInf(high, 0) || high != high {
			continue
		}
		want := down
		switch toLow, toHigh := math.Abs(float64(x)-low), math.Abs(float64(x)-high); {
		case toHigh < toLow, toHigh == toLow && down&1 == 1:
			want++
		}
		if got := ToBF16(x); got != want {
			t.Fatalf("%v becomes %04x, not %04x", x, got, want)
		}
	}
	for x, want := range map[float32]uint16{0: 0, 1: 0x3f80, float32(math.Inf(1)): 0x7f80, math.MaxFloat32: 0x7f80} {
		if got := ToBF16(x); got != want {
			t.Errorf("%v becomes %04x, not %04x", x, got, want)
		}
	}
}
