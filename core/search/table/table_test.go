package table

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"flexi/core/search"
)

const toyDescription = `{"name":"toy","objective":"loss","direction":"minimize","id":"id","noise_sd":0.5,"parameters":[
 {"name":"op","kind":"categorical","values":["a","b"]},
 {"name":"size","kind":"ordinal","values":["1","2","4"]},
 {"name":"extra","kind":"ordinal","values":["8","16"],"optional":true}]}`

const rows = `id,op,size,extra,loss,seconds
0,a,1,,3.5,1
1,b,4,16,1.5,2
2,a,2,8,2.5,3
3,b,4,16,2.5,4
`

func write(t *testing.T, text, about string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "toy.csv")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(path), "toy.json"), []byte(about), 0o600))
	return path
}

func TestRead(t *testing.T) {
	tab, err := Read(write(t, rows, toyDescription))
	require.NoError(t, err)
	require.Equal(t, 1, tab.Duplicates)
	require.Equal(t, []float64{-3.5, -2, -2.5}, tab.Scores, "minimised, and the duplicate is averaged")
	require.Equal(t, [][]float64{{1, 0, 0, 0, 0}, {0, 1, 1, 1, 1}, {1, 0, 0.5, 0, 1}}, tab.Encodings)
	require.Equal(t, [][]int{{0, 0, 2}, {1, 2, 1}, {0, 1, 0}}, tab.Codes, "an absent value comes after all others")
	require.Equal(t, search.Feature{Name: "extra", Values: 2, Ordinal: true, Group: 2}, tab.Features[2])
	require.Equal(t, -2.0, tab.Best())
	require.Equal(t, 2.0, tab.Value(tab.Best()))
	require.Equal(t, 0.5, tab.NoiseSD)
}

func TestReadTakesWhatSpreadsheetsWrite(t *testing.T) {
	tab, err := Read(write(t, "\ufeffop,size,extra,loss\r\na,1,,3.5\r\n", toyDescription))
	require.NoError(t, err)
	require.Equal(t, []float64{-3.5}, tab.Scores)
}

func TestReadRefuses(t *testing.T) {
	for want, files := range map[string][2]string{
		"not one of":        {"id,op,size,extra,loss\n0,c,1,,2\n", toyDescription},
		"line 2":            {"id,op,size,extra,loss\n0,a,1,,x\n", toyDescription},
		`column "extra"`:    {"id,op,size,loss\n0,a,1,2\n", toyDescription},
		"no rows":           {"id,op,size,extra,loss\n", toyDescription},
		"direction":         {rows, `{"objective":"loss","direction":"up","parameters":[{"name":"op","kind":"categorical","values":["a"]}]}`},
		"kind":              {rows, `{"objective":"loss","direction":"minimize","parameters":[{"name":"op","kind":"colour","values":["a"]}]}`},
		"there 2 times":     {"id,op,size,op,extra,loss\n0,a,1,a,,2\n", toyDescription},
		"wrong number of":   {"id,op,size,extra,loss\n0,a,1,2\n", toyDescription},
		"named twice":       {rows, `{"objective":"op","direction":"minimize","parameters":[{"name":"op","kind":"categorical","values":["a"]}]}`},
		"listed twice":      {rows, `{"objective":"loss","direction":"minimize","parameters":[{"name":"op","kind":"categorical","values":["a","a"]}]}`},
		"noise_sd -1":       {rows, `{"objective":"loss","direction":"minimize","noise_sd":-1,"parameters":[{"name":"op","kind":"categorical","values":["a"]}]}`},
		"must be given":     {rows, `{"direction":"minimize"}`},
		"unexpected end of": {rows, `{`},
	} {
		_, err := Read(write(t, files[0], files[1]))
		require.ErrorContains(t, err, want)
	}
	_, err := Read(filepath.Join(t.TempDir(), "none.csv"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// grid is a table of 60 architectures with one optimum.
func grid() *Table {
	tab := &Table{Name: "grid", Objective: "score", Maximize: true}
	for i := range 6 {
		for j := range 10 {
			x, y := float64(i)/5, float64(j)/9
			tab.Encodings = append(tab.Encodings, []float64{x, y})
			tab.IDs = append(tab.IDs, string(rune('a'+i))+string(rune('0'+j)))
			tab.Scores = append(tab.Scores, 90-10*((x-0.6)*(x-0.6)+(y-0.4)*(y-0.4)))
		}
	}
	return tab
}

func TestReplay(t *testing.T) {
	tab := grid()
	for _, policy := range []string{"random", "evolution"} {
		r, err := Replay(context.Background(), tab, policy, Options{Queries: 60, Seeds: 3, FirstSeed: 1, Target: 89})
		require.NoError(t, err)
		require.Equal(t, 3, r.Hits, "%s sees every architecture in 60 queries", policy)
		require.NotNil(t, r.QueriesToOptimum)
		require.NotNil(t, r.QueriesToTarget)
		require.LessOrEqual(t, *r.QueriesToTarget, *r.QueriesToOptimum)
		for _, c := range r.Curves {
			require.Len(t, c, 60)
			for i := 1; i < len(c); i++ {
				require.GreaterOrEqual(t, c[i], c[i-1])
			}
		}
		again, err := Replay(context.Background(), tab, policy, Options{Queries: 60, Seeds: 3, FirstSeed: 1, Target: math.NaN()})
		require.NoError(t, err)
		require.Equal(t, r.Curves, again.Curves, "the seed decides")
		require.Nil(t, again.QueriesToTarget)
	}
	r, err := Replay(context.Background(), tab, "boshnas", Options{Queries: 16, Seeds: 1, FirstSeed: 1, Target: math.NaN()})
	require.NoError(t, err)
	require.Len(t, r.Curves[0], 16)
	require.Equal(t, r.Curves[0][9], r.Best[10][1])
	_, err = Replay(context.Background(), tab, "oracle", Options{Queries: 5, Seeds: 1})
	require.ErrorContains(t, err, "oracle")
}

// TestEvolutionChangesOneChoice, whatever the encodings of a table say is near.
func TestEvolutionChangesOneChoice(t *testing.T) {
	lib := &search.Library{Features: []search.Feature{{Name: "a", Values: 5}, {Name: "b", Values: 5, Group: 1}, {Name: "c", Values: 5, Group: 2}}}
	for i := range 125 {
		lib.Hashes = append(lib.Hashes, string(rune('0'+i)))
		lib.Codes = append(lib.Codes, []int{i / 25, i / 5 % 5, i % 5})
		lib.Embeddings = append(lib.Embeddings, []float64{float64(i * 37 % 125)})
	}
	p, err := newPolicy("evolution", lib, 1)
	require.NoError(t, err)
	var outcomes []search.Outcome
	for n := range 30 {
		pick, err := p.Next(context.Background(), outcomes)
		require.NoError(t, err)
		fewest := 3
		for _, o := range outcomes {
			changes := 0
			for f, c := range lib.Codes[pick.Index] {
				if c != lib.Codes[o.Index][f] {
					changes++
				}
			}
			fewest = min(fewest, changes)
		}
		require.True(t, n < 10 || fewest == 1, "proposal %d differs in %d choices from all others", n, fewest)
		score := float64(pick.Index)
		outcomes = append(outcomes, search.Outcome{Index: pick.Index, Score: &score})
	}
}

func TestQuantile(t *testing.T) {
	x := []float64{4, 1, 3, 2}
	require.Equal(t, 1.75, quantile(x, 0.25))
	require.Equal(t, 2.5, quantile(x, 0.5))
	require.Equal(t, 4.0, quantile(x, 1))
	require.Equal(t, 7.0, quantile([]float64{7}, 0.5))
}

func TestComponentsKeepDistances(t *testing.T) {
	var x [][]float64
	for i := range 40 {
		row := make([]float64, 30)
		row[i%3], row[3+i%5] = 1, float64(i%7)
		x = append(x, row)
	}
	y := components(x)
	require.Len(t, y[0], embeddingSize)
	between := func(x [][]float64, i, j int) (d float64) {
		for k := range x[i] {
			d += (x[i][k] - x[j][k]) * (x[i][k] - x[j][k])
		}
		return d
	}
	for i := range 10 {
		require.InDelta(t, between(x, i, i+11), between(y, i, i+11), 1e-9, "8 columns vary, and 16 components hold them all")
	}
	short := x[:3]
	require.Equal(t, short, components(short))
}

// FuzzRead gives arbitrary tables to the reader: what it takes has a score and an encoding per row.
func FuzzRead(f *testing.F) {
	f.Add(rows, toyDescription)
	f.Add("id,op\n", "{}")
	f.Add("", toyDescription)
	f.Fuzz(func(t *testing.T, text, about string) {
		tab, err := Read(write(t, text, about))
		if err != nil {
			return
		}
		require.Len(t, tab.Encodings, len(tab.Scores))
		require.Len(t, tab.Codes, len(tab.Scores))
		_ = tab.Value(tab.Best())
	})
}
