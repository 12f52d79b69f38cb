package devicetest

import (
	"fmt"

	"flexi/core/device"
)

// scatterBound is for sums of a few rows.
const scatterBound = 1e-6

// picks are n row numbers below limit, with repetitions and, if wanted, some negative ones.
func (r *rig) picks(n, limit int, negative bool) []int32 {
	out := make([]int32, n)
	for i := range out {
		out[i] = int32(r.rng.IntN(limit))
		if negative && r.rng.IntN(4) == 0 {
			out[i] = -1 - int32(r.rng.IntN(3))
		}
	}
	return out
}

// gathered is y[i] = x[rows[i]], zeros for a negative row.
func gathered(x matrix, rows []int32) matrix {
	y := zeros(len(rows), x.cols)
	for i, from := range rows {
		if from >= 0 {
			copy(y.row(i), x.row(int(from)))
		}
	}
	return y
}

// scattered is y[rows[i]] += x[i] over count rows of zeros.
func scattered(x matrix, rows []int32, count int) matrix {
	y := zeros(count, x.cols)
	for i, to := range rows {
		if to >= 0 {
			axpy(y.row(int(to)), x.row(i), 1)
		}
	}
	return y
}

func rowCases() []kernelCase {
	var cases []kernelCase
	// Picked rows, rows of the table, width.
	for _, s := range [][3]int{{1, 1, 1}, {5, 3, 7}, {13, 37, 2}, {37, 5, 67}, {301, 29, 131}} {
		cases = append(cases, kernelCase{fmt.Sprintf("gather and scatter %d of %dx%d", s[0], s[1], s[2]), func(r *rig) {
			rows := r.picks(s[0], s[1], true)
			x, dy := r.normal(s[1], s[2]), r.normal(s[0], s[2])
			y, dx, index := r.output(s[0], s[2]), r.output(s[1], s[2]), r.indices(rows)
			r.d.Gather(y, r.input(x), index)
			r.d.Scatter(dx, r.input(dy), index)
			r.compare(func() []matrix { return []matrix{gathered(x, rows), scattered(dy, rows, s[1])} },
				result{"gathered", y, 0}, result{"scattered", dx, scatterBound})
		}, false})
	}
	cases = append(cases, kernelCase{"all rows negative", func(r *rig) {
		rows := []int32{-1, -7, -1}
		y, dx, index := r.output(3, 5), r.output(2, 5), r.indices(rows)
		r.d.Gather(y, r.input(r.normal(2, 5)), index)
		r.d.Scatter(dx, r.input(r.normal(3, 5)), index)
		r.compare(func() []matrix { return []matrix{zeros(3, 5), zeros(2, 5)} }, result{"gathered", y, 0}, result{"scattered", dx, 0})
	}, false})
	return cases
}

func embeddingCases() []kernelCase {
	var cases []kernelCase
	// Rows, vocabulary, width.
	for _, s := range [][3]int{{1, 1, 1}, {7, 3, 5}, {13, 101, 2}, {37, 29, 13}, {301, 53, 131}} {
		for _, segments := range []bool{false, true} {
			cases = append(cases, embeddingCase(s[0], s[1], s[2], segments))
		}
	}
	return cases
}

func embeddingCase(rows, vocabulary, width int, segments bool) kernelCase {
	const types = 2
	return kernelCase{fmt.Sprintf("%d of %dx%d segments=%v", rows, vocabulary, width, segments), func(r *rig) {
		ids, types32 := r.picks(rows, vocabulary, false), r.picks(rows, types, false)
		token, segment, dy := r.normal(vocabulary, width), r.normal(types, width), r.normal(rows, width)
		e := device.Embedding{IDs: r.indices(ids), Token: r.input(token), Y: r.output(rows, width)}
		g := device.EmbeddingGrad{IDs: e.IDs, DY: r.input(dy), DToken: r.output(vocabulary, width)}
		if segments {
			e.Segments, e.Segment = r.indices(types32), r.input(segment)
			g.Segments, g.DSegment = e.Segments, r.output(types, width)
		}
		r.d.EmbeddingForward(e)
		r.d.EmbeddingBackward(g)
		r.compare(func() []matrix {
			y := gathered(token, ids)
			if segments {
				y = plus(y, gathered(segment, types32))
			}
			return []matrix{y, scattered(dy, ids, vocabulary), scattered(dy, types32, types)}
		}, result{"Y", e.Y, elementBound}, result{"DToken", g.DToken, scatterBound}, result{"DSegment", g.DSegment, 4 * scatterBound})
	}, false}
}
