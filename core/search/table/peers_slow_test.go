//go:build slow

package table

import (
	"context"
	"math"
	"path/filepath"
	"testing"
)

// TestPeersAreAsGoodAsPublished: after 100 queries of NAS-Bench-201 no peer's median over 20 seeds is more than 0.15 below what other
// implementations of it reach. It takes two minutes.
//
//	go test -tags slow -run TestPeersAreAsGoodAsPublished -v ./core/search/table
func TestPeersAreAsGoodAsPublished(t *testing.T) {
	tab, err := Read(filepath.Join("..", "..", "..", "..", "shared", "data", "nas", "nas-bench-201-cifar10.csv.gz"))
	if err != nil {
		t.Skipf("no table: %v", err)
	}
	for name, published := range map[string]float64{
		"gp": 91.57, "bananas": 91.57, "forest": 91.37, "evolution": 91.38, "tpe": 91.29, "local": 91.31, "random": 90.69,
	} {
		r, err := Replay(context.Background(), tab, name, Options{Queries: 100, Seeds: 20, FirstSeed: 1, Target: math.NaN()})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %.2f, published %.2f", name, r.Best[100][1], published)
		if r.Best[100][1] < published-0.15 {
			t.Errorf("%s reaches a median of %.2f, published is %.2f", name, r.Best[100][1], published)
		}
	}
}
