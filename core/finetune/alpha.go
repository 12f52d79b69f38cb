package finetune

import "fmt"

// Float is the number type of adapters: float32 in use, float64 where a comparison needs it.
type Float interface{ ~float32 | ~float64 }

// AlphaGradient takes a gradient with respect to the multipliers s = selection.Multipliers(alpha) back to alpha:
//
//	dL/dalpha_j = s_j (g_j - 1/N sum_i s_i g_i)
//
// Its sum is zero, because a constant added to alpha changes no multiplier.
func AlphaGradient(s, g []float64) []float64 {
	var mean float64
	for i := range s {
		mean += s[i] * g[i] / float64(len(s))
	}
	out := make([]float64, len(s))
	for i := range s {
		out[i] = s[i] * (g[i] - mean)
	}
	return out
}

// LayerGradient is the part of one adapted module in its layer's dL/ds: gamma times the sum over tokens of <B^T delta, A x>, both [tokens, rank] and
// already there in LoRA's backward pass. delta is the gradient at the module's output.
func LayerGradient[F Float](gamma float64, bTransposedDelta, ax []F) (float64, error) {
	if len(bTransposedDelta) != len(ax) {
		return 0, fmt.Errorf("layer gradient of %d and %d values: both must be tokens times rank", len(bTransposedDelta), len(ax))
	}
	var sum float64
	for i, d := range bTransposedDelta {
		sum += float64(d) * float64(ax[i])
	}
	return gamma * sum, nil
}
