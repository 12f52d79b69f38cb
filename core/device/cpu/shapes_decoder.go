package cpu

import "flexi/core/device"

func checkRMSNorm(l device.RMSNorm) {
	rows, n := l.Y.Rows, l.Y.Cols
	shaped("X", l.X, rows, n)
	long("Gamma", l.Gamma, n)
	long("RStd", l.RStd, rows)
}

func checkRMSNormGrad(l device.RMSNormGrad) {
	rows, n := l.X.Rows, l.X.Cols
	shaped("DY", l.DY, rows, n)
	optional("DX", l.DX, rows, n)
	long("Gamma", l.Gamma, n)
	long("RStd", l.RStd, rows)
	exact("DGamma", l.DGamma, n)
}

func checkGrouped(a device.GroupedAttention) {
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
		for b, n := range a.Lengths.I32()[:a.Batch] {
			if n < 0 || int(n) > a.Seq {
				fail("length %d of row %d: %d positions", n, b, a.Seq)
			}
		}
	}
}

func checkGroupedGrad(g device.GroupedAttentionGrad) {
	shaped("DOut", g.DOut, g.Q.Rows, g.Q.Cols)
	shaped("DQ", g.DQ, g.Q.Rows, g.Q.Cols)
	shaped("DK", g.DK, g.K.Rows, g.K.Cols)
	shaped("DV", g.DV, g.V.Rows, g.V.Cols)
}

func checkMagnitude(m device.Magnitude) {
	rows, n := m.Y.Rows, m.Y.Cols
	shaped("X", m.X, rows, n)
	exact("Mag", m.Mag, n)
	exact("Norm", m.Norm, n)
	need(m.Mag.Empty() == m.Norm.Empty(), "magnitudes without norms")
	exact("Bias", m.Bias, n)
	optional("Residual", m.Residual, rows, n)
}

func checkMagnitudeGrad(m device.MagnitudeGrad) {
	rows, n := m.X.Rows, m.X.Cols
	shaped("DY", m.DY, rows, n)
	shaped("DX", m.DX, rows, n)
	exact("Mag", m.Mag, n)
	exact("Norm", m.Norm, n)
	exact("DMag", m.DMag, n)
	need(m.Mag.Empty() == m.Norm.Empty() && (m.DMag.Empty() || !m.Norm.Empty()), "magnitudes without norms")
}
