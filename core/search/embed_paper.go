package search

import (
	"context"
	"math"
	"math/rand/v2"
)

// The paper's procedure (design notes 3.5).
const (
	tableEpochs = 10
	tableBatch  = 2048
	tableRate   = 0.002
	tableBeta1  = 0.9
	tableBeta2  = 0.999
	tableEps    = 1e-8
	// tableLeast is the smallest library it is used for. In fewer batches the points cannot travel from N(0, 1) to graph distances of a hundred;
	// the original, too, takes SMACOF for small libraries.
	tableLeast = 4000
	// pairEps is what PyTorch's pairwise distance adds to every difference.
	pairEps = 1e-6
)

// adamTable is a free table of points and Adam's moments. The moments are dense: a point without a pair in a batch still moves.
type adamTable struct {
	points, first, second, grads []point
	step                         int
}

// adamPairs fits a table of points, initially N(0, 1), to batches of pairs in random order, with a cosine schedule over all epochs.
func adamPairs(ctx context.Context, deltas triangle, o EmbedOptions) ([]point, Fit, error) {
	n := len(deltas.rows)
	rng := embedRandom(o.Seed)
	t := adamTable{points: make([]point, n), first: make([]point, n), second: make([]point, n), grads: make([]point, n)}
	for i := range t.points {
		for k := range t.points[i] {
			t.points[i][k] = float32(rng.NormFloat64())
		}
	}
	pairs := n * (n - 1) / 2
	batches := (pairs + tableBatch - 1) / tableBatch
	var fit Fit
	for epoch := range tableEpochs {
		order := newShuffle(pairs, rng)
		for b := range batches {
			if err := ctx.Err(); err != nil {
				return nil, Fit{}, err
			}
			done := (float64(epoch) + float64(b)/float64(batches)) / tableEpochs
			t.batch(deltas, order, b*tableBatch, min(pairs, (b+1)*tableBatch))
			t.update(tableRate * (1 + math.Cos(math.Pi*done)) / 2)
		}
		_, loss, scale := sweep(deltas, t.points, o.Threads)
		fit = Fit{Stress: math.Sqrt(loss / max(scale, math.SmallestNonzeroFloat64)), Sweeps: epoch + 1}
		if o.Progress != nil {
			o.Progress(fit.Sweeps, tableEpochs, fit.Stress)
		}
	}
	return t.points, fit, nil
}

// batch sets grads to the gradient of the mean over the pairs numbered from..to-1 in shuffled order of (|e_i - e_j| - delta_ij)^2.
func (t *adamTable) batch(deltas triangle, order shuffle, from, to int) {
	clear(t.grads)
	for p := from; p < to; p++ {
		i, j := pairOf(order.at(p), len(t.points))
		if heldOut(i, j) {
			continue
		}
		x, y := &t.points[i], t.points[j]
		for k := range y {
			y[k] -= pairEps
		}
		if d := pointDistance(x, &y); d > 0 {
			pull(&t.grads[i], &t.grads[j], x, &y, 2*(d-deltas.rows[i][j-i-1])/(d*float32(to-from)))
		}
	}
}

func (t *adamTable) update(rate float64) {
	t.step++
	correct1 := float32(rate / (1 - math.Pow(tableBeta1, float64(t.step))))
	correct2 := 1 / float32(1-math.Pow(tableBeta2, float64(t.step)))
	for i := range t.points {
		x, m, v, g := &t.points[i], &t.first[i], &t.second[i], &t.grads[i]
		for k := range x {
			m[k] = tableBeta1*m[k] + (1-tableBeta1)*g[k]
			v[k] = tableBeta2*v[k] + (1-tableBeta2)*g[k]*g[k]
			x[k] -= correct1 * m[k] / (float32(math.Sqrt(float64(v[k]*correct2))) + tableEps)
		}
	}
}

// pairOf is pair number p of the upper triangle of n points, row by row.
func pairOf(p, n int) (i, j int) {
	// Row i starts at i(2n-i-1)/2; the root is corrected for rounding.
	b := float64(2*n - 1)
	i = int((b - math.Sqrt(b*b-8*float64(p))) / 2)
	start := func(i int) int { return i * (2*n - i - 1) / 2 }
	for i > 0 && start(i) > p {
		i--
	}
	for start(i+1) <= p {
		i++
	}
	return i, i + 1 + p - start(i)
}

// shuffle is a random permutation of 0..n-1 without a table: a Feistel network on the next even number of bits, repeated until it falls below n.
type shuffle struct {
	n, half uint64
	keys    [4]uint64
}

func newShuffle(n int, rng *rand.Rand) shuffle {
	s := shuffle{n: uint64(n), half: 1}
	for uint64(1)<<(2*s.half) < s.n {
		s.half++
	}
	for i := range s.keys {
		s.keys[i] = rng.Uint64()
	}
	return s
}

func (s shuffle) at(i int) int {
	const golden = 0x9e3779b97f4a7c15
	mask := uint64(1)<<s.half - 1
	v := uint64(i)
	for {
		left, right := v>>s.half, v&mask
		for _, key := range s.keys {
			mixed := (right ^ key) * golden
			left, right = right, left^(mixed>>32&mask)
		}
		if v = left<<s.half | right; v < s.n {
			return int(v)
		}
	}
}
