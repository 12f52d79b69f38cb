//go:build slow

package search_test

import (
	"cmp"
	"context"
	"flag"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"flexi/core/search/table"
)

var (
	ablationTables   = flag.String("ablation.tables", "flexibert-glue500,flexibert-sst2-620", "tables in shared/data/nas")
	ablationPolicies = flag.String("ablation.policies", "boshnas,boshnas-net,boshnas: embedding,boshnas: both,boshnas: equal values,"+
		"boshnas: joint only,boshnas: even noise,boshnas: sampling,boshnas: no stall,boshnas: gobi and moves,boshnas: gobi,boshnas: gobi by gradient",
		"policies and variants of boshnas")
	ablationQueries = flag.Int("ablation.queries", 100, "distinct architectures per search")
	ablationSeeds   = flag.Int("ablation.seeds", 40, "seeds")
)

// TestAblation measures what the parts of the default policy bring, by the mean over seeds of log10 of the rank of the best architecture found so
// far, averaged over the search (lower is better; 0 is the optimum from the first query), and by queries to the optimum.
//
//	go test -tags slow -run TestAblation -v ./core/search
func TestAblation(t *testing.T) {
	for _, name := range strings.Split(*ablationTables, ",") {
		tab, err := table.Read(filepath.Join("..", "..", "..", "shared", "data", "nas", name+".csv.gz"))
		if err != nil {
			t.Skipf("no table: %v", err)
		}
		for _, policy := range strings.Split(*ablationPolicies, ",") {
			r, err := table.Replay(context.Background(), tab, policy, table.Options{Queries: *ablationQueries, Seeds: *ablationSeeds, FirstSeed: 1, Target: math.NaN()})
			if err != nil {
				t.Fatal(err)
			}
			mean, se := logRank(tab, r.Curves)
			optimum := math.Inf(1)
			if r.QueriesToOptimum != nil {
				optimum = *r.QueriesToOptimum
			}
			t.Logf("%-22s %-24s log10 rank %.3f ± %.3f, optimum %d/%d in %g, medians %.3f %.3f, %.2f s", tab.Name, policy, mean, se, r.Hits, r.Seeds,
				optimum, r.Best[25][1], r.Best[50][1], r.Seconds)
		}
	}
}

// logRank averages log10 of the rank over a search, and gives mean and standard error over seeds.
func logRank(tab *table.Table, curves [][]float64) (mean, se float64) {
	sorted := slices.Clone(tab.Scores)
	slices.SortFunc(sorted, func(a, b float64) int { return cmp.Compare(b, a) })
	var sum, squares float64
	for _, c := range curves {
		var s float64
		for _, v := range c[min(10, len(c)-1):] {
			rank := slices.IndexFunc(sorted, func(x float64) bool { return x <= v })
			s += math.Log10(float64(1+rank)) / float64(len(c[min(10, len(c)-1):]))
		}
		sum += s
		squares += s * s
	}
	n := float64(len(curves))
	mean = sum / n
	return mean, math.Sqrt(max(0, squares/n-mean*mean) / n)
}
