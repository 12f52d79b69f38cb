package search

import (
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"flexi/core/model"
)

func mustSpace(t testing.TB, name string) *Space {
	t.Helper()
	s, err := LoadSpace(name)
	require.NoError(t, err)
	return s
}

func TestBuiltinSpacesParse(t *testing.T) {
	for _, name := range SpaceNames() {
		s := mustSpace(t, name)
		require.Equal(t, name, s.Name)
		require.NotEmpty(t, s.Levels())
	}
}

func TestSizesOfThePaper(t *testing.T) {
	s := mustSpace(t, "paper")
	levels := s.Levels()
	require.Equal(t, []Level{{Stack: 2}, {Stack: 1}, {Stack: 1, FreeWidths: true}}, levels)
	for i, want := range []int64{9312, 84943872, 3317817600} {
		require.Equal(t, big.NewInt(want), s.Size(levels[i]), "level %d", i+1)
	}
	require.Equal(t, big.NewInt(192), s.Size(Level{Stack: 1, Homogeneous: true}))
}

func TestEnumerateCountsAndStaysInside(t *testing.T) {
	for _, tc := range []struct {
		space string
		level Level
	}{
		{"paper", Level{Stack: 2}},
		{"paper", Level{Stack: 1, Homogeneous: true}},
		{"paper", Level{Stack: 1, FreeWidths: true, Homogeneous: true}},
		{"demo", Level{Stack: 1}},
		{"demo", Level{Stack: 1, FreeWidths: true}},
	} {
		s := mustSpace(t, tc.space)
		archs, err := s.Enumerate(tc.level, 10000)
		require.NoError(t, err)
		require.Equal(t, s.Size(tc.level).Int64(), int64(len(archs)))
		seen := map[string]bool{}
		for _, a := range archs {
			require.NoError(t, s.Contains(a))
			h := Hash(a)
			require.False(t, seen[h], "%+v", a)
			seen[h] = true
			if tc.level.Stack == 2 {
				require.Equal(t, a.Layers[0], a.Layers[1])
			}
		}
	}
}

func TestEnumerateRefuses(t *testing.T) {
	s := mustSpace(t, "large")
	_, err := s.Enumerate(s.Levels()[0], 10000)
	require.ErrorContains(t, err, "432653508 architectures at this level, more than 10000")
	_, err = s.Enumerate(Level{Stack: 4}, 10000)
	require.ErrorContains(t, err, "stacks of 4 layers: space large has architectures of 2 layers")
}

func TestSampleIsUniformDistinctAndSeeded(t *testing.T) {
	s := mustSpace(t, "large")
	level := s.Levels()[1]
	a, err := s.Sample(level, 500, rand.New(rand.NewPCG(1, 2)))
	require.NoError(t, err)
	b, err := s.Sample(level, 500, rand.New(rand.NewPCG(1, 2)))
	require.NoError(t, err)
	require.Equal(t, a, b)
	seen, convolutions := map[string]bool{}, 0
	for _, x := range a {
		require.NoError(t, s.Contains(x))
		require.Len(t, x.Layers, 6, "at this level all but one in 10^5 have the most layers")
		seen[Hash(x)] = true
		if x.Layers[3].Op == model.SpanConvolution {
			convolutions++
		}
	}
	require.Len(t, seen, 500)
	require.InDelta(t, 500*3/7., convolutions, 50, "3 of 7 operations; 4.5 standard deviations")

	small := mustSpace(t, "demo")
	all, err := small.Sample(small.Levels()[0], 5000, rand.New(rand.NewPCG(1, 2)))
	require.NoError(t, err)
	require.Len(t, all, 1640, "all of a space that is smaller than the sample")
}

// TestSpaceMistakes breaks the paper's space in one place each.
func TestSpaceMistakes(t *testing.T) {
	good, err := ReadSpace("paper")
	require.NoError(t, err)
	for _, tc := range []struct{ name, old, new, want string }{
		{"unknown key", "hidden: [", "hiden: [", `x.yaml:5:1: unknown key "hiden"; allowed are name, layers, stack, hidden, heads, operations, feed_forward`},
		{"unknown nested key", "depths:", "depth:", `x.yaml:12:3: unknown key "depth"; allowed are depths, widths`},
		{"twice", "heads: [2, 4]", "heads: [2, 4]\nheads: [2]", `x.yaml:7:1: mapping key "heads" already defined`},
		{"wrong type", "[128, 256]", "[128, wide]", "x.yaml:5:15: cannot unmarshal string into Go"},
		{"scalar for a list", "layers: [2, 4]", "layers: 2", "x.yaml:3:9: "},
		{"scalar for a mapping", "feed_forward:\n  depths: [1, 3]\n  widths: [512, 1024]", "feed_forward: 3", "x.yaml:11:15: expected the keys depths, widths"},
		{"even kernel", "[5, 9]", "[5, 8]", "x.yaml:10:25: operations.span_convolution[1]: kernel size 8 is even"},
		{"indivisible", "heads: [2, 4]", "heads: [2, 3]", "x.yaml:6:12: heads[1]: hidden size 128 is not divisible by 3 heads"},
		{"one head", "heads: [2, 4]", "heads: [1, 4]", "x.yaml:6:9: heads[0]: 1 head: half of the heads"},
		{"negative", "depths: [1, 3]", "depths: [-1, 3]", "x.yaml:12:12: feed_forward.depths[0]: -1, must be 1 to 8"},
		{"repeated", "widths: [512, 1024]", "widths: [512, 512]", "feed_forward.widths[1]: 512 is there twice"},
		{"unknown parameter", "[sdp, wma]", "[sdp, dft]", `x.yaml:8:25: operations.self_attention[1]: unknown parameter "dft"; allowed are [sdp wma]`},
		{"empty", "layers: [2, 4]", "layers: []", "layers: missing; give at least one number"},
		{"missing", "layers: [2, 4]\n", "", "x.yaml: layers: missing"},
		{"odd stack", "stack: 2", "stack: 3", "layers[0]: 2 layers are not a multiple of stack 3"},
		{"no stack", "stack: 2", "stack: 0", "x.yaml:4:8: stack: 0, must be at least 1"},
		{"too many tuples", "depths: [1, 3]\n  widths: [512, 1024]", "depths: [8]\n  widths: [1, 2, 3, 4, 5, 6, 7, 8]", "16777216 feed-forward stacks with free widths, at most 100000"},
		{"syntax", "layers: [2, 4]", "layers: [2, 4", "x.yaml:4:1: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.Contains(t, good, tc.old)
			_, err := ParseSpace("x.yaml", strings.Replace(good, tc.old, tc.new, 1))
			require.ErrorContains(t, err, tc.want)
		})
	}
	_, err = ParseSpace("x.yaml", "")
	require.ErrorContains(t, err, "one YAML document with the keys name, layers")
	_, err = ParseSpace("x.yaml", "name: x\noperations: {}\n")
	require.ErrorContains(t, err, "x.yaml:2:13: operations: no operation")
}

func TestLoadSpaceFile(t *testing.T) {
	text, err := ReadSpace("demo")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "mine.yaml")
	// Order does not matter, it is made ascending.
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(text, "[64, 128]", "[128, 64]", 1)), 0o600))
	s, err := LoadSpace(path)
	require.NoError(t, err)
	require.Equal(t, mustSpace(t, "demo"), s)
	_, err = LoadSpace(filepath.Join(t.TempDir(), "none.yaml"))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "built in are paper, small, large, demo")
}

func TestContainsNamesTheValue(t *testing.T) {
	s := mustSpace(t, "paper")
	for _, tc := range []struct {
		change func(*model.Layer)
		want   string
	}{
		{func(l *model.Layer) { l.Hidden = 512 }, "layer 2: hidden size 512: space paper has [128 256]"},
		{func(l *model.Layer) { l.Heads = 3 }, "layer 2: 3 heads: space paper has [2 4]"},
		{func(l *model.Layer) { l.Param = "dft" }, "layer 2: operation sa with parameter dft: space paper has [l/dft l/dct sa/sdp sa/wma c/5 c/9]"},
		{func(l *model.Layer) { l.FF = []int{512, 512} }, "layer 2: 2 feed-forward layers: space paper has [1 3]"},
		{func(l *model.Layer) { l.FF = []int{768} }, "layer 2: feed-forward width 768: space paper has [512 1024]"},
		{func(l *model.Layer) { l.Mixed = []model.Head{{Op: "sa", Param: "sdp", Size: 64}} }, "layer 2: heads of different kinds"},
	} {
		a := uniform(2, model.Layer{Op: "sa", Param: "sdp", Hidden: 128, Heads: 2, FF: []int{512}})
		require.NoError(t, s.Contains(a))
		tc.change(&a.Layers[1])
		require.ErrorContains(t, s.Contains(a), tc.want)
	}
	require.ErrorContains(t, s.Contains(uniform(3, model.Layer{})), "3 layers: space paper has [2 4]")
}

// uniform repeats a layer.
func uniform(n int, l model.Layer) model.Arch {
	a := model.Arch{}
	for range n {
		a.Layers = append(a.Layers, l)
	}
	return a
}
