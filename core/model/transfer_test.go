package model

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"flexi/core/device"
	"flexi/core/device/cpu"
)

func named(t *testing.T, name string) Arch {
	t.Helper()
	a, err := Reference(name)
	require.NoError(t, err)
	return a
}

// changed copies an architecture deeply enough to change its layers.
func changed(a Arch, change func(layers []Layer)) Arch {
	b := Arch{Layers: append([]Layer(nil), a.Layers...)}
	change(b.Layers)
	return b
}

// TestPaperOverlap holds the counts of design notes 4.1.
func TestPaperOverlap(t *testing.T) {
	mini := named(t, "bert-mini")
	other := []int{512}
	for name, c := range map[string]struct {
		source Arch
		want   float64
	}{
		"identical":                      {mini, 0.953},
		"the last layer's stack differs": {changed(mini, func(l []Layer) { l[3].FF = other }), 0.907},
		"the last two stacks differ":     {changed(mini, func(l []Layer) { l[2].FF, l[3].FF = other, other }), 0.814},
		"the last layer's heads differ":  {changed(mini, func(l []Layer) { l[3].Heads = 2 }), 0.767},
	} {
		require.InDelta(t, c.want, PaperOverlap(mini, c.source), 0.0005, name)
	}
	flexi := named(t, "flexibert-mini")
	require.Less(t, PaperOverlap(flexi, mini), 0.5, "it stops where the operation's type differs")
}

func TestOverlap(t *testing.T) {
	mini := named(t, "bert-mini")
	require.Equal(t, 1.0, Overlap(mini, mini))
	require.Equal(t, 0.0, Overlap(mini, named(t, "fourier-mini")))
	late := changed(mini, func(l []Layer) { l[3].FF = []int{512} })
	early := changed(mini, func(l []Layer) { l[0].FF = []int{512} })
	require.Greater(t, Overlap(mini, late), 0.8)
	require.Less(t, Overlap(mini, early), 0.25, "what follows the first difference is not copied")
	require.Equal(t, Overlap(mini, changed(mini, func(l []Layer) { l[1].Heads = 2 })), Overlap(mini, changed(mini, func(l []Layer) { l[1].Heads, l[3].FF = 2, []int{512} })))
}

func tensorsOf(t *testing.T, a Arch, seed uint64) []NamedTensor {
	t.Helper()
	dev, err := cpu.New(1, device.PrecisionF32)
	require.NoError(t, err)
	defer dev.Close()
	n, err := NewNet(dev, a, Config{Vocab: 23, MaxPos: 16, Types: 2}, Objective{Kind: MaskedLM}, seed)
	require.NoError(t, err)
	defer n.Close()
	return n.Tensors()
}

func byName(tensors []NamedTensor) map[string]NamedTensor {
	m := map[string]NamedTensor{}
	for _, t := range tensors {
		m[t.Name] = t
	}
	return m
}

func TestTransferExactCopiesWhatAgrees(t *testing.T) {
	base := Arch{Layers: []Layer{
		{Hidden: 16, Op: SelfAttention, Param: Weighted, Heads: 2, FF: []int{24}},
		{Hidden: 16, Op: SpanConvolution, Param: "5", Heads: 2, FF: []int{24, 32}},
		{Hidden: 8, Op: LinearTransform, Param: DCT, Heads: 2, FF: []int{24}},
	}}
	query := changed(base, func(l []Layer) { l[1].FF = []int{24} })
	src, dst, before := tensorsOf(t, base, 1), tensorsOf(t, query, 2), byName(tensorsOf(t, query, 2))
	share, err := Transfer(TransferExact, query, base, dst, src, 0)
	require.NoError(t, err)
	require.True(t, share > 0 && share < 1)
	from := byName(src)
	for _, d := range dst {
		j, rest, isLayer := splitLayerName(d.Name)
		copied := IsEncoder(d.Name) && (!isLayer || j == 0 || j == 1 && len(rest) > 9 && rest[:9] == "attention")
		if copied {
			require.Equal(t, from[d.Name].Data, d.Data, d.Name)
		} else {
			require.Equal(t, before[d.Name].Data, d.Data, d.Name)
		}
	}

	same, err := Transfer(TransferExact, base, base, tensorsOf(t, base, 3), src, 0)
	require.NoError(t, err)
	require.Equal(t, 1.0, same, "an identical architecture takes everything, the last output block included")
}

func TestTransferOrderedFillsLeadingParts(t *testing.T) {
	source := Arch{Layers: []Layer{{Hidden: 8, Op: SelfAttention, Param: ScaledDot, Heads: 2, FF: []int{12}}}}
	query := Arch{Layers: []Layer{
		{Hidden: 12, Op: SelfAttention, Param: ScaledDot, Heads: 2, FF: []int{10}},
		{Hidden: 12, Op: SelfAttention, Param: ScaledDot, Heads: 2, FF: []int{10}},
	}}
	src, dst, before := tensorsOf(t, source, 1), tensorsOf(t, query, 2), byName(tensorsOf(t, query, 2))
	_, err := Transfer(TransferOrdered, query, source, dst, src, 0)
	require.NoError(t, err)
	from, to := byName(src), byName(dst)

	words, wide := from[WordEmbedding], to[WordEmbedding]
	for v := range 23 {
		require.Equal(t, words.Data[v*8:v*8+8], wide.Data[v*12:v*12+8])
		require.Equal(t, before[WordEmbedding].Data[v*12+8:v*12+12], wide.Data[v*12+8:v*12+12])
	}
	name := layerName(0, "attention.query.weight")
	for head := range 2 {
		for c := range 4 { // heads are 4 wide in the source and 6 in the query
			require.Equal(t, from[name].Data[(head*4+c)*8:][:8], to[name].Data[(head*6+c)*12:][:8], "head %d row %d", head, c)
		}
		require.Equal(t, before[name].Data[(head*6+4)*12:][:24], to[name].Data[(head*6+4)*12:][:24])
	}
	out := layerName(0, "attention.output.dense.weight")
	require.Equal(t, from[out].Data[1*8+4:][:4], to[out].Data[1*12+6:][:4], "columns of the output map follow the heads")
	second := layerName(1, "attention.query.weight")
	require.Equal(t, before[second].Data, to[second].Data, "a layer the source lacks keeps its initial values")
}

func TestTransferOrderedLeavesOtherOperations(t *testing.T) {
	source := Arch{Layers: []Layer{{Hidden: 8, Op: LinearTransform, Param: DFT, Heads: 2, FF: []int{12}}}}
	query := Arch{Layers: []Layer{{Hidden: 8, Op: SelfAttention, Param: ScaledDot, Heads: 2, FF: []int{12}}}}
	src, dst, before := tensorsOf(t, source, 1), tensorsOf(t, query, 2), byName(tensorsOf(t, query, 2))
	_, err := Transfer(TransferOrdered, query, source, dst, src, 0)
	require.NoError(t, err)
	query0, stack := layerName(0, "attention.query.weight"), layerName(0, stackName(0)+".weight")
	require.Equal(t, before[query0].Data, byName(dst)[query0].Data)
	require.Equal(t, byName(src)[stack].Data, byName(dst)[stack].Data, "the feed-forward chain is always transferred")
}

func TestTransferResamplesKernels(t *testing.T) {
	layer := func(k string) Arch {
		return Arch{Layers: []Layer{{Hidden: 8, Op: SpanConvolution, Param: k, Heads: 2, FF: []int{12}}}}
	}
	src, dst := tensorsOf(t, layer("5"), 1), tensorsOf(t, layer("9"), 2)
	_, err := Transfer(TransferOrdered, layer("9"), layer("5"), dst, src, 0)
	require.NoError(t, err)
	name := layerName(0, "attention.depthwise.weight")
	from, to := byName(src)[name].Data, byName(dst)[name].Data
	for c := range 8 {
		require.InDelta(t, from[c*5+2], to[c*9+4], 1e-7, "the centre stays the centre")
		require.InDelta(t, from[c*5], to[c*9], 1e-7)
		require.InDelta(t, from[c*5+4], to[c*9+8], 1e-7)
	}
}

func TestTransferProjectionKeepsNorms(t *testing.T) {
	wide := Arch{Layers: []Layer{{Hidden: 128, Op: SelfAttention, Param: ScaledDot, Heads: 2, FF: []int{12}}}}
	narrow := Arch{Layers: []Layer{{Hidden: 64, Op: SelfAttention, Param: ScaledDot, Heads: 2, FF: []int{12}}}}
	src, dst := tensorsOf(t, wide, 1), tensorsOf(t, narrow, 2)
	_, err := Transfer(TransferProjection, narrow, wide, dst, src, 5)
	require.NoError(t, err)
	norm := func(x []float32) (s float64) {
		for _, v := range x {
			s += float64(v) * float64(v)
		}
		return math.Sqrt(s)
	}
	// A projection with entries N(0, 1/k) keeps squared lengths in the mean.
	require.InEpsilon(t, norm(byName(src)[WordEmbedding].Data), norm(byName(dst)[WordEmbedding].Data), 0.1)

	again := tensorsOf(t, narrow, 2)
	_, err = Transfer(TransferProjection, narrow, wide, again, src, 5)
	require.NoError(t, err)
	require.Equal(t, dst, again, "the seed decides")

	equal := tensorsOf(t, wide, 3)
	share, err := Transfer(TransferProjection, wide, wide, equal, src, 5)
	require.NoError(t, err)
	require.Equal(t, 1.0, share)
	require.Equal(t, byName(src)[WordEmbedding].Data, byName(equal)[WordEmbedding].Data, "equal sizes are copied")
}

func TestTransferEveryPairOfReferences(t *testing.T) {
	small := []Arch{
		{Layers: []Layer{{Hidden: 8, Op: SelfAttention, Param: Weighted, Heads: 4, FF: []int{6}}, {Hidden: 12, Op: SpanConvolution, Param: "3", Heads: 4, FF: []int{6, 7}}}},
		{Layers: []Layer{{Hidden: 12, Op: SpanConvolution, Param: "5", Heads: 2, FF: []int{9}}, {Hidden: 8, Op: LinearTransform, Param: DFT, Heads: 2, FF: []int{6}}, {Hidden: 8, Op: SelfAttention, Param: ScaledDot, Heads: 2, FF: []int{6}}}},
		{Layers: []Layer{{Hidden: 10, Mixed: []Head{{SelfAttention, Weighted, 4}, {SpanConvolution, "3", 4}, {LinearTransform, DCT, 4}}, FF: []int{6}}}},
		{Layers: []Layer{{Hidden: 8, Mixed: []Head{{SelfAttention, ScaledDot, 6}, {SpanConvolution, "5", 6}}, FF: []int{6}}}},
	}
	for _, q := range small {
		for _, s := range small {
			for _, mode := range TransferModes() {
				share, err := Transfer(mode, q, s, tensorsOf(t, q, 1), tensorsOf(t, s, 2), 3)
				require.NoError(t, err, "%s from %s by %s", q.Title(), s.Title(), mode)
				require.True(t, share >= 0 && share <= 1)
			}
		}
	}
	_, err := Transfer("magic", small[0], small[0], tensorsOf(t, small[0], 1), tensorsOf(t, small[0], 1), 0)
	require.ErrorContains(t, err, "magic")
}
