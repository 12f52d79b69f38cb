package kern

// A packed operand is a row of panels of 32-bit words: a float32 or, for a bfloat16 product, two bfloat16 of neighbouring steps. A panel of A holds,
// for each word of K, the tile's rows next to each other; a panel of B the tile's columns. Where the source has them next to each other too, whole
// source rows are dealt out to the panels, so that memory is read in order.

// dealer copies source rows of the given width to panels of n columns, of which the last may be partial: dst[(p·depth + k)·n + j] =
// src[k·stride + p·n + j]. With several elements to a word, k counts words on the left and depth counts words.
type dealer func(dst []float32, depth int, src []float32, stride, width, steps int)

// packRowsOfB is how many rows of an untransposed B one task packs; even, so that pairs stay together.
const packRowsOfB = 64

// packTasks is the number of tasks that pack the present chunk of B.
func (j *gemmJob) packTasks() int {
	if j.TransB {
		return j.panels()
	}
	return ceilDiv(j.K, packRowsOfB)
}

// pack packs one panel of a transposed B, or some rows of an untransposed B into all panels.
func (j *gemmJob) pack(task int) {
	width := j.tiles.columns
	if j.TransB {
		first := j.column + task*width
		dst := j.packed[task*width*j.words:][:width*j.words]
		j.tiles.transpose(dst, width, j.B[first*j.LDB:], j.LDB, min(width, j.end-first), j.K)
		return
	}
	k := task * packRowsOfB
	j.tiles.dealB(j.packed[k/j.tiles.perWord*width:], j.words, j.B[k*j.LDB+j.column:], j.LDB, j.end-j.column, min(packRowsOfB, j.K-k))
}

// packA packs rows [row0, row1) and words [k0, k1) of A into the worker's space.
func (j *gemmJob) packA(ws *Workspace, row0, row1, k0, k1 int) []float32 {
	height, words := j.tiles.rows, k1-k0
	packed := grow(&ws.panelsA, roundUp(row1-row0, height)*words)
	first := k0 * j.tiles.perWord
	steps := min(k1*j.tiles.perWord, j.K) - first
	if j.TransA {
		j.tiles.dealA(packed, words, j.A[first*j.LDA+row0:], j.LDA, row1-row0, steps)
		return packed
	}
	for row := row0; row < row1; row += height {
		dst := packed[(row-row0)*words:][:height*words]
		j.tiles.transpose(dst, height, j.A[row*j.LDA+first:], j.LDA, min(height, row1-row), steps)
	}
	return packed
}
