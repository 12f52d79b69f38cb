//go:build slow

package search_test

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"flexi/core/search/gauss"
	"flexi/core/search/table"
)

func readTable(t *testing.T, name string) *table.Table {
	t.Helper()
	tab, err := table.Read(filepath.Join("..", "..", "..", "shared", "data", "nas", name+".csv.gz"))
	if err != nil {
		t.Skipf("no table: %v", err)
	}
	return tab
}

func fit(in *gauss.Inputs, fixed gauss.Fixed, at []int, scores []float64) *gauss.Posterior {
	m := gauss.NewModel(in, fixed)
	m.Fit(in, at, scores)
	return m.Fit(in, at, scores)
}

// TestCalibration fits the surrogate to n random rows of each table and judges it on 400 others, ten times: how many scores are within the 68% and
// the 95% interval, and the negative log-likelihood per score. It fails when the intervals hold far from what they say, or when a normal
// distribution of all scores explains them as well.
//
//	go test -tags slow -run TestCalibration -v ./core/search
func TestCalibration(t *testing.T) {
	for _, name := range []string{"flexibert-glue500", "flexibert-sst2-620", "nas-bench-201-cifar10"} {
		tab := readTable(t, name)
		in := gauss.NewInputs(tab.Features, tab.Codes, nil)
		for _, n := range []int{25, 50, 100, 200} {
			full := calibrate(tab, in, gauss.Fixed{}, n)
			even := calibrate(tab, in, gauss.Fixed{Slope: true}, n)
			t.Logf("%-22s %3d rows: 68%% holds %.3f, 95%% holds %.3f, NLL %.3f; even noise %.3f %.3f %.3f; normal %.3f", name, n,
				full.in68, full.in95, full.nll, even.in68, even.in95, even.nll, full.normal)
			if n >= 100 && (math.Abs(full.in68-0.68) > 0.1 || math.Abs(full.in95-0.95) > 0.05 || full.nll > full.normal) {
				t.Errorf("%s, %d rows: %+v", name, n, full)
			}
		}
	}
}

// calibration are shares of held-back scores inside intervals, and mean negative log densities.
type calibration struct{ in68, in95, nll, normal float64 }

func calibrate(tab *table.Table, in *gauss.Inputs, fixed gauss.Fixed, n int) (c calibration) {
	const draws, held = 10, 400
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	for range draws {
		rows := rng.Perm(len(tab.Scores))
		scores := make([]float64, n)
		var sum, squares float64
		for i, r := range rows[:n] {
			scores[i] = tab.Scores[r]
			sum, squares = sum+scores[i], squares+scores[i]*scores[i]
		}
		mean := sum / float64(n)
		variance := squares/float64(n) - mean*mean
		p := fit(in, fixed, rows[:n], scores)
		share := 1 / float64(draws*min(held, len(rows)-n))
		for _, r := range rows[n:min(n+held, len(rows))] {
			s := tab.Scores[r]
			if low, high := p.Interval(r, 0.99446); low <= s && s <= high {
				c.in68 += share
			}
			if low, high := p.Interval(r, 1.95996); low <= s && s <= high {
				c.in95 += share
			}
			c.nll -= share * p.LogDensity(r, s)
			c.normal += share * 0.5 * ((s-mean)*(s-mean)/variance + math.Log(2*math.Pi*variance))
		}
	}
	return c
}

// TestAleatoricIsTheNoiseOfRepeats fits to rows of flexibert-glue500 without the nine architectures that were trained twice. Half the squared
// difference of the two scores, divided by the predicted noise variance and summed, is chi-squared with nine degrees of freedom: its mean is within
// 0.19 and 2.56 in 99%. None of the eighteen trainings failed on a task; the prediction is held to them after a fit to trainings that did not fail
// either, and logged for all.
func TestAleatoricIsTheNoiseOfRepeats(t *testing.T) {
	tab := readTable(t, "flexibert-glue500")
	in := gauss.NewInputs(tab.Features, tab.Codes, nil)
	pairs, failed := repeats(t, tab)
	if len(pairs) != 9 {
		t.Fatalf("%d architectures were trained twice, want 9", len(pairs))
	}
	for _, all := range []bool{false, true} {
		var rows []int
		for _, i := range rand.New(rand.NewPCG(2, 2)).Perm(len(tab.Scores)) {
			if _, twice := pairs[i]; !twice && (all || !failed[i]) {
				rows = append(rows, i)
			}
		}
		for _, n := range []int{100, 200, len(rows)} {
			ratio := noiseRatio(t, tab, in, rows[:n], pairs)
			if !all && (ratio < 0.19 || ratio > 2.56) {
				t.Errorf("%d rows: ratio %.2f", n, ratio)
			}
		}
	}
}

// noiseRatio is the mean over pairs of measured by predicted noise variance, after a fit to some rows.
func noiseRatio(t *testing.T, tab *table.Table, in *gauss.Inputs, rows []int, pairs map[int][2]float64) (ratio float64) {
	var scores []float64
	for _, i := range rows {
		scores = append(scores, tab.Scores[i])
	}
	p := fit(in, gauss.Fixed{}, rows, scores)
	var measured, predicted float64
	n := float64(len(pairs))
	for i, pair := range pairs {
		_, _, aleatoric := p.Uncertainty(p.Predict(i))
		half := (pair[0] - pair[1]) * (pair[0] - pair[1]) / 2
		ratio += half / (aleatoric * aleatoric) / n
		measured, predicted = measured+half/n, predicted+aleatoric*aleatoric/n
	}
	t.Logf("%d rows: noise of the repeats %.2f, predicted %.2f, mean ratio of variances %.2f",
		len(rows), math.Sqrt(measured), math.Sqrt(predicted), ratio)
	return ratio
}

// repeats are the two scores of architectures that the file holds twice, and the architectures that failed on a task (STS-B below 75 or RTE below 40,
// where the others have 75 to 86 and 48 to 65), by position in the table.
func repeats(t *testing.T, tab *table.Table) (pairs map[int][2]float64, failed map[int]bool) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "data", "nas", "flexibert-glue500.csv.gz"))
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(z).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	number := func(row []string, column string) float64 {
		v, err := strconv.ParseFloat(row[slices.Index(rows[0], column)], 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	first, last := slices.Index(rows[0], "hidden_size"), slices.Index(rows[0], "l3_num_ff")
	seen := map[int]float64{}
	pairs, failed = map[int][2]float64{}, map[int]bool{}
	for _, row := range rows[1:] {
		at := slices.Index(tab.IDs, strings.Join(row[first:last+1], ","))
		if other, twice := seen[at]; twice {
			pairs[at] = [2]float64{other, number(row, "glue")}
		}
		seen[at] = number(row, "glue")
		if number(row, "sts") < 75 || number(row, "rte") < 40 {
			failed[at] = true
		}
	}
	t.Logf("%d architectures failed on STS-B or RTE", len(failed))
	return pairs, failed
}
