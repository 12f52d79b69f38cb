// Package devicetest is the contract of package device as tests that any implementation can run.
//
// Every kernel is compared with a naive float64 reference, written straight from the formulas in package device, on odd shapes that are no
// multiple of any block. All memory around and between the rows of a view holds guard values (NaN): a kernel that reads them spoils its result,
// one that writes them is caught, and so is one that changes an input. Outputs start as NaN too, so nothing can rely on cleared memory.
//
// Bounds are relative to the largest magnitude of the output they belong to (see rig.compare). The references of backward passes are themselves
// checked by finite differences in this package's own tests.
package devicetest

import (
	"fmt"
	"math"
	"testing"

	"flexi/core/device"
)

// kernelCase is one call, or a few that belong together, of a kernel on one shape.
type kernelCase struct {
	name string
	run  func(r *rig)
	// large cases span many tasks of a device and are too big for a naive reference: only SameBits runs them.
	large bool
}

// family is the cases of related kernels.
type family struct {
	name  string
	cases func() []kernelCase
	// products marks kernels of matrix products that a device may compute in bfloat16.
	products bool
}

func families() []family {
	return []family{
		{name: "memory", cases: memoryCases},
		{name: "gemm", cases: gemmCases, products: true},
		{name: "linear", cases: linearCases, products: true},
		{name: "embedding", cases: embeddingCases},
		{name: "layernorm", cases: layerNormCases},
		{name: "attention", cases: attentionCases, products: true},
		{name: "mix", cases: mixCases},
		{name: "convolution", cases: convolutionCases},
		{name: "elementwise", cases: elementwiseCases},
		{name: "rows", cases: rowCases},
		{name: "loss", cases: lossCases, products: true},
		{name: "optimizer", cases: optimizerCases},
		{name: "rmsnorm", cases: rmsNormCases},
		{name: "swiglu", cases: swigluCases},
		{name: "grouped attention", cases: groupedCases, products: true},
		{name: "adapters", cases: adapterCases, products: true},
	}
}

// layouts are the placements in memory every case is run with: dense and aligned, and strided from an odd element on.
var layouts = []struct {
	name string
	layout
}{
	{"dense", layout{lead: 16}},
	{"strided", layout{lead: 5, gap: 3}},
}

// bfloat16Bound is that of products whose operands are rounded by up to 2^-9 each, relative to the largest element of a sum of such products, which
// may be a quarter of the largest sum of magnitudes; derivatives of activations at arguments that are such products magnify the error.
const bfloat16Bound = 0x1p-4

// Run checks that a device keeps the contract: results to the given precision, untouched surroundings, panics on inconsistent shapes.
func Run(t *testing.T, p device.Precision, open func(t *testing.T) device.Device) {
	d := open(t)
	t.Run("shapes", func(t *testing.T) { checkPanics(t, d) })
	for _, f := range families() {
		t.Run(f.name, func(t *testing.T) {
			for _, c := range f.cases() {
				if c.large {
					continue
				}
				for _, l := range layouts {
					t.Run(c.name+"/"+l.name, func(t *testing.T) {
						r := newRig(t, d, l.layout)
						if f.products && p == device.PrecisionBF16 {
							r.least = bfloat16Bound
						}
						c.run(r)
						r.finish()
					})
				}
			}
		})
	}
}

// SameBits checks that all the devices give the same bits for every kernel; they are to differ in nothing but their number of threads.
// The first device computes twice, which catches results that depend on what a device computed before.
func SameBits(t *testing.T, open ...func(t *testing.T) device.Device) {
	devices := make([]device.Device, 0, len(open)+1)
	for _, o := range open {
		devices = append(devices, o(t))
	}
	devices = append(devices, devices[0])
	for _, f := range families() {
		for _, c := range f.cases() {
			t.Run(f.name+"/"+c.name, func(t *testing.T) {
				var first []outcome
				for i, d := range devices {
					r := newRig(t, d, layouts[1].layout)
					r.recording = true
					c.run(r)
					r.finish()
					if i == 0 {
						first = r.outcomes
						continue
					}
					sameOutcomes(t, fmt.Sprintf("device %d (%s)", i, d.Describe()), first, r.outcomes)
				}
			})
		}
	}
}

func sameOutcomes(t *testing.T, who string, want, got []outcome) {
	t.Helper()
	if len(want) != len(got) {
		t.Fatalf("%s gave %d outputs, the first device %d", who, len(got), len(want))
	}
	for i, w := range want {
		for j, v := range w.values {
			if math.Float32bits(v) != math.Float32bits(got[i].values[j]) {
				t.Errorf("%s: %s[%d] = %v, the first device gave %v", who, w.name, j, got[i].values[j], v)
				break
			}
		}
	}
}
