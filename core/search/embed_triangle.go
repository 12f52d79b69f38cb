package search

import "math"

// triangle is the strict upper triangle of a distance matrix: rows[i][k] is the distance of i and i+1+k. For 9,312 architectures it takes 173 MB.
type triangle struct {
	ids  []int // the architectures' numbers in the library, ascending
	rows [][]float32
}

// allPairs computes every distance, on so many threads (0 is all cores).
func (d *Distances) allPairs(threads int) triangle {
	n := d.Len()
	t := triangle{indices(n), make([][]float32, n)}
	inBlocks(n, 32, threads, func(i int) {
		t.rows[i] = make([]float32, n-1-i)
		d.Row(i, i+1, t.rows[i])
	})
	return t
}

// indices are the numbers from 0 to below n.
func indices(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// at is the distance of i and j, in any order.
func (t triangle) at(i, j int) float32 {
	switch {
	case i == j:
		return 0
	case i > j:
		i, j = j, i
	}
	return t.rows[i][j-i-1]
}

// sub is the triangle of some of the architectures, given ascending.
func (t triangle) sub(picked []int) triangle {
	out := triangle{ids: make([]int, len(picked)), rows: make([][]float32, len(picked))}
	for a, i := range picked {
		out.ids[a] = t.ids[i]
		out.rows[a] = make([]float32, len(picked)-1-a)
		for b := range out.rows[a] {
			out.rows[a][b] = t.at(i, picked[a+1+b])
		}
	}
	return out
}

// holdOut is the reciprocal of the share of held-out pairs.
const holdOut = 64

// holdOutPhase scatters held-out pairs: of the pairs (i, j), i < j, those are held out where j % holdOut is the phase of i.
func holdOutPhase(i int) int {
	return int(uint32(i) * 2654435761 >> 16 % holdOut) // Knuth's multiplicative hash
}

func heldOut(i, j int) bool {
	if i > j {
		i, j = j, i
	}
	return i < j && j%holdOut == holdOutPhase(i)
}

// squaredDistance is unrolled by hand: the compiler does not unroll, and this is the inner loop of every sweep.
func squaredDistance(a, b *point) float32 {
	d0, d1, d2, d3 := a[0]-b[0], a[1]-b[1], a[2]-b[2], a[3]-b[3]
	d4, d5, d6, d7 := a[4]-b[4], a[5]-b[5], a[6]-b[6], a[7]-b[7]
	d8, d9, d10, d11 := a[8]-b[8], a[9]-b[9], a[10]-b[10], a[11]-b[11]
	d12, d13, d14, d15 := a[12]-b[12], a[13]-b[13], a[14]-b[14], a[15]-b[15]
	return ((d0*d0 + d1*d1) + (d2*d2 + d3*d3)) + ((d4*d4 + d5*d5) + (d6*d6 + d7*d7)) +
		(((d8*d8 + d9*d9) + (d10*d10 + d11*d11)) + ((d12*d12 + d13*d13) + (d14*d14 + d15*d15)))
}

func pointDistance(a, b *point) float32 { return float32(math.Sqrt(float64(squaredDistance(a, b)))) }
