package tui

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
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

func TestMeasureLive(t *testing.T) {
	defer goleak.VerifyNone(t)
	l, err := MeasureLive(t.Context(), 40, 80, 24, 4, time.Second)
	require.NoError(t, err)
	require.Positive(t, l.First)
	require.Positive(t, l.BytesPerSecond)
	require.Less(t, l.BytesPerSecond, 20_000.0)
	require.Positive(t, l.KeyMedian)
	require.GreaterOrEqual(t, l.Key95, l.KeyMedian)
	_, err = MeasureLive(t.Context(), 40, 80, 24, 4, 0)
	require.ErrorContains(t, err, "and 1s")
}
