package chart

import "sort"

// drawBands fills each band column by column; the inner band lies over the outer one whatever their order.
func (c Chart) drawBands(p plot) {
	inner, outer := c.Glyphs.shades()
	for _, b := range c.Bands {
		if b.Outer {
			c.fill(p, b, outer, Outer)
		}
	}
	for _, b := range c.Bands {
		if !b.Outer {
			c.fill(p, b, inner, Inner)
		}
	}
}

func (c Chart) fill(p plot, b Band, shade rune, role Role) {
	for x := range p.w {
		low, high, ok := b.span(p.columnEdge(x), p.columnEdge(x+1))
		if !ok || !c.Y.usable(low) || !c.Y.usable(high) {
			continue
		}
		for y := max(p.row(high), p.y); y <= min(p.row(low), p.y+p.h-1); y++ {
			p.im.set(p.x+x, y, shade, role)
		}
	}
}

// columnEdge is the value at the left edge of plot column x, within the axis.
func (p plot) columnEdge(x int) float64 {
	t := (float64(x) - 0.5) / float64(max(p.w-1, 1))
	return p.sx.value(min(max(t, 0), 1))
}

// span is the envelope of the band over a column, so that no point of a jagged band is lost; ok is false where the band is not.
func (b Band) span(from, to float64) (low, high float64, ok bool) {
	low, high, ok = b.at((from + to) / 2)
	for i := sort.SearchFloat64s(b.X, from); i < len(b.X) && b.X[i] <= to; i++ {
		if !ok {
			low, high, ok = b.Low[i], b.High[i], true
		}
		low, high = min(low, b.Low[i]), max(high, b.High[i])
	}
	return low, high, ok
}

// at interpolates the band's edges at x; ok is false outside its ends.
func (b Band) at(x float64) (low, high float64, ok bool) {
	n := len(b.X)
	if n == 0 {
		return 0, 0, false
	}
	// The ends of the axis are computed, so allow for rounding there.
	slack := 1e-9 * (b.X[n-1] - b.X[0])
	if x < b.X[0]-slack || x > b.X[n-1]+slack {
		return 0, 0, false
	}
	i := sort.SearchFloat64s(b.X, x)
	switch {
	case i == 0:
		return b.Low[0], b.High[0], true
	case i == n:
		return b.Low[n-1], b.High[n-1], true
	}
	span := b.X[i] - b.X[i-1]
	t := (x - b.X[i-1]) / span
	return b.Low[i-1] + t*(b.Low[i]-b.Low[i-1]), b.High[i-1] + t*(b.High[i]-b.High[i-1]), true
}
