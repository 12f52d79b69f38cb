package devicetest

import (
	"testing"

	"flexi/core/device"
)

// checkPanics checks that kernels refuse inconsistent shapes instead of touching memory outside of their views.
func checkPanics(t *testing.T, d device.Device) {
	calls := []struct {
		name string
		call func(r *rig)
	}{
		{"gemm", func(r *rig) { d.Gemm(device.Gemm{A: r.output(3, 5), B: r.output(7, 2), C: r.output(3, 2)}) }},
		{"gemm transposed", func(r *rig) {
			d.Gemm(device.Gemm{A: r.output(3, 5), B: r.output(5, 2), C: r.output(3, 2), TransA: true})
		}},
		{"linear", func(r *rig) { d.LinearForward(device.Linear{X: r.output(3, 5), W: r.output(2, 7), Y: r.output(3, 2)}) }},
		{"mul", func(r *rig) { d.Mul(r.output(3, 5), r.output(3, 5), r.output(3, 4)) }},
		{"add", func(r *rig) { d.Add(r.output(3, 5), r.output(2, 5), r.output(3, 5)) }},
		{"copy", func(r *rig) { d.Copy(r.output(3, 5), r.output(5, 3)) }},
		{"dropout", func(r *rig) { d.Dropout(r.output(3, 5), r.output(3, 6), device.Dropout{}) }},
		{"mix", func(r *rig) { d.Mix(device.Mix{Batch: 2, Seq: 3, X: r.output(5, 2), Y: r.output(5, 2)}) }},
		{"gather", func(r *rig) { d.Gather(r.output(3, 5), r.output(4, 5), r.indices([]int32{0, 1})) }},
		{"scatter", func(r *rig) { d.Scatter(r.output(3, 5), r.output(4, 5), r.indices([]int32{0, 1})) }},
		{"adamw", func(r *rig) {
			d.AdamW(device.AdamW{W: r.vectorOutput(3), G: r.vectorOutput(3), M: r.vectorOutput(2), V: r.vectorOutput(3), Step: 1})
		}},
	}
	for _, c := range calls {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, d, layouts[0].layout)
			defer r.finish()
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			c.call(r)
		})
	}
}
