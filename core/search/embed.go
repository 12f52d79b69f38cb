package search

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/stat"
)

// EmbedDim is the dimension of the embedding, as in the paper.
const EmbedDim = 16

// point is one embedded architecture. float32 halves the memory traffic of all-pairs sweeps; distances are below 10^4 and wanted to 10^-3.
type point = [EmbedDim]float32

// EmbedOptions choose how the embedding is found.
type EmbedOptions struct {
	Seed    uint64
	Threads int // 0 is all cores; the result is the same for any number
	// Paper takes the paper's procedure (design notes 3.5) for libraries of at least 4,000: Adam over batches of pairs. It needs minutes for 9,312
	// architectures, where stress majorisation needs seconds, and ends at a stress of 0.31 where majorisation reaches 0.06: at the
	// paper's learning rate the points hardly travel (at 0.1 it would come as far).
	Paper bool
	// Progress, if not nil, is called after each sweep over the pairs.
	Progress func(done, total int, stress float64)
}

// Embedding is a set of points whose Euclidean distances stand for graph distances.
type Embedding struct {
	Vectors [][]float64
	Fit     Fit
}

// Fit says how well an embedding reproduces the distances.
type Fit struct {
	// Stress is Kruskal's stress-1, sqrt(sum (d - delta)^2 / sum delta^2), over the pairs that were fitted: 0 is perfect.
	Stress float64
	// Correlation is Pearson's, of embedded and graph distance over pairs that were held out of the fit (only the classical scaling that majorisation
	// starts from sees them); 0 if there are fewer than 3 or all are equal.
	Correlation float64
	Sweeps      int
}

// Embed places every architecture as a point such that Euclidean distances come close to graph distances: Transformer2vec of design notes 3.5.
// It minimises the same loss as the original, the mean over all pairs of (|e_i - e_j| - delta_ij)^2, but for 1 pair in 64 that is held out to judge the
// fit. The memory is that of the triangle of distances: 173 MB at 9,312 architectures, given back at the end.
func Embed(ctx context.Context, d *Distances, o EmbedOptions) (*Embedding, error) {
	n := d.Len()
	if n == 0 {
		return nil, fmt.Errorf("embed architectures: there are none")
	}
	var (
		points []point
		fit    Fit
		err    error
	)
	deltas := d.allPairs(o.Threads)
	if o.Paper && n >= tableLeast {
		points, fit, err = adamPairs(ctx, deltas, o)
	} else {
		points, fit, err = (&majorisation{EmbedOptions: o, sample: sampleSize}).run(ctx, deltas)
	}
	if err != nil {
		return nil, fmt.Errorf("embed %d architectures: %w", n, err)
	}
	fit.Correlation = heldOutCorrelation(points, deltas)
	e := &Embedding{Vectors: make([][]float64, n), Fit: fit}
	for i := range points {
		e.Vectors[i] = make([]float64, EmbedDim)
		for k, v := range points[i] {
			e.Vectors[i][k] = float64(v)
		}
	}
	return e, nil
}

// heldOutCorrelation compares distances over the held-out pairs, at most a million of them.
func heldOutCorrelation(points []point, deltas triangle) float64 {
	var embedded, graph []float64
	stride := len(points)*len(points)/2/holdOut/1_000_000 + 1
	for i := 0; i < len(points); i += stride {
		for j := holdOutPhase(i); j < len(points); j += holdOut {
			if j > i {
				embedded = append(embedded, float64(pointDistance(&points[i], &points[j])))
				graph = append(graph, float64(deltas.rows[i][j-i-1]))
			}
		}
	}
	if r := stat.Correlation(embedded, graph, nil); len(graph) >= 3 && !math.IsNaN(r) {
		return r
	}
	return 0
}

func embedRandom(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x656d626564)) }
