package kern

import "unsafe"

// A tile kernel computes a stack of small blocks of C, each rows×columns, in registers:
//
//	C[r, j] (+)= sum over k of A[r, k]·B[k, j]      r < rows, j < columns
//
// The sum runs over k in ascending order from zero, one multiply-add each (fused on AVX2 and AVX-512), and is then stored or added to C.
// In a bfloat16 set an element of A and B is a word of two bfloat16, of two neighbouring k, and a step adds two products.
// A is addressed by two free strides, so packed, plain and transposed storage all work; B must have its columns next to each other.

// tile is the argument of a tile kernel. Strides are in bytes. Assembly reads it by field name (go_asm.h).
type tile struct {
	a, b, c *float32
	k       int // steps of the sum, at least 1: words of A and B
	tiles   int // blocks below each other, at least 1; kernels count it down to 0
	rowA    int // from A[r, k] to A[r+1, k]
	colA    int // from A[r, k] to A[r, k+1]
	nextA   int // from the end of one block's k steps to the start of the next block
	rowB    int // from B[k, j] to B[k+1, j]
	rowC    int // from C[r, j] to C[r+1, j]
	lanes   int // columns in the last vector of a row of C, 1 to the vector length
	mask    int // the same as a bit mask
	add     int // 0: store, 1: add to C
}

type tileKernel func(*tile)

// tileSet is the tile kernels of one level and how they want their operands.
type tileSet struct {
	rows, columns int // the full tile
	vector        int // floats in a vector; columns is a multiple of it
	perWord       int // elements of A or B in a 32-bit word: 1, or 2 for bfloat16
	alwaysPack    bool
	// full does stacks of rows×columns; edge[r-1][v-1] those of r rows and v vectors of columns, of which the last may be partial.
	full tileKernel
	edge [][]tileKernel
	// peak runs rounds of rows·columns independent multiply-adds without touching memory.
	peak func(rounds int)
	// dealA and dealB copy to panels of rows and columns words.
	dealA, dealB dealer
	// transpose writes dst[k·width + j] = src[j·stride + k] for j < columns and k < steps; with several elements to a word, k counts words on the
	// left and the word has the elements from k·perWord on.
	transpose func(dst []float32, width int, src []float32, stride, columns, steps int)
}

// run computes rows×columns of C: one panel of B against all rows of A, which the tile describes for full tiles.
func (s *tileSet) run(t *tile, rows, columns int) {
	vectors := (columns + s.vector - 1) / s.vector
	t.lanes = columns - (vectors-1)*s.vector
	t.mask = 1<<t.lanes - 1
	whole, rest := rows/s.rows, rows%s.rows
	if whole > 0 {
		t.tiles = whole
		if columns == s.columns {
			s.full(t)
		} else {
			s.edge[s.rows-1][vectors-1](t)
		}
	}
	if rest > 0 {
		t.a = addBytes(t.a, whole*(t.nextA+t.k*t.colA))
		t.c = addBytes(t.c, whole*s.rows*t.rowC)
		t.tiles = 1
		s.edge[rest-1][vectors-1](t)
	}
}

func addBytes(p *float32, n int) *float32 { return (*float32)(unsafe.Add(unsafe.Pointer(p), n)) }
