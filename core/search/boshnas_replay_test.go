//go:build slow

package search

import (
	"compress/gzip"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

var (
	replayTable    = flag.String("replay.table", "flexibert-glue500", "table of trained architectures in shared/data/nas")
	replaySeeds    = flag.Int("replay.seeds", 20, "seeds per policy")
	replayQueries  = flag.Int("replay.queries", 50, "trained architectures per search")
	replayPolicies = flag.String("replay.policies", "random,boshnas", "policies")
)

// TestReplay measures policies on a table of trained architectures: the median of the best score after 50 queries. It fails when BOSHNAS is
// behind random search by more than the table's run-to-run noise.
//
//	go test -tags slow -run TestReplay -v ./core/search
func TestReplay(t *testing.T) {
	lib, scores, noise := readTable(t, *replayTable)
	medians := map[string]float64{}
	for _, name := range strings.Split(*replayPolicies, ",") {
		start := time.Now()
		var best []float64
		for seed := range *replaySeeds {
			best = append(best, replay(t, name, lib, scores, uint64(seed), *replayQueries))
		}
		slices.Sort(best)
		medians[name] = quantile(best, 0.5)
		t.Logf("%-14s best after %d: median %.3f, quartiles %.3f %.3f, %.2f s a search", name, *replayQueries, medians[name],
			quantile(best, 0.25), quantile(best, 0.75), time.Since(start).Seconds()/float64(*replaySeeds))
	}
	if b, ok := medians["boshnas"]; ok && b < medians["random"]-noise {
		t.Errorf("boshnas %.3f is worse than random %.3f", b, medians["random"])
	}
}

func replay(t *testing.T, name string, lib *Library, scores []float64, seed uint64, queries int) float64 {
	t.Helper()
	p, err := NewPolicy(name, lib, PolicyOptions{Seed: seed, Patience: -1})
	if err != nil {
		t.Fatal(err)
	}
	var outcomes []Outcome
	best := scores[0]
	for len(outcomes) < queries {
		pick, err := p.Next(context.Background(), outcomes)
		if errors.Is(err, ErrConverged) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		score := scores[pick.Index]
		if len(outcomes) == 0 || score > best {
			best = score
		}
		outcomes = append(outcomes, Outcome{Index: pick.Index, Score: &score})
	}
	return best
}

// readTable makes a library of a table's rows; embeddings are the first 16 principal components of the one-hot parameters.
func readTable(t *testing.T, name string) (lib *Library, scores []float64, noise float64) {
	t.Helper()
	base := filepath.Join(repositoryRoot(t), "..", "shared", "data", "nas", name)
	text, err := os.ReadFile(base + ".json")
	if err != nil {
		t.Skipf("no table of trained architectures: %v", err)
	}
	var meta struct {
		Objective, Direction string
		Parameters           []struct {
			Name   string
			Kind   string
			Values []string
		}
		Noise float64 `json:"noise_sd"`
	}
	if err := json.Unmarshal(text, &meta); err != nil {
		t.Fatal(err)
	}
	rows := readRows(t, base+".csv.gz")
	column := map[string]int{}
	for i, c := range rows[0] {
		column[c] = i
	}
	var features []float64
	width := 0
	for _, row := range rows[1:] {
		score, err := strconv.ParseFloat(row[column[meta.Objective]], 64)
		if err != nil {
			t.Fatal(err)
		}
		if meta.Direction == "minimize" {
			score = -score
		}
		scores = append(scores, score)
		at := len(features)
		for _, p := range meta.Parameters {
			for _, v := range p.Values {
				hit := 0.0
				if row[column[p.Name]] == v {
					hit = 1
				}
				features = append(features, hit)
			}
		}
		width = len(features) - at
	}
	lib = &Library{Embeddings: principal(t, mat.NewDense(len(scores), width, features), min(16, width))}
	for i := range scores {
		lib.Hashes = append(lib.Hashes, fmt.Sprint(i))
	}
	return lib, scores, meta.Noise
}

func readRows(t *testing.T, path string) [][]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(z).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func principal(t *testing.T, x *mat.Dense, d int) [][]float64 {
	t.Helper()
	var pc stat.PC
	if !pc.PrincipalComponents(x, nil) {
		t.Fatal("principal components failed")
	}
	var vectors, projected mat.Dense
	pc.VectorsTo(&vectors)
	_, c := x.Dims()
	projected.Mul(x, vectors.Slice(0, c, 0, d))
	n, _ := x.Dims()
	out := make([][]float64, n)
	for i := range out {
		out[i] = slices.Clone(projected.RawRowView(i))
	}
	return out
}

// repositoryRoot walks up to go.mod.
func repositoryRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if filepath.Dir(dir) == dir {
			t.Fatal("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
}
