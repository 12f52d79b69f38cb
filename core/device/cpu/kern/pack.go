package kern

import "math"

// A packed operand is a row of panels of 32-bit words: a float32 or, for a bfloat16 product, two bfloat16 of neighbouring steps. A panel of A holds,
// for each word of K, the tile's rows next to each other; a panel of B the tile's columns. Where the source has them next to each other too, whole
// source rows are dealt out to the panels, so that memory is read in order.

// dealer copies source rows of the given width to panels of n columns, of which the last may be partial: dst[(p·depth + k)·n + j] =
// src[k·stride + p·n + j]. With several elements to a word, k counts words on the left and depth counts words.
type dealer func(dst []float32, depth int, src []float32, stride, width, steps int)

// packRowsOfB is how many rows of an untransposed B one task packs; even, so that pairs stay together.
const packRowsOfB = 64

// steps is words [k0, k1) of K as elements: the first and how many.
func (j *gemmJob) steps(k0, k1 int) (first, n int) {
	first = k0 * j.tiles.perWord
	return first, min(k1*j.tiles.perWord, j.K) - first
}

// packTasks is the number of tasks that pack the operands of the present pass.
func (j *gemmJob) packTasks() int { return j.tasksA() + j.tasksB() }

func (j *gemmJob) tasksA() int {
	if !j.plan.shareA {
		return 0
	}
	return ceilDiv(j.M, j.plan.mc)
}

func (j *gemmJob) tasksB() int {
	switch {
	case !j.plan.packB:
		return 0
	case j.TransB:
		return j.panels()
	}
	_, n := j.steps(j.k0, j.k1)
	return ceilDiv(n, packRowsOfB)
}

// pack packs a block of A, or some of B.
func (j *gemmJob) pack(task int, ws *Workspace) {
	if task < j.tasksA() {
		row := task * j.plan.mc
		j.packA(j.panelsA[row*(j.k1-j.k0):], row, min(row+j.plan.mc, j.M), j.k0, j.k1)
		return
	}
	j.packB(task-j.tasksA(), ws)
}

// packB packs one panel of a transposed B, or some rows of an untransposed B into all panels.
func (j *gemmJob) packB(task int, ws *Workspace) {
	width, words := j.tiles.columns, j.k1-j.k0
	k, steps := j.steps(j.k0, j.k1)
	if j.HalfB != nil {
		j.packHalfB(task, ws, k, steps)
		return
	}
	if j.TransB {
		col := j.column + task*width
		j.tiles.packB(j.panelsB[task*width*words:], words, j.B[col*j.LDB+k:], j.LDB, min(width, j.end-col), steps, true)
		return
	}
	done := task * packRowsOfB
	dst := j.panelsB[done/j.tiles.perWord*width:]
	j.tiles.packB(dst, words, j.B[(k+done)*j.LDB+j.column:], j.LDB, j.end-j.column, min(packRowsOfB, steps-done), false)
}

// Widened at a time: columns of a transposed B, rows of an untransposed; even, so that pairs stay together.
const (
	wideSteps = 256
	wideRows  = 8
)

// packHalfB is packB of a half-width B: a piece at a time is widened, and then packed as others are. steps of K are packed, from k on.
func (j *gemmJob) packHalfB(task int, ws *Workspace, k, steps int) {
	width, words := j.tiles.columns, j.k1-j.k0
	if j.TransB {
		col := j.column + task*width
		rows := min(width, j.end-col)
		for done := 0; done < steps; done += wideSteps {
			n := min(wideSteps, steps-done)
			wide := grow(&ws.wide, rows*n)
			for r := range rows {
				Widen(wide[r*n:][:n], j.HalfB[(col+r)*j.LDB+k+done:])
			}
			j.tiles.packB(j.panelsB[task*width*words+done/j.tiles.perWord*width:], words, wide, n, rows, n, true)
		}
		return
	}
	columns := j.end - j.column
	last := min((task+1)*packRowsOfB, steps)
	for done := task * packRowsOfB; done < last; done += wideRows {
		n := min(wideRows, last-done)
		wide := grow(&ws.wide, n*columns)
		for r := range n {
			Widen(wide[r*columns:][:columns], j.HalfB[(k+done+r)*j.LDB+j.column:])
		}
		j.tiles.packB(j.panelsB[done/j.tiles.perWord*width:], words, wide, columns, columns, n, false)
	}
}

// Widen makes float32 of bfloat16, exactly.
func Widen(dst []float32, src []uint16) {
	src = src[:len(dst)]
	for i, h := range src {
		dst[i] = math.Float32frombits(uint32(h) << 16)
	}
}

// packA packs rows [row0, row1) and words [k0, k1) of A.
func (j *gemmJob) packA(packed []float32, row0, row1, k0, k1 int) {
	height, words := j.tiles.rows, k1-k0
	first, steps := j.steps(k0, k1)
	if j.TransA {
		j.tiles.dealA(packed, words, j.A[first*j.LDA+row0:], j.LDA, row1-row0, steps)
		return
	}
	for row := row0; row < row1; row += height {
		dst := packed[(row-row0)*words:][:height*words]
		j.tiles.transpose(dst, height, j.A[row*j.LDA+first:], j.LDA, min(height, row1-row), steps)
	}
}
