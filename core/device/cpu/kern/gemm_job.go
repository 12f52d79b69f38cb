package kern

// gemmJob is a product in progress. It lives in a Pool or a Workspace and is reused, so that a product allocates nothing.
type gemmJob struct {
	Gemm
	tiles *tileSet
	plan  plan
	words int // K in words of the packed operands

	// The present pass: columns [column, end) and words [k0, k1), whose operands are packed for all threads together.
	column, end int
	k0, k1      int
	panelsA     []float32 // if the pass is not over all of K: all rows of A
	panelsB     []float32
	firstB      [2]int // word of K and column that panelsB starts with
	depthB      int    // words of K in panelsB

	scratch  *Workspace // owner of the panels
	packTask func(task, worker int)
	runBlock func(task, worker int)
}

// bind ties the job to a pool's workers.
func (j *gemmJob) bind(p *Pool) {
	j.scratch = &p.workspaces[0]
	j.packTask = func(task, worker int) { j.pack(task, &p.workspaces[worker]) }
	j.runBlock = func(block, worker int) { j.block(block, worker, &p.workspaces[worker]) }
}

func (j *gemmJob) start(t *Table, g Gemm, threads int) {
	j.Gemm, j.tiles = g, t.tileSet(g.BF16)
	j.words = ceilDiv(j.K, j.tiles.perWord)
	j.plan = makePlan(j.tiles, &j.Gemm, j.words, threads)
	j.column, j.end, j.k1 = 0, 0, j.words
}

// nextPass moves on to the next words of K or the next columns of C, and reports whether there are any.
func (j *gemmJob) nextPass() bool {
	switch {
	case j.k1 < j.words:
		j.k0 = j.k1
	case j.end < j.N:
		j.column, j.end, j.k0 = j.end, min(j.end+j.plan.chunk, j.N), 0
	default:
		return false
	}
	j.k1 = min(j.k0+j.plan.depth, j.words)
	switch {
	case j.Packed.set != nil:
		j.panelsB, j.firstB, j.depthB = j.Packed.words, [2]int{}, j.Packed.depth
	case j.plan.packB:
		j.firstB, j.depthB = [2]int{j.k0, j.column}, j.k1-j.k0
		j.panelsB = grow(&j.scratch.panelsB, j.panels()*j.tiles.columns*j.depthB)
	}
	if j.plan.shareA {
		j.panelsA = grow(&j.scratch.panelsA, roundUp(j.M, j.tiles.rows)*(j.k1-j.k0))
	}
	return true
}

// finish forgets the operands, so that the job does not keep them alive.
func (j *gemmJob) finish() {
	j.Gemm, j.panelsA, j.panelsB = Gemm{}, nil, nil
}

func (j *gemmJob) panels() int { return ceilDiv(j.end-j.column, j.tiles.columns) }

func (j *gemmJob) blocks() int {
	return ceilDiv(j.M, j.plan.mc) * ceilDiv(j.end-j.column, j.plan.nc)
}

// block computes one block of C over the words of this pass. After all of K it hands it to the epilogue.
func (j *gemmJob) block(block, worker int, ws *Workspace) {
	across := ceilDiv(j.end-j.column, j.plan.nc)
	row0 := block / across * j.plan.mc
	col0 := j.column + block%across*j.plan.nc
	row1, col1 := min(row0+j.plan.mc, j.M), min(col0+j.plan.nc, j.end)
	if j.words == 0 && !j.Accumulate {
		for r := row0; r < row1; r++ {
			clear(j.C[r*j.LDC:][col0:col1])
		}
	}
	for k0 := j.k0; k0 < j.k1; k0 += j.plan.kc {
		j.slab(ws, row0, row1, col0, col1, k0, min(k0+j.plan.kc, j.k1))
	}
	if j.Epilogue != nil && j.k1 == j.words {
		j.Epilogue(worker, row0, row1, col0, col1)
	}
}

// slab adds the products of words [k0, k1) of K to a block of C.
func (j *gemmJob) slab(ws *Workspace, row0, row1, col0, col1, k0, k1 int) {
	t := &ws.tile
	*t = tile{k: k1 - k0, rowC: 4 * j.LDC}
	if j.Accumulate || k0 > 0 {
		t.add = 1
	}
	a := j.operandA(t, ws, row0, row1, k0, k1)
	for col := col0; col < col1; col += j.tiles.columns {
		t.a = a
		t.c = &j.C[row0*j.LDC+col]
		if j.panelsB != nil {
			t.rowB = 4 * j.tiles.columns
			t.b = &j.panelsB[(col-j.firstB[1])*j.depthB+(k0-j.firstB[0])*j.tiles.columns]
		} else {
			t.rowB = 4 * j.LDB
			t.b = &j.B[k0*j.LDB+col]
		}
		j.tiles.run(t, row1-row0, min(j.tiles.columns, col1-col))
	}
	*t = tile{}
}

// operandA packs a block of A if the plan says so and it is not yet packed, sets the strides of A, and returns its start.
func (j *gemmJob) operandA(t *tile, ws *Workspace, row0, row1, k0, k1 int) *float32 {
	height, steps := j.tiles.rows, k1-k0
	if j.plan.packA {
		t.rowA, t.colA, t.nextA = 4, 4*height, 0
		if j.plan.shareA {
			return &j.panelsA[row0*steps]
		}
		packed := grow(&ws.panelsA, roundUp(row1-row0, height)*steps)
		j.packA(packed, row0, row1, k0, k1)
		return &packed[0]
	}
	if j.TransA {
		t.rowA, t.colA = 4, 4*j.LDA
		t.nextA = 4*height - steps*t.colA
		return &j.A[k0*j.LDA+row0]
	}
	t.rowA, t.colA = 4*j.LDA, 4
	t.nextA = height*t.rowA - steps*t.colA
	return &j.A[row0*j.LDA+k0]
}
