package search

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"flexi/core/model"
)

func TestNaiveEmbedding(t *testing.T) {
	rows := NaiveEmbedding([]model.Arch{bertTiny(), bertMini(), flexiMini()})
	for _, row := range rows {
		require.Len(t, row, 1+6*4)
	}
	for k := range rows[0] {
		var sum, square float64
		for i := range rows {
			sum += rows[i][k]
			square += rows[i][k] * rows[i][k]
		}
		require.InDelta(t, 0, sum, 1e-9, "column %d", k)
		if square != 0 {
			require.InDelta(t, 3, square, 1e-9, "column %d has unit variance", k)
		}
	}
	require.Less(t, rows[0][0], rows[1][0], "fewer layers")
	require.Equal(t, rows[1][1], rows[2][1], "equal hidden size")
	require.Zero(t, rows[0][3], "the operation of layer 1 is the same for all")
	require.Empty(t, NaiveEmbedding(nil))
}

func TestEncodeIsOneHotAndInjective(t *testing.T) {
	space := mustSpace(t, "paper")
	e := NewEncoder(space)
	columns := e.Columns()
	require.Len(t, columns, 2+4*(6+2+2+2+3*2))
	require.Equal(t, []string{"layers=2", "layers=4", "layer 1 operation=l/dft"}, columns[:3])
	require.Equal(t, "layer 4 width 3=1024", columns[len(columns)-1])

	v, err := e.Encode(bertTiny())
	require.NoError(t, err)
	var on []string
	for i, x := range v {
		if x == 1 {
			on = append(on, columns[i])
		} else {
			require.Zero(t, x)
		}
	}
	require.Equal(t, []string{
		"layers=2",
		"layer 1 operation=sa/sdp", "layer 1 heads=2", "layer 1 hidden=128", "layer 1 depth=1", "layer 1 width 1=512",
		"layer 2 operation=sa/sdp", "layer 2 heads=2", "layer 2 hidden=128", "layer 2 depth=1", "layer 2 width 1=512",
	}, on)

	_, err = e.Encode(uniform(2, layer("sa", "sdp", 64, 2, 512)))
	require.ErrorContains(t, err, "encode architecture: layer 1: hidden size 64")

	rapid.Check(t, func(t *rapid.T) {
		a, b := drawArch(t, space, "a"), drawArch(t, space, "b")
		va, err := e.Encode(a)
		require.NoError(t, err)
		vb, err := e.Encode(b)
		require.NoError(t, err)
		same := true
		for i := range va {
			same = same && va[i] == vb[i]
		}
		require.Equal(t, Hash(a) == Hash(b), same)
	})
}
