package finetune

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// adaLoss is a linear function of the composed factors plus the penalty, in float64.
func adaLoss(t triplet, theta []float64, da, db []float32) float64 {
	p, q, l := theta[:t.out*t.rank], theta[t.out*t.rank:t.rank*(t.in+t.out)], theta[t.rank*(t.in+t.out):]
	sum := 0.0
	for i, d := range da {
		sum += float64(d) * q[i]
	}
	for i, d := range db {
		sum += float64(d) * p[i] * l[i%t.rank]
	}
	orthogonal := func(n int, at func(k, j int) float64) {
		for k := range t.rank {
			for m := range t.rank {
				dot := 0.0
				if k == m {
					dot = -1
				}
				for j := range n {
					dot += at(k, j) * at(m, j)
				}
				sum += adaOrthogonal * dot * dot
			}
		}
	}
	orthogonal(t.out, func(k, j int) float64 { return p[j*t.rank+k] })
	orthogonal(t.in, func(k, j int) float64 { return q[k*t.in+j] })
	return sum
}

func TestAdaLoRAGradient(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 5))
	for _, shape := range [][3]int{{5, 7, 3}, {1, 2, 1}, {4, 3, 2}} {
		m := triplet{in: shape[0], out: shape[1], rank: shape[2]}
		theta, grad := make([]float32, m.size()), make([]float32, m.size())
		wide := make([]float64, m.size())
		for i := range theta {
			theta[i] = float32(r.NormFloat64())
			wide[i] = float64(theta[i])
		}
		da, db := make([]float32, m.rank*m.in), make([]float32, m.out*m.rank)
		for _, d := range [][]float32{da, db} {
			for i := range d {
				d[i] = float32(r.NormFloat64())
			}
		}
		m.gradient(theta, da, db, grad)
		const h = 1e-5
		for i := range wide {
			at := wide[i]
			wide[i] = at + h
			up := adaLoss(m, wide, da, db)
			wide[i] = at - h
			down := adaLoss(m, wide, da, db)
			wide[i] = at
			require.InDelta(t, (up-down)/(2*h), float64(grad[i]), 1e-4*(1+math.Abs(float64(grad[i]))), "parameter %d of %v", i, shape)
		}
	}
}

func TestAdaLoRAComposes(t *testing.T) {
	m := triplet{in: 2, out: 3, rank: 2}
	theta := []float32{1, 2, 3, 4, 5, 6, 10, 20, 30, 40, 7, 0} // P rows, Q rows, lambda
	A, B := make([]float32, 4), make([]float32, 6)
	m.compose(theta, A, B)
	require.Equal(t, []float32{10, 20, 30, 40}, A)
	require.Equal(t, []float32{7, 0, 21, 0, 35, 0}, B)
	ka, kb, rank := m.kept(theta)
	require.Equal(t, 1, rank, "a singular value of zero is pruned")
	require.Equal(t, []float32{10, 20}, ka)
	require.Equal(t, []float32{7, 21, 35}, kb)
}

func TestAdaLoRABudget(t *testing.T) {
	a, err := newAdaLoRA([][2]int{{8, 8}, {8, 8}, {8, 4}}, 10, 100)
	require.NoError(t, err)
	require.Equal(t, 5, a.modules[0].rank, "1.5 times 10/3, rounded up")
	require.Equal(t, 4, a.modules[2].rank, "no rank above the matrix's own")
	require.Equal(t, 14, a.allowed(0))
	require.Equal(t, 14, a.allowed(10))
	require.Equal(t, 10+1, a.allowed(40), "half way the excess is an eighth: 4/8, rounded")
	require.Equal(t, 10, a.allowed(70))
	require.Equal(t, 10, a.allowed(100))
	for step := 1; step <= 100; step++ {
		require.LessOrEqual(t, a.allowed(step), a.allowed(step-1))
	}

	theta, grad := make([]float32, a.size()), make([]float32, a.size())
	a.initial(theta, 1)
	for _, m := range a.modules {
		_, _, l := m.parts(theta)
		for k := range l {
			require.Zero(t, l[k])
			l[k] = 1
		}
	}
	r := rand.New(rand.NewPCG(1, 1))
	_, _, favourite := a.modules[1].parts(grad)
	for step := 1; step <= 100; step++ {
		for i := range grad {
			grad[i] = float32(0.01 * r.NormFloat64())
		}
		favourite[2] = float32(5 * r.NormFloat64())
		a.prune(theta, grad, step)
	}
	left := 0
	for _, m := range a.modules {
		_, _, rank := m.kept(theta)
		left += rank
	}
	require.Equal(t, 10, left)
	_, _, l := a.modules[1].parts(theta)
	require.NotZero(t, l[2], "the most sensitive singular value stays")
	_, err = newAdaLoRA(nil, 3, 10)
	require.ErrorContains(t, err, "0 modules")
}
