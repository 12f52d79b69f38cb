// Package table replays search policies on tables of trained architectures: every query is answered from the table, so policies are compared over many seeds
// in seconds. A table is a CSV file (plain or gzip) beside a JSON description of its columns.
package table

import (
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"flexi/core/search"
)

// Table is a finite set of architectures with a measured objective each.
type Table struct {
	Name      string
	Objective string
	// Maximize is the direction of the objective.
	Maximize bool
	// Scores are oriented so that higher is better: the objective, negated if it is minimised.
	Scores []float64
	IDs    []string
	// Encodings are the parameters as numbers, one vector per architecture: one-hot for categorical, rank in [0, 1] for ordinal values, and one more
	// 0/1 for an optional parameter that is present.
	Encodings [][]float64
	// Codes are the parameters as numbers of their values, one per feature; Features say what they mean.
	Codes    [][]int
	Features []search.Feature
	// Duplicates counts rows that repeat an architecture; the first is kept, with the mean objective.
	Duplicates int
	// NoiseSD is the standard deviation of the objective between trainings of one architecture, 0 if unknown.
	NoiseSD float64
}

// description is the JSON file beside a table.
type description struct {
	Name       string      `json:"name"`
	Objective  string      `json:"objective"`
	Direction  string      `json:"direction"`
	ID         string      `json:"id"`
	Parameters []parameter `json:"parameters"`
	NoiseSD    float64     `json:"noise_sd"`
}

type parameter struct {
	Name     string   `json:"name"`
	Kind     string   `json:"kind"`
	Values   []string `json:"values"`
	Optional bool     `json:"optional"`
}

// Read reads FILE.csv or FILE.csv.gz and FILE.json.
func Read(path string) (*Table, error) {
	stem := strings.TrimSuffix(strings.TrimSuffix(path, ".gz"), ".csv")
	text, err := os.ReadFile(stem + ".json")
	if err != nil {
		return nil, fmt.Errorf("read the table's description: %w", err)
	}
	var d description
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("read %s.json: %w", stem, err)
	}
	if err := d.validate(); err != nil {
		return nil, fmt.Errorf("%s.json: %w", stem, err)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read table: %w", err)
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			return nil, fmt.Errorf("read %s as gzip: %w; without .gz in its name it is read as text", path, err)
		}
	}
	t, err := d.read(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

func (d description) validate() error {
	if d.Direction != "maximize" && d.Direction != "minimize" {
		return fmt.Errorf("direction %q: must be maximize or minimize", d.Direction)
	}
	if d.Objective == "" || len(d.Parameters) == 0 {
		return errors.New("objective and parameters must be given")
	}
	if !(d.NoiseSD >= 0) {
		return fmt.Errorf("noise_sd %g: a standard deviation is not negative", d.NoiseSD)
	}
	names := map[string]bool{d.Objective: true}
	for _, p := range d.Parameters {
		if names[p.Name] {
			return fmt.Errorf("column %q is named twice, as objective or parameter", p.Name)
		}
		names[p.Name] = true
		if err := p.validate(); err != nil {
			return fmt.Errorf("parameter %s: %w", p.Name, err)
		}
	}
	return nil
}

func (p parameter) validate() error {
	if p.Kind != "categorical" && p.Kind != "ordinal" {
		return fmt.Errorf("kind %q must be categorical or ordinal", p.Kind)
	}
	if len(p.Values) == 0 {
		return errors.New("it has no values")
	}
	for i, v := range p.Values {
		if slices.Contains(p.Values[:i], v) {
			return fmt.Errorf("value %q is listed twice", v)
		}
	}
	return nil
}

func (d description) read(r io.Reader) (*Table, error) {
	c := csv.NewReader(r)
	header, err := c.Read()
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	header[0] = strings.TrimPrefix(header[0], "\ufeff") // spreadsheets mark UTF-8 so
	column := map[string]int{}
	count := map[string]int{}
	for i, name := range header {
		column[name] = i
		count[name]++
	}
	for _, name := range append([]string{d.Objective}, d.names()...) {
		switch count[name] {
		case 0:
			return nil, fmt.Errorf("column %q of the description is missing; the header has %s", name, strings.Join(header, ", "))
		case 1:
		default:
			return nil, fmt.Errorf("column %q is there %d times", name, count[name])
		}
	}
	t := &Table{Name: d.Name, Objective: d.Objective, Maximize: d.Direction == "maximize", NoiseSD: d.NoiseSD, Features: d.features()}
	seen, counts := map[string]int{}, []int{}
	for {
		row, err := c.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		line, _ := c.FieldPos(0)
		score, err := strconv.ParseFloat(row[column[d.Objective]], 64)
		if err != nil || math.IsNaN(score) || math.IsInf(score, 0) {
			return nil, fmt.Errorf("line %d: %s %q is not a finite number", line, d.Objective, row[column[d.Objective]])
		}
		if !t.Maximize {
			score = -score
		}
		encoding, codes, key, err := d.encode(row, column)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		if at, dup := seen[key]; dup {
			t.Duplicates++
			counts[at]++
			t.Scores[at] += (score - t.Scores[at]) / float64(counts[at])
			continue
		}
		seen[key] = len(t.Scores)
		counts = append(counts, 1)
		t.Scores = append(t.Scores, score)
		t.Encodings, t.Codes = append(t.Encodings, encoding), append(t.Codes, codes)
		t.IDs = append(t.IDs, key)
	}
	if len(t.Scores) == 0 {
		return nil, errors.New("the table has no rows")
	}
	return t, nil
}

func (d description) names() []string {
	names := make([]string, len(d.Parameters))
	for i, p := range d.Parameters {
		names[i] = p.Name
	}
	return names
}

// features describes the parameters to policies; parameters with the same values are one group.
func (d description) features() []search.Feature {
	features := make([]search.Feature, len(d.Parameters))
	for i, p := range d.Parameters {
		features[i] = search.Feature{Name: p.Name, Values: len(p.Values), Ordinal: p.Kind == "ordinal", Group: i}
		for j, q := range d.Parameters[:i] {
			if q.Kind == p.Kind && slices.Equal(q.Values, p.Values) {
				features[i].Group = features[j].Group
				break
			}
		}
	}
	return features
}

// encode turns a row into numbers, into codes, and into the text that identifies the architecture.
func (d description) encode(row []string, column map[string]int) (x []float64, codes []int, id string, err error) {
	var key []string
	for _, p := range d.Parameters {
		cell := row[column[p.Name]]
		at := -1
		for i, v := range p.Values {
			if v == cell {
				at = i
			}
		}
		if at < 0 && (cell != "" || !p.Optional) {
			return nil, nil, "", fmt.Errorf("parameter %s: value %q is not one of %v", p.Name, cell, p.Values)
		}
		key = append(key, cell)
		if codes = append(codes, at); at < 0 {
			codes[len(codes)-1] = len(p.Values)
		}
		if p.Kind == "categorical" {
			for i := range p.Values {
				x = append(x, indicator(i == at))
			}
			continue
		}
		rank := 0.0
		if len(p.Values) > 1 && at > 0 {
			rank = float64(at) / float64(len(p.Values)-1)
		}
		x = append(x, rank)
		if p.Optional {
			x = append(x, indicator(at >= 0))
		}
	}
	return x, codes, strings.Join(key, ","), nil
}

func indicator(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Best is the optimum, oriented like Scores.
func (t *Table) Best() float64 {
	best := math.Inf(-1)
	for _, s := range t.Scores {
		best = math.Max(best, s)
	}
	return best
}

// Value undoes the orientation of a score.
func (t *Table) Value(score float64) float64 {
	if t.Maximize {
		return score
	}
	return -score
}
