// Package device defines the memory and the kernels that models are computed with.
//
// A Device owns memory (Memory), and runs kernels on views of it (Tensor, Mat). Two implementations exist:
// device/cpu (Go and assembly) and device/cuda. Nothing above this package knows which one it talks to.
//
// Invariants every implementation keeps:
//   - the same inputs give the same bits, for any number of threads: every reduction has a fixed order;
//   - a kernel reads and writes only the views it is given; outputs never alias inputs unless the field says so;
//   - dropout depends on (seed, element index) alone, by Keep, so forward and backward need no stored mask.
//
// Kernels return no error: shapes are checked when a graph is built, and a device failure is reported by Sync.
// A kernel handed inconsistent shapes panics; the executor turns that into an error that names the op.
package device

import "context"

// ErrFull is wrapped by errors of a device that has not as much memory as was asked for.
var ErrFull error = fullError{}

type fullError struct{}

func (fullError) Error() string { return "the device's memory is full" }

// Crowded says that fewer trainings at once would have had room: core/run looks for it.
func (fullError) Crowded() bool { return true }

// Device is memory plus kernels. One Device is used by one goroutine at a time.
type Device interface {
	// Name is "cpu" or "cuda:0".
	Name() string
	// Describe says in one line what the device is, for people ("CPU avx512, 2 threads").
	Describe() string
	// Alloc returns zeroed memory of at least the given bytes, aligned to 64 bytes.
	Alloc(bytes int) (*Memory, error)
	// Free gives memory back; the Memory and all its views are dead afterwards.
	Free(m *Memory)
	// Upload copies host values into a view; Download the other way. Lengths must be equal. Values are rounded into a view of BF16.
	UploadF32(dst Tensor, src []float32)
	UploadI32(dst Tensor, src []int32)
	DownloadF32(dst []float32, src Tensor)
	// Sync waits for all work queued so far and reports the first failure since the last Sync.
	Sync(ctx context.Context) error
	// Close frees everything.
	Close() error

	Kernels
}

// Unknown stands in a Load for what a device does not tell.
const Unknown = -1

// Load is what a device with memory of its own does at a moment, all programs on it together.
type Load struct {
	Busy                  int   // percent of the last second in which something was computed
	UsedBytes, TotalBytes int64 // TotalBytes is 0 if unknown
	Celsius               int
	MHz, MostMHz          int // clock of the processors, and the highest it may have
}

// Kernels is what models and optimisers are made of. Formulas are in the comments of the parameter types.
type Kernels interface {
	DecoderKernels
	// Gemm computes C = A·B with optional transposes, or C += A·B.
	Gemm(Gemm)
	LinearForward(Linear)
	LinearBackward(LinearGrad)
	EmbeddingForward(Embedding)
	EmbeddingBackward(EmbeddingGrad)
	LayerNormForward(LayerNorm)
	LayerNormBackward(LayerNormGrad)
	// AttentionSaved is how many float32 AttentionForward keeps in Attention.Saved for the backward pass.
	AttentionSaved(a AttentionShape) int
	AttentionForward(Attention)
	AttentionBackward(AttentionGrad)
	Mix(Mix)
	DepthwiseForward(Depthwise)
	DepthwiseBackward(DepthwiseGrad)
	TapsForward(Taps)
	TapsBackward(TapsGrad)
	// Mul computes z = x ∘ y element-wise over equal shapes.
	Mul(z, x, y Mat)
	// Add computes z = x + y element-wise over equal shapes; z may be x or y.
	Add(z, x, y Mat)
	// Dropout computes z = Drop(x) over equal shapes, in place if z is x; the dropout index of element (i, j) is i·Cols + j.
	// Applied to a gradient it is its own backward pass.
	Dropout(z, x Mat, d Dropout)
	// Copy copies x into z, equal shapes.
	Copy(z, x Mat)
	// Zero clears a view.
	Zero(t Tensor)
	// Gather copies rows: y[i,:] = x[rows[i],:]; a negative row gives zeros.
	Gather(y, x Mat, rows Tensor)
	// Scatter is Gather's adjoint: y is cleared, then y[rows[i],:] += x[i,:] in the order of i; negative rows are skipped.
	Scatter(y, x Mat, rows Tensor)
	CrossEntropy(CrossEntropy)
	SquaredErrorForward(SquaredError)
	SquaredErrorBackward(SquaredErrorGrad)
	// SumSquares writes sum(x²), accumulated in float64 in fixed chunks, to out[0] (float32). Used for the gradient norm.
	SumSquares(out, x Tensor)
	AdamW(AdamW)
	// FirstNonFinite returns the index of the first NaN or infinity in x, or -1. It synchronises.
	FirstNonFinite(x Tensor) int
}

// HalfWeights is a Device that may take W of Linear, LinearGrad and AdaptedNorms as BF16. It rounds operands of products to that anyway, so results have the
// same bits.
type HalfWeights interface {
	// TakesHalfWeights depends on the precision that the device computes in.
	TakesHalfWeights() bool
}

// Activation is the function fused behind a linear map.
type Activation uint8

// Activations. GELU is the exact one: x·Φ(x) = x/2·(1+erf(x/√2)).
const (
	Identity Activation = iota
	GELU
	Tanh
)

// Gemm is C = op(A)·op(B), float32, row-major. With Accumulate it is C += op(A)·op(B).
// op(A) is M×K and op(B) is K×N, where C is M×N; TransA means that A is stored K×M, TransB that B is stored N×K.
type Gemm struct {
	A, B, C        Mat
	TransA, TransB bool
	Accumulate     bool
}

// Linear is Y = Residual + Drop(act(X·Wᵀ + Bias)).
//
//	X M×K, W N×K (the [out, in] layout of PyTorch and Hugging Face), Bias N or empty, Y M×N
//	Pre M×N receives X·Wᵀ+Bias when Act is GELU and Pre is not empty (training)
//	Residual M×N or empty. The dropout index of element (i, j) is i·N + j.
type Linear struct {
	X, W     Mat
	Bias     Tensor
	Act      Activation
	Pre      Mat
	Drop     Dropout
	Residual Mat
	Y        Mat
}

// LinearGrad is the backward pass of Linear. DY is the gradient of Y (which is also that of Residual).
//
//	dPre = Drop'(DY) ∘ act'(Pre);  DX = dPre·W;  DW = dPreᵀ·X;  DBias = column sums of dPre
//
// Empty outputs are not computed; X is needed for DW only. DPre is M×N scratch, needed when Act is not Identity or Drop is on.
// Y is needed for Tanh only and must then have been computed without dropout and residual.
type LinearGrad struct {
	X, W   Mat
	Act    Activation
	Pre, Y Mat
	Drop   Dropout
	DY     Mat
	DPre   Mat
	DX, DW Mat
	DBias  Tensor
}

// Embedding is Y[r,:] = Token[IDs[r],:] + Segment[Segments[r],:]. Segment may be empty.
type Embedding struct {
	IDs, Segments  Tensor // int32, one per row
	Token, Segment Mat    // V×H, types×H
	Y              Mat    // rows×H
}

// EmbeddingGrad scatters DY into DToken and DSegment, which are cleared first; rows are added in ascending order.
type EmbeddingGrad struct {
	IDs, Segments    Tensor
	DY               Mat
	DToken, DSegment Mat
}

// LayerNorm is Y = Drop(Gamma ∘ (X - mean)·rstd + Beta) over the last axis, rstd = 1/sqrt(var + Eps), var biased.
// Mean and RStd (one per row) are kept for the backward pass. The dropout index of (i, j) is i·N + j.
type LayerNorm struct {
	X           Mat
	Gamma, Beta Tensor
	Eps         float32
	Drop        Dropout
	Y           Mat
	Mean, RStd  Tensor
}

// LayerNormGrad is the backward pass of LayerNorm. Empty outputs are not computed.
type LayerNormGrad struct {
	X             Mat
	Gamma         Tensor
	Mean, RStd    Tensor
	Drop          Dropout
	DY, DX        Mat
	DGamma, DBeta Tensor
}

// Score says how a head scores a pair of positions (spec: FlexiBERT 2.3-2.6).
type Score uint8

// Scores of a head, before the division by sqrt(d) and the mask; r(a,b) = q_a·R[a-b+P-1] is part of all three.
const (
	ScoreDot      Score = iota // q_a·k_b + r(a,b)
	ScoreBilinear              // q_a W k_b + r(a,b)
	ScorePosition              // r(a,b); keys are unused
)

// AttentionShape is what an attention kernel must know before it has data.
type AttentionShape struct {
	Batch, Seq, Dim int
	Scores          []Score // one per head
	// Bilinear[i] is the index into W of head i's matrix; used where Scores[i] is ScoreBilinear.
	Bilinear []int
	Train    bool // false: Saved is not written
}

// Heads is the number of heads.
func (s AttentionShape) Heads() int { return len(s.Scores) }

// Attention is context = Drop(softmax(score/√d + mask))·V for every batch row and head.
//
//	Q, K, V  (Batch·Seq)×(Heads·Dim) views (strided views of one fused tensor are fine); K may be empty
//	         if every head is ScorePosition
//	Rel      (2P-1)×Dim table R, shared by the heads
//	W        bilinear matrices stacked: nW·Dim × Dim (q_a as a row vector: q_a W k_bᵀ)
//	Lengths  int32 per batch row: positions >= length get -10000 added to the score, as keys
//	Saved    float32 of AttentionSaved elements, for the backward pass
//	Out      (Batch·Seq)×(Heads·Dim) view
//
// The dropout index of (batch b, head i, query a, key c) is ((b·Heads+i)·Seq + a)·Seq + c.
type Attention struct {
	AttentionShape
	Q, K, V Mat
	Rel     Mat
	W       Mat
	Lengths Tensor
	Drop    Dropout
	Saved   Tensor
	Out     Mat
}

// AttentionGrad is the backward pass of Attention. DRel and DW are overwritten, not accumulated; DK is cleared
// for heads without keys (and may be empty if no head has keys).
type AttentionGrad struct {
	Attention
	DOut       Mat
	DQ, DK, DV Mat
	DRel, DW   Mat
}

// MixKind is a 2-D transform over positions and channels.
type MixKind uint8

// Transforms of the linear-transform operation (spec 2.5), unnormalised unless Mix.Ortho is set.
const (
	// MixDFT is the real part of the 2-D DFT: y[n,m] = sum x[n',m'] cos(2π(n·n'/T + m·m'/H)).
	MixDFT MixKind = iota
	// MixDCT is the 2-D DCT-II: y[n,m] = 4 sum x[n',m'] cos(πn(2n'+1)/(2T)) cos(πm(2m'+1)/(2H)).
	MixDCT
)

// Mix transforms every Seq×Cols block of X (rows b·Seq .. (b+1)·Seq) and writes or adds it to Y.
// Adjoint applies the transposed transform (for the backward pass). With Ortho the transform is orthonormal
// (DFT: divided by sqrt(T·H); DCT: scipy's norm="ortho").
type Mix struct {
	Kind       MixKind
	Batch, Seq int
	Ortho      bool
	Adjoint    bool
	Accumulate bool
	X, Y       Mat
}

// Depthwise is a convolution over positions, one filter per channel, zero padding K/2, no bias:
// y[b,t,c] = sum_j W[c,j]·x[b, t+j-K/2, c].
type Depthwise struct {
	Batch, Seq int
	X          Mat // (Batch·Seq)×C
	W          Mat // C×K
	Y          Mat
}

// DepthwiseGrad is the backward pass of Depthwise. DX and DW are overwritten.
type DepthwiseGrad struct {
	Depthwise
	DY, DX, DW Mat
}

// Taps is the span-based dynamic convolution (spec 2.6, steps 3-5): the K logits of a token and head are
// softmax-normalised to P, and y[t, i, c] = sum_j P[t,i,j]·v[t+j-(K-1)/2, i, c] with zero padding inside a batch row.
//
//	Logits (Batch·Seq)×(Heads·K), V and Y (Batch·Seq)×(Heads·Dim), Saved receives P, same shape as Logits
type Taps struct {
	Batch, Seq, Heads, Dim, K int
	Logits, V, Y              Mat
	Saved                     Mat
}

// TapsGrad is the backward pass of Taps. DLogits and DV are overwritten.
type TapsGrad struct {
	Taps
	DY, DLogits, DV Mat
}

// CrossEntropy is the loss of a linear classifier and its gradient: the mean over rows with Labels[i] >= 0 of -log softmax(X·Wᵀ + Bias)[i, Labels[i]].
// A device computes a chunk of rows at a time, so that neither the logits nor their gradient are ever whole in memory.
//
//	X M×K, W N×K, Bias N or empty, Labels M int32 below N, Loss one element
//	dLogits = (softmax - onehot)/count;  DX = dLogits·W;  DW = dLogitsᵀ·X;  DBias = column sums of dLogits
//
// Rows with a negative label are ignored: their part of dLogits is zero. With no labelled row the loss and its gradient are 0. Empty outputs are
// not computed.
type CrossEntropy struct {
	X, W         Mat
	Bias, Labels Tensor
	Loss         Tensor
	DX, DW       Mat
	DBias        Tensor
}

// SquaredError is the mean of (X - Target)² over rows; X is n×1.
type SquaredError struct {
	X      Mat
	Target Tensor
	Loss   Tensor
}

// SquaredErrorGrad writes DX = DLoss·2(X - Target)/n.
type SquaredErrorGrad struct {
	SquaredError
	DLoss Tensor
	DX    Mat
}

// AdamW is one decoupled-weight-decay Adam step (Loshchilov and Hutter 2019, PyTorch's form) over flat views:
//
//	g = G·GradScale; m = β1·m+(1-β1)g; v = β2·v+(1-β2)g²
//	w = w·(1-LR·Decay) - LR·(m/(1-β1^Step)) / (sqrt(v/(1-β2^Step)) + Eps)
type AdamW struct {
	W, G, M, V       Tensor
	LR, Beta1, Beta2 float64
	Eps, Decay       float64
	GradScale        float32
	Step             int // from 1
}

// Replayer is a Device that repeats a sequence of kernels at less cost than queueing them one by one.
type Replayer interface {
	// Replay queues what run queues: kernels only, no copies from or to the host and nothing that waits. Under the same key run is to queue the same
	// kernels on the same memory; what differs otherwise, such as the seeds of dropout, is brought up to date.
	Replay(key any, run func() error) error
}

// Updater is a Device that makes an optimiser step without the host's help, so that nothing waits between the backward pass and the new weights, nor
// between a step and the next.
type Updater interface {
	Update(Update)
	// ReadLater queues copying a view of a few elements to the host, and returns what waits for that copy alone: what is queued behind it goes on. Where
	// something failed the elements are NaN, and Sync says what. Of two reads at most, the older is waited for before the next begins.
	ReadLater(src Tensor) (wait func(dst []float32))
}

// Update is AdamW over all parameters of a model, Decay for the first Decayed of them alone. Squares holds the sum of squares of G, of which the norm is
// limited to Clip as PyTorch does (0 is no limit). Nothing changes if Squares or Loss is not finite: Halt, of one element, is 1 from then on, and while it
// is not 0 nothing changes either.
type Update struct {
	AdamW
	Decayed             int
	Squares, Loss, Halt Tensor
	Clip                float64
}
