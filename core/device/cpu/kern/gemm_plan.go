package kern

// Cache blocking. A block of C (blockRows×blockColumns) stays in the second-level cache while the sum runs over K in steps of at most stepK words:
// the rows of A for a tile stay in the first-level cache while a panel of B of that height streams past them. B is packed for all threads together,
// in chunks of columns that the last-level cache can hold.
const (
	stepK        = 512
	blockRows    = 144
	blockColumns = 512
	chunkWords   = 1 << 20
	// tasksPerThread is how finely C is cut, so that threads that are slowed down by others end together.
	tasksPerThread = 4
	// packRows and packColumns are the sizes of C from which the reuse of a packed operand pays for the packing.
	packRows = 96
	// deepFactor is how many times larger than M a K is deep.
	deepFactor  = 2
	packColumns = 96
)

// plan is the blocking of one product. Only kc decides about bits, and it depends on K alone.
type plan struct {
	kc           int // words of K between two visits of C
	mc, nc       int // block of C: multiples of the tile
	chunk        int // columns of B packed at a time: a multiple of nc
	depth        int // words of K in a pass: all, or kc
	packA, packB bool
	shareA       bool // A is packed for all threads together, with B
}

func makePlan(s *tileSet, g *Gemm, words, threads int) plan {
	p := plan{
		kc:    balanced(words, stepK, 1),
		packA: s.alwaysPack || g.TransA && g.N >= packColumns,
		packB: g.K > 0 && g.Packed.set == nil && (s.alwaysPack || g.TransB || g.HalfB != nil || g.M >= packRows),
	}
	p.depth = words
	if words >= deepFactor*max(g.M, 1) && words > p.kc {
		// Much is packed and little computed with it: one step of K at a time stays in the cache until it is used.
		p.depth, p.packA, p.packB, p.shareA = p.kc, true, g.Packed.set == nil, true
	}
	p.mc = balanced(g.M, blockRows, s.rows)
	p.nc = balanced(g.N, blockColumns, s.columns)
	if threads > 1 {
		p.refine(s, g, threads*tasksPerThread)
	}
	p.chunk = max(1, chunkWords/(max(p.depth, 1)*p.nc)) * p.nc
	return p
}

// refine halves blocks until there are enough of them or they are as small as is useful.
func (p *plan) refine(s *tileSet, g *Gemm, tasks int) {
	for ceilDiv(g.M, p.mc)*ceilDiv(g.N, p.nc) < tasks {
		switch {
		case p.nc > 4*s.columns && p.nc >= p.mc:
			p.nc = roundUp(p.nc/2, s.columns)
		case p.mc > 4*s.rows:
			p.mc = roundUp(p.mc/2, s.rows)
		case p.nc > s.columns:
			p.nc = roundUp(p.nc/2, s.columns)
		default:
			return
		}
	}
}

// balanced cuts n into the fewest parts of at most limit and returns the size of a part, rounded up to the unit.
func balanced(n, limit, unit int) int {
	parts := max(1, ceilDiv(n, limit))
	return max(unit, roundUp(ceilDiv(n, parts), unit))
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

func roundUp(n, unit int) int { return ceilDiv(n, unit) * unit }
