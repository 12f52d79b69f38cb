package kern

// Panels is a K×N matrix packed once for several products that have it, or a part of it, as B.
type Panels struct {
	words []float32
	depth int // words from one panel to the next, divided by its columns
	bf16  bool
	set   *tileSet
}

// PanelAlign is what the first row and column of a part of Panels are multiples of.
const PanelAlign = 32

// PanelsLen is how many float32 the panels of a K×N matrix take.
func (t *Table) PanelsLen(k, n int, bf16 bool) int {
	s := t.tileSet(bf16)
	return roundUp(n, s.columns) * ceilDiv(k, s.perWord)
}

// Pack writes the panels of a K×N matrix, stored N×K if trans is set, with a row stride of ld elements.
func (t *Table) Pack(dst, b []float32, ld, k, n int, trans, bf16 bool) Panels {
	s := t.tileSet(bf16)
	p := Panels{words: dst[:t.PanelsLen(k, n, bf16)], depth: ceilDiv(k, s.perWord), bf16: bf16, set: s}
	if k > 0 && n > 0 {
		s.packB(p.words, p.depth, b, ld, n, k, trans)
	}
	return p
}

// From is the part of the matrix from a row and a column on, both multiples of PanelAlign.
func (p Panels) From(row, col int) Panels {
	p.words = p.words[col*p.depth+row/p.set.perWord*p.set.columns:]
	return p
}

// packB packs steps × width elements of a matrix whose panels have the given depth.
func (s *tileSet) packB(dst []float32, depth int, b []float32, stride, width, steps int, trans bool) {
	if !trans {
		s.dealB(dst, depth, b, stride, width, steps)
		return
	}
	for col := 0; col < width; col += s.columns {
		s.transpose(dst[col*depth:], s.columns, b[col*stride:], stride, min(s.columns, width-col), steps)
	}
}
