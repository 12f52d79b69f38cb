package devicetest

import "flexi/core/device"

// Bounds of attention, relative to the largest element. Scores are of order √d, and their rounding is magnified by the exponential.
const (
	attentionBound     = 5e-6
	attentionGradBound = 2e-5
)

// attentionSpec is the shape of one case.
type attentionSpec struct {
	name            string
	batch, seq, dim int
	positions       int // P of the (2P-1)-row table
	scores          []device.Score
	bilinear        []int
	drop            device.Dropout
	large           bool
}

func attentionCases() []kernelCase {
	const dot, bil, pos = device.ScoreDot, device.ScoreBilinear, device.ScorePosition
	drop := device.Dropout{P: 0.2, Seed: 0xfeedface12345}
	specs := []attentionSpec{
		{"single token", 1, 1, 1, 1, []device.Score{dot}, []int{0}, device.Dropout{}, false},
		{"dot", 2, 5, 7, 5, []device.Score{dot, dot, dot}, []int{0, 0, 0}, device.Dropout{}, false},
		{"dot dropout", 3, 13, 5, 17, []device.Score{dot, dot}, []int{0, 0}, drop, false},
		{"bilinear", 2, 7, 3, 11, []device.Score{bil, bil}, []int{0, 1}, device.Dropout{}, false},
		{"bilinear shared matrix", 2, 7, 5, 7, []device.Score{bil, bil, bil}, []int{1, 0, 1}, drop, false},
		{"position without keys", 3, 7, 5, 9, []device.Score{pos, pos}, []int{0, 0}, device.Dropout{}, false},
		{"position without keys dropout", 1, 2, 3, 2, []device.Score{pos}, []int{0}, drop, false},
		{"mixed", 2, 37, 13, 41, []device.Score{dot, pos, bil, bil, dot}, []int{0, 0, 1, 0, 0}, device.Dropout{}, false},
		{"mixed dropout", 3, 29, 7, 29, []device.Score{bil, pos, dot}, []int{0, 0, 0}, drop, false},
		{"more than a block of queries", 1, 71, 5, 71, []device.Score{dot, bil}, []int{0, 0}, drop, false},
		{"blocks of queries", 2, 131, 3, 150, []device.Score{pos, dot}, []int{0, 0}, device.Dropout{}, false},
		{"many rows", 17, 3, 5, 4, []device.Score{bil, dot, bil}, []int{1, 0, 0}, drop, false},
		{"large", 5, 67, 29, 71, []device.Score{dot, bil, pos, bil}, []int{0, 0, 0, 1}, drop, true},
	}
	cases := []kernelCase{{"empty batch", func(r *rig) { r.emptyBatch() }, false}}
	for _, s := range specs {
		cases = append(cases, kernelCase{s.name, func(r *rig) { r.attention(s) }, s.large})
	}
	return cases
}

// attention is a forward pass in inference and in training and a backward pass. Query, key and value are column views of one fused tensor, as are
// their gradients. Lengths go from one token to the whole sequence.
func (r *rig) attention(s attentionSpec) {
	ref, a := r.attentionOperands(s)
	a.Out = r.output(a.Q.Rows, a.Q.Cols)
	if n := r.d.AttentionSaved(a.AttentionShape); n != 0 {
		r.t.Errorf("inference saves %d values", n)
	}
	r.d.AttentionForward(a)
	r.compare(func() []matrix { return []matrix{ref.forward()} }, result{"Out of inference", a.Out, attentionBound})

	a.Train = true
	a.Saved = r.vectorOutput(max(1, r.d.AttentionSaved(a.AttentionShape)))
	a.Out = r.output(a.Q.Rows, a.Q.Cols)
	r.d.AttentionForward(a)
	r.compare(func() []matrix { return []matrix{ref.forward()} }, result{"Out", a.Out, attentionBound})

	dOut := r.normal(a.Q.Rows, a.Q.Cols)
	g := device.AttentionGrad{Attention: a, DOut: r.input(dOut), DRel: r.output(ref.rel.rows, ref.rel.cols)}
	width := a.Q.Cols
	fused := r.blank(a.Q.Rows, 3*width+2)
	g.DV, g.DQ = r.writable(fused.Columns(0, width)), r.writable(fused.Columns(width+1, width))
	if !ref.k.absent() {
		g.DK = r.writable(fused.Columns(2*width+1, width))
	}
	if !ref.w.absent() {
		g.DW = r.output(ref.w.rows, ref.w.cols)
	}
	r.d.AttentionBackward(g)
	r.compare(func() []matrix { return ref.backward(dOut) },
		result{"DQ", g.DQ, attentionGradBound}, result{"DK", g.DK, attentionGradBound}, result{"DV", g.DV, attentionGradBound},
		result{"DRel", g.DRel, attentionGradBound}, result{"DW", g.DW, attentionGradBound})
}

// attentionOperands places the inputs.
func (r *rig) attentionOperands(s attentionSpec) (attentionReference, device.Attention) {
	shape := device.AttentionShape{Batch: s.batch, Seq: s.seq, Dim: s.dim, Scores: s.scores, Bilinear: s.bilinear}
	rows, width := s.batch*s.seq, len(s.scores)*s.dim
	ref := attentionReference{
		AttentionShape: shape, drop: s.drop, q: r.normal(rows, width), v: r.normal(rows, width), rel: r.normal(2*s.positions-1, s.dim),
		lengths: make([]int32, s.batch),
	}
	for b := range ref.lengths {
		ref.lengths[b] = int32(1 + (b+1)*(s.seq-1)/s.batch)
	}
	fused := r.blank(rows, 3*width+2)
	a := device.Attention{AttentionShape: shape, Drop: s.drop, Rel: r.input(ref.rel), Lengths: r.indices(ref.lengths)}
	a.Q = r.fill(fused.Columns(0, width), ref.q)
	a.V = r.fill(fused.Columns(2*width+2, width), ref.v)
	matrices := 0
	for i, score := range s.scores {
		if score == device.ScoreBilinear {
			matrices = max(matrices, s.bilinear[i]+1)
		}
		if score != device.ScorePosition && ref.k.absent() {
			ref.k = r.normal(rows, width)
			a.K = r.fill(fused.Columns(width+1, width), ref.k)
		}
	}
	if matrices > 0 {
		ref.w = r.normal(matrices*s.dim, s.dim)
		a.W = r.input(ref.w)
	}
	return ref, a
}

// emptyBatch checks that the gradients of the parameters are cleared where there is nothing to add.
func (r *rig) emptyBatch() {
	const dim, positions = 3, 5
	none := func() device.Mat { return r.blank(1, dim).RowsView(0, 0) }
	shape := device.AttentionShape{Seq: 2, Dim: dim, Scores: []device.Score{device.ScoreBilinear}, Bilinear: []int{0}, Train: true}
	g := device.AttentionGrad{
		Attention: device.Attention{
			AttentionShape: shape, Q: none(), K: none(), V: none(), Out: none(), Rel: r.input(r.normal(2*positions-1, dim)),
			W: r.input(r.normal(dim, dim)), Lengths: r.vector(r.normal(1, 1)).Slice(0, 0), Saved: r.vectorOutput(1),
		},
		DOut: none(), DQ: none(), DK: none(), DV: none(), DRel: r.output(2*positions-1, dim), DW: r.output(dim, dim),
	}
	r.d.AttentionForward(g.Attention)
	r.d.AttentionBackward(g)
	r.compare(func() []matrix { return []matrix{zeros(2*positions-1, dim), zeros(dim, dim)} }, result{"DRel", g.DRel, 0}, result{"DW", g.DW, 0})
}
