package cuda

import (
	"math"

	"flexi/core/device"
)

// lossBytes is how much memory the logits of a chunk of rows may have: about what the second-level cache of a large GPU holds.
const lossBytes = 64 << 20

// leastLossRows are in a chunk all the same, since every chunk reads all weights.
const leastLossRows = 512

// CrossEntropy is the mean of -log softmax(X·Wᵀ + Bias) at the label over labelled rows, and its gradient, a chunk of rows at a time.
func (d *Device) CrossEntropy(c device.CrossEntropy) {
	c.Check()
	rows, classes := c.X.Rows, c.W.Rows
	d.begin("cross entropy", rows, c.X.Cols, classes)
	if rows == 0 {
		d.clear(c.DW)
		if !c.DBias.Empty() {
			d.fill(d.outTensor(c.DBias), 0, 4*classes)
		}
		d.fill(d.outTensor(c.Loss), 0, 4)
		return
	}
	d.crossEntropy(c, min(rows, max(leastLossRows, lossBytes/(4*classes))))
}

// crossEntropy is CrossEntropy in chunks of the given number of rows.
func (d *Device) crossEntropy(c device.CrossEntropy, chunk int) {
	rows, classes := c.X.Rows, c.W.Rows
	t := chunkedLoss{CrossEntropy: c, chunk: chunk, ld: ceil(classes, 8) * 8}
	t.scale, t.losses = d.take(4), d.take(8*rows)
	t.logits, t.parts = d.take(4*t.chunk*t.ld), d.take(4*ceil(t.chunk, groupRows)*classes)
	if d.precision == device.PrecisionBF16 {
		t.half = d.take(2 * t.chunk * t.ld)
	}
	start(d, countLabels, 1, 1, &countArgs{labels: address(c.Labels), scale: t.scale, n: int32(rows)})
	for first := 0; first < rows; first += t.chunk {
		d.lossChunk(t, first, min(t.chunk, rows-first))
	}
	start(d, meanLoss, 1, 1, &meanLossArgs{losses: t.losses, scale: t.scale, loss: d.outTensor(c.Loss), n: int32(rows)})
	d.give(t.scale, t.losses, t.logits, t.parts)
	if t.half != 0 {
		d.give(t.half)
	}
}

// chunkedLoss is one call and its working memory: 1/count, a loss per row, the chunk's logits, their gradient in bfloat16, and partial sums of it. Rows of
// logits are ld elements apart, so that all are aligned.
type chunkedLoss struct {
	device.CrossEntropy
	chunk, ld                          int
	scale, losses, logits, half, parts uintptr
}

// lossChunk does rows [first, first+n).
func (d *Device) lossChunk(t chunkedLoss, first, n int) {
	x, classes := t.X.RowsView(first, n), t.W.Rows
	gradient := !t.DX.Empty() || !t.DW.Empty() || !t.DBias.Empty()
	z := view{at: t.logits, rows: int32(n), cols: int32(classes), ld: int32(t.ld)}
	p := product{m: classes, n: n, k: x.Cols, transA: true, half: t.half != 0, c: z.at, ldc: t.ld, d: z.at, ldd: t.ld, batch: 1}
	p.a, p.lda = d.operand(t.W)
	p.b, p.ldb = d.operand(x)
	d.multiply(p)
	a := lossArgs{z: z, bias: address(t.Bias), labels: address(t.Labels) + uintptr(4*first), scale: t.scale, losses: t.losses + uintptr(8*first)}
	if gradient {
		a.gradient, a.half, a.ldHalf = 1, t.half, int32(t.ld)
	}
	start(d, lossRows, n, 1, &a)
	if !gradient {
		return
	}
	// The gradient of the logits is an operand of the products.
	grad := t.logits
	if t.half != 0 {
		grad = t.half
	}
	if !t.DX.Empty() {
		p := product{m: x.Cols, n: n, k: classes, batch: 1, half: t.half != 0}
		dx := d.out(t.DX.RowsView(first, n))
		p.a, p.lda = d.operand(t.W)
		p.c, p.ldc, p.d, p.ldd = dx.at, int(dx.ld), dx.at, int(dx.ld)
		p.b, p.ldb = grad, t.ld
		d.multiply(p)
	}
	if !t.DW.Empty() {
		p := product{m: x.Cols, n: classes, k: n, batch: 1, transB: true, half: t.half != 0}
		dw := d.out(t.DW)
		p.a, p.lda = d.operand(x)
		p.c, p.ldc, p.d, p.ldd = dw.at, int(dw.ld), dw.at, int(dw.ld)
		p.b, p.ldb = grad, t.ld
		if first > 0 {
			p.beta = 1
		}
		d.multiply(p)
	}
	if !t.DBias.Empty() {
		groups := ceil(n, groupRows)
		start(d, sumColumns, ceil(classes, 32), groups, &columnsArgs{z: z, half: t.half, parts: t.parts, ldHalf: int32(t.ld)})
		d.addParts(t.DBias, t.parts, classes, groups, first > 0)
	}
}

// SquaredErrorForward is the mean squared error.
func (d *Device) SquaredErrorForward(s device.SquaredError) {
	s.Check()
	d.begin("squared error", s.X.Rows)
	start(d, squaredError, 1, 1, &squaredArgs{x: in(s.X), target: address(s.Target), loss: d.outTensor(s.Loss)})
}

// SquaredErrorBackward is DLoss·2(X - Target)/n.
func (d *Device) SquaredErrorBackward(s device.SquaredErrorGrad) {
	s.Check()
	d.begin("squared error gradient", s.X.Rows)
	each(d, squaredErrorGrad, s.X.Rows, &squaredArgs{x: in(s.X), dx: d.out(s.DX), target: address(s.Target), dLoss: address(s.DLoss)})
}

// SumSquares adds pieces in float64, in order.
func (d *Device) SumSquares(out, x device.Tensor) {
	d.begin("sum of squares", x.Len)
	pieces := ceil(x.Len, squaresPiece)
	parts := d.take(8 * max(pieces, 1))
	a := squaresArgs{x: address(x), parts: parts, out: d.outTensor(out), n: int64(x.Len), pieces: int32(pieces)}
	if pieces > 0 {
		start(d, sumSquares, pieces, 1, &a)
	}
	start(d, addSquares, 1, 1, &a)
	d.give(parts)
}

// AdamW is one optimiser step over flat views.
func (d *Device) AdamW(a device.AdamW) {
	a.Check()
	d.begin("adamw", a.W.Len)
	k := adamOf(a)
	k.w, k.m, k.v = d.outTensor(a.W), d.outTensor(a.M), d.outTensor(a.V)
	each(d, adamW, a.W.Len, &k)
}

var _ device.Updater = (*Device)(nil)

// Update is AdamW over all parameters, with clipping, in one kernel.
func (d *Device) Update(u device.Update) {
	u.Check()
	d.begin("adamw with clipping", u.W.Len)
	k := adamOf(u.AdamW)
	k.w, k.m, k.v = d.outTensor(u.W), d.outTensor(u.M), d.outTensor(u.V)
	k.decayed, k.squares, k.loss, k.halt, k.clip = int64(u.Decayed), address(u.Squares), address(u.Loss), d.outTensor(u.Halt), float32(u.Clip)
	each(d, adamW, u.W.Len, &k)
}

func adamOf(a device.AdamW) adamArgs {
	rate := a.LR / (1 - math.Pow(a.Beta1, float64(a.Step)))
	return adamArgs{
		g: address(a.G), n: int64(a.W.Len), decayed: int64(a.W.Len), beta1: float32(a.Beta1), rest1: float32(1 - a.Beta1), beta2: float32(a.Beta2),
		rest2: float32(1 - a.Beta2), keep: float32(1 - a.LR*a.Decay), stepSize: float32(rate),
		rootCorrection: float32(1 / math.Sqrt(1-math.Pow(a.Beta2, float64(a.Step)))), eps: float32(a.Eps), gradScale: a.GradScale,
	}
}

// FirstNonFinite is the index of the first NaN or infinity, -1 if there is none.
func (d *Device) FirstNonFinite(x device.Tensor) int {
	d.begin("search for non-finite values", x.Len)
	at := d.take(8)
	d.fill(at, 0xff, 8)
	each(d, firstNonFinite, x.Len, &finiteArgs{x: address(x), first: at, n: int64(x.Len)})
	var index [8]byte
	if d.ready() {
		d.fail(d.stage.download(index[:], at))
	}
	d.give(at)
	if !d.ready() {
		return -1
	}
	n := int64(0)
	for i, b := range index {
		n |= int64(b) << (8 * i)
	}
	return int(n) // all bits set is -1
}
