package chart

import (
	"math"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/charmbracelet/x/exp/golden"
	"pgregory.net/rapid"
)

// surrogate is a chart with every part: bands, a line, points, both kinds of axis.
func surrogate(g Glyphs) Chart {
	var c Chart
	c.Glyphs, c.Legend = g, true
	c.X.Title = "rank"
	mean := Series{Name: "mean", Role: Line0}
	inner, outer := Band{Name: "noise"}, Band{Name: "ignorance", Outer: true}
	for i := range 60 {
		x := float64(i)
		m := 70 + 8*math.Sin(x/9) - x/10
		mean.X, mean.Y = append(mean.X, x), append(mean.Y, m)
		inner.X, inner.Low, inner.High = append(inner.X, x), append(inner.Low, m-2), append(inner.High, m+2)
		outer.X, outer.Low, outer.High = append(outer.X, x), append(outer.Low, m-2-x/10), append(outer.High, m+2+x/10)
	}
	c.Series = []Series{mean, {Name: "evaluated", Kind: Points, Marker: Diamond, Role: Mark, X: []float64{5, 20, 40}, Y: []float64{73, 75, 66}}}
	c.Bands = []Band{inner, outer}
	return c
}

func frontier(g Glyphs) Chart {
	return Chart{
		Glyphs: g, X: Axis{Title: "params (log)", Log: true, Format: millions}, Y: Axis{},
		Series: []Series{
			{Name: "frontier", Kind: Steps, X: []float64{2e6, 5e6, 11e6, 30e6}, Y: []float64{60, 66, 70, 71}, Role: Line0},
			{Kind: Points, Marker: Dot, X: []float64{3e6, 8e6, 25e6}, Y: []float64{55, 58, 69}, Role: Faint},
			{Kind: Points, Marker: Disc, X: []float64{2e6, 5e6, 11e6, 30e6}, Y: []float64{60, 66, 70, 71}, Role: Mark},
		},
	}
}

func millions(v float64) string { return strconv.FormatFloat(v/1e6, 'g', 3, 64) + "M" }

func TestRenderGolden(t *testing.T) {
	for name, g := range map[string]Glyphs{"braille": Braille, "block": Block, "ascii": ASCII} {
		t.Run(name+"/surrogate", func(t *testing.T) { golden.RequireEqual(t, surrogate(g).Render(72, 16).String()) })
		t.Run(name+"/frontier", func(t *testing.T) { golden.RequireEqual(t, frontier(g).Render(48, 12).String()) })
		t.Run(name+"/small", func(t *testing.T) { golden.RequireEqual(t, frontier(g).Render(20, 5).String()) })
	}
}

// A diagonal has known dots, so the raster is checked to the bit: (0,0) (0,1) (1,2) (1,3) in the first cell and the same in the last.
func TestDiagonalDots(t *testing.T) {
	r := newRaster(Braille, 2, 2)
	p := pen{r: r}
	p.stroke(0, 0, 3, 7)
	im := newImage(2, 2)
	r.paint(im, 0, 0)
	if got, want := im.String(), "⢣ \n ⢣"; got != want {
		t.Errorf("diagonal:\n%s\nwant\n%s", got, want)
	}
}

func TestStrokeClips(t *testing.T) {
	r := newRaster(Block, 3, 1)
	p := pen{r: r}
	p.stroke(-1e12, 0, 1e12, 0)  // right through
	p.stroke(-5, 9, 20, 9)       // below
	p.stroke(2, -4, 2, 400)      // down a column
	p.stroke(100, 100, 200, 200) // far off
	im := newImage(3, 1)
	r.paint(im, 0, 0)
	if got, want := im.String(), "▀▛▀"; got != want {
		t.Errorf("clipped strokes %q, want %q", got, want)
	}
}

func TestRasterGlyphs(t *testing.T) {
	cases := []struct {
		g    Glyphs
		dots [][2]int
		want rune
	}{
		{Braille, [][2]int{{0, 0}}, '⠁'},
		{Braille, [][2]int{{1, 3}}, '⢀'},
		{Braille, [][2]int{{0, 3}}, '⡀'},
		{Braille, [][2]int{{1, 0}, {1, 1}, {1, 2}, {1, 3}}, '⢸'},
		{Block, [][2]int{{0, 0}}, '▘'},
		{Block, [][2]int{{1, 1}}, '▗'},
		{Block, [][2]int{{0, 0}, {1, 1}}, '▚'},
		{Block, [][2]int{{0, 1}, {1, 1}}, '▄'},
		{ASCII, [][2]int{{0, 0}}, '\''},
		{ASCII, [][2]int{{0, 1}}, '-'},
		{ASCII, [][2]int{{0, 2}}, '.'},
		{ASCII, [][2]int{{0, 0}, {0, 1}, {0, 2}}, '|'},
	}
	for _, c := range cases {
		r := newRaster(c.g, 1, 1)
		for _, d := range c.dots {
			r.dot(d[0], d[1], Line0)
		}
		im := newImage(1, 1)
		r.paint(im, 0, 0)
		if got := im.At(0, 0); got.Rune != c.want || got.Role != Line0 {
			t.Errorf("dots %v: %q role %d, want %q", c.dots, got.Rune, got.Role, c.want)
		}
	}
}

// Band edges fall on the cells that the scale says: with y from 0 to 10 over 11 rows, a value is a row.
func TestBandCells(t *testing.T) {
	c := Chart{
		Bands:  []Band{{X: []float64{0, 10}, Low: []float64{2, 4}, High: []float64{4, 8}}, {X: []float64{0, 10}, Low: []float64{0, 0}, High: []float64{10, 10}, Outer: true}},
		X:      Axis{Tight: true},
		Glyphs: Braille,
	}
	im := newImage(11, 11)
	p := plot{im: im, w: 11, h: 11, sx: scale{hi: 10}, sy: scale{hi: 10}}
	c.drawBands(p)
	for x := range 11 {
		low, high := 2+0.2*float64(x), 4+0.4*float64(x)
		for y := range 11 {
			v := float64(10 - y)
			want := Outer
			if v >= math.Round(low) && v <= math.Round(high) {
				want = Inner
			}
			if math.Abs(low-math.Trunc(low)-0.5) < 1e-9 || math.Abs(high-math.Trunc(high)-0.5) < 1e-9 {
				continue // exactly between two rows
			}
			if got := im.At(x, y).Role; got != want {
				t.Errorf("column %d, value %v: role %d, want %d (band %v..%v)", x, v, got, want, low, high)
			}
		}
	}
}

// A spike narrower than a column is still seen: the band covers the envelope of its points.
func TestBandEnvelope(t *testing.T) {
	b := Band{X: []float64{0, 0.5, 1, 1.1, 1.2, 2}, Low: []float64{1, 1, 1, -5, 1, 1}, High: []float64{2, 2, 2, 9, 2, 2}}
	if low, high, ok := b.span(0.9, 1.5); !ok || low != -5 || high != 9 {
		t.Errorf("span over the spike: %v..%v %v, want -5..9", low, high, ok)
	}
	if low, high, ok := b.span(1.5, 1.9); !ok || low != 1 || high != 2 {
		t.Errorf("span beside the spike: %v..%v %v, want 1..2", low, high, ok)
	}
	if _, _, ok := b.span(3, 4); ok {
		t.Error("a band beyond its end")
	}
}

func TestTicks(t *testing.T) {
	cases := []struct {
		name string
		got  []float64
		want []float64
	}{
		{"unit", linearTicks(0, 1, 4, false), []float64{0, 0.25, 0.5, 0.75, 1}},
		{"tens", linearTicks(3, 47, 5, false), []float64{10, 20, 30, 40}},
		{"whole", linearTicks(0, 3, 8, true), []float64{0, 1, 2, 3}},
		{"negative", linearTicks(-1, 1, 4, false), []float64{-1, -0.5, 0, 0.5, 1}},
		{"decades", logTicks(1e3, 1e6, 4), []float64{1e3, 1e4, 1e5, 1e6}},
		{"one two five", logTicks(2e6, 6e7, 6), []float64{2e6, 5e6, 1e7, 2e7, 5e7}},
		{"narrow log", logTicks(3.1e6, 3.9e6, 4), []float64{3.2e6, 3.4e6, 3.6e6, 3.8e6}},
	}
	for _, c := range cases {
		if len(c.got) != len(c.want) {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
			continue
		}
		for i := range c.want {
			if math.Abs(c.got[i]-c.want[i]) > 1e-9*math.Max(1, math.Abs(c.want[i])) {
				t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
			}
		}
	}
}

func TestTickLabels(t *testing.T) {
	cases := []struct {
		ticks []float64
		want  string
	}{
		{[]float64{0, 0.25, 0.5}, "0.00 0.25 0.50"}, {[]float64{10, 20}, "10 20"}, {[]float64{-0.5, 0, 0.5}, "-0.5 0.0 0.5"}, {[]float64{0.001, 0.002}, "0.001 0.002"},
	}
	for _, c := range cases {
		if got := strings.Join(Axis{}.labels(c.ticks), " "); got != c.want {
			t.Errorf("labels of %v: %q, want %q", c.ticks, got, c.want)
		}
	}
}

func TestBar(t *testing.T) {
	cases := []struct {
		fraction float64
		w        int
		g        Glyphs
		want     string
	}{
		{0, 4, Braille, "    "},
		{1, 4, Braille, "████"},
		{0.5, 4, Braille, "██  "},
		{0.3, 4, Braille, "█▏  "},
		{-1, 3, Braille, "   "},
		{7, 3, Braille, "███"},
		{0.5, 4, ASCII, "##.."},
		{math.NaN(), 2, ASCII, ".."},
		{0.5, 0, Braille, ""},
	}
	for _, c := range cases {
		if got := Bar(c.fraction, c.w, c.g); got != c.want {
			t.Errorf("Bar(%v, %d) = %q, want %q", c.fraction, c.w, got, c.want)
		}
	}
}

func TestSparkline(t *testing.T) {
	cases := []struct {
		values []float64
		w      int
		g      Glyphs
		want   string
	}{
		{[]float64{0, 1, 2, 3, 4, 5, 6, 7}, 8, Braille, "▁▂▃▄▅▆▇█"},
		{[]float64{0, 0, 7, 7}, 2, Braille, "▁█"},
		{[]float64{3, 3, 3}, 5, Braille, "▁▁▁"},
		{nil, 5, Braille, ""},
		{[]float64{math.NaN(), math.Inf(1)}, 5, Braille, ""},
		{[]float64{0, 7}, 4, ASCII, "_#"},
	}
	for _, c := range cases {
		if got := Sparkline(c.values, c.w, c.g); got != c.want {
			t.Errorf("Sparkline(%v, %d) = %q, want %q", c.values, c.w, got, c.want)
		}
	}
}

func TestTable(t *testing.T) {
	c := Chart{
		X: Axis{Title: "step"},
		Series: []Series{
			{Name: "loss", X: []float64{1, 2, 4}, Y: []float64{9, 8.5, math.NaN()}},
			{Name: "accuracy", X: []float64{2, 2}, Y: []float64{0.5, 0.75}},
		},
		Bands: []Band{{Name: "noise", X: []float64{4}, Low: []float64{1}, High: []float64{2}}},
	}
	head, rows := c.Table()
	var got []string
	for _, r := range append([][]string{head}, rows...) {
		got = append(got, strings.Join(r, "|"))
	}
	want := []string{"step|loss|accuracy|noise low|noise high", "1|9|||", "2|8.5|0.5||", "2||0.75||", "4|||1|2"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("table:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Whatever the numbers and the size, a chart is exactly that size, and ASCII charts hold no other bytes.
func TestRenderNeverFails(t *testing.T) {
	value := rapid.OneOf(rapid.Float64(), rapid.Float64Range(-3, 100), rapid.SampledFrom([]float64{0, 1, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, math.SmallestNonzeroFloat64}))
	rapid.Check(t, func(t *rapid.T) {
		c := Chart{Glyphs: Glyphs(rapid.IntRange(0, 2).Draw(t, "glyphs")), Legend: rapid.Bool().Draw(t, "legend")}
		c.X = Axis{Title: "x", Log: rapid.Bool().Draw(t, "log x"), Whole: rapid.Bool().Draw(t, "whole"), Tight: rapid.Bool().Draw(t, "tight")}
		c.Y = Axis{Log: rapid.Bool().Draw(t, "log y")}
		n := rapid.IntRange(0, 20).Draw(t, "n")
		numbers := func(name string) []float64 { return rapid.SliceOfN(value, n, n).Draw(t, name) }
		c.Series = []Series{{Name: "a", X: numbers("x"), Y: numbers("y"), Kind: Kind(rapid.IntRange(0, 2).Draw(t, "kind")), Dash: Dash(rapid.IntRange(0, 2).Draw(t, "dash"))}}
		c.Bands = []Band{{Name: "b", X: numbers("bx"), Low: numbers("low"), High: numbers("high"), Outer: true}}
		w, h := rapid.IntRange(-1, 90).Draw(t, "w"), rapid.IntRange(-1, 40).Draw(t, "h")
		im := c.Render(w, h)
		if im.W != max(w, 0) || im.H != max(h, 0) || len(im.Cells) != im.W*im.H {
			t.Fatalf("image of %dx%d with %d cells, want %dx%d", im.W, im.H, len(im.Cells), w, h)
		}
		if c.Glyphs == ASCII && utf8.RuneCountInString(im.String()) != len(im.String()) {
			t.Fatalf("ASCII chart has other characters:\n%s", im)
		}
		c.Table()
	})
}

func BenchmarkRender(b *testing.B) {
	c := surrogate(Braille)
	for b.Loop() {
		c.Render(140, 18)
	}
}
