package model

import (
	"fmt"
	"math"
	"slices"

	"flexi/core/device"
)

// This file is the model a second time: float64, plain loops, straight from the formulas of the design notes, without graphs or kernels. Activations are
// [rows][columns] with row b·T+t.

type refModel struct {
	arch   Arch
	config Config
	goal   Objective
	w      map[string][]float64
	// drop is the mask of a dropout site, counted in the order values are dropped in; nil without dropout.
	drop func(site uint32) device.Dropout
	site uint32
}

// mask is the next dropout site's mask; it is off without dropout.
func (r *refModel) mask() device.Dropout {
	if r.drop == nil {
		return device.Dropout{}
	}
	r.site++
	return r.drop(r.site)
}

// dropped applies a mask to a matrix, whose element (i, j) has the index i·columns + j.
func (r *refModel) dropped(x refMatrix) refMatrix {
	m := r.mask()
	if !m.On() {
		return x
	}
	y := refNew(len(x), len(x[0]))
	for i := range x {
		for k := range x[i] {
			y[i][k] = x[i][k] * refKept(m, i*len(x[i])+k)
		}
	}
	return y
}

func refKept(m device.Dropout, index int) float64 {
	switch {
	case !m.On():
		return 1
	case m.Keep(uint32(index)):
		return 1 / (1 - float64(m.P))
	default:
		return 0
	}
}

type refMatrix = [][]float64

func refNew(rows, cols int) refMatrix {
	m := make(refMatrix, rows)
	for i := range m {
		m[i] = make([]float64, cols)
	}
	return m
}

// linear is x·Wᵀ + b.
func (r *refModel) linear(x refMatrix, weight, bias string) refMatrix {
	w := r.w[weight]
	in := len(x[0])
	out := len(w) / in
	y := refNew(len(x), out)
	for i := range x {
		for o := range out {
			if bias != "" {
				y[i][o] = r.w[bias][o]
			}
			for k := range in {
				y[i][o] += x[i][k] * w[o*in+k]
			}
		}
	}
	return y
}

func (r *refModel) dense(x refMatrix, name string) refMatrix {
	return r.linear(x, name+".weight", name+".bias")
}

func (r *refModel) norm(x refMatrix, name string) refMatrix {
	y := refNew(len(x), len(x[0]))
	for i, row := range x {
		var mean, variance float64
		for _, v := range row {
			mean += v / float64(len(row))
		}
		for _, v := range row {
			variance += (v - mean) * (v - mean) / float64(len(row))
		}
		for k, v := range row {
			y[i][k] = (v-mean)/math.Sqrt(variance+1e-12)*r.w[name+".weight"][k] + r.w[name+".bias"][k]
		}
	}
	return y
}

func refApply(x refMatrix, f func(float64) float64) refMatrix {
	y := refNew(len(x), len(x[0]))
	for i := range x {
		for k := range x[i] {
			y[i][k] = f(x[i][k])
		}
	}
	return y
}

func refGELU(x float64) float64 { return x / 2 * (1 + math.Erf(x/math.Sqrt2)) }

func refAdd(x, y refMatrix) refMatrix {
	z := refNew(len(x), len(x[0]))
	for i := range x {
		for k := range x[i] {
			z[i][k] = x[i][k] + y[i][k]
		}
	}
	return z
}

func refColumns(x refMatrix, from, n int) refMatrix {
	y := make(refMatrix, len(x))
	for i := range x {
		y[i] = slices.Clone(x[i][from : from+n])
	}
	return y
}

func refConcat(xs ...refMatrix) refMatrix {
	y := make(refMatrix, len(xs[0]))
	for i := range y {
		for _, x := range xs {
			y[i] = append(y[i], x[i]...)
		}
	}
	return y
}

// refHead is one head: k is nil for position-only heads, w nil for plain ones.
type refHead struct {
	q, k, v   refMatrix
	w         []float64
	i, heads  int
	drop      device.Dropout
	positions []float64
}

// head attends with one head: scores (q·W·k + q·R[a-b+P-1])/sqrt(d) + mask.
func (r *refModel) head(b Batch, h refHead) refMatrix {
	q, k, v, table, w := h.q, h.k, h.v, h.positions, h.w
	d := len(q[0])
	out := refNew(len(q), d)
	for row := range b.B {
		for a := range b.T {
			query := q[row*b.T+a]
			scores := make([]float64, b.T)
			for c := range scores {
				for i := range d {
					scores[c] += query[i] * table[(a-c+r.config.MaxPos-1)*d+i]
				}
				if k != nil {
					key := k[row*b.T+c]
					for i := range d {
						if w == nil {
							scores[c] += query[i] * key[i]
							continue
						}
						for m := range d {
							scores[c] += query[i] * w[i*d+m] * key[m]
						}
					}
				}
				scores[c] /= math.Sqrt(float64(d))
				if c >= int(b.Lengths[row]) {
					scores[c] -= 10000
				}
			}
			for c, p := range refSoftmax(scores) {
				p *= refKept(h.drop, ((row*h.heads+h.i)*b.T+a)*b.T+c)
				for i := range d {
					out[row*b.T+a][i] += p * v[row*b.T+c][i]
				}
			}
		}
	}
	return out
}

func refSoftmax(x []float64) []float64 {
	top := slices.Max(x)
	var sum float64
	y := make([]float64, len(x))
	for i := range x {
		y[i] = math.Exp(x[i] - top)
		sum += y[i]
	}
	for i := range y {
		y[i] /= sum
	}
	return y
}

// mix is the 2-D transform of every batch row, four nested sums.
func (r *refModel) mix(b Batch, x refMatrix, kind string) refMatrix {
	cols := len(x[0])
	y := refNew(len(x), cols)
	T, H := float64(b.T), float64(cols)
	for row := range b.B {
		for n := range b.T {
			for m := range cols {
				var sum float64
				for n2 := range b.T {
					for m2 := range cols {
						v := x[row*b.T+n2][m2]
						if kind == DFT {
							sum += v * math.Cos(2*math.Pi*(float64(n*n2)/T+float64(m*m2)/H))
						} else {
							sum += 4 * v * math.Cos(math.Pi*float64(n*(2*n2+1))/(2*T)) * math.Cos(math.Pi*float64(m*(2*m2+1))/(2*H))
						}
					}
				}
				if r.config.Ortho {
					sum *= refOrtho(kind, n, b.T) * refOrtho(kind, m, cols)
				}
				y[row*b.T+n][m] = sum
			}
		}
	}
	return y
}

// refOrtho is the factor of one axis that makes the transform orthonormal.
func refOrtho(kind string, i, n int) float64 {
	switch {
	case kind == DFT:
		return 1 / math.Sqrt(float64(n))
	case i == 0:
		return math.Sqrt(1 / (4 * float64(n)))
	default:
		return math.Sqrt(1 / (2 * float64(n)))
	}
}

// convolution is the five steps of 2.6.
func (r *refModel) convolution(b Batch, prefix string, source, query, value refMatrix, heads, k int) refMatrix {
	depth := refNew(len(source), len(source[0]))
	w := r.w[prefix+"depthwise.weight"]
	for row := range b.B {
		for t := range b.T {
			for c := range depth[0] {
				for j := range k {
					if u := t + j - k/2; u >= 0 && u < b.T {
						depth[row*b.T+t][c] += w[c*k+j] * source[row*b.T+u][c]
					}
				}
			}
		}
	}
	span := r.linear(depth, prefix+"pointwise.weight", prefix+"span_bias")
	for i := range span {
		for c := range span[i] {
			span[i][c] *= query[i][c]
		}
	}
	logits := r.dense(span, prefix+"kernel")
	d := len(value[0]) / heads
	out := refNew(len(value), len(value[0]))
	for row := range b.B {
		for t := range b.T {
			for i := range heads {
				for j, p := range refSoftmax(logits[row*b.T+t][i*k : (i+1)*k]) {
					u := t + j - (k-1)/2
					if u < 0 || u >= b.T {
						continue
					}
					for c := i * d; c < (i+1)*d; c++ {
						out[row*b.T+t][c] += p * value[row*b.T+u][c]
					}
				}
			}
		}
	}
	return out
}

// context of a standard layer.
func (r *refModel) context(b Batch, prefix string, l Layer, x refMatrix) refMatrix {
	heads, d := l.Heads, l.Hidden/l.Heads
	if l.Op == SpanConvolution {
		heads /= 2
	}
	q, v := r.dense(x, prefix+"attention.query"), r.dense(x, prefix+"attention.value")
	var k refMatrix
	if l.Op != LinearTransform {
		k = r.dense(x, prefix+"attention.key")
	}
	mask := r.mask()
	var attention []refMatrix
	for i := range heads {
		h := refHead{
			q: refColumns(q, i*d, d), v: refColumns(v, i*d, d), w: r.w[prefix+"attention.bilinear.weight"], i: i, heads: heads, drop: mask,
			positions: r.w[prefix+"attention.distance_embedding.weight"],
		}
		if k != nil {
			h.k = refColumns(k, i*d, d)
		}
		attention = append(attention, r.head(b, h))
	}
	c := refConcat(attention...)
	switch l.Op {
	case LinearTransform:
		return refAdd(c, r.mix(b, x, l.Param))
	case SpanConvolution:
		return refConcat(c, r.convolution(b, prefix+"attention.", x, q, r.dense(x, prefix+"attention.conv_value"), heads, kernelSize(l.Param)))
	}
	return c
}

// mixedContext of a hetero layer (2.9).
func (r *refModel) mixedContext(b Batch, prefix string, l Layer, x refMatrix) refMatrix {
	d := l.Mixed[0].Size
	q, v := r.dense(x, prefix+"attention.query"), r.dense(x, prefix+"attention.value")
	var k refMatrix
	if _, ok := r.w[prefix+"attention.key.weight"]; ok {
		k = r.dense(x, prefix+"attention.key")
	}
	mask := r.mask()
	weighted := 0
	var out []refMatrix
	for i, h := range l.Mixed {
		qi, vi := refColumns(q, i*d, d), refColumns(v, i*d, d)
		head := refHead{q: qi, v: vi, i: i, heads: len(l.Mixed), drop: mask, positions: r.w[prefix+"attention.distance_embedding.weight"]}
		switch h.Op {
		case SelfAttention:
			head.k = refColumns(k, i*d, d)
			if h.Param == Weighted {
				head.w = r.w[prefix+"attention.bilinear.weight"][weighted*d*d : (weighted+1)*d*d]
				weighted++
			}
			out = append(out, r.head(b, head))
		case LinearTransform:
			out = append(out, refAdd(r.head(b, head), r.mix(b, vi, h.Param)))
		default:
			conv := r.convolution(b, fmt.Sprintf("%sattention.head.%d.", prefix, i), refColumns(k, i*d, d), qi, vi, 1, kernelSize(h.Param))
			out = append(out, refAdd(r.head(b, head), conv))
		}
	}
	return refConcat(out...)
}

// forward is the whole model: the output of the head, and the loss.
func (r *refModel) forward(b Batch) (logits refMatrix, loss float64) {
	r.site = 0
	h := r.arch.Layers[0].Hidden
	x := refNew(b.B*b.T, h)
	for i := range x {
		for k := range x[i] {
			x[i][k] = r.w[WordEmbedding][int(b.IDs[i])*h+k] + r.w["embeddings.token_type_embeddings.weight"][int(b.Segments[i])*h+k]
		}
	}
	x = r.dropped(r.norm(x, "embeddings.LayerNorm"))
	for j, l := range r.arch.Layers {
		prefix := fmt.Sprintf("encoder.layer.%d.", j)
		c := r.context
		if l.Mixed != nil {
			c = r.mixedContext
		}
		y := r.norm(refAdd(x, r.dropped(r.dense(c(b, prefix, l, x), prefix+"attention.output.dense"))), prefix+"attention.output.LayerNorm")
		z := y
		for i := range l.FF {
			z = refApply(r.dense(z, fmt.Sprintf("%sintermediate.%d.dense", prefix, i)), refGELU)
		}
		x = r.norm(refAdd(y, r.dropped(r.dense(z, prefix+"output.dense"))), prefix+"output.LayerNorm")
		if _, ok := r.w[prefix+"projection.weight"]; ok {
			x = r.dense(x, prefix+"projection")
		}
	}
	if r.goal.Kind == MaskedLM {
		return r.maskedLM(b, x)
	}
	first := make(refMatrix, b.B)
	for row := range first {
		first[row] = x[row*b.T]
	}
	logits = r.dense(r.dropped(refApply(r.dense(first, "pooler.dense"), math.Tanh)), "classifier")
	if r.goal.Kind == Regress {
		for i := range logits {
			e := logits[i][0] - float64(b.Targets[i])
			loss += e * e / float64(len(logits))
		}
		return logits, loss
	}
	return logits, refCrossEntropy(logits, b.Labels)
}

func (r *refModel) maskedLM(b Batch, x refMatrix) (refMatrix, float64) {
	picked := refNew(len(b.Picked), len(x[0]))
	for i, p := range b.Picked {
		if p >= 0 {
			picked[i] = x[p]
		}
	}
	z := refApply(r.dense(picked, "cls.predictions.transform.dense"), refGELU)
	logits := r.dense(r.norm(z, "cls.predictions.transform.LayerNorm"), "cls.predictions.decoder")
	return logits, refCrossEntropy(logits, b.Labels)
}

func refCrossEntropy(logits refMatrix, labels []int32) float64 {
	var sum float64
	n := 0
	for i, y := range labels {
		if y >= 0 {
			sum -= math.Log(refSoftmax(logits[i])[y])
			n++
		}
	}
	return sum / float64(max(n, 1))
}
