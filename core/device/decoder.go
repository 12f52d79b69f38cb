package device

// DecoderKernels are those of Llama-shaped decoders, BERT-shaped encoders of other makers and LoRA adapters.
type DecoderKernels interface {
	RMSNormForward(RMSNorm)
	RMSNormBackward(RMSNormGrad)
	SwiGLUForward(SwiGLU)
	SwiGLUBackward(SwiGLUGrad)
	GroupedAttentionForward(GroupedAttention)
	GroupedAttentionBackward(GroupedAttentionGrad)
	// GELU computes z = x·Φ(x) over equal shapes, GELUGrad dx = dy·(Φ(x) + x·φ(x)).
	GELU(z, x Mat)
	GELUGrad(dx, x, dy Mat)
	// Scale computes z = factor·by[0]·x over equal shapes, in place if z is x; an empty by counts as 1.
	Scale(z, x Mat, factor float32, by Tensor)
	// Inner writes factor·sum(x∘y) over equal shapes to out[0], or adds it there. Rows are summed in their order, in float64.
	Inner(out Tensor, x, y Mat, factor float32, accumulate bool)
	AdaptedNorms(AdaptedNorms)
	MagnitudeForward(Magnitude)
	MagnitudeBackward(MagnitudeGrad)
}

// RMSNorm is Y = Gamma ∘ X·rstd over the last axis, rstd = 1/sqrt(mean(X²) + Eps). RStd (one per row) is kept for the backward pass.
type RMSNorm struct {
	X     Mat
	Gamma Tensor
	Eps   float32
	Y     Mat
	RStd  Tensor
}

// RMSNormGrad is the backward pass of RMSNorm. Empty outputs are not computed.
//
//	dx = rstd·u - x·rstd³·mean(u∘x), u = dy∘gamma;  dgamma = sum over rows of dy∘x·rstd
type RMSNormGrad struct {
	X      Mat
	Gamma  Tensor
	RStd   Tensor
	DY, DX Mat
	DGamma Tensor
}

// SwiGLU is Y = silu(gate)∘up, silu(x) = x/(1+exp(-x)). X is M×2F: the gate's F columns, then those of up. Y is M×F.
type SwiGLU struct{ X, Y Mat }

// SwiGLUGrad is the backward pass of SwiGLU; DX is M×2F.
type SwiGLUGrad struct{ X, DY, DX Mat }

// GroupedShape is the shape of grouped-query attention and what a query may see.
type GroupedShape struct {
	Batch, Seq, Heads, Dim int
	KVHeads                int  // a divisor of Heads: head i reads keys and values of head i/(Heads/KVHeads)
	Causal                 bool // query a sees keys c <= a only
	Window                 int  // above 0: it sees keys c > a-Window only
}

// GroupedAttention is Out = Drop(softmax(q·k/√Dim))·V over the keys that a query sees, per batch row and head.
//
//	Q, Out   (Batch·Seq)×(Heads·Dim) views;  K, V  (Batch·Seq)×(KVHeads·Dim) views
//	Rotary   at least Seq rows of Dim: the cosines of the Dim/2 angles of a position, then their sines. Queries and keys are turned by them:
//	         elements j and j+Dim/2 together. Empty: no positions.
//	Lengths  int32 per batch row: keys at positions >= length are not seen. Empty: all rows are full.
//
// A query that sees no key gives zeros. The dropout index of (batch b, head i, query a, key c) is ((b·Heads+i)·Seq + a)·Seq + c.
type GroupedAttention struct {
	GroupedShape
	Q, K, V Mat
	Rotary  Mat
	Lengths Tensor
	Drop    Dropout
	Out     Mat
}

// GroupedAttentionGrad is the backward pass. Probabilities are computed again, so the forward pass keeps nothing.
type GroupedAttentionGrad struct {
	GroupedAttention
	DOut       Mat
	DQ, DK, DV Mat
}

// AdaptedNorms writes the lengths of the rows of an adapted weight: Norms[j] = |W[j,:] + Factor·By[0]·sum_k B[j,k]·A[k,:]|, with W N×K, A r×K and B N×r.
// An empty By counts as 1.
type AdaptedNorms struct {
	W, A, B Mat
	Factor  float32
	By      Tensor
	Norms   Tensor
}

// Magnitude is Y = X∘(Mag/Norm) + Bias + Residual, with X and Y M×N and one magnitude and norm per column (Liu et al. 2024, DoRA). Empty Mag and Norm
// count as ones, empty Bias and Residual as zeros.
type Magnitude struct {
	X         Mat
	Mag, Norm Tensor
	Bias      Tensor
	Residual  Mat
	Y         Mat
}

// MagnitudeGrad is the backward pass of Magnitude with Norm held fixed: DX = DY∘(Mag/Norm), DMag = column sums of DY∘X, over Norm. DMag may be empty.
type MagnitudeGrad struct {
	X         Mat
	Mag, Norm Tensor
	DY, DX    Mat
	DMag      Tensor
}
