package tui

import (
	"strings"

	"github.com/charmbracelet/x/ansi"

	"flexi/tui/chart"
)

// rect is a part of a frame, in cells.
type rect struct{ x, y, w, h int }

func (r rect) empty() bool { return r.w <= 0 || r.h <= 0 }

// row is the i-th line of r.
func (r rect) row(i int) rect { return rect{r.x, r.y + i, r.w, 1} }

// cell is one character position; rune 0 continues the wide character to its left.
type cell struct {
	r  rune
	st style
}

// frame is a picture of the window: exactly w x h cells. Drawing outside it, or outside the rectangle a function was given, does nothing.
type frame struct {
	w, h  int
	ascii bool
	more  rune // ends text that was cut
	cells []cell
}

func newFrame(w, h int, g glyphs) *frame {
	f := &frame{w: w, h: h, ascii: g.ascii, more: g.ellipsis, cells: make([]cell, w*h)}
	for i := range f.cells {
		f.cells[i].r = ' '
	}
	return f
}

// put writes one character and returns its width in cells; control characters become blanks, zero-width ones are dropped.
func (f *frame) put(x, y, right int, r rune, st style) int {
	width := 1
	switch {
	case r < ' ' || r >= 0x7f && r < 0xa0:
		r = ' '
	case f.ascii:
		r = toASCII(r)
	case r >= 0x300:
		width = runeWidth(r)
	}
	if width == 0 || x < 0 || y < 0 || y >= f.h || x+width > min(right, f.w) {
		return width
	}
	i := y*f.w + x
	f.clear(i)
	f.cells[i] = cell{r, st}
	if width == 2 {
		f.clear(i + 1)
		f.cells[i+1] = cell{0, st}
	}
	return width
}

// runeWidth is a character's width in cells. The ranges the workbench itself draws with are known to be single.
func runeWidth(r rune) int {
	if r >= 0x2190 && r <= 0x23ff || r >= 0x2500 && r <= 0x25ff || r >= 0x2800 && r <= 0x28ff {
		return 1
	}
	return ansi.StringWidth(string(r))
}

// clear blanks the other half of a wide character that is about to lose one half.
func (f *frame) clear(i int) {
	if f.cells[i].r == 0 && i > 0 {
		f.cells[i-1].r = ' '
	}
	if i+1 < len(f.cells) && f.cells[i+1].r == 0 && (i+1)%f.w != 0 {
		f.cells[i+1].r = ' '
	}
}

// text writes s into the first line of r, cut with an ellipsis if it does not fit, and returns the cells used.
func (f *frame) text(r rect, s string, st style) int {
	if r.empty() {
		return 0
	}
	x, right := r.x, r.x+r.w
	for _, c := range s {
		width := f.put(x, r.y, right, c, st)
		if x+width > right {
			f.put(right-1, r.y, right, f.more, st)
			return r.w
		}
		x += width
	}
	return x - r.x
}

// spans writes pieces of text after each other into the first line of r and returns the cells used.
func (f *frame) spans(r rect, pieces ...span) int {
	used := 0
	for _, p := range pieces {
		if used >= r.w {
			break
		}
		used += f.text(rect{r.x + used, r.y, r.w - used, 1}, p.text, p.st)
	}
	return used
}

// span is text with a look.
type span struct {
	text string
	st   style
}

// right writes s so that it ends at r's right edge.
func (f *frame) right(r rect, s string, st style) {
	n := width(s)
	f.text(rect{max(r.x+r.w-n, r.x), r.y, min(n, r.w), 1}, s, st)
}

// fill blanks r.
func (f *frame) fill(r rect) {
	for y := max(r.y, 0); y < min(r.y+r.h, f.h); y++ {
		for x := max(r.x, 0); x < min(r.x+r.w, f.w); x++ {
			f.put(x, y, f.w, ' ', plain)
		}
	}
}

// restyle changes the look of r without changing its text.
func (f *frame) restyle(r rect, st style) {
	for y := max(r.y, 0); y < min(r.y+r.h, f.h); y++ {
		for x := max(r.x, 0); x < min(r.x+r.w, f.w); x++ {
			f.cells[y*f.w+x].st = st
		}
	}
}

// box draws a border along r's edge.
func (f *frame) box(r rect, b border, st style) {
	if r.w < 2 || r.h < 2 {
		return
	}
	edge := r.x + r.w
	for x := r.x + 1; x < edge-1; x++ {
		f.put(x, r.y, edge, b.h, st)
		f.put(x, r.y+r.h-1, edge, b.h, st)
	}
	for y := r.y + 1; y < r.y+r.h-1; y++ {
		f.put(r.x, y, edge, b.v, st)
		f.put(edge-1, y, edge, b.v, st)
	}
	f.put(r.x, r.y, edge, b.nw, st)
	f.put(edge-1, r.y, edge, b.ne, st)
	f.put(edge-1, r.y+r.h-1, edge, b.se, st)
	f.put(r.x, r.y+r.h-1, edge, b.sw, st)
}

// image copies a chart into r.
func (f *frame) image(r rect, im *chart.Image) {
	for y := range min(im.H, r.h) {
		for x := range min(im.W, r.w) {
			c := im.At(x, y)
			if c.Rune != ' ' {
				f.put(r.x+x, r.y+y, r.x+r.w, c.Rune, roleStyles[c.Role])
			}
		}
	}
}

// render writes the frame as h lines of w cells with the theme's escape sequences.
func (f *frame) render(t theme) string {
	var b strings.Builder
	b.Grow(len(f.cells)*3 + f.h)
	for y := range f.h {
		if y > 0 {
			b.WriteByte('\n')
		}
		on := ""
		for _, c := range f.cells[y*f.w : (y+1)*f.w] {
			if c.r == 0 {
				continue
			}
			if sgr := t.sgr[c.st]; sgr != on {
				if on != "" {
					b.WriteString(ansi.ResetStyle)
				}
				b.WriteString(sgr)
				on = sgr
			}
			b.WriteRune(c.r)
		}
		if on != "" {
			b.WriteString(ansi.ResetStyle)
		}
	}
	return b.String()
}

// width is the cells that s takes.
func width(s string) int {
	n := 0
	for _, r := range s {
		if r < 0x300 {
			n++
			continue
		}
		n += runeWidth(r)
	}
	return n
}
