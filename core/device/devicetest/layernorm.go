package devicetest

import (
	"fmt"
	"math"

	"flexi/core/device"
)

// Bounds of layer normalisation, relative to the largest element.
const (
	layerNormBound     = 2e-6
	layerNormGradBound = 5e-6
)

// layerNormReference is Y = Drop(Gamma ∘ (X - mean)·rstd + Beta) row by row.
type layerNormReference struct {
	x, gamma, beta matrix
	eps            float64
	drop           device.Dropout
}

// moments gives the mean and the reciprocal deviation of every row.
func (l layerNormReference) moments() (mean, rstd matrix) {
	mean, rstd = zeros(1, l.x.rows), zeros(1, l.x.rows)
	for i := range l.x.rows {
		n := float64(l.x.cols)
		for _, v := range l.x.row(i) {
			mean.x[i] += v / n
		}
		var variance float64
		for _, v := range l.x.row(i) {
			variance += (v - mean.x[i]) * (v - mean.x[i]) / n
		}
		rstd.x[i] = 1 / math.Sqrt(variance+l.eps)
	}
	return mean, rstd
}

func (l layerNormReference) forward() matrix {
	mean, rstd := l.moments()
	y := zerosLike(l.x)
	for i := range y.rows {
		for j, v := range l.x.row(i) {
			y.add(i, j, l.gamma.x[j]*(v-mean.x[i])*rstd.x[i]+l.beta.x[j])
		}
	}
	return dropped(y, l.drop)
}

// backward gives DX, DGamma and DBeta. The terms of DX cancel, so its scale is that of the first, rstd·u. With x̂ = (x-mean)·rstd and u = dy∘gamma: dx_j = rstd·(u_j - Σu/n - x̂_j·Σ(u∘x̂)/n).
func (l layerNormReference) backward(dy matrix) []matrix {
	dy = dropped(dy, l.drop)
	mean, rstd := l.moments()
	dx, dGamma, dBeta := zerosLike(l.x), zerosLike(l.gamma), zerosLike(l.beta)
	n := float64(l.x.cols)
	for i := range l.x.rows {
		hat, u := make([]float64, l.x.cols), make([]float64, l.x.cols)
		var sum float64
		for j, v := range l.x.row(i) {
			hat[j] = (v - mean.x[i]) * rstd.x[i]
			u[j] = dy.at(i, j) * l.gamma.x[j]
			sum += u[j]
			dGamma.x[j] += dy.at(i, j) * hat[j]
			dBeta.x[j] += dy.at(i, j)
		}
		along := dot(u, hat)
		for j := range u {
			dx.add(i, j, rstd.x[i]*(u[j]-sum/n-hat[j]*along/n))
			dx.scale = max(dx.scale, math.Abs(rstd.x[i]*u[j]))
		}
	}
	return []matrix{dx, dGamma, dBeta}
}

func layerNormCases() []kernelCase {
	var cases []kernelCase
	for _, drop := range []device.Dropout{{}, {P: 0.1, Seed: 99}} {
		for _, s := range [][2]int{{1, 1}, {1, 37}, {5, 2}, {3, 13}, {13, 67}, {301, 71}} {
			cases = append(cases, layerNormCase(s[0], s[1], drop, false))
		}
		cases = append(cases, layerNormCase(521, 131, drop, true))
	}
	return cases
}

func layerNormCase(rows, cols int, drop device.Dropout, large bool) kernelCase {
	return kernelCase{fmt.Sprintf("%dx%d drop=%v", rows, cols, drop.On()), func(r *rig) {
		const eps = 1e-3
		ref := layerNormReference{r.normal(rows, cols), r.normal(1, cols), r.normal(1, cols), float64(float32(eps)), drop}
		l := device.LayerNorm{
			X: r.input(ref.x), Gamma: r.vector(ref.gamma), Beta: r.vector(ref.beta), Eps: eps, Drop: drop,
			Y: r.output(rows, cols), Mean: r.vectorOutput(rows), RStd: r.vectorOutput(rows),
		}
		r.d.LayerNormForward(l)
		r.compare(func() []matrix {
			mean, rstd := ref.moments()
			return []matrix{ref.forward(), mean, rstd}
		}, result{"Y", l.Y, layerNormBound}, result{"Mean", flat(l.Mean), layerNormBound}, result{"RStd", flat(l.RStd), layerNormBound})

		dy := r.normal(rows, cols)
		g := device.LayerNormGrad{X: l.X, Gamma: l.Gamma, Mean: l.Mean, RStd: l.RStd, Drop: drop, DY: r.input(dy)}
		all := g
		all.DX, all.DGamma, all.DBeta = r.output(rows, cols), r.vectorOutput(cols), r.vectorOutput(cols)
		r.d.LayerNormBackward(all)
		g.DGamma = r.vectorOutput(cols)
		r.d.LayerNormBackward(g)
		r.compare(func() []matrix {
			want := ref.backward(dy)
			return append(want, want[1])
		}, result{"DX", all.DX, layerNormGradBound}, result{"DGamma", flat(all.DGamma), layerNormGradBound},
			result{"DBeta", flat(all.DBeta), layerNormGradBound}, result{"DGamma alone", flat(g.DGamma), layerNormGradBound})
	}, large}
}
