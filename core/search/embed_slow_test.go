//go:build slow

package search

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestEmbedPaperSpace embeds all 9,312 architectures, by majorisation and by the paper's procedure. At the paper's learning rate the
// latter is far from converged after ten epochs, which is what its low bound records.
func TestEmbedPaperSpace(t *testing.T) {
	s := mustSpace(t, "paper")
	archs, err := s.Enumerate(s.Levels()[0], 10000)
	require.NoError(t, err)
	for _, tc := range []struct {
		edgeWeight  float64
		paper       bool
		correlation float64
	}{{0.1, false, 0.98}, {1, false, 0.97}, {0.1, true, 0.6}} {
		d, err := NewDistances(s, archs, Scheme2022, tc.edgeWeight)
		require.NoError(t, err)
		start := time.Now()
		e, err := Embed(t.Context(), d, EmbedOptions{Seed: 1, Paper: tc.paper})
		require.NoError(t, err)
		t.Logf("edge weight %v, paper %v: stress %.4f, held-out correlation %.4f, %d sweeps, %v", tc.edgeWeight, tc.paper,
			e.Fit.Stress, e.Fit.Correlation, e.Fit.Sweeps, time.Since(start).Round(time.Millisecond))
		require.Greater(t, e.Fit.Correlation, tc.correlation)
	}
}
