package model

// Parameters is the specification's count of parameters (design notes 2.10), by part. It includes those the original allocates and never uses: the
// absolute position table, W of plain attention, and the keys of linear-transform layers. What a Net stores is Stored.
type Parameters struct {
	Embedding int64
	Layers    []LayerParameters
	Pooler    int64
	MLMHead   int64
}

// LayerParameters is the count of one layer: the operation with its output map and LayerNorm, the feed-forward stack with its LayerNorm, and the
// projection to the next layer's hidden size.
type LayerParameters struct {
	Operation, FeedForward, Projection int64
}

// Total is the layer's count.
func (l LayerParameters) Total() int64 { return l.Operation + l.FeedForward + l.Projection }

// Encoder is embedding, layers and pooler.
func (p Parameters) Encoder() int64 { return p.body() + p.Pooler }

// MLM is the masked-language model: embedding, layers and the untied head, without the pooler.
func (p Parameters) MLM() int64 { return p.body() + p.MLMHead }

func (p Parameters) body() int64 {
	n := p.Embedding
	for _, l := range p.Layers {
		n += l.Total()
	}
	return n
}

// Count is the specification's count for a vocabulary, with DefaultConfig's positions and types.
func (a Arch) Count(vocab int) Parameters {
	c := DefaultConfig(vocab)
	h1, hl := int64(a.Layers[0].Hidden), int64(a.Layers[len(a.Layers)-1].Hidden)
	v := int64(vocab)
	p := Parameters{
		Embedding: v*h1 + int64(c.MaxPos)*h1 + int64(c.Types)*h1 + 2*h1,
		Pooler:    hl*hl + hl,
		MLMHead:   hl*hl + 3*hl + hl*v + v,
	}
	for j, l := range a.Layers {
		n := LayerParameters{Operation: l.countOperation(int64(2*c.MaxPos - 1)), FeedForward: l.countFeedForward()}
		if next := int64(a.nextHidden(j)); next != 0 && next != int64(l.Hidden) {
			n.Projection = int64(l.Hidden)*next + next
		}
		p.Layers = append(p.Layers, n)
	}
	return p
}

// countOperation follows 2.10 term by term; positions is 2P-1.
func (l Layer) countOperation(positions int64) int64 {
	if l.Mixed != nil {
		return l.countMixed(positions)
	}
	h, d := int64(l.Hidden), int64(l.Hidden/l.Heads)
	output := h*h + h + 2*h
	switch l.Op {
	case SelfAttention:
		return 3*(h*h+h) + d*d + positions*d + output
	case LinearTransform:
		return 3*(h*h+h) + positions*d + output
	default:
		heads, k := int64(l.Heads/2), int64(kernelSize(l.Param))
		a := heads * d
		return 3*(h*a+a) + h*k + h*a + a + (a*heads*k + heads*k) + (h*a + a) + positions*d + output
	}
}

// countMixed is a hetero layer: query, key and value of all heads, one W per weighted head, and one separable convolution per convolution head.
func (l Layer) countMixed(positions int64) int64 {
	h, d := int64(l.Hidden), int64(l.Mixed[0].Size)
	a := int64(len(l.Mixed)) * d
	n := 3*(h*a+a) + positions*d + (a*h + h) + 2*h
	for _, head := range l.Mixed {
		switch {
		case head.Op == SelfAttention && head.Param == Weighted:
			n += d * d
		case head.Op == SpanConvolution:
			k := int64(kernelSize(head.Param))
			n += d*k + d*d + d + (d*k + k)
		}
	}
	return n
}

func (l Layer) countFeedForward() int64 {
	h := int64(l.Hidden)
	n, width := int64(0), h
	for _, f := range l.FF {
		n += width*int64(f) + int64(f)
		width = int64(f)
	}
	return n + width*h + h + 2*h
}
