package table

import (
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

// embeddingSize is the dimension that policies see, that of the paper's embedding: second-order surrogates pay for every input.
const embeddingSize = 16

// components projects encodings to their first principal components, where they have more dimensions than policies should see.
func components(x [][]float64) [][]float64 {
	n, d := len(x), len(x[0])
	if d <= embeddingSize || n <= embeddingSize {
		return x
	}
	all := mat.NewDense(n, d, nil)
	for i, row := range x {
		all.SetRow(i, row)
	}
	var pc stat.PC
	if !pc.PrincipalComponents(all, nil) {
		return x
	}
	var vectors, projected mat.Dense
	pc.VectorsTo(&vectors)
	k := min(embeddingSize, vectors.RawMatrix().Cols)
	projected.Mul(all, vectors.Slice(0, d, 0, k))
	out := make([][]float64, n)
	for i := range out {
		out[i] = mat.Row(nil, i, &projected)
	}
	return out
}
