package tui

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNumbers(t *testing.T) {
	for v, want := range map[float64]string{0.73124: "0.7312", 73.126: "73.13", 2.1344: "2.134", -0.5: "-0.5000", 0: "0.0000", 123456: "1.235e+05"} {
		require.Equal(t, want, scoreText(v))
	}
	require.Equal(t, "not a number", scoreText(math.NaN()))
	for v, want := range map[int64]string{0: "0", 999: "999", 1000: "1.00 k", 11_360_000: "11.4 M", 412_400: "412 k", 999_999: "1.00 M", 3_400_000_000: "3.40 G"} {
		require.Equal(t, want, paramsText(v))
	}
	for v, want := range map[int64]string{5: "5 B", 2048: "2.00 KiB", 4_400_000: "4.20 MiB", 1 << 40: "1.00 TiB"} {
		require.Equal(t, want, bytesText(v))
	}
	for f, want := range map[float64]string{0: "0%", 0.999: "99%", 1: "100%", 7: "100%", -1: "0%"} {
		require.Equal(t, want, percentText(f))
	}
}

func TestSpans(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", -time.Second: "0s", 41 * time.Second: "41s", 128 * time.Second: "2m08s", 47*time.Minute + 12*time.Second: "47m", 72 * time.Minute: "1h12m", 76 * time.Hour: "3d04h",
	} {
		require.Equal(t, want, spanText(d))
	}
	require.Equal(t, "?", secondsText(math.NaN()))
	require.Equal(t, "?", secondsText(math.Inf(1)))
}
