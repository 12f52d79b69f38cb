package kern

func newTable(l Level) *Table {
	t := genericTable()
	t.Level = l
	switch l {
	case AVX512:
		t.tiles = avx512Tiles()
	case AVX2:
		t.tiles = avx2Tiles()
	}
	return t
}
