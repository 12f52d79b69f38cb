package search

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"flexi/core/model"
)

// demoLibrary is level 1 of the demo space, built once; tests only read it.
func demoLibrary(t testing.TB) (*Space, *Library) {
	t.Helper()
	lib, err := builtDemo()
	require.NoError(t, err)
	return mustSpace(t, "demo"), lib
}

// demoStress is the course of the demo library's stress.
var demoStress []float64

var builtDemo = sync.OnceValues(func() (*Library, error) {
	s, err := LoadSpace("demo")
	if err != nil {
		return nil, err
	}
	archs, _, err := s.LevelArchs(s.Levels()[0], LibraryLimit, 1)
	if err != nil {
		return nil, err
	}
	return NewLibrary(context.Background(), s, archs, LibraryOptions{
		Vocab: 500, EdgeWeight: DefaultEdgeWeight, Seed: 1,
		Progress: func(_, _ int, stress float64) { demoStress = append(demoStress, stress) },
	})
})

func TestLibraryOfDemo(t *testing.T) {
	_, lib := demoLibrary(t)
	require.Equal(t, 1640, lib.Len())
	require.Len(t, lib.Index, 1640)
	for _, i := range []int{0, 39, 40, 1639} {
		require.Equal(t, i, lib.Index[lib.Hashes[i]])
		require.Equal(t, Hash(lib.Archs[i]), lib.Hashes[i])
		require.Len(t, lib.Embeddings[i], EmbedDim)
		require.Equal(t, lib.Archs[i].Count(500).Encoder(), lib.Params[i])
	}
}

func TestLibraryRefuses(t *testing.T) {
	s := mustSpace(t, "paper")
	_, err := NewLibrary(t.Context(), s, []model.Arch{bertTiny(), bertBaseHetero()}, LibraryOptions{Vocab: 100})
	require.EqualError(t, err, "build library: architecture 1: 12 layers: space paper has [2 4]")
}

func TestLibraryDropsEqualGraphs(t *testing.T) {
	lib, err := NewLibrary(t.Context(), mustSpace(t, "paper"), []model.Arch{bertTiny(), flexiMini(), bertTiny(), bertMini()}, LibraryOptions{Vocab: 100})
	require.NoError(t, err)
	require.Equal(t, []model.Arch{bertTiny(), flexiMini(), bertMini()}, lib.Archs)
	require.Equal(t, map[string]int{Hash(bertTiny()): 0, Hash(flexiMini()): 1, Hash(bertMini()): 2}, lib.Index)
	require.Len(t, lib.Embeddings, 3)
}

func TestLevelArchsSamplesWhatIsTooMany(t *testing.T) {
	s := mustSpace(t, "large")
	archs, total, err := s.LevelArchs(s.Levels()[2], 50, 7)
	require.NoError(t, err)
	require.Len(t, archs, 50)
	require.Equal(t, 1, total.Cmp(s.Size(s.Levels()[1])), "free widths are more")
	again, _, err := s.LevelArchs(s.Levels()[2], 50, 7)
	require.NoError(t, err)
	require.Equal(t, archs, again)
}

// TestNeighboursAgainstFullSort compares with sorting the whole library by the rule's definition.
func TestNeighboursAgainstFullSort(t *testing.T) {
	_, lib := demoLibrary(t)
	for _, rule := range []NeighbourRule{NearestNeighbours, BiasedNeighbours} {
		n, err := NewNeighbours(lib, rule)
		require.NoError(t, err)
		for _, i := range []int{0, 39, 777, 1639} {
			for _, k := range []int{1, 5, NeighbourCount, 1639, 5000} {
				require.Equal(t, naiveNeighbours(lib, rule, i)[:min(k, 1639)], n.Of(i, k), "%s of %d, %d of them", rule, i, k)
			}
		}
	}
	_, err := NewNeighbours(lib, "nearest")
	require.EqualError(t, err, `neighbour rule "nearest": there are "distance" and "biased"`)
}

func naiveNeighbours(lib *Library, rule NeighbourRule, i int) []int {
	beginning := func(j int) int {
		a, b := NewGraph(lib.Archs[i], Scheme2021).Labels, NewGraph(lib.Archs[j], Scheme2021).Labels
		k := 0
		for rule == BiasedNeighbours && k < min(len(a), len(b)) && a[k] == b[k] {
			k++
		}
		return k
	}
	out := slices.Delete(indices(lib.Len()), i, i+1)
	begin := make([]int, lib.Len())
	for _, j := range out {
		begin[j] = beginning(j)
	}
	slices.SortStableFunc(out, func(a, b int) int {
		if begin[a] != begin[b] {
			return begin[b] - begin[a]
		}
		da, db := euclid(lib.Embeddings[i], lib.Embeddings[a]), euclid(lib.Embeddings[i], lib.Embeddings[b])
		switch {
		case da < db:
			return -1
		case da > db:
			return 1
		}
		return 0
	})
	return out
}

func TestNextLibraryGoesOneLevelDown(t *testing.T) {
	s, lib := demoLibrary(t)
	score := func(v float64) *float64 { return &v }
	outcomes := []Outcome{{Index: 5, Score: score(40)}, {Index: 900, Score: score(60)}, {Index: 3}, {Index: 1000, Pending: true}, {Index: 41, Score: score(60)}}
	require.Equal(t, []int{900, 41, 5}, rank(nil, outcomes, nil))

	var notes []string
	next := s.NextLibrary(LibraryOptions{Vocab: 500, EdgeWeight: DefaultEdgeWeight, Seed: 1}, DefaultCrossover(), func(n string) { notes = append(notes, n) })
	finer, err := next(t.Context(), 2, lib, outcomes)
	require.NoError(t, err)
	require.Len(t, notes, 1)
	require.Contains(t, notes[0], "level 2: ")
	for _, i := range []int{5, 900, 41} {
		require.Contains(t, finer.Index, lib.Hashes[i], "the parents are there, with their scores")
	}
	again, err := next(t.Context(), 2, lib, outcomes)
	require.NoError(t, err)
	require.Equal(t, finer, again)

	end, err := next(t.Context(), 3, finer, outcomes)
	require.NoError(t, err)
	require.Zero(t, end.Len(), "the demo space has two levels")
	none, err := next(t.Context(), 2, lib, []Outcome{{Index: 5}})
	require.NoError(t, err)
	require.Zero(t, none.Len(), "nothing to start from")
}

func TestLibraryIsCached(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	s := mustSpace(t, "paper")
	archs, _, err := s.LevelArchs(s.Levels()[0], cacheLeast, 1)
	require.NoError(t, err)
	build := func(seed uint64) (lib *Library, sweeps int) {
		lib, err := NewLibrary(t.Context(), s, archs, LibraryOptions{
			Vocab: 500, EdgeWeight: DefaultEdgeWeight, Seed: seed, Progress: func(int, int, float64) { sweeps++ },
		})
		require.NoError(t, err)
		return lib, sweeps
	}
	first, sweeps := build(1)
	require.Positive(t, sweeps)
	again, sweeps := build(1)
	require.Zero(t, sweeps, "from the cache")
	require.Equal(t, first, again)
	_, sweeps = build(2)
	require.Positive(t, sweeps, "another seed is another embedding")
	_, ok := decodeEmbedding(make([]byte, 8*(3+EmbedDim)+1), 1)
	require.False(t, ok)
}
