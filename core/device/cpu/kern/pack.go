package kern

// A packed operand is a row of panels. A panel of A holds, for each step of K, the tile's rows next to each other; a panel of B the
// tile's columns. Where the source has them next to each other too, whole source rows are dealt out to the panels, so that memory is read in order.

// dealRows copies source rows of the given width to panels of n columns, of which the last may be partial:
// dst[(p·depth + k)·n + j] = src[k·stride + p·n + j]. deal does it for whole panels.
func dealRows(deal dealer, n int, dst []float32, depth int, src []float32, stride, width, steps int) {
	panels, rest := width/n, width%n
	if panels > 0 {
		deal(dst, depth, src, stride, panels, steps)
	}
	if rest > 0 {
		last := dst[panels*depth*n:]
		for k := range steps {
			copy(last[k*n:][:rest], src[k*stride+panels*n:][:rest])
		}
	}
}

// dealer copies whole panels.
type dealer func(dst []float32, depth int, src []float32, stride, panels, steps int)

// packRowsOfB is how many rows of an untransposed B one task packs.
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
		dst := j.packed[task*width*j.K:][:width*j.K]
		j.tiles.transpose(dst, width, j.B[first*j.LDB:], j.LDB, min(width, j.end-first), j.K)
		return
	}
	k := task * packRowsOfB
	dealRows(j.tiles.dealB, width, j.packed[k*width:], j.K, j.B[k*j.LDB+j.column:], j.LDB, j.end-j.column, min(packRowsOfB, j.K-k))
}

// packA packs rows [row0, row1) and steps [k0, k1) of A into the worker's space.
func (j *gemmJob) packA(ws *Workspace, row0, row1, k0, k1 int) []float32 {
	height, steps := j.tiles.rows, k1-k0
	packed := grow(&ws.panelsA, roundUp(row1-row0, height)*steps)
	if j.TransA {
		dealRows(j.tiles.dealA, height, packed, steps, j.A[k0*j.LDA+row0:], j.LDA, row1-row0, steps)
		return packed
	}
	for row := row0; row < row1; row += height {
		dst := packed[(row-row0)*steps:][:height*steps]
		j.tiles.transpose(dst, height, j.A[row*j.LDA+k0:], j.LDA, min(height, row1-row), steps)
	}
	return packed
}
