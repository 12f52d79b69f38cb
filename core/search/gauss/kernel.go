package gauss

import "math"

// kernel is the covariance function at given hyperparameters.
type kernel struct {
	in       *Inputs
	weights  []float64
	values   []float64 // a_v
	signal   float64   // s²
	additive float64   // p
	distance []float64 // per pair of values of a column: d
	exponent []float64 // w d
	alone    []float64 // of choices: p/F exp(-C w d)
}

func newKernel(in *Inputs, m *Model) *kernel {
	k := &kernel{in: in, weights: exps(m.LogWeights), values: exps(m.LogValues), signal: math.Exp(m.LogSignal)}
	if in.features > 0 {
		k.additive = 1 / (1 + math.Exp(-m.Additive))
	}
	k.distance, k.exponent, k.alone = make([]float64, in.cells), make([]float64, in.cells), make([]float64, in.cells)
	for c := range in.columns {
		col := &in.columns[c]
		w := k.weights[col.component]
		for u, row := range col.distance {
			for v, d := range row {
				at := col.cells + u*len(row) + v
				if c < in.features {
					d += col.own[u][v] * ((k.values[col.values+u]+k.values[col.values+v])/2 - 1)
					k.alone[at] = k.additive / float64(in.features) * math.Exp(-float64(in.Components)*w*d)
				}
				k.distance[at], k.exponent[at] = d, w*d
			}
		}
	}
	return k
}

func exps(logs []float64) []float64 {
	out := make([]float64, len(logs))
	for i, l := range logs {
		out[i] = math.Exp(l)
	}
	return out
}

// row is what the kernel between one point and all values of all columns needs: exp(-w d), and what choices do alone.
type row struct{ factor, alone []float64 }

// row looks up point j.
func (k *kernel) row(j int) row {
	if len(k.in.codes) == 0 {
		return row{}
	}
	r := row{make([]float64, k.in.width), make([]float64, k.in.width)}
	for c, at := range k.in.codes[j] {
		col := &k.in.columns[c]
		n := len(col.distance)
		from := col.cells + (int(at)-col.offset)*n
		for v, e := range k.exponent[from : from+n] {
			r.factor[col.offset+v] = math.Exp(-e)
		}
		copy(r.alone[col.offset:], k.alone[from:from+n])
	}
	return r
}

// between is the kernel of point i and the point j that the row is of.
func (k *kernel) between(i, j int, r row) float64 {
	joint, alone := 1-k.additive, 0.0
	if len(k.in.codes) > 0 {
		codes := k.in.codes[i]
		for _, at := range codes[:k.in.features] {
			joint *= r.factor[at]
			alone += r.alone[at]
		}
		for _, at := range codes[k.in.features:] {
			joint *= r.factor[at]
		}
	}
	if k.in.dense != nil {
		a, b := k.in.points[i], k.in.points[j]
		exponent := 0.0
		for q, c := range k.in.dense {
			exponent += k.in.scale * k.weights[c] * (a[q] - b[q]) * (a[q] - b[q])
		}
		joint *= math.Exp(-exponent)
	}
	return k.signal * (joint + alone)
}
