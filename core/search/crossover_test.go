package search

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"flexi/core/model"
)

var (
	level1 = Level{Stack: 2}
	level2 = Level{Stack: 1}
	level3 = Level{Stack: 1, FreeWidths: true}
)

// lineLibrary is a library on a line: near in the list is near in the embedding.
func lineLibrary(archs ...model.Arch) *Library {
	lib := &Library{Archs: archs, Index: map[string]int{}}
	for i, a := range archs {
		lib.Hashes = append(lib.Hashes, Hash(a))
		lib.Index[lib.Hashes[i]] = i
		lib.Embeddings = append(lib.Embeddings, []float64{float64(i)})
	}
	return lib
}

func TestCrossoverOfTwoStacks(t *testing.T) {
	// The second stack differs in operation (hence parameter) and depth: 2 x 2 choices for each of its two new stacks.
	a := twice(layer("sa", "sdp", 128, 2, 512), layer("sa", "wma", 128, 2, 512))
	b := twice(layer("sa", "sdp", 128, 2, 512), layer("c", "5", 128, 2, 512, 512, 512))
	c, err := Crossover(lineLibrary(a, b), []int{1, 0}, level1, level2, DefaultCrossover())
	require.NoError(t, err)
	require.Equal(t, 1, c.Pairs)
	require.Equal(t, 16.0, c.Total)
	require.Len(t, c.Archs, 16, "all different")
	require.Equal(t, []model.Arch{a, b}, c.Archs[:2], "parents first")
	require.Equal(t, "16 architectures (parent pairs: 1)", c.String())
	for _, x := range c.Archs {
		require.Equal(t, a.Layers[:2], x.Layers[:2])
		for _, l := range x.Layers {
			require.Contains(t, []string{"sa sdp", "sa wma", "c 5"}, string(l.Op)+" "+l.Param, "parameters stay with their operation")
		}
	}
}

func TestCrossoverOfUnequalLengths(t *testing.T) {
	short := uniform(2, layer("sa", "sdp", 128, 2, 512))
	long := twice(layer("sa", "sdp", 128, 4, 512), layer("l", "dct", 256, 4, 1024))
	c, err := Crossover(lineLibrary(short, long), []int{0, 1}, level1, level2, DefaultCrossover())
	require.NoError(t, err)
	require.Equal(t, 8.0, c.Total, "two heads to choose in two layers, with and without the tail")
	count := map[int]int{}
	for _, x := range c.Archs {
		count[len(x.Layers)]++
		if len(x.Layers) == 4 {
			require.Equal(t, long.Layers[2:], x.Layers[2:])
		}
	}
	require.Equal(t, map[int]int{2: 4, 4: 4}, count)
}

// TestCrossoverFreeWidths: each layer has its own depths and widths (the original used the last layer's depths for all, and could not do depth 3).
func TestCrossoverFreeWidths(t *testing.T) {
	a := layers(layer("sa", "sdp", 128, 2, 512, 512, 512), layer("sa", "sdp", 128, 2, 512))
	b := layers(layer("sa", "sdp", 128, 2, 1024), layer("sa", "sdp", 128, 2, 512))
	c, err := Crossover(lineLibrary(a, b), []int{0}, level2, level3, DefaultCrossover())
	require.NoError(t, err)
	require.Len(t, c.Archs, 2+8, "one or three layers of two widths in the first layer, no choice in the second")
	for _, x := range c.Archs {
		require.Equal(t, []int{512}, x.Layers[1].FF)
	}
}

func TestCrossoverPairs(t *testing.T) {
	var archs []model.Arch
	for _, h := range []int{128, 256} {
		for _, n := range []int{2, 4} {
			for _, w := range []int{512, 1024} {
				archs = append(archs, uniform(2, layer("l", "dct", h, n, w)))
			}
		}
	}
	o := DefaultCrossover()
	o.Rule, o.Top, o.Near = NearestNeighbours, 3, 2
	pairs, err := crossoverPairs(lineLibrary(archs...), []int{7, 0, 4, 1}, o)
	require.NoError(t, err)
	require.Equal(t, [][2]int{{6, 7}, {5, 7}, {0, 1}, {0, 2}, {3, 4}, {4, 5}, {0, 7}, {4, 7}, {0, 4}}, pairs)
}

func TestCrossoverSamplesDeterministically(t *testing.T) {
	a := uniform(4, layer("sa", "sdp", 128, 2, 512))
	b := uniform(4, layer("l", "dct", 256, 4, 1024, 1024, 1024))
	o := DefaultCrossover()
	o.Limit = 200
	cross := func(seed uint64) *Crossed {
		o.Seed = seed
		c, err := Crossover(lineLibrary(a, b), []int{0}, level1, level2, o)
		require.NoError(t, err)
		return c
	}
	c := cross(1)
	require.Equal(t, float64(32*32*32*32), c.Total)
	require.Equal(t, 200, c.Listed)
	require.Contains(t, c.String(), "a sample of 200 from 1048576 interpolants")
	require.Equal(t, []model.Arch{a, b}, c.Archs[:2])
	require.Equal(t, c, cross(1))
	require.NotEqual(t, c, cross(2))
}

func TestCrossoverRefuses(t *testing.T) {
	lib := lineLibrary(bertTiny(), bertMini())
	_, err := Crossover(lib, nil, level1, level2, DefaultCrossover())
	require.EqualError(t, err, "crossover: no architecture has a score")
	_, err = Crossover(lib, []int{0}, Level{Stack: 1}, Level{Stack: 2}, DefaultCrossover())
	require.EqualError(t, err, "crossover: stacks of 1 layers do not divide into stacks of 2")
	_, err = Crossover(lib, []int{0}, level1, level2, CrossoverOptions{Top: 1, Near: 1, Rule: "x"})
	require.ErrorContains(t, err, `neighbour rule "x"`)
	one, err := Crossover(lineLibrary(bertTiny()), []int{0}, level1, level2, DefaultCrossover())
	require.NoError(t, err)
	require.Equal(t, []model.Arch{bertTiny()}, one.Archs, "a library of one crosses to itself")
}

func TestFamilyListsWithoutRepeats(t *testing.T) {
	a, b := uniform(2, layer("sa", "sdp", 128, 2, 512)), uniform(2, layer("l", "dct", 256, 2, 512))
	f := between(a, b, level1, level2)[0]
	require.Equal(t, 16.0, f.size())
	for _, quota := range []int{1, 7, 8, 9, 15, 16, 100} {
		archs := f.list(quota, rand.New(rand.NewPCG(1, 1)))
		require.Len(t, archs, min(quota, 16))
		require.Len(t, distinct(archs), len(archs))
	}
}

// TestCrossoverLaws: interpolants stay in the space, take every value from a parent at the same stack, and contain both parents.
func TestCrossoverLaws(t *testing.T) {
	space := mustSpace(t, "paper")
	set := space.layerSet(false)
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) model.Arch {
			var a model.Arch
			for range rapid.SampledFrom([]int{1, 2}).Draw(t, name+" stacks") {
				l := set.layer(rapid.IntRange(0, set.len()-1).Draw(t, name))
				a.Layers = append(a.Layers, l, l)
			}
			return a
		}
		a, b := draw("a"), draw("b")
		to := rapid.SampledFrom([]Level{level1, level2, level3}).Draw(t, "level")
		o := DefaultCrossover()
		o.Limit = 100
		c, err := Crossover(lineLibrary(a, b), []int{0}, level1, to, o)
		require.NoError(t, err)
		hashes := map[string]bool{}
		for _, x := range c.Archs {
			hashes[Hash(x)] = true
			require.NoError(t, space.Contains(x))
			for j, l := range x.Layers {
				var parents []model.Layer
				for _, p := range []model.Arch{a, b} {
					if j < len(p.Layers) {
						parents = append(parents, p.Layers[j])
					}
				}
				requireBetween(t, l, parents)
			}
		}
		require.True(t, hashes[Hash(a)] && hashes[Hash(b)])
		require.Len(t, hashes, len(c.Archs))
		require.LessOrEqual(t, c.Listed, o.Limit)
	})
}

func requireBetween(t require.TestingT, l model.Layer, parents []model.Layer) {
	var ops, heads, hidden, depths, widths []any
	for _, p := range parents {
		ops, heads, hidden, depths = append(ops, string(p.Op)+p.Param), append(heads, p.Heads), append(hidden, p.Hidden), append(depths, len(p.FF))
		for _, f := range p.FF {
			widths = append(widths, f)
		}
	}
	require.Contains(t, ops, string(l.Op)+l.Param)
	require.Contains(t, heads, l.Heads)
	require.Contains(t, hidden, l.Hidden)
	require.Contains(t, depths, len(l.FF))
	for _, f := range l.FF {
		require.Contains(t, widths, f)
	}
}
