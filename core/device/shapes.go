package device

import "fmt"

// Views are read and written by row, without bounds, so a device checks every kernel's operands first: Check panics where they disagree.

func fail(format string, args ...any) { panic("device: " + fmt.Sprintf(format, args...)) }

// shaped requires a rows×cols matrix.
func shaped(name string, m Mat, rows, cols int) {
	if m.Rows != rows || m.Cols != cols {
		fail("%s is %dx%d, must be %dx%d", name, m.Rows, m.Cols, rows, cols)
	}
}

// optional requires a rows×cols matrix or none.
func optional(name string, m Mat, rows, cols int) {
	if !m.Empty() {
		shaped(name, m, rows, cols)
	}
}

// long requires a view of at least n elements.
func long(name string, t Tensor, n int) {
	if t.Len < n {
		fail("%s has %d elements, must have %d", name, t.Len, n)
	}
}

// exact requires a view of n elements or none.
func exact(name string, t Tensor, n int) {
	if !t.Empty() && t.Len != n {
		fail("%s has %d elements, must have %d", name, t.Len, n)
	}
}

// Check panics if the operands' shapes disagree.
func (l Linear) Check() {
	rows, n := l.Y.Rows, l.Y.Cols
	shaped("X", l.X, rows, l.W.Cols)
	shaped("W", l.W, n, l.X.Cols)
	exact("Bias", l.Bias, n)
	optional("Residual", l.Residual, rows, n)
	if l.Act == GELU {
		optional("Pre", l.Pre, rows, n)
	}
}

// Check panics if the operands' shapes disagree. It leaves the products to the checks of Gemm.
func (l LinearGrad) Check() {
	rows, n := l.DY.Rows, l.DY.Cols
	if l.Act != Identity || l.Drop.On() {
		shaped("DPre", l.DPre, rows, n)
	}
	switch l.Act {
	case GELU:
		shaped("Pre", l.Pre, rows, n)
	case Tanh:
		shaped("Y", l.Y, rows, n)
	}
	exact("DBias", l.DBias, n)
}

// Check panics if the operands' shapes disagree. It leaves labels to the bounds of their rows.
func (c CrossEntropy) Check() {
	rows, k, classes := c.X.Rows, c.X.Cols, c.W.Rows
	shaped("W", c.W, classes, k)
	exact("Bias", c.Bias, classes)
	long("Labels", c.Labels, rows)
	long("Loss", c.Loss, 1)
	optional("DX", c.DX, rows, k)
	optional("DW", c.DW, classes, k)
	exact("DBias", c.DBias, classes)
}

// Check panics if the operands' shapes disagree.
func (e Embedding) Check() {
	long("IDs", e.IDs, e.Y.Rows)
	shaped("Token", e.Token, e.Token.Rows, e.Y.Cols)
	if !e.Segment.Empty() {
		long("Segments", e.Segments, e.Y.Rows)
		shaped("Segment", e.Segment, e.Segment.Rows, e.Y.Cols)
	}
}

// Check panics if the operands' shapes disagree.
func (l LayerNorm) Check() {
	rows, n := l.Y.Rows, l.Y.Cols
	shaped("X", l.X, rows, n)
	long("Gamma", l.Gamma, n)
	long("Beta", l.Beta, n)
	long("Mean", l.Mean, rows)
	long("RStd", l.RStd, rows)
}

// Check panics if the operands' shapes disagree.
func (l LayerNormGrad) Check() {
	rows, n := l.X.Rows, l.X.Cols
	shaped("DY", l.DY, rows, n)
	optional("DX", l.DX, rows, n)
	long("Gamma", l.Gamma, n)
	long("Mean", l.Mean, rows)
	long("RStd", l.RStd, rows)
	exact("DGamma", l.DGamma, n)
	exact("DBeta", l.DBeta, n)
}

// Check panics if the operands' shapes disagree. How long Saved must be is the device's business.
func (a Attention) Check() {
	rows, width := a.Batch*a.Seq, a.Heads()*a.Dim
	shaped("Q", a.Q, rows, width)
	shaped("V", a.V, rows, width)
	shaped("Out", a.Out, rows, width)
	shaped("Rel", a.Rel, a.Rel.Rows, a.Dim)
	if a.Rel.Rows%2 == 0 || a.Seq > (a.Rel.Rows+1)/2 {
		fail("%d positions with a table of %d distances", a.Seq, a.Rel.Rows)
	}
	for i, s := range a.Scores {
		if s != ScorePosition {
			shaped("K", a.K, rows, width)
		}
		if s == ScoreBilinear {
			shaped("W", a.W, a.W.Rows, a.Dim)
			if (a.Bilinear[i]+1)*a.Dim > a.W.Rows {
				fail("head %d has matrix %d of %d", i, a.Bilinear[i], a.W.Rows/max(a.Dim, 1))
			}
		}
	}
	if !a.Lengths.Empty() {
		long("Lengths", a.Lengths, a.Batch)
	}
}

// Check panics if the operands' shapes disagree.
func (g AttentionGrad) Check() {
	rows, width := g.Batch*g.Seq, g.Heads()*g.Dim
	if !g.Train {
		fail("backward pass of attention that saved nothing")
	}
	shaped("DOut", g.DOut, rows, width)
	shaped("DQ", g.DQ, rows, width)
	shaped("DV", g.DV, rows, width)
	shaped("DRel", g.DRel, g.Rel.Rows, g.Dim)
	optional("DK", g.DK, rows, width)
	optional("DW", g.DW, g.W.Rows, g.Dim)
	for _, s := range g.Scores {
		if s != ScorePosition {
			shaped("DK", g.DK, rows, width)
		}
	}
}

// Check panics if the operands' shapes disagree.
func (p Depthwise) Check() {
	rows, channels := p.Batch*p.Seq, p.W.Rows
	shaped("X", p.X, rows, channels)
	shaped("Y", p.Y, rows, channels)
}

// Check panics if the operands' shapes disagree.
func (p DepthwiseGrad) Check() {
	rows, channels := p.Batch*p.Seq, p.W.Rows
	shaped("X", p.X, rows, channels)
	shaped("DY", p.DY, rows, channels)
	optional("DX", p.DX, rows, channels)
	optional("DW", p.DW, channels, p.W.Cols)
}

// Check panics if the operands' shapes disagree.
func (p Taps) Check() {
	rows := p.Batch * p.Seq
	shaped("V", p.V, rows, p.Heads*p.Dim)
	shaped("Logits", p.Logits, rows, p.Heads*p.K)
	shaped("Saved", p.Saved, rows, p.Heads*p.K)
	shaped("Y", p.Y, rows, p.Heads*p.Dim)
}

// Check panics if the operands' shapes disagree.
func (p TapsGrad) Check() {
	rows := p.Batch * p.Seq
	shaped("V", p.V, rows, p.Heads*p.Dim)
	shaped("Saved", p.Saved, rows, p.Heads*p.K)
	shaped("DY", p.DY, rows, p.Heads*p.Dim)
	shaped("DV", p.DV, rows, p.Heads*p.Dim)
	shaped("DLogits", p.DLogits, rows, p.Heads*p.K)
}

// Check panics if the operands' shapes disagree; otherwise it gives the length of the sums.
func (g Gemm) Check() (inner int) {
	m, k := g.A.Rows, g.A.Cols
	if g.TransA {
		m, k = k, m
	}
	kb, n := g.B.Rows, g.B.Cols
	if g.TransB {
		kb, n = n, kb
	}
	if m != g.C.Rows || n != g.C.Cols || k != kb {
		fail("product %dx%d · %dx%d into %dx%d", m, k, kb, n, g.C.Rows, g.C.Cols)
	}
	return k
}

// Check panics if the operands' shapes disagree.
func (m Mix) Check() {
	shaped("X", m.X, m.Batch*m.Seq, m.X.Cols)
	shaped("Y", m.Y, m.X.Rows, m.X.Cols)
}

// Check panics if the operands' shapes disagree.
func (s SquaredError) Check() {
	long("Target", s.Target, s.X.Rows)
	shaped("X", s.X, s.X.Rows, 1)
}

// Check panics if the operands' shapes disagree.
func (s SquaredErrorGrad) Check() {
	s.SquaredError.Check()
	shaped("DX", s.DX, s.X.Rows, 1)
}

// Check panics if the views' lengths disagree.
func (a AdamW) Check() {
	if n := a.W.Len; n != a.G.Len || n != a.M.Len || n != a.V.Len {
		fail("AdamW over unequal lengths")
	}
}

// Check panics if the views' lengths disagree.
func (u Update) Check() {
	u.AdamW.Check()
	long("Squares", u.Squares, 1)
	long("Loss", u.Loss, 1)
	long("Halt", u.Halt, 1)
}

// CheckEqual panics if two matrices have different shapes.
func CheckEqual(z, x Mat) { shaped("operand", x, z.Rows, z.Cols) }

// CheckRows panics unless y has x's columns and there is an index for every row of picked.
func CheckRows(y, x, picked Mat, rows Tensor) {
	long("Rows", rows, picked.Rows)
	if y.Cols != x.Cols {
		fail("rows of %d and %d columns", y.Cols, x.Cols)
	}
}
