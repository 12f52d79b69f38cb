package chart

import "math"

// raster collects lines at sub-cell resolution. A cell shows the role of the line that touched it last.
type raster struct {
	g            Glyphs
	w, h         int // cells
	across, down int // sub-cells of a cell
	mask         []uint8
	role         []Role
}

func newRaster(g Glyphs, w, h int) *raster {
	across, down := g.density()
	return &raster{g: g, w: w, h: h, across: across, down: down, mask: make([]uint8, w*h), role: make([]Role, w*h)}
}

// dot sets the sub-cell (x, y), counted from the upper left; outside it does nothing.
func (r *raster) dot(x, y int, role Role) {
	if x < 0 || y < 0 || x >= r.w*r.across || y >= r.h*r.down {
		return
	}
	i := y/r.down*r.w + x/r.across
	r.mask[i] |= r.g.bit(x%r.across, y%r.down)
	r.role[i] = role
}

// pen draws connected strokes with a dash pattern that runs on from stroke to stroke.
type pen struct {
	r    *raster
	dash Dash
	role Role
	at   int // dots since the start
}

// stroke draws from (x0, y0) to (x1, y1), both ends included, clipped to the raster.
func (p *pen) stroke(x0, y0, x1, y1 float64) {
	x0, y0, x1, y1, ok := clip(x0, y0, x1, y1, float64(p.r.w*p.r.across-1), float64(p.r.h*p.r.down-1))
	if !ok {
		return
	}
	// Whole ends make the dots of joined strokes meet without gaps.
	x0, y0, x1, y1 = math.Round(x0), math.Round(y0), math.Round(x1), math.Round(y1)
	n := int(math.Max(math.Abs(x1-x0), math.Abs(y1-y0)))
	for i := range n + 1 {
		t := 0.0
		if n > 0 {
			t = float64(i) / float64(n)
		}
		if p.dash.on(p.at) {
			p.r.dot(int(math.Round(x0+t*(x1-x0))), int(math.Round(y0+t*(y1-y0))), p.role)
		}
		p.at++
	}
}

// clip cuts a segment to the rectangle from (0, 0) to (right, bottom) (Liang and Barsky).
func clip(x0, y0, x1, y1, right, bottom float64) (a, b, c, d float64, ok bool) {
	t0, t1 := 0.0, 1.0
	dx, dy := x1-x0, y1-y0
	for _, e := range [4][2]float64{{-dx, x0 + 0.5}, {dx, right + 0.5 - x0}, {-dy, y0 + 0.5}, {dy, bottom + 0.5 - y0}} {
		p, q := e[0], e[1]
		switch {
		case p == 0 && q < 0:
			return 0, 0, 0, 0, false
		case p < 0:
			t0 = math.Max(t0, q/p)
		case p > 0:
			t1 = math.Min(t1, q/p)
		}
	}
	if t0 > t1 {
		return 0, 0, 0, 0, false
	}
	return x0 + t0*dx, y0 + t0*dy, x0 + t1*dx, y0 + t1*dy, true
}

// paint puts the drawn cells into the image with their upper left corner at (x, y).
func (r *raster) paint(im *Image, x, y int) {
	for i, m := range r.mask {
		if m != 0 {
			im.set(x+i%r.w, y+i/r.w, r.g.rune(m), r.role[i])
		}
	}
}
