package chart

import "math"

// zoomed reports whether a part of the x axis is shown.
func (c Chart) zoomed() bool { return c.To > c.From && (c.From > 0 || c.To < 1) }

// part is the scale and the ticks between two shares of a whole axis.
func (a Axis) part(whole scale, from, to float64, n int) (scale, []float64) {
	s := whole
	s.lo, s.hi = whole.lo+from*(whole.hi-whole.lo), whole.lo+to*(whole.hi-whole.lo)
	if s.log {
		return s, logTicks(math.Pow(10, s.lo), math.Pow(10, s.hi), n)
	}
	return s, linearTicks(s.lo, s.hi, n, a.Whole)
}

// visible is the range of y over what the window of x shows: its points, and the ends of lines that cross it.
func (c Chart) visible(sx scale) (ylo, yhi float64) {
	ylo, yhi = math.Inf(1), math.Inf(-1)
	seen := func(x, before, after float64) bool {
		return inside(sx, x) || c.X.usable(after) && crosses(sx, x, after) || c.X.usable(before) && crosses(sx, before, x)
	}
	add := func(y float64) {
		if c.Y.usable(y) {
			ylo, yhi = min(ylo, y), max(yhi, y)
		}
	}
	for _, s := range c.Series {
		for i, x := range s.X {
			if c.X.usable(x) && (s.Kind == Points && inside(sx, x) || s.Kind != Points && seen(x, at(s.X, i-1), at(s.X, i+1))) {
				add(s.Y[i])
			}
		}
	}
	for _, b := range c.Bands {
		for i, x := range b.X {
			if c.X.usable(x) && seen(x, at(b.X, i-1), at(b.X, i+1)) {
				add(b.Low[i])
				add(b.High[i])
			}
		}
	}
	return ylo, yhi
}

// at is the element, or NaN beyond the ends.
func at(x []float64, i int) float64 {
	if i < 0 || i >= len(x) {
		return math.NaN()
	}
	return x[i]
}

func inside(s scale, x float64) bool {
	t := s.at(x)
	return t >= 0 && t <= 1
}

// crosses reports whether the stretch between two values overlaps the scale's range.
func crosses(s scale, a, b float64) bool {
	t, u := s.at(a), s.at(b)
	return max(t, u) >= 0 && min(t, u) <= 1
}

// drawCursor marks the x of the cursor over the height of the plot.
func (c Chart) drawCursor(p plot) {
	if c.Cursor == nil || !c.X.usable(*c.Cursor) || !inside(p.sx, *c.Cursor) {
		return
	}
	r := '┊'
	if c.Glyphs == ASCII {
		r = ':'
	}
	for y := range p.h {
		p.im.set(p.column(*c.Cursor), p.y+y, r, Mark)
	}
}

// NearestRow is the index of the reading nearest to a column of the chart when it is drawn in w x h cells; 0 where there is none.
func (c Chart) NearestRow(rows []Reading, w, h, column int) int {
	if c.Legend && h >= minLegend {
		h--
	}
	p, _, _ := c.layout(newImage(max(w, 0), max(h, 0)), w, h)
	best, nearest := math.Inf(1), 0
	for i, r := range rows {
		if d := math.Abs(float64(p.column(r.X) - column)); d < best {
			best, nearest = d, i
		}
	}
	return nearest
}
