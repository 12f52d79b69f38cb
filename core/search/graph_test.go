package search

import (
	"crypto/md5"
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"flexi/core/model"
)

// Models of design notes 1.4 and 1.5, written as runs of equal layers.

func layer(op model.Op, param string, hidden, heads int, ff ...int) model.Layer {
	return model.Layer{Op: op, Param: param, Hidden: hidden, Heads: heads, FF: ff}
}

func layers(ls ...model.Layer) model.Arch { return model.Arch{Layers: ls} }

func twice(ls ...model.Layer) model.Arch {
	var a model.Arch
	for _, l := range ls {
		a.Layers = append(a.Layers, l, l)
	}
	return a
}

func bertTiny() model.Arch { return uniform(2, layer("sa", "sdp", 128, 2, 512)) }
func bertMini() model.Arch { return uniform(4, layer("sa", "sdp", 256, 4, 1024)) }
func flexiMini() model.Arch {
	return twice(layer("sa", "sdp", 256, 2, 512, 512, 512), layer("l", "dct", 128, 4, 1024))
}

func TestHashVectors(t *testing.T) {
	for _, tc := range []struct {
		name string
		arch model.Arch
		want string
	}{
		{"BERT L2/H256/A4", uniform(2, layer("sa", "sdp", 256, 4, 1024)), "3043ce7b59479c89e76f539190b109ab368df128910ad7415bb232e44f975392"},
		{"FlexiBERT-Mini", flexiMini(), "23f3026b5209a1616b04a1fe57875355e59be58ec9adcd39faf3e0648a533cd9"},
		{
			"all dct", twice(layer("l", "dct", 256, 4, 1024), layer("l", "dct", 256, 2, 512, 512, 512)),
			"70d79a6325ce426644aed68b93a6d751bcf4dba5b38ced20024a06604b033da7",
		},
		{
			"all kernel 5", twice(layer("c", "5", 256, 4, 512, 512, 512), layer("c", "5", 256, 2, 1024, 1024, 1024)),
			"7befea358c6e0bebbb3ef1135856492eb15905e61d15fcc7bfe77f9513dd1c11",
		},
		{"no second order", uniform(2, layer("sa", "sdp", 128, 4, 1024)), "43b801e44f2b7ea6a2c57ffeb0e6abfef0e68103e3fd088dab6c5bf872c0c680"},
		{
			"dft then dct", twice(layer("l", "dft", 128, 4, 1024), layer("l", "dct", 256, 2, 512)),
			"e357514481b9448530cf4c9bb3d37c59ca711febb364a850b14910ee0f9bee9e",
		},
		{"BERT-Tiny", bertTiny(), "79cadebed0d9211f265df75c88666c35c7b3b2e3823206c928f099d3a0faa444"},
		{"BERT-Mini", bertMini(), "9386ba22dab898c13dc5b40ddd89532abfbafffa8b1638be5550dfa1e9777bd7"},
	} {
		require.Equal(t, tc.want, Hash(tc.arch), tc.name)
	}
}

func TestHashSchemes(t *testing.T) {
	sha := func(a model.Arch, s Scheme) string { return NewGraph(a, s).Hash(sha256.New) }
	require.Equal(t, "312272343b02a475f7a6d1e77cd6683737bb73ffd4a5d25970e7062c281f3aa2", sha(flexiMini(), Scheme2022))
	require.Equal(t, sha(bertMini(), Scheme2021), sha(bertMini(), Scheme2022), "equal where every layer has one feed-forward layer")

	base := bertBaseHetero()
	require.Equal(t, "07aaba14d29455a984e2aef6312a8870", NewGraph(base, Scheme2022).Hash(md5.New))

	wide := bertBaseHetero()
	for j := range wide.Layers {
		wide.Layers[j].Hidden = 1024
	}
	require.Equal(t, sha(base, Scheme2022), sha(wide, Scheme2022), "head labels do not hold the hidden size")
	require.NotEqual(t, Hash(base), Hash(wide), "the identity does")
}

func bertBaseHetero() model.Arch {
	l := model.Layer{Hidden: 768, FF: []int{3072}}
	for range 12 {
		l.Mixed = append(l.Mixed, model.Head{Op: model.SelfAttention, Param: model.ScaledDot, Size: 64})
	}
	return uniform(12, l)
}

func TestHashIgnoresHeadOrderOnly(t *testing.T) {
	a := bertBaseHetero()
	a.Layers[0].Mixed = append([]model.Head{{Op: "c", Param: "9", Size: 64}}, a.Layers[0].Mixed[1:]...)
	b := bertBaseHetero()
	b.Layers[0].Mixed = append(b.Layers[0].Mixed[1:], model.Head{Op: "c", Param: "9", Size: 64})
	require.Equal(t, Hash(a), Hash(b), "parallel heads have no order")
	reversed := twice(flexiMini().Layers[2], flexiMini().Layers[0])
	require.NotEqual(t, Hash(flexiMini()), Hash(reversed))
}

func TestGraphSizes(t *testing.T) {
	for _, tc := range []struct {
		name         string
		arch         model.Arch
		scheme       Scheme
		nodes, edges int
	}{
		{"BERT-Tiny", bertTiny(), Scheme2021, 12, 17},
		{"BERT-Mini", bertMini(), Scheme2022, 30, 49},
		{"FlexiBERT-Mini 2021", flexiMini(), Scheme2021, 34, 53},
		{"FlexiBERT-Mini 2022", flexiMini(), Scheme2022, 30, 45},
	} {
		g := NewGraph(tc.arch, tc.scheme)
		require.Len(t, g.Labels, tc.nodes, tc.name)
		require.Len(t, g.Edges, tc.edges, tc.name)
		require.NoError(t, g.Check(), tc.name)
	}
}

func TestGraphCheckFindsDamage(t *testing.T) {
	for _, tc := range []struct {
		name   string
		damage func(*Graph)
		want   string
	}{
		{"backward", func(g *Graph) { g.Edges[0] = [2]int{1, 0} }, "edge 1 to 0 does not go forward"},
		{"outside", func(g *Graph) { g.Edges[0][1] = 99 }, "does not go forward among 12 nodes"},
		{"repeated", func(g *Graph) { g.Edges[1] = g.Edges[0] }, "is there twice"},
		{"dead end", func(g *Graph) { g.Edges = g.Edges[:len(g.Edges)-1] }, "is not on a path"},
		{"label", func(g *Graph) { g.Labels[0] = "sa" }, "does not begin with input"},
	} {
		g := NewGraph(bertTiny(), Scheme2021)
		tc.damage(g)
		require.ErrorContains(t, g.Check(), tc.want, tc.name)
	}
}

func TestGraphsOfTheSpaceAreSound(t *testing.T) {
	space := mustSpace(t, "large")
	rapid.Check(t, func(t *rapid.T) {
		a := drawArch(t, space, "a")
		for _, scheme := range []Scheme{Scheme2021, Scheme2022} {
			require.NoError(t, NewGraph(a, scheme).Check())
		}
	})
}

// drawArch draws any architecture of a space.
func drawArch(t *rapid.T, s *Space, name string) model.Arch {
	set := s.layerSet(true)
	a := model.Arch{Layers: make([]model.Layer, rapid.SampledFrom(s.Layers).Draw(t, name+" layers"))}
	for j := range a.Layers {
		a.Layers[j] = set.layer(rapid.IntRange(0, set.len()-1).Draw(t, name))
	}
	return a
}

func TestGraphLines(t *testing.T) {
	a := layers(layer("sa", "sdp", 256, 4, 512, 512), layer("l", "dct", 128, 2, 1024))
	require.Equal(t, strings.TrimPrefix(`
● input
├─┬─┬─┬─╮  layer 1, h256
│ ● ● ● ●  4 × sa_h256_p-sdp
├─┴─┴─┴─╯
● add_norm
├─╮
│ ●  f512
│ ●  f512
├─╯
● add_norm
│  projection h256 to h128
├─┬─╮  layer 2, h128
│ ● ●  2 × l_h128_p-dct
├─┴─╯
● add_norm
├─╮
│ ●  f1024
├─╯
● add_norm
│
● output`, "\n"), strings.Join(GraphLines(a), "\n"))
	mixed := layers(model.Layer{Hidden: 64, FF: []int{64}, Mixed: []model.Head{
		{Op: "sa", Param: "sdp", Size: 32}, {Op: "sa", Param: "sdp", Size: 32}, {Op: "c", Param: "9", Size: 32},
	}})
	require.Equal(t, "│ ● ● ●  2 × sa_sdp_32, 1 × c_9_32", GraphLines(mixed)[2])
}

func BenchmarkHash(b *testing.B) {
	for b.Loop() {
		Hash(flexiMini())
	}
}
