package kern

// laneMask is eight set and eight clear words: eight words from 8-n on mask n lanes of an AVX2 vector.
var laneMask = [16]int32{-1, -1, -1, -1, -1, -1, -1, -1}

func avx512Tiles() *tileSet {
	return &tileSet{rows: 12, columns: 32, vector: 16, full: tileAVX512, edge: edgesAVX512, transpose: genericTranspose}
}

func avx2Tiles() *tileSet {
	return &tileSet{rows: 6, columns: 16, vector: 8, full: tileAVX2, edge: edgesAVX2, transpose: genericTranspose}
}
