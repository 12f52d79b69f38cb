package text

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPermutedIsAPermutation(t *testing.T) {
	for _, n := range []uint64{1, 2, 3, 4, 5, 7, 64, 65, 100, 1000, 4097} {
		for key := range uint64(20) {
			seen := make([]bool, n)
			for i := range n {
				j := permuted(i, n, key)
				require.Less(t, j, n)
				require.False(t, seen[j], "n %d, key %d: %d comes twice", n, key, j)
				seen[j] = true
			}
		}
	}
}

// TestPermutedIsUniform checks over many keys that every place goes everywhere equally often, by a chi-squared statistic.
func TestPermutedIsUniform(t *testing.T) {
	const n, keys = 10, 20_000
	var counts [n][n]float64
	for key := range uint64(keys) {
		for i := range uint64(n) {
			counts[i][permuted(i, n, key)]++
		}
	}
	var chi2 float64
	for _, row := range counts {
		for _, c := range row {
			chi2 += (c - keys/n) * (c - keys/n) / (keys / n)
		}
	}
	const freedom = (n - 1) * (n - 1)
	require.Less(t, chi2, freedom+5*math.Sqrt(2*freedom))
}
