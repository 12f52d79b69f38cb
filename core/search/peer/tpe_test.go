package peer

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestParzenIsOptunas compares with _ParzenEstimator of Optuna 4.5 (prior_weight 1, consider_magic_clip, default_weights, independent):
// exp(log_pdf) of all values.
func TestParzenIsOptunas(t *testing.T) {
	var long []int
	for i := range 30 {
		long = append(long, i*i%3)
	}
	for _, c := range []struct {
		observations []int
		integer      bool
		want         []float64
	}{
		{[]int{2, 2, 0}, false, []float64{0.28125, 0.15625, 0.40625, 0.15625}},
		{nil, false, []float64{1. / 3, 1. / 3, 1. / 3}},
		{long, false, []float64{0.320485336992, 0.639470073744, 0.040044589264}},
		{[]int{1}, true, []float64{0.254281802437, 0.303039562581, 0.262051197612, 0.18062743737}},
		{[]int{0, 3, 3, 1}, true, []float64{0.202552565751, 0.21295411032, 0.212213075783, 0.231255503671, 0.141024744475}},
		{nil, true, []float64{0.5, 0.5}},
		{[]int{5, 5}, true, []float64{0.066652101767, 0.086943335164, 0.123620168659, 0.184387023747, 0.253856401136, 0.284540969526}},
	} {
		require.InDeltaSlice(t, c.want, parzen(c.observations, len(c.want), c.integer), 1e-11, "%v", c)
	}
	var wide []int // none twice: the order of equal ones is left to chance there
	for i := range 30 {
		wide = append(wide, i*7%40)
	}
	p := parzen(wide, 40, true)
	require.InDeltaSlice(t, []float64{0.015519414606, 0.027620258678, 0.03452233007, 0.019016907438, 0.02954234255, 0.018211368958},
		[]float64{p[0], p[1], p[2], p[12], p[37], p[39]}, 1e-11)
}

// TestAgeWeights compares with Optuna's default_weights.
func TestAgeWeights(t *testing.T) {
	require.Equal(t, []float64{1, 1, 1}, ageWeights(3))
	require.Empty(t, ageWeights(0))
	w := ageWeights(28)
	require.InDeltaSlice(t, []float64{0.03571428571428571, 0.5178571428571429, 1, 1}, w[:4], 1e-15)
	require.Equal(t, 1.0, w[27])
	require.InDeltaSlice(t, []float64{0.038461538461538464, 1, 1}, ageWeights(26)[:3], 1e-15)
}

func TestSplitTakesTheBestTenth(t *testing.T) {
	r := results(t, product(30, 30), []float64{1, 5, 2, 5, 0, 1, 1, 1, 1, 1, 3})
	below, above := split(r)
	require.Equal(t, []int{r.At[1], r.At[3]}, below, "two of eleven, in the order of proposal")
	require.Len(t, above, 9)
	scores := make([]float64, 300)
	for i := range scores {
		scores[i] = float64(i)
	}
	below, _ = split(results(t, product(30, 30), scores))
	require.Len(t, below, 25)
}

func TestBestRatio(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	require.Equal(t, 1, bestRatio([]float64{0.5, 0.3, 0.2}, []float64{0.8, 0.1, 0.1}, rng), "ratio 3 against 0.6 and 2")
	counts := make([]int, 3)
	for range 3000 {
		counts[bestRatio([]float64{0.97, 0.02, 0.01}, []float64{1, 0.01, 0.001}, rng)]++
	}
	require.InDelta(t, 3000*(1-math.Pow(0.99, 24)), counts[2], 150, "the best ratio wins where it is drawn, once in 24")
	require.InDelta(t, 3000*math.Pow(0.97, 24), counts[0], 150, "the worst where nothing else is")
}
