package cli

import (
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"flexi/core/search/table"
)

// TestFigure draws two policies and reads the files back.
func TestFigure(t *testing.T) {
	tab := &table.Table{Name: "toy", Objective: "accuracy", Maximize: true}
	results := []table.Result{
		{Policy: "ours", Curves: [][]float64{{1, 2, 3, 3}, {1, 1, 2, 4}}},
		{Policy: "theirs", Curves: [][]float64{{1, 1, 1, 3}, {1, 1, 1, 2}}},
	}
	svg, bitmap := filepath.Join(t.TempDir(), "f.svg"), filepath.Join(t.TempDir(), "f.PNG")
	for _, path := range []string{svg, bitmap} {
		if err := drawFigure(path, tab, results); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(svg)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"ours", "theirs", "accuracy", "toy"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the figure lacks %q", want)
		}
	}
	f, err := os.Open(bitmap)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := png.Decode(f); err != nil {
		t.Fatal(err)
	}
	if err := drawFigure(filepath.Join(t.TempDir(), "none", "f.svg"), tab, results); err == nil {
		t.Error("a folder that is not there is no error")
	}
}

func TestCurveLeavesOutTheInitialSet(t *testing.T) {
	tab := &table.Table{}
	c := make([]float64, 12)
	k := curveFrom(tab, table.Result{Curves: [][]float64{c}})
	if len(k.queries) != 3 || k.queries[0] != 10 || k.queries[2] != 12 {
		t.Errorf("queries %v, want 10 to 12", k.queries)
	}
	if k := curveFrom(tab, table.Result{Curves: [][]float64{c[:1]}}); len(k.queries) != 1 {
		t.Errorf("queries %v of a table of one row", k.queries)
	}
}
