package cpu

import "flexi/core/device"

// Views are read and written by row, without bounds, so every kernel checks its operands here first.

// shaped requires a rows×cols matrix.
func shaped(name string, m device.Mat, rows, cols int) {
	if m.Rows != rows || m.Cols != cols {
		fail("%s is %dx%d, must be %dx%d", name, m.Rows, m.Cols, rows, cols)
	}
}

// optional requires a rows×cols matrix or none.
func optional(name string, m device.Mat, rows, cols int) {
	if !m.Empty() {
		shaped(name, m, rows, cols)
	}
}

// long requires a view of at least n elements.
func long(name string, t device.Tensor, n int) {
	if t.Len < n {
		fail("%s has %d elements, must have %d", name, t.Len, n)
	}
}

// exact requires a view of n elements or none.
func exact(name string, t device.Tensor, n int) {
	if !t.Empty() && t.Len != n {
		fail("%s has %d elements, must have %d", name, t.Len, n)
	}
}

func checkLinear(l device.Linear) {
	rows, n := l.Y.Rows, l.Y.Cols
	shaped("X", l.X, rows, l.W.Cols)
	shaped("W", l.W, n, l.X.Cols)
	exact("Bias", l.Bias, n)
	optional("Residual", l.Residual, rows, n)
	if l.Act == device.GELU {
		optional("Pre", l.Pre, rows, n)
	}
}

// checkLinearGrad leaves the products to the checks of Gemm.
func checkLinearGrad(l device.LinearGrad) {
	rows, n := l.DY.Rows, l.DY.Cols
	if l.Act != device.Identity || l.Drop.On() {
		shaped("DPre", l.DPre, rows, n)
	}
	switch l.Act {
	case device.GELU:
		shaped("Pre", l.Pre, rows, n)
	case device.Tanh:
		shaped("Y", l.Y, rows, n)
	}
	exact("DBias", l.DBias, n)
}

// checkCrossEntropy leaves labels to the bounds of their rows.
func checkCrossEntropy(c device.CrossEntropy) {
	rows, k, classes := c.X.Rows, c.X.Cols, c.W.Rows
	shaped("W", c.W, classes, k)
	exact("Bias", c.Bias, classes)
	long("Labels", c.Labels, rows)
	long("Loss", c.Loss, 1)
	optional("DX", c.DX, rows, k)
	optional("DW", c.DW, classes, k)
	exact("DBias", c.DBias, classes)
}

func checkEmbedding(e device.Embedding) {
	long("IDs", e.IDs, e.Y.Rows)
	shaped("Token", e.Token, e.Token.Rows, e.Y.Cols)
	if !e.Segment.Empty() {
		long("Segments", e.Segments, e.Y.Rows)
		shaped("Segment", e.Segment, e.Segment.Rows, e.Y.Cols)
	}
}

func checkLayerNorm(l device.LayerNorm) {
	rows, n := l.Y.Rows, l.Y.Cols
	shaped("X", l.X, rows, n)
	long("Gamma", l.Gamma, n)
	long("Beta", l.Beta, n)
	long("Mean", l.Mean, rows)
	long("RStd", l.RStd, rows)
}

func checkLayerNormGrad(l device.LayerNormGrad) {
	rows, n := l.X.Rows, l.X.Cols
	shaped("DY", l.DY, rows, n)
	optional("DX", l.DX, rows, n)
	long("Gamma", l.Gamma, n)
	long("Mean", l.Mean, rows)
	long("RStd", l.RStd, rows)
	exact("DGamma", l.DGamma, n)
	exact("DBeta", l.DBeta, n)
}

func checkAttention(a device.Attention) {
	rows, width := a.Batch*a.Seq, a.Heads()*a.Dim
	shaped("Q", a.Q, rows, width)
	shaped("V", a.V, rows, width)
	shaped("Out", a.Out, rows, width)
	shaped("Rel", a.Rel, a.Rel.Rows, a.Dim)
	if a.Rel.Rows%2 == 0 || a.Seq > (a.Rel.Rows+1)/2 {
		fail("%d positions with a table of %d distances", a.Seq, a.Rel.Rows)
	}
	for i, s := range a.Scores {
		if s != device.ScorePosition {
			shaped("K", a.K, rows, width)
		}
		if s == device.ScoreBilinear {
			shaped("W", a.W, a.W.Rows, a.Dim)
			if (a.Bilinear[i]+1)*a.Dim > a.W.Rows {
				fail("head %d has matrix %d of %d", i, a.Bilinear[i], a.W.Rows/max(a.Dim, 1))
			}
		}
	}
	if !a.Lengths.Empty() {
		long("Lengths", a.Lengths, a.Batch)
	}
	if a.Train {
		long("Saved", a.Saved, a.Batch*a.Heads()*a.Seq*a.Seq)
	}
}

func checkAttentionGrad(g device.AttentionGrad) {
	rows, width := g.Batch*g.Seq, g.Heads()*g.Dim
	need(g.Train, "backward pass of attention that saved nothing")
	shaped("DOut", g.DOut, rows, width)
	shaped("DQ", g.DQ, rows, width)
	shaped("DV", g.DV, rows, width)
	shaped("DRel", g.DRel, g.Rel.Rows, g.Dim)
	optional("DK", g.DK, rows, width)
	optional("DW", g.DW, g.W.Rows, g.Dim)
	for _, s := range g.Scores {
		if s != device.ScorePosition {
			shaped("DK", g.DK, rows, width)
		}
	}
}

func checkDepthwise(p device.Depthwise) {
	rows, channels := p.Batch*p.Seq, p.W.Rows
	shaped("X", p.X, rows, channels)
	shaped("Y", p.Y, rows, channels)
}

func checkDepthwiseGrad(p device.DepthwiseGrad) {
	rows, channels := p.Batch*p.Seq, p.W.Rows
	shaped("X", p.X, rows, channels)
	shaped("DY", p.DY, rows, channels)
	optional("DX", p.DX, rows, channels)
	optional("DW", p.DW, channels, p.W.Cols)
}

func checkTaps(p device.Taps) {
	rows := p.Batch * p.Seq
	shaped("V", p.V, rows, p.Heads*p.Dim)
	shaped("Logits", p.Logits, rows, p.Heads*p.K)
	shaped("Saved", p.Saved, rows, p.Heads*p.K)
}

func checkTapsGrad(p device.TapsGrad) {
	rows := p.Batch * p.Seq
	shaped("V", p.V, rows, p.Heads*p.Dim)
	shaped("Saved", p.Saved, rows, p.Heads*p.K)
	shaped("DY", p.DY, rows, p.Heads*p.Dim)
	shaped("DV", p.DV, rows, p.Heads*p.Dim)
	shaped("DLogits", p.DLogits, rows, p.Heads*p.K)
}
