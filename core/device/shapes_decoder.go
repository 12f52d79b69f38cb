package device

// Check panics if the operands' shapes disagree.
func (l RMSNorm) Check() {
	rows, n := l.Y.Rows, l.Y.Cols
	shaped("X", l.X, rows, n)
	long("Gamma", l.Gamma, n)
	long("RStd", l.RStd, rows)
}

// Check panics if the operands' shapes disagree.
func (l RMSNormGrad) Check() {
	rows, n := l.X.Rows, l.X.Cols
	shaped("DY", l.DY, rows, n)
	optional("DX", l.DX, rows, n)
	long("Gamma", l.Gamma, n)
	long("RStd", l.RStd, rows)
	exact("DGamma", l.DGamma, n)
}

// Check panics if the operands' shapes disagree.
func (s SwiGLU) Check() { shaped("X", s.X, s.Y.Rows, 2*s.Y.Cols) }

// Check panics if the operands' shapes disagree.
func (s SwiGLUGrad) Check() {
	shaped("X", s.X, s.DY.Rows, 2*s.DY.Cols)
	shaped("DX", s.DX, s.DY.Rows, 2*s.DY.Cols)
}

// check is that of the operands which both passes have. It leaves lengths to the bounds of their rows.
func (a GroupedAttention) check() {
	rows := a.Batch * a.Seq
	if a.KVHeads < 1 || a.Heads%a.KVHeads != 0 {
		fail("%d heads in %d groups", a.Heads, a.KVHeads)
	}
	shaped("Q", a.Q, rows, a.Heads*a.Dim)
	shaped("K", a.K, rows, a.KVHeads*a.Dim)
	shaped("V", a.V, rows, a.KVHeads*a.Dim)
	if !a.Rotary.Empty() {
		shaped("Rotary", a.Rotary, a.Rotary.Rows, a.Dim)
		if a.Rotary.Rows < a.Seq || a.Dim%2 != 0 {
			fail("%d positions of width %d with angles for %d", a.Seq, a.Dim, a.Rotary.Rows)
		}
	}
	if !a.Lengths.Empty() {
		long("Lengths", a.Lengths, a.Batch)
	}
}

// Check panics if the operands' shapes disagree.
func (a GroupedAttention) Check() {
	a.check()
	shaped("Out", a.Out, a.Q.Rows, a.Q.Cols)
}

// Check panics if the operands' shapes disagree. The backward pass has no use for Out.
func (g GroupedAttentionGrad) Check() {
	g.check()
	shaped("DOut", g.DOut, g.Q.Rows, g.Q.Cols)
	shaped("DQ", g.DQ, g.Q.Rows, g.Q.Cols)
	shaped("DK", g.DK, g.K.Rows, g.K.Cols)
	shaped("DV", g.DV, g.V.Rows, g.V.Cols)
}

// Check panics if the operands' shapes disagree.
func (a AdaptedNorms) Check() {
	shaped("A", a.A, a.B.Cols, a.W.Cols)
	shaped("B", a.B, a.W.Rows, a.A.Rows)
	exact("By", a.By, 1)
	long("Norms", a.Norms, a.W.Rows)
}

// Check panics if the operands' shapes disagree.
func (m Magnitude) Check() {
	rows, n := m.Y.Rows, m.Y.Cols
	shaped("X", m.X, rows, n)
	together(m.Mag, m.Norm, n)
	exact("Bias", m.Bias, n)
	optional("Residual", m.Residual, rows, n)
}

// Check panics if the operands' shapes disagree.
func (m MagnitudeGrad) Check() {
	rows, n := m.X.Rows, m.X.Cols
	shaped("DY", m.DY, rows, n)
	shaped("DX", m.DX, rows, n)
	together(m.Mag, m.Norm, n)
	exact("DMag", m.DMag, n)
	if m.Norm.Empty() && !m.DMag.Empty() {
		fail("gradients of magnitudes without norms")
	}
}

// together requires n magnitudes and norms, or none of both.
func together(mag, norm Tensor, n int) {
	exact("Mag", mag, n)
	exact("Norm", norm, n)
	if mag.Empty() != norm.Empty() {
		fail("magnitudes without norms")
	}
}
