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
		{"linear residual", func(r *rig) {
			d.LinearForward(device.Linear{X: r.output(3, 5), W: r.output(2, 5), Residual: r.output(2, 2), Y: r.output(3, 2)})
		}},
		{"linear bias", func(r *rig) {
			d.LinearForward(device.Linear{X: r.output(3, 5), W: r.output(2, 5), Bias: r.vectorOutput(1), Y: r.output(3, 2)})
		}},
		{"linear backward", func(r *rig) {
			d.LinearBackward(device.LinearGrad{
				X: r.output(3, 5), W: r.output(2, 5), Act: device.GELU, Pre: r.output(3, 1), DY: r.output(3, 2), DPre: r.output(3, 2),
				DX: r.output(3, 5),
			})
		}},
		{"embedding", func(r *rig) {
			d.EmbeddingForward(device.Embedding{IDs: r.indices([]int32{0, 1}), Token: r.output(3, 4), Y: r.output(2, 5)})
		}},
		{"layernorm", func(r *rig) {
			d.LayerNormForward(device.LayerNorm{
				X: r.output(3, 4), Gamma: r.vectorOutput(5), Beta: r.vectorOutput(5), Y: r.output(3, 5), Mean: r.vectorOutput(3),
				RStd: r.vectorOutput(3),
			})
		}},
		{"attention", func(r *rig) {
			d.AttentionForward(device.Attention{
				AttentionShape: device.AttentionShape{Batch: 1, Seq: 3, Dim: 5, Scores: []device.Score{device.ScoreDot}, Bilinear: []int{0}},
				Q:              r.output(3, 5), V: r.output(3, 5), Out: r.output(3, 5), Rel: r.output(5, 5), Lengths: r.indices([]int32{3}),
			})
		}},
		{"attention positions", func(r *rig) {
			d.AttentionForward(device.Attention{
				AttentionShape: device.AttentionShape{Batch: 1, Seq: 3, Dim: 5, Scores: []device.Score{device.ScorePosition}, Bilinear: []int{0}},
				Q:              r.output(3, 5), V: r.output(3, 5), Out: r.output(3, 5), Rel: r.output(3, 5), Lengths: r.indices([]int32{3}),
			})
		}},
		{"depthwise", func(r *rig) {
			d.DepthwiseForward(device.Depthwise{Batch: 1, Seq: 3, X: r.output(2, 5), W: r.output(5, 3), Y: r.output(3, 5)})
		}},
		{"taps", func(r *rig) {
			d.TapsForward(device.Taps{
				Batch: 1, Seq: 3, Heads: 2, Dim: 5, K: 3, Logits: r.output(3, 6), V: r.output(3, 9), Y: r.output(3, 10), Saved: r.output(3, 6),
			})
		}},
		{"cross entropy", func(r *rig) {
			d.CrossEntropy(device.CrossEntropy{
				X: r.output(3, 5), W: r.output(7, 5), Labels: r.indices([]int32{0, 1, 2}), Loss: r.vectorOutput(1), DW: r.output(5, 7),
			})
		}},
		{"squared error", func(r *rig) {
			d.SquaredErrorForward(device.SquaredError{X: r.output(3, 1), Target: r.vectorOutput(2), Loss: r.vectorOutput(1)})
		}},
		{"rms norm", func(r *rig) {
			d.RMSNormForward(device.RMSNorm{X: r.output(3, 5), Gamma: r.vectorOutput(4), Y: r.output(3, 5), RStd: r.vectorOutput(3)})
		}},
		{"swiglu", func(r *rig) { d.SwiGLUForward(device.SwiGLU{X: r.output(3, 9), Y: r.output(3, 5)}) }},
		{"swiglu backward", func(r *rig) {
			d.SwiGLUBackward(device.SwiGLUGrad{X: r.output(3, 10), DY: r.output(3, 5), DX: r.output(3, 5)})
		}},
		{"grouped attention", func(r *rig) {
			d.GroupedAttentionForward(device.GroupedAttention{
				GroupedShape: device.GroupedShape{Batch: 1, Seq: 3, Heads: 3, KVHeads: 2, Dim: 4}, Q: r.output(3, 12), K: r.output(3, 8), V: r.output(3, 8),
				Out: r.output(3, 12),
			})
		}},
		{"grouped attention positions", func(r *rig) {
			d.GroupedAttentionForward(device.GroupedAttention{
				GroupedShape: device.GroupedShape{Batch: 1, Seq: 3, Heads: 2, KVHeads: 1, Dim: 4}, Q: r.output(3, 8), K: r.output(3, 4), V: r.output(3, 4),
				Rotary: r.output(2, 4), Out: r.output(3, 8),
			})
		}},
		{"adapted norms", func(r *rig) {
			d.AdaptedNorms(device.AdaptedNorms{W: r.output(3, 5), A: r.output(2, 5), B: r.output(3, 1), Norms: r.vectorOutput(3)})
		}},
		{"magnitude", func(r *rig) {
			d.MagnitudeForward(device.Magnitude{X: r.output(3, 5), Mag: r.vectorOutput(5), Y: r.output(3, 5)})
		}},
		{"magnitude backward", func(r *rig) {
			d.MagnitudeBackward(device.MagnitudeGrad{X: r.output(3, 5), DY: r.output(3, 5), DX: r.output(3, 5), DMag: r.vectorOutput(5)})
		}},
		{"scale", func(r *rig) { d.Scale(r.output(3, 5), r.output(5, 3), 1, device.Tensor{}) }},
		{"inner", func(r *rig) { d.Inner(r.vectorOutput(1), r.output(3, 5), r.output(3, 4), 1, false) }},
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
