//go:build slow

package search_test

import (
	"context"
	"math"
	"testing"

	"flexi/core/search/table"
)

// TestBoshnasOnTables: after 25, 50, 100 and 200 queries the default policy's median is not below regularised evolution's by more than the noise of a
// training, and it finds the best of NAS-Bench-201 in every search. It takes three minutes.
//
//	go test -tags slow -run TestBoshnasOnTables -v ./core/search
func TestBoshnasOnTables(t *testing.T) {
	for _, name := range []string{"flexibert-glue500", "flexibert-sst2-620", "nas-bench-201-cifar10"} {
		tab := readTable(t, name)
		ours := replay(t, tab, "boshnas")
		peer := replay(t, tab, "evolution")
		for _, n := range []int{25, 50, 100, 200} {
			if ours.Best[n][1] < peer.Best[n][1]-tab.NoiseSD {
				t.Errorf("%s after %d queries: boshnas %g, evolution %g", name, n, ours.Best[n][1], peer.Best[n][1])
			}
		}
		if ours.Hits < 19 {
			t.Errorf("%s: the best in %d of 20 searches", name, ours.Hits)
		}
		t.Logf("%s: the best in %d searches, after a median of %v queries", name, ours.Hits, *ours.QueriesToOptimum)
	}
}

func replay(t *testing.T, tab *table.Table, policy string) table.Result {
	t.Helper()
	r, err := table.Replay(context.Background(), tab, policy, table.Options{Queries: 200, Seeds: 20, FirstSeed: 1, Target: math.NaN()})
	if err != nil {
		t.Fatal(err)
	}
	if policy == "boshnas" && r.QueriesToOptimum == nil {
		t.Fatalf("%s: the best in %d of 20 searches", tab.Name, r.Hits)
	}
	return r
}
