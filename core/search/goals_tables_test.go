//go:build slow

package search

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"gonum.org/v1/gonum/stat"

	"flexi/core/run"
	"flexi/core/run/pareto"
)

var goalSeeds = flag.Int("goals.seeds", 20, "seeds per policy")

// goalTable is a table's library with its scores and the columns asked for.
func goalTable(t *testing.T, name string, columns ...string) (lib *Library, scores []float64, values [][]float64) {
	t.Helper()
	base := filepath.Join(repositoryRoot(t), "..", "shared", "data", "nas", name)
	text, err := os.ReadFile(base + ".json")
	if err != nil {
		t.Skipf("no table of trained architectures: %v", err)
	}
	var meta struct {
		Objective  string
		Parameters []struct {
			Name, Kind string
			Values     []string
		}
	}
	if err := json.Unmarshal(text, &meta); err != nil {
		t.Fatal(err)
	}
	lib = &Library{}
	for i, p := range meta.Parameters {
		f := Feature{Name: p.Name, Values: len(p.Values), Ordinal: p.Kind == "ordinal", Group: i}
		for j, q := range meta.Parameters[:i] {
			if q.Kind == p.Kind && slices.Equal(q.Values, p.Values) {
				f.Group = lib.Features[j].Group
				break
			}
		}
		lib.Features = append(lib.Features, f)
	}
	rows := readRows(t, base+".csv.gz")
	column := func(row []string, name string) string { return row[slices.Index(rows[0], name)] }
	number := func(row []string, name string) float64 {
		v, err := strconv.ParseFloat(column(row, name), 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	values = make([][]float64, len(columns))
	seen := map[string]bool{}
	for _, row := range rows[1:] {
		var codes []int
		for _, p := range meta.Parameters {
			at := slices.Index(p.Values, column(row, p.Name))
			if at < 0 {
				at = len(p.Values)
			}
			codes = append(codes, at)
		}
		hash := fmt.Sprint(codes)
		if seen[hash] {
			continue
		}
		seen[hash] = true
		lib.Codes, lib.Hashes, lib.Embeddings = append(lib.Codes, codes), append(lib.Hashes, hash), append(lib.Embeddings, []float64{0})
		scores = append(scores, number(row, meta.Objective))
		for k, c := range columns {
			values[k] = append(values[k], number(row, c))
		}
	}
	for k := range values { // architectures that compute nothing have no latency
		least := math.Inf(1)
		for _, v := range values[k] {
			if v > 0 {
				least = min(least, v)
			}
		}
		for i, v := range values[k] {
			values[k][i] = max(v, least)
		}
	}
	return lib, scores, values
}

// TestObjectivesOnTables measures how much of the true frontier's hypervolume is missing after 25, 50 and 100 queries, with the criteria's logarithms, counted
// from the worst criteria and the lower quartile of the scores. It fails where the search for several objectives does not cover more than that for
// the score alone.
//
//	go test -tags slow -run TestObjectivesOnTables -v ./core/search
func TestObjectivesOnTables(t *testing.T) {
	for _, c := range []struct {
		table   string
		columns []string
		known   bool
	}{
		{"flexibert-glue500", []string{"params"}, true},
		{"flexibert-glue500", []string{"time_to_train_s"}, false},
		{"nas-bench-201-cifar10", []string{"hw10_edgegpu_latency"}, false},
		{"nas-bench-201-cifar10", []string{"hw10_edgegpu_latency", "hw10_edgegpu_energy"}, false},
	} {
		lib, scores, values := goalTable(t, c.table, c.columns...)
		var criteria []Criterion
		for k, name := range c.columns {
			criteria = append(criteria, Criterion{Name: name, Minimise: true})
			if c.known {
				criteria[k].Known = values[k]
			}
		}
		missing := map[string][]float64{}
		for _, policy := range []string{"random", "score alone", "all objectives"} {
			missing[policy] = missingVolume(t, policy, lib, scores, values, criteria)
			t.Logf("%s, score and %v, %s: missing %.1f%%, %.1f%%, %.1f%% after 25, 50, 100", c.table, c.columns, policy, missing[policy][0], missing[policy][1], missing[policy][2])
		}
		for n := range 3 {
			if missing["all objectives"][n] > missing["score alone"][n] {
				t.Errorf("%s %v: %.1f%% missing, %.1f%% in a search for the score alone", c.table, c.columns, missing["all objectives"][n], missing["score alone"][n])
			}
		}
	}
}

// missingVolume is the mean over seeds, in percent, after 25, 50 and 100 queries.
func missingVolume(t *testing.T, policy string, lib *Library, scores []float64, values [][]float64, criteria []Criterion) []float64 {
	t.Helper()
	point := func(i int) []float64 {
		p := []float64{scores[i]}
		for k := range values {
			p = append(p, gainOf(values[k][i]))
		}
		return p
	}
	reference := []float64{slices.Sorted(slices.Values(scores))[len(scores)/4]}
	for k := range values {
		reference = append(reference, gainOf(slices.Max(values[k])))
	}
	var all [][]float64
	for i := range scores {
		all = append(all, point(i))
	}
	volume := func(points [][]float64) float64 {
		var front [][]float64
		for _, i := range pareto.Front(points) {
			front = append(front, points[i])
		}
		return pareto.Hypervolume(front, reference)
	}
	whole := volume(all)
	name := policy
	if policy != "random" {
		name = gpPolicy
	}
	if policy != "all objectives" {
		criteria = nil
	}
	out := make([]float64, 3)
	for seed := range *goalSeeds {
		p, err := NewPolicy(name, lib, PolicyOptions{Seed: uint64(seed), Patience: -1, Criteria: criteria})
		if err != nil {
			t.Fatal(err)
		}
		var outcomes []Outcome
		var points [][]float64
		for n := 1; n <= 100; n++ {
			pick, err := p.Next(context.Background(), outcomes)
			if err != nil {
				t.Fatal(err)
			}
			o := scored(pick.Index, scores[pick.Index])
			for k := range values {
				o.Values = append(o.Values, values[k][pick.Index])
			}
			outcomes, points = append(outcomes, o), append(points, point(pick.Index))
			if at := slices.Index([]int{25, 50, 100}, n); at >= 0 {
				out[at] += 100 * (1 - volume(points)/whole) / float64(*goalSeeds)
			}
		}
	}
	return out
}

// TestHalvingOnTable replays searches on nas-bench-201-cifar10 with a rung after 12 of 200 epochs, and compares the best that is found for the same number of
// epochs. It fails where halving is behind after 2,000 or 5,000; with 10,000 nearly every search to the end has found the best, and a rung may stop it.
//
//	go test -tags slow -run TestHalvingOnTable -v ./core/search
func TestHalvingOnTable(t *testing.T) {
	lib, scores, values := goalTable(t, "nas-bench-201-cifar10", "c10_val12")
	t.Logf("rank correlation of 12 and 200 epochs: %.2f", rankCorrelation(values[0], scores))
	medians := map[string][]float64{}
	for _, way := range []string{"to the end", "halving"} {
		var at [3][]float64
		for seed := range *goalSeeds {
			for k, v := range halvingSearch(t, way, lib, scores, values[0], uint64(seed)) {
				at[k] = append(at[k], v)
			}
		}
		for k := range at {
			slices.Sort(at[k])
			medians[way] = append(medians[way], quantile(at[k], 0.5))
		}
		t.Logf("%s: best after 2,000, 5,000 and 10,000 epochs, medians %.2f, quartiles from %.2f %.2f %.2f", way, medians[way], quantile(at[0], 0.25), quantile(at[1], 0.25), quantile(at[2], 0.25))
	}
	for k, v := range medians["halving"][:2] {
		if v < medians["to the end"][k] {
			t.Errorf("halving %.2f, trained to the end %.2f", v, medians["to the end"][k])
		}
	}
}

// halvingSearch is the best score after 2,000, 5,000 and 10,000 epochs.
func halvingSearch(t *testing.T, way string, lib *Library, scores, early []float64, seed uint64) []float64 {
	t.Helper()
	p, err := NewPolicy(gpPolicy, lib, PolicyOptions{Seed: seed, Patience: -1})
	if err != nil {
		t.Fatal(err)
	}
	var trials []run.Trial
	var at []int
	var out []float64
	epochs, best := 0, 0.0
	for len(out) < 3 {
		var outcomes []Outcome
		for i := range trials {
			o := Outcome{Index: at[i], Score: trials[i].Score}
			outcomes = append(outcomes, o)
		}
		pick, err := p.Next(context.Background(), outcomes)
		if err != nil {
			t.Fatal(err)
		}
		i := pick.Index
		trials, at = append(trials, run.Trial{ID: len(trials), State: run.Done}), append(at, i)
		own := &trials[len(trials)-1]
		r := judge(trials, own.ID, "12 epochs", early[i], 3, nil)
		r.Name, r.Value = "12 epochs", early[i]
		own.Rungs = []run.Rung{r}
		if way != "to the end" && !r.Kept {
			own.State = run.Stopped
			epochs += 12
		} else {
			own.Score = &scores[i]
			epochs += 200
		}
		for _, limit := range []int{2000, 5000, 10000}[len(out):] {
			if epochs > limit {
				out = append(out, best)
			}
		}
		if own.Score != nil {
			best = max(best, scores[i])
		}
	}
	return out
}

func rankCorrelation(a, b []float64) float64 {
	ranks := func(x []float64) []float64 {
		order := make([]int, len(x))
		for i := range order {
			order[i] = i
		}
		slices.SortFunc(order, func(i, j int) int {
			if x[i] < x[j] {
				return -1
			}
			return 1
		})
		r := make([]float64, len(x))
		for rank, i := range order {
			r[i] = float64(rank)
		}
		return r
	}
	return stat.Correlation(ranks(a), ranks(b), nil)
}
