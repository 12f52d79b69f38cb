package op

import (
	"gorgonia.org/gorgonia"

	"flexi/core/device"
)

// LayerNormEps is added to the variance, as in BERT.
const LayerNormEps = 1e-12

// LayerNorm adds Drop(gamma ∘ (x - mean)/sqrt(var + eps) + beta) over rows. Parts: Y, mean, reciprocal standard deviation.
func (g *Graph) LayerNorm(x, gamma, beta *gorgonia.Node, eps, drop float32) *gorgonia.Node {
	m, n := g.rowsAndColumns("layer norm", x)
	g.expect("layer norm", "gamma", gamma, n)
	g.expect("layer norm", "beta", beta, n)
	site := g.site(drop)
	return g.kernel(kernelSpec{
		name: "layer norm", in: []*gorgonia.Node{x, gamma, beta}, diff: []bool{true, true, true},
		parts: []Shape{matrix(Always, m, n), vector(Always, m), vector(Always, m)},
		run: func(e *Env, in, out []device.Mat) {
			e.Device.LayerNormForward(device.LayerNorm{
				X: in[0], Gamma: in[1].T, Beta: in[2].T, Eps: eps, Drop: e.dropout(drop, site),
				Y: out[0], Mean: out[1].T, RStd: out[2].T,
			})
		},
		grad: func(y, dy *gorgonia.Node) gorgonia.Nodes {
			dx := g.kernel(kernelSpec{
				name: "layer norm gradient", in: []*gorgonia.Node{x, gamma, g.part(y, 1), g.part(y, 2), dy},
				parts: []Shape{matrix(OnDemand, m, n), vector(OnDemand, n), vector(OnDemand, n)},
				run: func(e *Env, in, out []device.Mat) {
					e.Device.LayerNormBackward(device.LayerNormGrad{
						X: in[0], Gamma: in[1].T, Mean: in[2].T, RStd: in[3].T, Drop: e.dropout(drop, site),
						DY: in[4], DX: out[0], DGamma: out[1].T, DBeta: out[2].T,
					})
				},
			})
			return gorgonia.Nodes{g.gradient(x, dx, 0), g.gradient(gamma, dx, 1), g.gradient(beta, dx, 2)}
		},
	})
}
