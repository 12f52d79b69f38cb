package search

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"flexi/core/model"
)

func TestPricesOfThePaper(t *testing.T) {
	require.Equal(t, []string{
		"input", "output", "add_norm", "", "f512", "f1024", "",
		"l_h128_p-dft", "l_h128_p-dct", "l_h256_p-dft", "l_h256_p-dct", "",
		"sa_h128_p-sdp", "sa_h128_p-wma", "sa_h256_p-sdp", "sa_h256_p-wma", "",
		"c_h128_p-5", "c_h128_p-9", "c_h256_p-5", "c_h256_p-9",
	}, mustSpace(t, "paper").Prices().Labels())
}

func distancesOf(t testing.TB, scheme Scheme, archs ...model.Arch) *Distances {
	t.Helper()
	d, err := NewDistances(mustSpace(t, "paper"), archs, scheme, DefaultEdgeWeight)
	require.NoError(t, err)
	return d
}

func TestNodeDistanceVectors(t *testing.T) {
	archs := []model.Arch{bertTiny(), bertMini(), flexiMini(), uniform(2, layer("sa", "sdp", 256, 4, 1024))}
	d21, d22 := distancesOf(t, Scheme2021, archs...), distancesOf(t, Scheme2022, archs...)
	require.Equal(t, 196, d21.Node(0, 1))
	require.Equal(t, 66, d21.Node(0, 3))
	require.Equal(t, 98, d21.Node(1, 2))
	require.Equal(t, 90, d22.Node(1, 2))
	require.Equal(t, 114, d21.Node(0, 2))
	require.Equal(t, 106, d22.Node(0, 2))
	// The bounds of the graph edit distance that the notes give for BERT-Tiny to BERT-Mini.
	require.GreaterOrEqual(t, d21.At(0, 1), 199.0)
	require.LessOrEqual(t, d21.At(0, 1), 203.0)
}

func TestOrderMattersByEdgesOnly(t *testing.T) {
	f := flexiMini().Layers
	d := distancesOf(t, Scheme2021, flexiMini(), twice(f[2], f[0]))
	require.Zero(t, d.Node(0, 1))
	require.Positive(t, d.At(0, 1))
	require.LessOrEqual(t, d.At(0, 1), 10.6)
}

func TestDistanceNeedsOneSpace(t *testing.T) {
	_, err := NewDistances(mustSpace(t, "demo"), []model.Arch{bertMini()}, Scheme2022, 0.1)
	require.EqualError(t, err, "architecture 0: node sa_h256_p-sdp has no price in space demo; distances are between architectures of one space")
}

// TestDistanceLaws checks the bounds of design notes 3.4 and that the distance is a metric.
func TestDistanceLaws(t *testing.T) {
	space := mustSpace(t, "paper")
	rapid.Check(t, func(t *rapid.T) {
		archs := []model.Arch{drawArch(t, space, "a"), drawArch(t, space, "b"), drawArch(t, space, "c")}
		scheme := rapid.SampledFrom([]Scheme{Scheme2021, Scheme2022}).Draw(t, "scheme")
		d, err := NewDistances(space, archs, scheme, DefaultEdgeWeight)
		require.NoError(t, err)

		edges := func(i int) float64 { return float64(len(NewGraph(archs[i], scheme).Edges)) }
		node := naiveNodeDistance(space, archs[0], archs[1], scheme)
		require.Equal(t, node, d.Node(0, 1), "transport of sorted prices")
		const slack = 1e-9
		require.GreaterOrEqual(t, d.At(0, 1)+slack, float64(node)+0.1*math.Abs(edges(0)-edges(1)))
		require.LessOrEqual(t, d.At(0, 1), float64(node)+0.1*(edges(0)+edges(1))+slack)

		require.Zero(t, d.At(0, 0))
		require.Equal(t, d.At(0, 1), d.At(1, 0))
		require.LessOrEqual(t, d.At(0, 2), d.At(0, 1)+d.At(1, 2)+slack)
		require.Equal(t, Hash(archs[0]) == Hash(archs[1]), d.At(0, 1) == 0, "distance 0 means equal")

		require.Equal(t, naiveAlignment(d.kinds, d.layers[0], d.layers[1]), d.EdgeMismatch(0, 1))
		shuffled := rapid.Permutation(archs[0].Layers).Draw(t, "order")
		p, err := NewDistances(space, []model.Arch{archs[0], {Layers: shuffled}}, scheme, DefaultEdgeWeight)
		require.NoError(t, err)
		require.Zero(t, p.Node(0, 1), "the node part does not see the order of layers")
	})
}

// naiveNodeDistance matches the sorted prices of two graphs, the shorter list padded with zeros.
func naiveNodeDistance(s *Space, a, b model.Arch, scheme Scheme) int {
	prices := s.Prices()
	sorted := func(x model.Arch) []int {
		var out []int
		for _, label := range NewGraph(x, scheme).Labels {
			out = append(out, slices.Index(prices.Labels(), label))
		}
		slices.Sort(out)
		slices.Reverse(out)
		return append(out, make([]int, 200-len(out))...)
	}
	sum, pa, pb := 0, sorted(a), sorted(b)
	for k := range pa {
		sum += max(pa[k]-pb[k], pb[k]-pa[k])
	}
	return sum
}

// naiveAlignment tries all alignments.
func naiveAlignment(k *layerKinds, a, b []int32) int {
	if len(a) == 0 || len(b) == 0 {
		sum := 0
		for _, kind := range slices.Concat(a, b) {
			sum += len(k.edges[kind])
		}
		return sum
	}
	return min(
		naiveAlignment(k, a[1:], b[1:])+naiveMismatch(k.edges[a[0]], k.edges[b[0]]),
		naiveAlignment(k, a[1:], b)+len(k.edges[a[0]]),
		naiveAlignment(k, a, b[1:])+len(k.edges[b[0]]),
	)
}

// naiveMismatch is what a longest common subsequence leaves over, from the full table of prefixes.
func naiveMismatch(a, b []string) int {
	common := make([][]int, len(a)+1)
	common[0] = make([]int, len(b)+1)
	for i := range a {
		common[i+1] = make([]int, len(b)+1)
		for j := range b {
			common[i+1][j+1] = max(common[i][j+1], common[i+1][j])
			if a[i] == b[j] {
				common[i+1][j+1] = common[i][j] + 1
			}
		}
	}
	return len(a) + len(b) - 2*common[len(a)][len(b)]
}

func TestDistanceSeesTheOrderInsideAStack(t *testing.T) {
	space := mustSpace(t, "paper")
	for scheme, want := range map[Scheme]int{Scheme2021: 6, Scheme2022: 4} {
		one := layers(layer("l", "dft", 128, 2, 512, 512, 1024))
		two := layers(layer("l", "dft", 128, 2, 512, 1024, 512))
		d, err := NewDistances(space, []model.Arch{one, two}, scheme, DefaultEdgeWeight)
		require.NoError(t, err)
		require.Zero(t, d.Node(0, 1))
		require.Equal(t, want, d.EdgeMismatch(0, 1), "scheme %d", scheme)
	}
}

func TestRowAndAllPairsAgree(t *testing.T) {
	s := mustSpace(t, "demo")
	archs, err := s.Enumerate(Level{Stack: 1}, 2000)
	require.NoError(t, err)
	d, err := NewDistances(s, archs[:301], Scheme2022, 1)
	require.NoError(t, err)
	one, three := d.allPairs(1), d.allPairs(3)
	require.Equal(t, one, three)
	for _, p := range [][2]int{{0, 1}, {0, 300}, {17, 200}, {299, 300}} {
		require.InDelta(t, d.At(p[0], p[1]), one.rows[p[0]][p[1]-p[0]-1], 1e-4)
	}
}

func BenchmarkAllPairsOfThePaper(b *testing.B) {
	s := mustSpace(b, "paper")
	archs, err := s.Enumerate(s.Levels()[0], 10000)
	require.NoError(b, err)
	d, err := NewDistances(s, archs, Scheme2022, DefaultEdgeWeight)
	require.NoError(b, err)
	for b.Loop() {
		d.allPairs(0)
	}
}
