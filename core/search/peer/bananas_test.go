package peer

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNetworkGradient compares the gradient of the output with central differences.
func TestNetworkGradient(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	n := newNetwork(7, rng)
	for k := range n.layers {
		for i := range n.layers[k].w {
			n.layers[k].w[i] += 0.05 * rng.NormFloat64()
		}
	}
	on := []int{1, 4, 5}
	n.predict(on)
	n.backward(on, 1)
	for k := range n.layers {
		l := &n.layers[k]
		for i, w := range l.w {
			l.w[i] = w + 1e-6
			up := n.predict(on)
			l.w[i] = w - 1e-6
			down := n.predict(on)
			l.w[i] = w
			require.InDelta(t, (up-down)/2e-6, l.grad[i], 1e-6, "layer %d, weight %d", k, i)
		}
	}
}

// TestNetworkLearns fits a sum of choices and predicts combinations that it has not seen.
func TestNetworkLearns(t *testing.T) {
	lib := product(4, 5, 4)
	coding := newOneHot(lib)
	require.Equal(t, 5+6+5, coding.width)
	require.Equal(t, []int{1, 5 + 2, 11 + 3}, coding.of(1+4*2+20*3))
	rng := rand.New(rand.NewPCG(1, 1))
	order := rng.Perm(lib.Len())
	var x [][]int
	var scores []float64
	for _, i := range order[:60] {
		x, scores = append(x, coding.of(i)), append(scores, bowl(lib, i))
	}
	n := newNetwork(coding.width, rng)
	y := standardise(scores)
	n.train(x, y, rng)
	_, variance := moments(scores)
	mean, _ := moments(scores)
	var worst float64
	for _, i := range order[60:] {
		worst += math.Abs(n.predict(coding.of(i))-(bowl(lib, i)-mean)/math.Sqrt(variance)) / 20
	}
	require.Less(t, worst, 0.35, "mean absolute error, in deviations; a constant has about 0.8")
}

func TestMutationsAreOfTheBest(t *testing.T) {
	lib := product(4, 5, 7)
	scores := make([]float64, 40)
	scores[17], scores[3] = 2, 1
	r := results(t, lib, scores)
	changes := NewChanges(lib)
	got := mutations(r, changes, rand.New(rand.NewPCG(1, 1)))
	require.Len(t, got, bananasCandidates)
	open := unproposed(r, changes.Of(17))
	require.ElementsMatch(t, open, got[:len(open)])
}
