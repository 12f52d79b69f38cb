package chart

import (
	"math"
	"unicode/utf8"
)

// Kind is how a series is drawn.
type Kind uint8

// Kinds of series.
const (
	Line   Kind = iota // straight strokes between points, in order
	Steps              // level until the next x
	Points             // a mark per point
)

// Dash is the pattern of a line.
type Dash uint8

// Patterns.
const (
	Solid Dash = iota
	Dashed
	Dotted
)

// on reports whether the n-th dot of a line is drawn.
func (d Dash) on(n int) bool {
	switch d {
	case Dashed:
		return n%6 < 3
	case Dotted:
		return n%4 == 0
	default:
		return true
	}
}

// Marker is the shape of a point.
type Marker uint8

// Markers, from context to emphasis.
const (
	Dot Marker = iota
	Disc
	Diamond
	Triangle
)

// Series is a named run of points. X and Y have equal length.
type Series struct {
	Name   string
	Kind   Kind
	X, Y   []float64
	Dash   Dash
	Marker Marker
	Role   Role
}

// Band is the area between two curves. X is ascending; X, Low and High have equal length.
type Band struct {
	Name         string
	X, Low, High []float64
	Outer        bool // drawn with the lighter shade
}

// Chart is what Render draws: bands at the back, then the series in order.
type Chart struct {
	X, Y   Axis
	Bands  []Band
	Series []Series
	Glyphs Glyphs
	// Legend adds a line that names bands and series, where there is room for it.
	Legend bool
	// From and To are the part of the x axis that is shown, as shares of its length; the whole axis where To is 0. y fits what is seen.
	From, To float64
	// Cursor marks an x over the height of the plot; nil for none.
	Cursor *float64
}

// Smallest plots that still get an axis, a row of labels, and a legend.
const (
	minPlotW  = 6
	minAxisH  = 4
	minLegend = 9
)

// plot is the area inside the axes while a chart is drawn.
type plot struct {
	im         *Image
	x, y, w, h int
	sx, sy     scale
}

// Render draws the chart into w x h cells.
func (c Chart) Render(w, h int) *Image {
	im := newImage(w, h)
	if w < 1 || h < 1 {
		return im
	}
	if c.Legend && h >= minLegend && c.legend(im) {
		h--
	}
	p, xTicks, yTicks := c.layout(im, w, h)
	if p.w < 1 || p.h < 1 {
		return im
	}
	c.drawBands(p)
	c.drawCursor(p)
	c.drawLines(p)
	c.drawPoints(p)
	if p.x > 0 {
		c.drawY(p, yTicks)
	}
	if p.h < h {
		c.drawX(p, xTicks)
	}
	return im
}

// layout chooses scales and the plot's rectangle; axes are left out where they would leave no room for data.
func (c Chart) layout(im *Image, w, h int) (p plot, xTicks, yTicks []float64) {
	p = plot{im: im, w: w, h: h}
	if h >= minAxisH {
		p.h = h - 2
	}
	xlo, xhi, ylo, yhi := c.extent()
	if c.zoomed() {
		p.sx, _ = c.X.fit(xlo, xhi, max(1, w/10))
		p.sx, xTicks = c.X.part(p.sx, c.From, c.To, max(1, w/10))
		ylo, yhi = c.visible(p.sx)
	}
	p.sy, yTicks = c.Y.fit(ylo, yhi, max(4, min(p.h/3, 6))) // fine steps waste little of a low plot; drawY leaves labels out
	gutter := 1
	for _, l := range c.Y.labels(yTicks) {
		gutter = max(gutter, utf8.RuneCountInString(l)+1)
	}
	if h >= minAxisH && w-gutter >= minPlotW {
		p.x, p.w = gutter, w-gutter
	}
	if !c.zoomed() {
		p.sx, xTicks = c.X.fit(xlo, xhi, max(1, p.w/10))
	}
	return p, xTicks, yTicks
}

// extent is the range of all usable values; lo > hi where there are none.
func (c Chart) extent() (xlo, xhi, ylo, yhi float64) {
	xlo, ylo = math.Inf(1), math.Inf(1)
	xhi, yhi = math.Inf(-1), math.Inf(-1)
	add := func(x, y float64) {
		if c.X.usable(x) && c.Y.usable(y) {
			xlo, xhi = min(xlo, x), max(xhi, x)
			ylo, yhi = min(ylo, y), max(yhi, y)
		}
	}
	for _, s := range c.Series {
		for i := range s.X {
			add(s.X[i], s.Y[i])
		}
	}
	for _, b := range c.Bands {
		for i := range b.X {
			add(b.X[i], b.Low[i])
			add(b.X[i], b.High[i])
		}
	}
	return xlo, xhi, ylo, yhi
}

// column and row place a value in cells.
func (p plot) column(x float64) int { return p.x + int(math.Round(p.sx.at(x)*float64(p.w-1))) }
func (p plot) row(y float64) int    { return p.y + int(math.Round((1-p.sy.at(y))*float64(p.h-1))) }

func (c Chart) drawLines(p plot) {
	r := newRaster(c.Glyphs, p.w, p.h)
	right, bottom := float64(p.w*r.across-1), float64(p.h*r.down-1)
	for _, s := range c.Series {
		if s.Kind == Points {
			continue
		}
		ink := pen{r: r, dash: s.Dash, role: s.Role}
		var px, py float64
		joined := false
		for i := range s.X {
			if !c.X.usable(s.X[i]) || !c.Y.usable(s.Y[i]) {
				joined = false
				continue
			}
			x, y := p.sx.at(s.X[i])*right, (1-p.sy.at(s.Y[i]))*bottom
			switch {
			case !joined:
				ink.stroke(x, y, x, y)
			case s.Kind == Steps:
				ink.stroke(px, py, x, py)
				ink.stroke(x, py, x, y)
			default:
				ink.stroke(px, py, x, y)
			}
			px, py, joined = x, y, true
		}
	}
	r.paint(p.im, p.x, p.y)
}

func (c Chart) drawPoints(p plot) {
	for _, s := range c.Series {
		if s.Kind != Points {
			continue
		}
		mark := c.Glyphs.mark(s.Marker)
		for i := range s.X {
			if c.X.usable(s.X[i]) && c.Y.usable(s.Y[i]) && inside(p.sx, s.X[i]) {
				p.im.set(p.column(s.X[i]), p.row(s.Y[i]), mark, s.Role)
			}
		}
	}
}

func (c Chart) drawY(p plot, ticks []float64) {
	v, tick, corner, _ := c.Glyphs.frame()
	for y := range p.h {
		p.im.set(p.x-1, p.y+y, v, Frame)
	}
	p.im.set(p.x-1, p.y+p.h, corner, Frame)
	labels := c.Y.labels(ticks)
	for i := 0; i < len(ticks); i += p.stride(ticks) {
		row, l := p.row(ticks[i]), labels[i]
		if row < p.y || row >= p.y+p.h {
			continue
		}
		p.im.set(p.x-1, row, tick, Frame)
		p.im.text(p.x-1-utf8.RuneCountInString(l), row, l, Label)
	}
}

// stride is how many ticks to go on by so that labels have a row between them everywhere.
func (p plot) stride(ticks []float64) int {
	for k := 1; k < len(ticks); k++ {
		apart := p.h
		for i := 0; i+k < len(ticks); i += k {
			apart = min(apart, p.row(ticks[i])-p.row(ticks[i+k]))
		}
		if apart >= 2 {
			return k
		}
	}
	return max(1, len(ticks))
}

func (c Chart) drawX(p plot, ticks []float64) {
	_, _, _, line := c.Glyphs.frame()
	for x := range p.w {
		p.im.set(p.x+x, p.y+p.h, line, Frame)
	}
	row := p.y + p.h + 1
	title := c.X.Title
	n := utf8.RuneCountInString(title)
	// The title sits at the right end, and labels give way to it.
	at := p.x + p.w - n
	if n > 0 && n <= p.w*2/5 {
		p.im.text(at, row, title, Label)
	}
	for i, l := range c.X.labels(ticks) {
		width := utf8.RuneCountInString(l)
		x := min(max(p.column(ticks[i])-width/2, p.x), p.x+p.w-width)
		if p.im.free(max(x-1, 0), row, min(width+2, p.im.W-max(x-1, 0))) {
			p.im.text(x, row, l, Label)
		}
	}
}
