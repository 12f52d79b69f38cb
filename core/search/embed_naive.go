package search

import (
	"math"

	"gonum.org/v1/gonum/stat"

	"flexi/core/model"
)

// NaiveEmbedding is the baseline without graph distances (design notes 3.5): an architecture's dictionary as numbers, 1 + 6 per layer of the deepest
// architecture: the number of layers, then per layer hidden size, heads, operation, parameter, feed-forward depth and the mean log2 of the widths; zeros
// for layers it lacks. Each column is standardised over the library. The original standardises each row, which mixes units, and multiplies widths.
func NaiveEmbedding(archs []model.Arch) [][]float64 {
	deepest := 0
	ops, params := map[model.Op]int{}, map[opKind]int{}
	for _, a := range archs {
		deepest = max(deepest, len(a.Layers))
		for _, l := range a.Layers {
			number(ops, l.Op)
			number(params, opKind{l.Op, l.Param})
		}
	}
	rows := make([][]float64, len(archs))
	for i, a := range archs {
		rows[i] = append(make([]float64, 0, 1+6*deepest), float64(len(a.Layers)))
		for _, l := range a.Layers {
			var width float64
			for _, f := range l.FF {
				width += math.Log2(float64(f)) / float64(len(l.FF))
			}
			rows[i] = append(rows[i], float64(l.Hidden), float64(l.Heads), float64(ops[l.Op]), float64(params[opKind{l.Op, l.Param}]), float64(len(l.FF)), width)
		}
		rows[i] = append(rows[i], make([]float64, 1+6*deepest-len(rows[i]))...)
	}
	standardise(rows)
	return rows
}

// number gives a new key the next number, from 1.
func number[K comparable](numbers map[K]int, key K) {
	if numbers[key] == 0 {
		numbers[key] = len(numbers) + 1
	}
}

// standardise gives every column mean 0 and standard deviation 1; a constant column becomes 0.
func standardise(rows [][]float64) {
	if len(rows) == 0 {
		return
	}
	column := make([]float64, len(rows))
	for k := range rows[0] {
		for i := range rows {
			column[i] = rows[i][k]
		}
		mean, deviation := stat.PopMeanStdDev(column, nil)
		for i := range rows {
			rows[i][k] = 0
			if deviation > 0 {
				rows[i][k] = (column[i] - mean) / deviation
			}
		}
	}
}
