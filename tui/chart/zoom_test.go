package chart

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func ramp(n int) Chart {
	s := Series{Name: "y", Role: Line0}
	for i := range n {
		s.X, s.Y = append(s.X, float64(i)), append(s.Y, float64(i*i))
	}
	return Chart{X: Axis{Title: "x", Whole: true, Tight: true}, Series: []Series{s}}
}

// A zoomed chart shows the ticks of its part, and y fits what is seen.
func TestZoomFitsY(t *testing.T) {
	c := ramp(101)
	c.From, c.To = 0, 0.1
	text := c.Render(40, 12).String()
	if strings.Contains(text, "10000") || !strings.Contains(text, "100") {
		t.Errorf("the first tenth reaches 100, not 10000:\n%s", text)
	}
	c.From, c.To = 0.505, 0.508 // no point lies here, the line does
	if text = c.Render(40, 12).String(); !strings.ContainsFunc(text, func(r rune) bool { return r > 0x2800 && r < 0x2900 }) {
		t.Errorf("the line between two points is lost:\n%s", text)
	}
}

func TestCursor(t *testing.T) {
	c, x := ramp(11), 5.0
	c.Cursor = &x
	for _, g := range []Glyphs{Braille, Block, ASCII} {
		c.Glyphs = g
		want := map[Glyphs]string{Braille: "┊", Block: "┊", ASCII: ":"}[g]
		if text := c.Render(40, 12).String(); !strings.Contains(text, want) {
			t.Errorf("no cursor %s:\n%s", want, text)
		}
	}
	x = 50
	if text := c.Render(40, 12).String(); strings.Contains(text, "┊") {
		t.Errorf("a cursor beyond the axis:\n%s", text)
	}
}

// Whatever the window, the image has its size, nothing is drawn over the axis, and no value of the data makes it fail.
func TestZoomLaws(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := ramp(rapid.IntRange(0, 60).Draw(rt, "n"))
		c.Series = append(c.Series, Series{Name: "p", Kind: Points, X: []float64{-3, 7, math.NaN(), 1e300}, Y: []float64{1, math.Inf(1), 3, 4}})
		c.Bands = []Band{{Name: "b", X: []float64{0, 5, 9}, Low: []float64{1, 2, 3}, High: []float64{2, 9, 4}}}
		c.X.Log, c.Y.Log = rapid.Bool().Draw(rt, "log x"), rapid.Bool().Draw(rt, "log y")
		c.From = rapid.Float64Range(-0.5, 1.2).Draw(rt, "from")
		c.To = c.From + rapid.Float64Range(-0.1, 1).Draw(rt, "span")
		x := rapid.Float64Range(-10, 70).Draw(rt, "cursor")
		c.Cursor = &x
		w, h := rapid.IntRange(1, 90).Draw(rt, "w"), rapid.IntRange(1, 30).Draw(rt, "h")
		im := c.Render(w, h)
		if im.W != w || im.H != h {
			rt.Fatalf("%dx%d instead of %dx%d", im.W, im.H, w, h)
		}
	})
}

func TestReadings(t *testing.T) {
	c := ramp(3)
	head, rows := c.Readings()
	if len(head) != 2 || len(rows) != 3 || rows[2].X != 2 || rows[2].Cells[1] != "4" {
		t.Errorf("readings %v %v", head, rows)
	}
}
