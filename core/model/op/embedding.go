package op

import (
	"gorgonia.org/gorgonia"

	"flexi/core/device"
)

// Lookup adds Y[r,:] = table[ids[r],:], with table V×H.
func (g *Graph) Lookup(ids, table *gorgonia.Node) *gorgonia.Node {
	v, h := g.rowsAndColumns("lookup", table)
	if g.err != nil {
		return nil
	}
	return g.kernel(kernelSpec{
		name: "lookup", in: []*gorgonia.Node{ids, table}, diff: []bool{false, true}, parts: []Shape{matrix(Always, ids.Shape()[0], h)},
		run: func(e *Env, in, out []device.Mat) {
			e.Device.EmbeddingForward(device.Embedding{IDs: in[0].T, Token: in[1], Y: out[0]})
		},
		grad: func(_, dy *gorgonia.Node) gorgonia.Nodes {
			return gorgonia.Nodes{nil, g.kernel(kernelSpec{
				name: "lookup gradient", in: []*gorgonia.Node{ids, dy}, parts: []Shape{matrix(Always, v, h)},
				run: func(e *Env, in, out []device.Mat) {
					e.Device.EmbeddingBackward(device.EmbeddingGrad{IDs: in[0].T, DY: in[1], DToken: out[0]})
				},
			})}
		},
	})
}

// Embedding adds Y[r,:] = token[ids[r],:] + segment[segments[r],:], with token V×H and segment types×H.
func (g *Graph) Embedding(ids, segments, token, segment *gorgonia.Node) *gorgonia.Node {
	v, h := g.rowsAndColumns("embedding", token)
	types, _ := g.rowsAndColumns("embedding", segment)
	g.expect("embedding", "segment table", segment, types, h)
	if g.err != nil {
		return nil
	}
	rows := ids.Shape()[0]
	g.expect("embedding", "segments", segments, rows)
	return g.kernel(kernelSpec{
		name: "embedding", in: []*gorgonia.Node{ids, segments, token, segment}, diff: []bool{false, false, true, true},
		parts: []Shape{matrix(Always, rows, h)},
		run: func(e *Env, in, out []device.Mat) {
			e.Device.EmbeddingForward(device.Embedding{IDs: in[0].T, Segments: in[1].T, Token: in[2], Segment: in[3], Y: out[0]})
		},
		grad: func(_, dy *gorgonia.Node) gorgonia.Nodes {
			dToken := g.kernel(kernelSpec{
				name: "embedding gradient", in: []*gorgonia.Node{ids, segments, dy},
				parts: []Shape{matrix(Always, v, h), matrix(Always, types, h)},
				run: func(e *Env, in, out []device.Mat) {
					e.Device.EmbeddingBackward(device.EmbeddingGrad{IDs: in[0].T, Segments: in[1].T, DY: in[2], DToken: out[0], DSegment: out[1]})
				},
			})
			return gorgonia.Nodes{nil, nil, g.gradient(token, dToken, 0), g.gradient(segment, dToken, 1)}
		},
	})
}
