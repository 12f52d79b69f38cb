package gauss

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/floats"
)

// A relaxed point gives every value of every feature a share instead of choosing one, and has a place of its own in the embedding: a vector of one
// number per value (absence included) and one per dimension. On it the posterior is smooth, and can be optimised by second-order steps.

// Relaxed is point i as such a vector.
func (in *Inputs) Relaxed(i int) []float64 {
	r := make([]float64, in.relaxedValues())
	for c := range in.features {
		r[in.codes[i][c]] = 1
	}
	if in.dense != nil {
		r = append(r, in.points[i]...)
	}
	return r
}

func (in *Inputs) relaxedValues() int {
	if in.features == 0 {
		return 0
	}
	last := in.columns[in.features-1]
	return last.offset + len(last.distance)
}

// Box bounds relaxed points: shares by 0 and 1, the embedding by its extremes.
func (in *Inputs) Box() (lo, hi []float64) {
	n := in.relaxedValues()
	lo, hi = make([]float64, n), make([]float64, n)
	for i := range hi {
		hi[i] = 1
	}
	if in.dense == nil {
		return lo, hi
	}
	for k := range in.dense {
		low, high := math.Inf(1), math.Inf(-1)
		for _, x := range in.points {
			low, high = min(low, x[k]), max(high, x[k])
		}
		lo, hi = append(lo, low), append(hi, high)
	}
	return lo, hi
}

// share is how many members of a count column have its value at a relaxed point.
func (in *Inputs) share(c *column, r []float64) float64 {
	var sum float64
	for _, f := range c.members {
		sum += r[in.columns[f].offset+c.value]
	}
	return sum
}

// Distance returns the kernel's exponent sum_c w_c d_c between a relaxed point and the points of the set.
func (p *Posterior) Distance(r []float64) func(i int) float64 {
	in := p.in
	table := make([]float64, in.width)
	for c := range in.columns {
		col := &in.columns[c]
		n, w := len(col.distance), p.k.weights[col.component]
		for v := range n {
			if c >= in.features {
				table[col.offset+v] = w * math.Abs(in.share(col, r)-float64(v)) / float64(2*len(col.members))
				continue
			}
			for u := range n {
				table[col.offset+v] += r[col.offset+u] * p.k.exponent[col.cells+u*n+v]
			}
		}
	}
	tail := r[in.relaxedValues():]
	return func(i int) float64 {
		var sum float64
		if in.features > 0 {
			for _, at := range in.codes[i] {
				sum += table[at]
			}
		}
		for k, c := range in.dense {
			d := in.points[i][k] - tail[k]
			sum += in.scale * p.k.weights[c] * d * d
		}
		return sum
	}
}

// Expansion is a function's value, gradient and Hessian diagonal.
type Expansion struct {
	Value      float64
	Grad, Diag []float64
}

// expand is the kernel between a relaxed point and conditioning point j, with its derivatives.
func (p *Posterior) expand(r []float64, j int) Expansion {
	in := p.in
	exponent, first, second := p.exponent(r, j)
	joint := p.k.signal * (1 - p.k.additive) * math.Exp(-exponent)
	out := Expansion{joint, make([]float64, len(r)), make([]float64, len(r))}
	for q := range r {
		out.Grad[q], out.Diag[q] = -joint*first[q], joint*(first[q]*first[q]-second[q])
	}
	for c := range in.features {
		col := &in.columns[c]
		n := len(col.distance)
		row := p.k.exponent[col.cells+(int(in.codes[p.at[j]][c])-col.offset)*n:][:n]
		alone := p.k.signal * p.k.additive / float64(in.features) *
			math.Exp(-float64(in.Components)*floats.Dot(row, r[col.offset:col.offset+n]))
		out.Value += alone
		for v, d := range row {
			d *= float64(in.Components)
			out.Grad[col.offset+v] -= alone * d
			out.Diag[col.offset+v] += alone * d * d
		}
	}
	return out
}

// exponent is sum_c w_c d_c between a relaxed point and conditioning point j, with its derivatives.
func (p *Posterior) exponent(r []float64, j int) (exponent float64, first, second []float64) {
	in := p.in
	first, second = make([]float64, len(r)), make([]float64, len(r))
	for c := range in.columns {
		col := &in.columns[c]
		n, at := len(col.distance), int(in.codes[p.at[j]][c])-col.offset
		if c < in.features {
			for v, d := range p.k.exponent[col.cells+at*n:][:n] {
				first[col.offset+v] += d
				exponent += d * r[col.offset+v]
			}
			continue
		}
		// |d| as sqrt(d² + 1/4) - 1/2
		d := in.share(col, r) - float64(at)
		root := math.Sqrt(d*d + 0.25)
		w := p.k.weights[col.component] / float64(2*len(col.members))
		exponent += w * (root - 0.5)
		for _, f := range col.members {
			at := in.columns[f].offset + col.value
			first[at] += w * d / root
			second[at] += w * 0.25 / (root * root * root)
		}
	}
	from := in.relaxedValues()
	for k, c := range in.dense {
		d := r[from+k] - in.points[p.at[j]][k]
		w := in.scale * p.k.weights[c]
		exponent += w * d * d
		first[from+k] += 2 * w * d
		second[from+k] += 2 * w
	}
	return exponent, first, second
}

// Expand is the posterior mean and standard deviation of the latent function around a relaxed point. Derivatives are exact; the time is that of one
// triangular solve per dimension.
func (p *Posterior) Expand(r []float64) (mean, sd Expansion) {
	n, d := len(p.alpha), len(r)
	mean = Expansion{p.mean, make([]float64, d), make([]float64, d)}
	variance := Expansion{0, make([]float64, d), make([]float64, d)}
	k, parts := make([]float64, n), make([]Expansion, n)
	for j := range n {
		parts[j] = p.expand(r, j)
		k[j] = parts[j].Value
	}
	inverse := blas64.Vector{N: n, Inc: 1, Data: slices.Clone(k)} // A⁻¹ k
	blas64.Trsv(blas.NoTrans, p.factor, inverse)
	variance.Value = max(p.k.signal-blas64.Dot(inverse, inverse), 1e-9*p.k.signal)
	blas64.Trsv(blas.Trans, p.factor, inverse)
	moved := blas64.Vector{N: n, Inc: 1, Data: make([]float64, n)} // dk/dr_q
	for j := range n {
		mean.Value += p.alpha[j] * k[j]
	}
	for q := range d {
		for j := range n {
			slope, curve := parts[j].Grad[q], parts[j].Diag[q]
			moved.Data[j] = slope
			mean.Grad[q] += p.alpha[j] * slope
			mean.Diag[q] += p.alpha[j] * curve
			variance.Grad[q] -= 2 * inverse.Data[j] * slope
			variance.Diag[q] -= 2 * inverse.Data[j] * curve
		}
		blas64.Trsv(blas.NoTrans, p.factor, moved)
		variance.Diag[q] -= 2 * blas64.Dot(moved, moved)
	}
	root := math.Sqrt(variance.Value)
	sd = Expansion{root, variance.Grad, variance.Diag}
	for q := range d {
		g := variance.Grad[q]
		sd.Diag[q] = variance.Diag[q]/(2*root) - g*g/(4*root*root*root)
		sd.Grad[q] = g / (2 * root)
	}
	return mean, sd
}
