package kern

// laneMask is eight set and eight clear words: eight words from 8-n on mask n lanes of an AVX2 vector.
var laneMask = [16]int32{-1, -1, -1, -1, -1, -1, -1, -1}

func avx512Tiles() *tileSet {
	return &tileSet{
		rows: 12, columns: 32, vector: 16, perWord: 1,
		full: tileAVX512, edge: edgesAVX512, peak: peakAVX512,
		dealA: dealing(deal12AVX512, 12), dealB: dealing(deal32AVX512, 32), transpose: strips(transposeAVX512, 16),
	}
}

func bf16Tiles() *tileSet {
	return &tileSet{
		rows: 12, columns: 32, vector: 16, perWord: 2, alwaysPack: true,
		full: tileBF16, edge: edgesBF16, peak: peakBF16,
		dealA: dealingPairs(dealPairs12BF16, 12), dealB: dealingPairs(dealPairs32BF16, 32), transpose: strips(transposePairsBF16, 16),
	}
}

func avx2Tiles() *tileSet {
	return &tileSet{
		rows: 6, columns: 16, vector: 8, perWord: 1,
		full: tileAVX2, edge: edgesAVX2, peak: peakAVX2,
		dealA: dealing(deal6AVX2, 6), dealB: dealing(deal16AVX2, 16), transpose: strips(transposeAVX2, 8),
	}
}

// strips makes a transpose of any number of columns from one of up to a vector of columns.
func strips(f func(dst *float32, width int, src *float32, stride, columns, steps int), vector int) func([]float32, int, []float32, int, int, int) {
	return func(dst []float32, width int, src []float32, stride, columns, steps int) {
		for j := 0; j < columns; j += vector {
			f(&dst[j], 4*width, &src[j*stride], 4*stride, min(vector, columns-j), steps)
		}
	}
}

// dealing makes a dealer of one that copies whole panels only.
func dealing(f func(dst *float32, depth int, src *float32, stride, panels, steps int), n int) dealer {
	return func(dst []float32, depth int, src []float32, stride, width, steps int) {
		panels, rest := width/n, width%n
		if panels > 0 {
			f(&dst[0], 4*depth*n, &src[0], 4*stride, panels, steps)
		}
		if rest > 0 {
			last := dst[panels*depth*n:]
			for k := range steps {
				copy(last[k*n:][:rest], src[k*stride+panels*n:][:rest])
			}
		}
	}
}

func dealingPairs(f func(dst *float32, depth int, src *float32, stride, columns, steps int), n int) dealer {
	return func(dst []float32, depth int, src []float32, stride, width, steps int) {
		f(&dst[0], 4*depth*n, &src[0], 4*stride, width, steps)
	}
}
