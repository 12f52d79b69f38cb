package model

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
)

// An axisMap says how each target index of one tensor axis is made from source indices: a weighted sum, empty if it keeps its initial value.
type axisMap [][]term

type term struct {
	from   int
	weight float32
}

// leading maps the common leading indices one to one.
func leading(target, source int) axisMap {
	m := make(axisMap, target)
	for i := range min(target, source) {
		m[i] = []term{{i, 1}}
	}
	return m
}

// interpolated resamples a kernel of taps linearly, centres aligned.
func interpolated(target, source int) axisMap {
	m := make(axisMap, target)
	for i := range m {
		at := (float64(i)+0.5)*float64(source)/float64(target) - 0.5
		at = math.Min(math.Max(at, 0), float64(source-1))
		low := int(at)
		w := float32(at - float64(low))
		m[i] = []term{{low, 1 - w}}
		if w > 0 {
			m[i] = append(m[i], term{low + 1, w})
		}
	}
	return m
}

// projected is a Gaussian random projection with entries N(0, 1/target), the same for every pair of sizes, so that maps that write a space and
// maps that read it stay consistent. Equal sizes are copied.
func projected(target, source int, seed uint64) axisMap {
	if target == source {
		return leading(target, source)
	}
	rng := rand.New(rand.NewPCG(seed, uint64(target)<<32|uint64(source)))
	sd := math.Sqrt(1 / float64(target))
	m := make(axisMap, target)
	for i := range m {
		m[i] = make([]term, source)
		for j := range m[i] {
			m[i][j] = term{j, float32(rng.NormFloat64() * sd)}
		}
	}
	return m
}

// perHead repeats a map of one head's indices for every head that agrees with the source's head at the same place.
func perHead(agree []bool, inner axisMap, sourceSize int) axisMap {
	m := make(axisMap, 0, len(agree)*len(inner))
	for i, ok := range agree {
		for _, terms := range inner {
			var moved []term
			for _, t := range terms {
				if ok {
					moved = append(moved, term{i*sourceSize + t.from, t.weight})
				}
			}
			m = append(m, moved)
		}
	}
	return m
}

// sizes is what resizing a layer must know of one architecture's layer.
type sizes struct {
	hidden, dim int
	kinds       []string // one per head that has rows in the tensor
}

// headAgreement compares heads place by place; heads beyond the source's have nothing to copy.
func headAgreement(target, source []string) []bool {
	agree := make([]bool, len(target))
	for i := range agree {
		agree[i] = i < len(source) && source[i] == target[i]
	}
	return agree
}

// resizer makes the axis maps of one transfer between layers of unequal sizes.
type resizer struct {
	mode TransferMode
	seed uint64
	q, s sizes
}

// free maps an axis that may be projected.
func (r resizer) free(target, source int) axisMap {
	if r.mode == TransferProjection {
		return projected(target, source, r.seed)
	}
	return leading(target, source)
}

func (r resizer) heads(groups int) axisMap {
	one := perHead(headAgreement(r.q.kinds, r.s.kinds), r.free(r.q.dim, r.s.dim), r.s.dim)
	out := one
	for g := 1; g < groups; g++ {
		shift := g * len(r.s.kinds) * r.s.dim
		for _, terms := range one {
			var moved []term
			for _, t := range terms {
				moved = append(moved, term{t.from + shift, t.weight})
			}
			out = append(out, moved)
		}
	}
	return out
}

// resize fills t from s where their sizes differ and returns how many values it set.
func resize(mode TransferMode, query, source Arch, t, s NamedTensor, seed uint64) (int, error) {
	j, rest, isLayer := splitLayerName(t.Name)
	if !isLayer {
		r := resizer{mode: mode, seed: seed}
		return apply(t, s, leading(t.Shape[0], s.Shape[0]), columns(t, s, r.free))
	}
	if j >= len(source.Layers) {
		return 0, nil
	}
	q, from := query.Layers[j], source.Layers[j]
	r := resizer{mode: mode, seed: seed, q: layerSizes(q), s: layerSizes(from)}
	rows, cols, ok := r.axes(rest, t, s, q, from)
	if !ok {
		return 0, nil
	}
	return apply(t, s, rows, cols)
}

// columns maps the second axis of a matrix by f, nil for a vector.
func columns(t, s NamedTensor, f func(target, source int) axisMap) axisMap {
	if len(t.Shape) < 2 {
		return nil
	}
	return f(t.Shape[1], s.Shape[1])
}

// apply writes rows·S·colsᵀ into the covered part of t.
func apply(t, s NamedTensor, rows, cols axisMap) (int, error) {
	if len(t.Shape) != len(s.Shape) || len(t.Shape) > 2 {
		return 0, fmt.Errorf("transfer %s: shapes %v and %v do not correspond", t.Name, t.Shape, s.Shape)
	}
	width := 1
	if cols == nil {
		cols = axisMap{{{0, 1}}}
	} else {
		width = s.Shape[1]
	}
	set := 0
	line := make([]float32, width)
	for i, terms := range rows {
		if len(terms) == 0 {
			continue
		}
		clear(line)
		for _, a := range terms {
			for k, v := range s.Data[a.from*width : (a.from+1)*width] {
				line[k] += a.weight * v
			}
		}
		for k, parts := range cols {
			if len(parts) == 0 {
				continue
			}
			var sum float32
			for _, b := range parts {
				sum += b.weight * line[b.from]
			}
			t.Data[i*len(cols)+k] = sum
			set++
		}
	}
	return set, nil
}

// layerSizes describes a layer's heads; a head's kind is what must agree for its weights to be of use.
func layerSizes(l Layer) sizes {
	if l.Mixed != nil {
		z := sizes{hidden: l.Hidden, dim: l.Mixed[0].Size}
		for _, h := range l.Mixed {
			z.kinds = append(z.kinds, string(h.Op))
		}
		return z
	}
	n := l.Heads
	if l.Op == SpanConvolution {
		n /= 2
	}
	z := sizes{hidden: l.Hidden, dim: l.Hidden / l.Heads}
	for range n {
		z.kinds = append(z.kinds, string(l.Op))
	}
	return z
}

// axes gives the row and column maps of a layer tensor by what its name says its axes are; false if it is not transferred.
func (r resizer) axes(rest string, t, s NamedTensor, q, from Layer) (rows, cols axisMap, ok bool) {
	groups := 1
	if q.Op == SpanConvolution && q.Mixed == nil {
		groups = 2 // attention heads, then convolution heads
	}
	sameOp := q.Op == from.Op && (q.Mixed == nil) == (from.Mixed == nil)
	field := strings.TrimSuffix(strings.TrimSuffix(rest, ".weight"), ".bias")
	if own, isHead := strings.CutPrefix(field, "attention.head."); isHead {
		return headAxes(own[strings.IndexByte(own, '.')+1:], t, s)
	}
	switch field {
	case "attention.query", "attention.key", "attention.value", "attention.conv_value", "attention.pointwise", "attention.span_bias":
		return r.heads(1), columns(t, s, r.free), sameOp
	case "attention.output.dense":
		if len(t.Shape) == 1 {
			return r.free(t.Shape[0], s.Shape[0]), nil, sameOp
		}
		return r.free(t.Shape[0], s.Shape[0]), r.heads(groups), sameOp
	case "attention.distance_embedding":
		return leading(t.Shape[0], s.Shape[0]), r.free(t.Shape[1], s.Shape[1]), sameOp
	case "attention.depthwise":
		return leading(t.Shape[0], s.Shape[0]), interpolated(t.Shape[1], s.Shape[1]), sameOp
	case "attention.kernel":
		taps := r.taps(t, s)
		if len(t.Shape) == 1 {
			return taps, nil, sameOp
		}
		return taps, r.heads(1), sameOp
	case "attention.output.LayerNorm", "output.LayerNorm":
		return leading(t.Shape[0], s.Shape[0]), nil, true
	default:
		// Bilinear matrices, the feed-forward chain and the projection between layers are always ordered.
		return leading(t.Shape[0], s.Shape[0]), columns(t, s, leading), true
	}
}

// taps maps the rows of the kernel predictor, head by head, resampling the taps.
func (r resizer) taps(t, s NamedTensor) axisMap {
	k, ks := t.Shape[0]/len(r.q.kinds), s.Shape[0]/len(r.s.kinds)
	return perHead(headAgreement(r.q.kinds, r.s.kinds), interpolated(k, ks), ks)
}

// headAxes maps a convolution head of a hetero layer: leading rows and columns, kernels resampled.
func headAxes(field string, t, s NamedTensor) (rows, cols axisMap, ok bool) {
	switch field {
	case "depthwise":
		return leading(t.Shape[0], s.Shape[0]), interpolated(t.Shape[1], s.Shape[1]), true
	case "kernel":
		return interpolated(t.Shape[0], s.Shape[0]), columns(t, s, leading), true
	default:
		return leading(t.Shape[0], s.Shape[0]), columns(t, s, leading), true
	}
}
