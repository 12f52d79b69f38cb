package op

import (
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"

	"flexi/core/device"
)

// Attention is multi-head attention with a relative position term (FlexiBERT, design notes 2.3-2.6).
//
//	Q, K, V  (Batch·Seq)×(heads·Dim); K is nil if every head scores by position only
//	Rel      (2P-1)×Dim, shared by the heads
//	W        the bilinear matrices, stacked, nil if no head is bilinear
//	Lengths  int32, one per batch row
type Attention struct {
	Q, K, V, Rel, W, Lengths *gorgonia.Node
	Batch, Seq, Dim          int
	Scores                   []device.Score // one per head
	Bilinear                 []int          // head -> matrix in W
	Dropout                  float32
}

func (a Attention) shape(train bool) device.AttentionShape {
	return device.AttentionShape{Batch: a.Batch, Seq: a.Seq, Dim: a.Dim, Scores: a.Scores, Bilinear: a.Bilinear, Train: train}
}

// attentionOperands are the places of operands in an op's list; 0 is absent for k and w.
type attentionOperands struct{ k, v, rel, w, lengths int }

func (a Attention) operands() (in []*gorgonia.Node, at attentionOperands) {
	in = append(in, a.Q)
	add := func(n *gorgonia.Node) int {
		if n == nil {
			return 0
		}
		in = append(in, n)
		return len(in) - 1
	}
	at = attentionOperands{k: add(a.K), v: add(a.V), rel: add(a.Rel), w: add(a.W), lengths: add(a.Lengths)}
	return in, at
}

func (a Attention) params(e *Env, in []device.Mat, at attentionOperands, site uint32, train bool) device.Attention {
	p := device.Attention{
		AttentionShape: a.shape(train), Q: in[0], V: in[at.v], Rel: in[at.rel], Lengths: in[at.lengths].T, Drop: e.dropout(a.Dropout, site),
	}
	if at.k > 0 {
		p.K = in[at.k]
	}
	if at.w > 0 {
		p.W = in[at.w]
	}
	return p
}

func (g *Graph) checkAttention(a Attention) {
	const name = "attention"
	rows, width := a.Batch*a.Seq, len(a.Scores)*a.Dim
	for operand, n := range map[string]*gorgonia.Node{"query": a.Q, "key": a.K, "value": a.V} {
		g.expect(name, operand, n, rows, width)
	}
	table, _ := g.rowsAndColumns(name, a.Rel)
	g.expect(name, "position table", a.Rel, table, a.Dim)
	if g.err == nil && (table+1)/2 < a.Seq {
		g.fail(name, fmt.Errorf("%d positions are more than the %d of the position table", a.Seq, (table+1)/2))
	}
	if g.err == nil && a.K == nil && slices.ContainsFunc(a.Scores, func(s device.Score) bool { return s != device.ScorePosition }) {
		g.fail(name, fmt.Errorf("a head that needs keys has none"))
	}
	if g.err == nil && a.W == nil && slices.Contains(a.Scores, device.ScoreBilinear) {
		g.fail(name, fmt.Errorf("a bilinear head has no matrix"))
	}
}

// Attention adds attention. Parts: the context; what the device keeps of it for the backward pass.
func (g *Graph) Attention(a Attention) *gorgonia.Node {
	g.checkAttention(a)
	if g.err != nil {
		return nil
	}
	site := g.site(a.Dropout)
	in, at := a.operands()
	diff := make([]bool, len(in))
	for i := range diff {
		diff[i] = i != at.lengths
	}
	return g.kernel(kernelSpec{
		name: a.name(), in: in, diff: diff,
		parts: []Shape{matrix(Always, a.Batch*a.Seq, len(a.Scores)*a.Dim), vector(OnDemand, g.dev.AttentionSaved(a.shape(true)))},
		run: func(e *Env, in, out []device.Mat) {
			p := a.params(e, in, at, site, !out[1].Empty())
			p.Saved, p.Out = out[1].T, out[0]
			e.Device.AttentionForward(p)
		},
		grad: func(y, dy *gorgonia.Node) gorgonia.Nodes { return g.attentionGrad(a, y, dy, site) },
	})
}

// name tells the kinds of layers apart.
func (a Attention) name() string {
	switch {
	case a.K == nil:
		return "position attention"
	case a.W != nil:
		return "bilinear attention"
	default:
		return "attention"
	}
}

// attentionGrad has one part per differentiable operand, in their order.
func (g *Graph) attentionGrad(a Attention, y, dy *gorgonia.Node, site uint32) gorgonia.Nodes {
	in, at := a.operands()
	var parts []Shape
	for i, n := range in {
		if i != at.lengths {
			parts = append(parts, matrix(Always, n.Shape()[0], n.Shape()[1]))
		}
	}
	n := len(in)
	dq := g.kernel(kernelSpec{
		name: a.name() + " gradient", in: append(in, g.part(y, 1), y, dy), parts: parts,
		run: func(e *Env, in, out []device.Mat) {
			p := device.AttentionGrad{Attention: a.params(e, in, at, site, true), DOut: in[n+2], DQ: out[0], DV: out[at.v], DRel: out[at.rel]}
			p.Saved, p.Out = in[n].T, in[n+1]
			if at.k > 0 {
				p.DK = out[at.k]
			}
			if at.w > 0 {
				p.DW = out[at.w]
			}
			e.Device.AttentionBackward(p)
		},
	})
	grads := make(gorgonia.Nodes, n)
	for i := range parts {
		grads[i] = g.gradient(in[i], dq, i)
	}
	return grads
}
