package search

import (
	"context"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"

	"flexi/core/model"
	"flexi/core/run"
	"flexi/core/run/pareto"
)

// LibraryLimit is the most architectures a library has: the paper's level 1 fits, and all pairs of distances stay below 200 MB.
const LibraryLimit = 10_000

// LibraryOptions choose how a library is built. The result depends on nothing else, Threads excepted.
type LibraryOptions struct {
	Vocab      int             // vocabulary that parameters are counted with
	Criteria   []run.Criterion // bounds of parameters leave architectures out; what is minimised chooses the parents of finer levels, too
	EdgeWeight float64         // cost of a mismatched edge in the graph distance; DefaultEdgeWeight is the original's
	Seed       uint64
	Paper      bool // graphs of the 2021 scheme and the paper's embedding procedure, see EmbedOptions.Paper
	Threads    int  // 0 is all cores
	// Progress is called while the embedding is computed, from one goroutine; nil reports to the run.
	Progress func(done, total int, stress float64)
}

// LevelArchs lists the architectures of a level, or a uniform sample of limit of them if there are more; total is how many there are.
func (s *Space) LevelArchs(level Level, limit int, seed uint64) (archs []model.Arch, total *big.Int, err error) {
	total = s.Size(level)
	if total.Cmp(big.NewInt(int64(limit))) <= 0 {
		archs, err = s.Enumerate(level, limit)
	} else {
		archs, err = s.Sample(level, limit, rand.New(rand.NewPCG(seed, 0x73616d706c65)))
	}
	return archs, total, err
}

// NewLibrary hashes, counts and embeds architectures of one space; one that the space does not hold is an error. Of architectures with equal hashes the
// first is kept: they are equal, or (only in spaces of more than four layers) differ in a way that the hash's five rounds cannot see.
func NewLibrary(ctx context.Context, space *Space, archs []model.Arch, o LibraryOptions) (*Library, error) {
	codes := make([][]int, len(archs))
	for i, a := range archs {
		var err error
		if codes[i], err = space.Codes(a); err != nil {
			return nil, fmt.Errorf("build library: architecture %d: %w", i, err)
		}
	}
	lib := &Library{Index: make(map[string]int, len(archs)), Features: space.Features()}
	for i, hash := range hashAll(archs, o.Threads) {
		params := archs[i].Count(o.Vocab).Encoder()
		if _, ok := lib.Index[hash]; !ok && o.allows(params) {
			lib.Index[hash] = lib.Len()
			lib.Archs, lib.Hashes = append(lib.Archs, archs[i]), append(lib.Hashes, hash)
			lib.Params, lib.Codes = append(lib.Params, params), append(lib.Codes, codes[i])
		}
	}
	if lib.Len() == 0 && len(archs) > 0 {
		return lib, nil
	}
	scheme := Scheme2022
	if o.Paper {
		scheme = Scheme2021
	}
	distances, err := NewDistances(space, lib.Archs, scheme, o.EdgeWeight)
	if err != nil {
		return nil, fmt.Errorf("build library: %w", err)
	}
	if o.Progress == nil {
		o.Progress = func(done, total int, _ float64) {
			run.Report(ctx, fmt.Sprintf("embedding %d architectures", lib.Len()), done, total)
		}
	}
	e, err := o.embedding(ctx, distances, lib.Hashes, space.Prices())
	if err != nil {
		return nil, fmt.Errorf("build library: %w", err)
	}
	lib.Embeddings, lib.Fit = e.Vectors, e.Fit
	return lib, nil
}

// allows reports whether a number of parameters is within the bounds.
func (o LibraryOptions) allows(params int64) bool {
	return !slices.ContainsFunc(o.Criteria, func(c run.Criterion) bool { return c.Name == run.Params && !c.Allows(float64(params)) })
}

func hashAll(archs []model.Arch, threads int) []string {
	hashes := make([]string, len(archs))
	inBlocks(len(archs), 32, threads, func(i int) { hashes[i] = Hash(archs[i]) })
	return hashes
}

// NextLibrary is the step of a hierarchical search from each level of the space to the next finer one: crossover between the best architectures and
// their neighbours, and an embedding of its own. It is called back by Hierarchy with the number of the new level, from 2. note is told what was made.
func (s *Space) NextLibrary(o LibraryOptions, c CrossoverOptions, note func(string)) NextLibrary {
	return func(ctx context.Context, level int, lib *Library, outcomes []Outcome) (*Library, error) {
		levels := s.Levels()
		ranked := rank(lib, outcomes, o.Criteria)
		if level < 2 || level > len(levels) || len(ranked) == 0 {
			return &Library{}, nil // no finer level, or nothing to start from: the search ends
		}
		crossed, err := Crossover(lib, ranked, levels[level-2], levels[level-1], c)
		if err != nil {
			return nil, fmt.Errorf("make level %d: %w", level, err)
		}
		note(fmt.Sprintf("level %d: %s", level, crossed))
		return NewLibrary(ctx, s, crossed.Archs, o)
	}
}

// rank lists the library positions of scored outcomes, best first: by the score, of equal ones the one proposed first; or, where a criterion is minimised, by
// non-dominated sorting of those that have all numbers.
func rank(lib *Library, outcomes []Outcome, goals []run.Criterion) []int {
	var scored []Outcome
	var points [][]float64
	for _, o := range outcomes {
		if o.Score == nil {
			continue
		}
		point := []float64{*o.Score}
		for k, c := range criteriaOf(goals, lib) {
			if v, known := c.value(k, o); c.Minimise && known {
				point = append(point, gainOf(v))
			}
		}
		if len(points) == 0 || len(point) == len(points[0]) {
			scored, points = append(scored, o), append(points, point)
		}
	}
	var ranked []int
	for _, i := range pareto.Order(points) {
		if at := scored[i].Index; !slices.Contains(ranked, at) {
			ranked = append(ranked, at)
		}
	}
	return ranked
}
