package kern

// laneMask is eight set and eight clear words: eight words from 8-n on mask n lanes of an AVX2 vector.
var laneMask = [16]int32{-1, -1, -1, -1, -1, -1, -1, -1}

func avx512Tiles() *tileSet {
	return &tileSet{
		rows: 12, columns: 32, vector: 16,
		full: tileAVX512, edge: edgesAVX512, peak: peakAVX512,
		dealA: dealing(deal12AVX512, 12), dealB: dealing(deal32AVX512, 32), transpose: strips(transposeAVX512, 16),
	}
}

func avx2Tiles() *tileSet {
	return &tileSet{
		rows: 6, columns: 16, vector: 8,
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

func dealing(f func(dst *float32, depth int, src *float32, stride, panels, steps int), n int) dealer {
	return func(dst []float32, depth int, src []float32, stride, panels, steps int) {
		f(&dst[0], 4*depth*n, &src[0], 4*stride, panels, steps)
	}
}
