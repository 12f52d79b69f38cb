package kern

// gemmJob is a product in progress. It lives in a Pool or a Workspace and is reused, so that a product allocates nothing.
type gemmJob struct {
	Gemm
	tiles  *tileSet
	plan   plan
	words  int       // K in words of the packed operands
	packed []float32 // panels of B of the present chunk, each words×columns
	column int       // the present chunk: columns [column, end)
	end    int

	scratch  *Workspace // owner of packed
	packTask func(task, worker int)
	runBlock func(task, worker int)
}

// bind ties the job to a pool's workers.
func (j *gemmJob) bind(p *Pool) {
	j.scratch = &p.workspaces[0]
	j.packTask = func(task, _ int) { j.pack(task) }
	j.runBlock = func(block, worker int) { j.block(block, worker, &p.workspaces[worker]) }
}

func (j *gemmJob) start(t *Table, g Gemm, threads int) {
	j.Gemm, j.tiles = g, t.tileSet(g.BF16)
	j.words = ceilDiv(j.K, j.tiles.perWord)
	j.plan = makePlan(j.tiles, &j.Gemm, j.words, threads)
	j.column, j.end = 0, 0
}

// nextChunk moves on to the next columns of C, and reports whether there are any.
func (j *gemmJob) nextChunk() bool {
	if j.end >= j.N {
		return false
	}
	j.column, j.end = j.end, min(j.end+j.plan.chunk, j.N)
	if j.plan.packB {
		j.packed = grow(&j.scratch.panelsB, j.panels()*j.tiles.columns*j.words)
	}
	return true
}

// finish forgets the operands, so that the job does not keep them alive.
func (j *gemmJob) finish() {
	j.Gemm, j.packed = Gemm{}, nil
}

func (j *gemmJob) panels() int { return ceilDiv(j.end-j.column, j.tiles.columns) }

func (j *gemmJob) blocks() int {
	return ceilDiv(j.M, j.plan.mc) * ceilDiv(j.end-j.column, j.plan.nc)
}

// block computes one block of C over all of K, then hands it to the epilogue.
func (j *gemmJob) block(block, worker int, ws *Workspace) {
	across := ceilDiv(j.end-j.column, j.plan.nc)
	row0 := block / across * j.plan.mc
	col0 := j.column + block%across*j.plan.nc
	row1, col1 := min(row0+j.plan.mc, j.M), min(col0+j.plan.nc, j.end)
	if j.K == 0 && !j.Accumulate {
		for r := row0; r < row1; r++ {
			clear(j.C[r*j.LDC:][col0:col1])
		}
	}
	for k0 := 0; k0 < j.words; k0 += j.plan.kc {
		j.slab(ws, row0, row1, col0, col1, k0, min(k0+j.plan.kc, j.words))
	}
	if j.Epilogue != nil {
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
		if j.plan.packB {
			t.rowB = 4 * j.tiles.columns
			t.b = &j.packed[(col-j.column)*j.words+k0*j.tiles.columns]
		} else {
			t.rowB = 4 * j.LDB
			t.b = &j.B[k0*j.LDB+col]
		}
		j.tiles.run(t, row1-row0, min(j.tiles.columns, col1-col))
	}
	*t = tile{}
}

// operandA packs a block of A if the plan says so, sets the strides of A, and returns its start.
func (j *gemmJob) operandA(t *tile, ws *Workspace, row0, row1, k0, k1 int) *float32 {
	height, steps := j.tiles.rows, k1-k0
	if j.plan.packA {
		t.rowA, t.colA, t.nextA = 4, 4*height, 0
		return &j.packA(ws, row0, row1, k0, k1)[0]
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
