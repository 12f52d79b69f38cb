package cuda

import (
	"context"
	"math"
	"testing"

	"flexi/core/device"
)

// Weights in bfloat16 give the bits of weights in float32 wherever they are taken.
func TestHalfWeightsOnTheProcessor(t *testing.T) {
	const rows, n, k, rank = 21, 24, 16, 3
	d := openOn(t, newHost(t), device.PrecisionBF16)
	if !d.TakesHalfWeights() || openOn(t, newHost(t), device.PrecisionF32).TakesHalfWeights() {
		t.Error("weights are taken in bfloat16 where products are computed in it, and nowhere else")
	}
	x, dy := placed(t, d, rows, k, 1, true), placed(t, d, rows, n, 2, true)
	a, b := placed(t, d, rank, k, 3, true), placed(t, d, n, rank, 4, true)
	compute := func(w device.Mat) (out [][]float32) {
		y, dx, dw, norms := placed(t, d, rows, n, 5, true), placed(t, d, rows, k, 6, true), placed(t, d, n, k, 7, true), placed(t, d, 1, n, 8, true)
		d.LinearForward(device.Linear{X: x, W: w, Y: y})
		d.LinearBackward(device.LinearGrad{X: x, W: w, DY: dy, DX: dx, DW: dw})
		d.AdaptedNorms(device.AdaptedNorms{W: w, A: a, B: b, Factor: 0, Norms: norms.T})
		for _, m := range []device.Mat{y, dx, dw, norms} {
			out = append(out, rowsOf(d, m))
		}
		if err := d.Sync(context.Background()); err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, aligned := range []bool{true, false} {
		w := placedAs(t, d, device.BF16, n, k, 9, aligned)
		wide := placed(t, d, n, k, 10, true)
		for i := range n {
			d.UploadF32(wide.T.Slice(i*k, k), values(d, w.RowsView(i, 1).T))
		}
		want, got := compute(wide), compute(w)
		for i, name := range []string{"y", "dx", "dw", "norms"} {
			same(t, name, want[i], got[i])
		}
		before := got[0]
		d.Zero(w.T)
		if after := compute(w)[0]; after[0] == before[0] {
			t.Error("a product took a copy of weights that were cleared")
		}
	}
}

// A loss over more rows than a chunk holds is that of all of them.
func TestCrossEntropyOfSeveralChunks(t *testing.T) {
	const rows, k, classes = 2*leastLossRows + 37, 3, 5
	for _, p := range []device.Precision{device.PrecisionF32, device.PrecisionBF16} {
		d := openOn(t, newHost(t), p)
		x, w, labels := placed(t, d, rows, k, 1, true), placed(t, d, classes, k, 2, true), make([]int32, rows)
		for i := range labels {
			labels[i] = int32(i % classes)
		}
		run := func(chunk int) (out [][]float32) {
			m, err := d.Alloc(4 * rows)
			if err != nil {
				t.Fatal(err)
			}
			defer d.Free(m)
			picked := device.NewTensor(m, 0, rows, device.I32)
			d.UploadI32(picked, labels)
			dx, dw, loss, bias := placed(t, d, rows, k, 3, true), placed(t, d, classes, k, 4, true), placed(t, d, 1, 1, 5, true), placed(t, d, 1, classes, 6, true)
			d.crossEntropy(device.CrossEntropy{X: x, W: w, Labels: picked, Loss: loss.T, DX: dx, DW: dw, DBias: bias.T}, chunk)
			for _, m := range []device.Mat{loss, dx, dw, bias} {
				out = append(out, rowsOf(d, m))
			}
			return out
		}
		whole, pieces := run(rows), run(leastLossRows)
		same(t, "loss", whole[0], pieces[0])
		same(t, "dx", whole[1], pieces[1])
		for i, name := range map[int]string{2: "dw", 3: "dbias"} {
			for j, v := range whole[i] {
				if math.Abs(float64(v-pieces[i][j])) > 1e-5 {
					t.Errorf("%s %s[%d]: %v in one chunk, %v in three", p, name, j, v, pieces[i][j])
				}
			}
		}
	}
}
