package gauss

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWarp(t *testing.T) {
	scores := []float64{10, 55, 60, 66, 70, 71, 72, 72.5, 73, 75.1}
	for _, bend := range bends {
		w := newWarp(scores, bend)
		var sum, squares float64
		for _, s := range scores {
			z := w.Of(s)
			sum, squares = sum+z, squares+z*z
			require.InDelta(t, s, w.Score(z), 1e-9)
			require.InDelta(t, math.Log((w.Of(s+1e-6)-w.Of(s-1e-6))/2e-6), w.logSlope(s), 1e-6)
		}
		require.InDelta(t, 0, sum, 1e-9)
		require.InDelta(t, float64(len(scores)), squares, 1e-9)
		require.InDelta(t, w.Spread*w.Scale*0.1, w.Size(w.Of(74), 0.1), 1e-9, "straight above the centre")
	}
	gap := func(bend float64) float64 {
		w := newWarp(scores, bend)
		return (w.Of(55) - w.Of(10)) / (w.Of(75.1) - w.Of(72))
	}
	require.Less(t, gap(1), gap(0.3))
	require.Less(t, gap(0.3), gap(0), "the more it bends, the less the bad ones matter")
	require.False(t, math.IsNaN(newWarp([]float64{3, 3}, 1).Of(3)))
}
