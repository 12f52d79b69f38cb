package chart

import "strings"

// Role says what a cell of an Image stands for.
type Role uint8

// Roles.
const (
	Blank Role = iota
	Frame      // axis lines
	Label      // tick labels, axis titles, legend
	Line0      // the series in order; further ones repeat
	Line1
	Line2
	Line3
	Faint // context: points that are not on the frontier
	Mark  // points of interest
	Inner // the band near the mean
	Outer // the wider band
)

// Cell is one character of an Image.
type Cell struct {
	Rune rune
	Role Role
}

// Image is a grid of W x H cells, row by row from the top.
type Image struct {
	W, H  int
	Cells []Cell
}

func newImage(w, h int) *Image {
	w, h = max(w, 0), max(h, 0)
	im := &Image{W: w, H: h, Cells: make([]Cell, w*h)}
	for i := range im.Cells {
		im.Cells[i].Rune = ' '
	}
	return im
}

// At returns the cell at column x and row y, which must lie inside.
func (im *Image) At(x, y int) Cell { return im.Cells[y*im.W+x] }

func (im *Image) set(x, y int, r rune, role Role) {
	if x >= 0 && x < im.W && y >= 0 && y < im.H {
		im.Cells[y*im.W+x] = Cell{r, role}
	}
}

func (im *Image) text(x, y int, s string, role Role) {
	for _, r := range s {
		im.set(x, y, r, role)
		x++
	}
}

// free reports whether columns x to x+n-1 of row y are blank.
func (im *Image) free(x, y, n int) bool {
	if x < 0 || y < 0 || y >= im.H || x+n > im.W {
		return false
	}
	for i := range n {
		if im.At(x+i, y).Rune != ' ' {
			return false
		}
	}
	return true
}

// String is the image as lines of text, roles dropped.
func (im *Image) String() string {
	var b strings.Builder
	b.Grow(len(im.Cells)*2 + im.H)
	for y := range im.H {
		if y > 0 {
			b.WriteByte('\n')
		}
		for x := range im.W {
			b.WriteRune(im.At(x, y).Rune)
		}
	}
	return b.String()
}
