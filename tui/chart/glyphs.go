package chart

// Glyphs is the repertoire of characters a chart may use.
type Glyphs uint8

// Repertoires. Braille gives 2x4 dots a cell, Block 2x2 quadrants, ASCII three heights a cell and no byte above 0x7f.
const (
	Braille Glyphs = iota
	Block
	ASCII
)

// brailleBits are the Unicode dot numbers of U+2800 for sub-cell (column, row).
var brailleBits = [2][4]uint8{{0x01, 0x02, 0x04, 0x40}, {0x08, 0x10, 0x20, 0x80}}

// quadrants are the block characters by mask: bit 0 upper left, 1 upper right, 2 lower left, 3 lower right.
var quadrants = []rune(" ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█")

// asciiHeights are the characters by mask: bit 0 top third, 1 middle, 2 bottom.
var asciiHeights = []rune(" '-/.:\\|")

// density is how many sub-cells one cell has across and down.
func (g Glyphs) density() (across, down int) {
	switch g {
	case Block:
		return 2, 2
	case ASCII:
		return 1, 3
	default:
		return 2, 4
	}
}

// bit is the mask bit of a sub-cell.
func (g Glyphs) bit(x, y int) uint8 {
	switch g {
	case Block:
		return 1 << (x + 2*y)
	case ASCII:
		return 1 << y
	default:
		return brailleBits[x][y]
	}
}

func (g Glyphs) rune(mask uint8) rune {
	switch g {
	case Block:
		return quadrants[mask]
	case ASCII:
		return asciiHeights[mask]
	default:
		return 0x2800 + rune(mask)
	}
}

// frame returns the characters of the axes: vertical, vertical with tick, corner, horizontal.
func (g Glyphs) frame() (v, tick, corner, h rune) {
	if g == ASCII {
		return '|', '+', '+', '-'
	}
	return '│', '┤', '└', '─'
}

// shades returns the fills of the inner and the outer band.
func (g Glyphs) shades() (inner, outer rune) {
	if g == ASCII {
		return '=', '-'
	}
	return '▒', '░'
}

// mark returns the character of a point by how much it matters.
func (g Glyphs) mark(m Marker) rune {
	if g == ASCII {
		return [...]rune{'.', 'o', '#', '@'}[m]
	}
	return [...]rune{'·', '●', '◆', '▲'}[m]
}

// sample shows a dash pattern in a legend.
func (g Glyphs) sample(d Dash) string {
	if g == ASCII {
		return [...]string{"--", "- ", ". "}[d]
	}
	return [...]string{"──", "╌╌", "··"}[d]
}
