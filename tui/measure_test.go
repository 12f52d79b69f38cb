package tui

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMeasure(t *testing.T) {
	c, err := Measure(40, 80, 24, 3)
	require.NoError(t, err)
	require.Equal(t, [3]int{80, 24, 40}, [3]int{c.Width, c.Height, c.Trials})
	require.Greater(t, c.Bytes, 80*24)
	require.Positive(t, c.View)
	_, err = Measure(1, 80, 24, 3)
	require.ErrorContains(t, err, "at least 2 trials")
}
