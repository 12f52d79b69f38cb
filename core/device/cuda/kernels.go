package cuda

import (
	"embed"
	"strings"
	"unsafe"

	"flexi/core/device"
)

//go:embed kernels/*.cu
var sources embed.FS

// files are the kernels' sources, in the order in which they are compiled as one.
var files = []string{"common", "elementwise", "columns", "rows", "norm", "adapter", "loss", "optimizer", "convolution", "tile", "attention", "grouped"}

func source() string {
	var s strings.Builder
	for _, f := range files {
		text, err := sources.ReadFile("kernels/" + f + ".cu")
		if err != nil {
			panic(err) // the file is part of the program
		}
		s.Write(text)
	}
	return s.String()
}

// kernel is an index into names.
type kernel int

const (
	mul kernel = iota
	add
	copyRows
	geluRows
	geluGrad
	swiglu
	swigluGrad
	clearRows
	dropout
	toBF16
	finishLinear
	undoLinear
	normParams
	addParts
	layerNorm
	layerNormGrad
	rmsNorm
	rmsNormGrad
	scale
	innerPieces
	addInner
	adaptedNorms
	magnitude
	magnitudeGrad
	gather
	rankRows
	orderRows
	scatterPieces
	scatterRuns
	countLabels
	lossRows
	sumColumns
	meanLoss
	squaredError
	squaredErrorGrad
	sumSquares
	addSquares
	adamW
	firstNonFinite
	depthwise
	depthwiseDX
	depthwiseDW
	tapsSoftmax
	tapsForward
	tapsDV
	tapsDLogits
	attentionDelta
	sumTable
	turn
	// Of 32, 64 and 128 columns each.
	attentionF32
	attentionBF16     = attentionF32 + 3
	attentionGradF32  = attentionBF16 + 3
	attentionGradBF16 = attentionGradF32 + 3
	groupedF32        = attentionGradBF16 + 3
	groupedBF16       = groupedF32 + 3
	groupedStatsF32   = groupedBF16 + 3
	groupedStatsBF16  = groupedStatsF32 + 3
	groupedKeysF32    = groupedStatsBF16 + 3
	groupedKeysBF16   = groupedKeysF32 + 3
	groupedQueryF32   = groupedKeysBF16 + 3
	groupedQueryBF16  = groupedQueryF32 + 3
	kernels           = groupedQueryBF16 + 3
)

// names are the kernels' in the source.
var names = [kernels]string{
	"mul", "add", "copy", "gelu_rows", "gelu_grad", "swiglu", "swiglu_grad", "clear_rows", "dropout", "to_bf16", "finish_linear", "undo_linear", "norm_params", "add_parts", "layernorm", "layernorm_grad",
	"rmsnorm", "rmsnorm_grad", "scale", "inner_pieces", "add_inner", "adapted_norms", "magnitude", "magnitude_grad", "gather", "rank_rows", "order_rows", "scatter_pieces", "scatter_runs", "count_labels", "loss_rows", "sum_columns", "mean_loss", "squared_error",
	"squared_error_grad", "sum_squares", "add_squares", "adamw", "first_non_finite", "depthwise", "depthwise_dx", "depthwise_dw", "taps_softmax",
	"taps_forward", "taps_dv", "taps_dlogits", "attention_delta", "sum_table", "turn",
	"attention_float_32", "attention_float_64", "attention_float_128", "attention_bf16_32", "attention_bf16_64", "attention_bf16_128",
	"attention_grad_float_32", "attention_grad_float_64", "attention_grad_float_128", "attention_grad_bf16_32", "attention_grad_bf16_64",
	"attention_grad_bf16_128",
	"grouped_float_32", "grouped_float_64", "grouped_float_128", "grouped_bf16_32", "grouped_bf16_64", "grouped_bf16_128",
	"grouped_stats_float_32", "grouped_stats_float_64", "grouped_stats_float_128", "grouped_stats_bf16_32", "grouped_stats_bf16_64",
	"grouped_stats_bf16_128",
	"grouped_keys_float_32", "grouped_keys_float_64", "grouped_keys_float_128", "grouped_keys_bf16_32", "grouped_keys_bf16_64", "grouped_keys_bf16_128",
	"grouped_queries_float_32", "grouped_queries_float_64", "grouped_queries_float_128", "grouped_queries_bf16_32", "grouped_queries_bf16_64",
	"grouped_queries_bf16_128",
}

// Arguments of kernels, laid out as their structs in kernels/*.cu. Addresses are zero where an operand is absent.
type (
	pointer = uintptr
	view    struct {
		at             pointer
		rows, cols, ld int32
		_              int32
	}
	dropArgs struct {
		seedLow, seedHigh, threshold uint32
		scale                        float32
		on, _                        int32
	}
	binaryArgs struct {
		z, x, y view
		drop    dropArgs
	}
	castArgs struct {
		x        view
		z        pointer
		ld, half int32
	}
	finishArgs struct {
		y, pre, residual view
		bias, half       pointer
		drop             dropArgs
		act, vector      int32
	}
	undoArgs struct {
		dy, pre, grad view
		parts, half   pointer
		drop          dropArgs
		act, _        int32
	}
	normParamsArgs struct {
		x, dy                 view
		mean, rstd            pointer
		gammaParts, betaParts pointer
		drop                  dropArgs
	}
	addPartsArgs struct {
		out, parts         pointer
		n, stride          int64
		groups, accumulate int32
	}
	normArgs struct {
		x, y                    view
		gamma, beta, mean, rstd pointer
		half                    pointer
		drop                    dropArgs
		eps                     float32
		_                       int32
	}
	normGradArgs struct {
		x, dy, dx         view
		gamma, mean, rstd pointer
		drop              dropArgs
	}
	gatherArgs struct {
		y, x, segment  view
		rows, segments pointer
	}
	rankArgs struct {
		rows, rank pointer
		n, part    int32
	}
	orderArgs struct {
		rows, rank, order, sorted pointer
		n, _                      int32
	}
	scatterArgs struct {
		y, x                      view
		order, sorted, head, tail pointer
		n, _                      int32
	}
	countArgs struct {
		labels, scale pointer
		n, _          int32
	}
	lossArgs struct {
		z                                 view
		bias, labels, scale, losses, half pointer
		gradient, ldHalf                  int32
	}
	columnsArgs struct {
		z           view
		half, parts pointer
		ldHalf, _   int32
	}
	meanLossArgs struct {
		losses, scale, loss pointer
		n, _                int32
	}
	squaredArgs struct {
		x, dx               view
		target, dLoss, loss pointer
	}
	squaresArgs struct {
		x, parts, out pointer
		n             int64
		pieces, _     int32
	}
	adamArgs struct {
		w, g, m, v                                                      pointer
		squares, loss, halt                                             pointer
		n, decayed                                                      int64
		beta1, rest1, beta2, rest2, keep, stepSize, rootCorrection, eps float32
		gradScale, clip                                                 float32
	}
	finiteArgs struct {
		x, first pointer
		n        int64
	}
	depthwiseArgs struct {
		x, w, y, dy, dx view
		parts           pointer
		seq, _          int32
	}
	tapsArgs struct {
		logits, v, y, saved, dy, dLogits, dv view
		seq, heads, dim, taps                int32
	}
	attentionArgs struct {
		q, u, k, v, rel, out, dOut, dq, du, dk, dv view
		lengths, lse, delta, relParts              pointer
		drop                                       dropArgs
		seq, dim, heads, batch, vector, train      int32
		scale                                      float32
		_                                          int32
		score                                      [maxHeads]uint8
	}
	gateArgs struct {
		z, x, dy view
		half     pointer
	}
	rmsArgs struct {
		x, y              view
		gamma, rstd, half pointer
		eps               float32
		_                 int32
	}
	rmsGradArgs struct {
		x, dy, dx   view
		gamma, rstd pointer
	}
	scaleArgs struct {
		z, x   view
		by     pointer
		factor float32
		_      int32
	}
	innerArgs struct {
		x, y                  view
		parts, out            pointer
		factor                float32
		pieces, accumulate, _ int32
	}
	adaptedArgs struct {
		w, down, b view
		by, norms  pointer
		factor     float32
		half       int32
	}
	magnitudeArgs struct {
		x, residual, y  view
		mag, norm, bias pointer
	}
	magnitudeGradArgs struct {
		x, dy, dx        view
		mag, norm, parts pointer
	}
	turnArgs struct {
		z, x, table view
		seq, dim    int32
		sign        float32
		_           int32
	}
	groupedArgs struct {
		q, k, v, out, dOut, dq, dk, dv                          view
		lengths, lse, delta                                     pointer
		drop                                                    dropArgs
		seq, dim, heads, kvHeads, batch, causal, window, vector int32
		scale                                                   float32
		_                                                       int32
	}
	tableArgs struct {
		dRel       view
		parts      pointer
		pairs, seq int32
	}
)

// Constants of the kernels.
const (
	maxHeads     = 64
	groupRows    = 128
	runRows      = 64
	squaresPiece = 16384
	innerPiece   = 16384
	threads      = 256
)

func dropOf(d device.Dropout) dropArgs {
	if !d.On() {
		return dropArgs{}
	}
	return dropArgs{seedLow: uint32(d.Seed), seedHigh: uint32(d.Seed >> 32), threshold: d.Threshold(), scale: d.Scale(), on: 1}
}

// start queues a kernel of a columns×rows grid of blocks.
func start[A any](d *Device, k kernel, columns, rows int, args *A) {
	d.start(launch{kernel: k, columns: columns, rows: rows, block: threads, args: unsafe.Pointer(args), size: int(unsafe.Sizeof(*args))})
}

// maxBlocks of a kernel whose threads go on to further elements.
const maxBlocks = 132 * 16

// each queues a kernel with a thread for each of n elements.
func each[A any](d *Device, k kernel, n int, args *A) {
	if n > 0 {
		start(d, k, min(ceil(n, threads), maxBlocks), 1, args)
	}
}

func ceil(n, by int) int { return (n + by - 1) / by }
