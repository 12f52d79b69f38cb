package finetune

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"flexi/core/selection"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestMultipliers(t *testing.T) {
	for n := 1; n < 70; n++ {
		require.Equal(t, slices.Repeat([]float64{1}, n), selection.Multipliers(make([]float64, n)), "exactly 1 at alpha 0")
	}
	rapid.Check(t, func(t *rapid.T) {
		alpha := rapid.SliceOfN(rapid.Float64Range(-6, 6), 1, 40).Draw(t, "alpha")
		s := selection.Multipliers(alpha)
		var sum float64
		for _, v := range s {
			sum += v
		}
		require.InDelta(t, float64(len(alpha)), sum, 1e-12*float64(len(alpha)))
		g := rapid.SliceOfN(rapid.Float64Range(-3, 3), len(alpha), len(alpha)).Draw(t, "g")
		var total float64
		for j, d := range AlphaGradient(s, g) {
			total += d
			shifted := slices.Clone(alpha)
			const h = 1e-5
			shifted[j] += h
			up := selection.Multipliers(shifted)
			shifted[j] -= 2 * h
			down := selection.Multipliers(shifted)
			var want float64
			for i := range g {
				want += g[i] * (up[i] - down[i]) / (2 * h)
			}
			require.InDelta(t, want, d, 1e-6*(1+math.Abs(want)))
		}
		require.InDelta(t, 0, total, 1e-11)
	})
}

// randomPoint is a net with adapters and multipliers away from their start.
func randomPoint(seed uint64) (*referenceNet[float64], []float64, []float64) {
	n := newReference[float64](4, 5, 2, seed, 1)
	rng := rand.New(rand.NewPCG(seed, 9))
	return n, n.start(0.4), normal(rng, 4, 0.7)
}

// TestReferenceGradients holds the reference against finite differences, and the layer gradient from r-vectors against the identities of LoRA.
func TestReferenceGradients(t *testing.T) {
	ctx := context.Background()
	for seed := range uint64(5) {
		n, theta, alpha := randomPoint(seed)
		s := selection.Multipliers(alpha)
		gradient, layers := make([]float64, n.Size()), make([]float64, n.Layers())
		_, err := n.Validate(ctx, 3, theta, s, gradient, layers)
		require.NoError(t, err)
		loss := func(theta, alpha []float64) float64 {
			v, err := n.Validate(ctx, 3, theta, selection.Multipliers(alpha), nil, nil)
			require.NoError(t, err)
			return v
		}
		difference := func(x []float64, i int) float64 {
			const h = 1e-5
			old := x[i]
			x[i] = old + h
			up := loss(theta, alpha)
			x[i] = old - h
			down := loss(theta, alpha)
			x[i] = old
			return (up - down) / (2 * h)
		}
		for i := range theta {
			require.InDelta(t, difference(theta, i), gradient[i], 1e-7*(1+math.Abs(gradient[i])))
		}
		var sum float64
		for i, g := range AlphaGradient(s, layers) {
			sum += g
			require.InEpsilon(t, difference(alpha, i), g, 1e-4)
		}
		require.InDelta(t, 0, sum, 1e-12)
		for l := range n.layers {
			var a, b float64
			for m := range 2 {
				from, mid := n.module(l, m)
				for i := from; i < mid; i++ {
					a += theta[i] * gradient[i]
				}
				for i := mid; i < mid+n.rank*n.hidden; i++ {
					b += theta[i] * gradient[i]
				}
			}
			require.InEpsilon(t, s[l]*layers[l], a, 1e-10, "<A, dA> = s g")
			require.InEpsilon(t, s[l]*layers[l], b, 1e-10, "<B, dB> = s g")
		}
	}
}

// TestZeroStart is the identity at B = 0: the same loss for every alpha, and no gradient of the layers.
func TestZeroStart(t *testing.T) {
	n := newReference[float64](4, 5, 2, 1, 2)
	layers := make([]float64, 4)
	want, err := n.Validate(context.Background(), 0, n.start(0), selection.Multipliers(make([]float64, 4)), nil, layers)
	require.NoError(t, err)
	got, err := n.Validate(context.Background(), 0, n.start(0), selection.Multipliers([]float64{3, -1, 0.5, 0}), nil, nil)
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Equal(t, make([]float64, 4), layers)
}

func unrollOptions(mode Mode, method InnerMethod, inner int) BilevelOptions {
	o := BilevelOptions{Mode: mode, OuterSteps: 3, InnerSteps: inner, Accumulate: 2, Validation: 2, AlphaRate: 0.05}
	o.Inner = InnerOptimizer{Method: method, Rate: 0.3, Decay: 0.02, Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8}
	if method == AdamW {
		o.Inner.Rate = 0.05
	}
	return o
}

// hyper makes one outer step from a state with other alphas, alpha's update left out, and returns the record.
func hyper(t *testing.T, n Supernet[float64], o BilevelOptions, from BilevelState[float64], alpha []float64) OuterStep {
	t.Helper()
	b, err := NewBilevel(n, from.Theta, o)
	require.NoError(t, err)
	b.radius = 1e-4 // the third derivative is far below the tolerance
	from.Alpha = alpha
	require.NoError(t, b.Restore(from))
	b.FreezeAlpha(true)
	record, err := b.Step(context.Background())
	require.NoError(t, err)
	return record
}

// unrolledDifference is the finite difference of the validation loss behind the whole of the inner training, by every alpha.
func unrolledDifference(t *testing.T, n *referenceNet[float64], o BilevelOptions, from BilevelState[float64], alpha []float64) []float64 {
	t.Helper()
	out := make([]float64, len(alpha))
	const h = 1e-5
	for i := range alpha {
		shifted := slices.Clone(alpha)
		shifted[i] += h
		up := hyper(t, n, o, from, shifted).ValidationLoss
		shifted[i] -= 2 * h
		out[i] = (up - hyper(t, n, o, from, shifted).ValidationLoss) / (2 * h)
	}
	return out
}

// TestUnrolledAgainstBruteForce compares the reverse recursion with finite differences through the whole loop: from fresh adapters, and going on from
// a later state with moments of its own.
func TestUnrolledAgainstBruteForce(t *testing.T) {
	for _, c := range []struct {
		name   string
		mode   Mode
		method InnerMethod
		inner  int
		warm   int // outer steps made before
	}{
		{"SGD K=1", Unrolled, SGD, 1, 0},
		{"SGD K=2", Unrolled, SGD, 2, 0},
		{"SGD K=5", Unrolled, SGD, 5, 0},
		{"SGD K=5, later", Unrolled, SGD, 5, 2},
		{"AdamW K=3", Unrolled, AdamW, 3, 0},
		{"AdamW K=3, later", Unrolled, AdamW, 3, 2},
		{"AdamW K=6, later", Unrolled, AdamW, 6, 1},
		{"fd1 SGD", FD1, SGD, 1, 1},
		{"fd1 AdamW", FD1, AdamW, 1, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newReference[float64](3, 4, 2, 7, 1)
			o := unrollOptions(c.mode, c.method, c.inner)
			b, err := NewBilevel(n, n.start(0), o)
			require.NoError(t, err)
			for range c.warm {
				_, err := b.Step(context.Background())
				require.NoError(t, err)
			}
			from, alpha := b.State(), []float64{0.3, -0.4, 0.2}
			record := hyper(t, n, o, from, alpha)
			want := unrolledDifference(t, n, o, from, alpha)
			var path float64 // the part through the inner steps must matter, or the comparison shows nothing
			for i, g := range record.AlphaGradient {
				path = max(path, math.Abs(g-record.DirectGradient[i]))
				require.InDelta(t, want[i], g, 1e-4*norm(want), "alpha %d: direct part %v", i, record.DirectGradient)
			}
			require.Greater(t, path, 1e-2*norm(want))
		})
	}
}

// TestWindow differentiates through the last steps only, which must lie between nothing and all.
func TestWindow(t *testing.T) {
	n := newReference[float64](3, 4, 2, 7, 1)
	o := unrollOptions(Unrolled, SGD, 4)
	from := BilevelState[float64]{Theta: n.start(0.2), M: make([]float64, n.Size()), V: make([]float64, n.Size()), AlphaM: make([]float64, 3), AlphaV: make([]float64, 3)}
	alpha := []float64{0.3, -0.4, 0.2}
	full := hyper(t, n, o, from, alpha)
	distance := make([]float64, 5)
	for w := 1; w <= 4; w++ {
		o.UnrollWindow = w
		n.trained = 0
		record := hyper(t, n, o, from, alpha)
		require.Equal(t, (4+2*w)*o.Accumulate, n.trained, "two evaluations per step of the window")
		require.Equal(t, full.DirectGradient, record.DirectGradient)
		for i, g := range record.AlphaGradient {
			distance[w] += math.Abs(g - full.AlphaGradient[i])
		}
	}
	require.Zero(t, distance[4])
	require.Greater(t, distance[1], distance[3])
}

// scaledNet is a net whose training loss is multiplied by a constant.
type scaledNet struct {
	*referenceNet[float64]
	scale float64
}

func (n scaledNet) Train(ctx context.Context, batch int, theta, s, gradient, layers []float64) (float64, error) {
	loss, err := n.referenceNet.Train(ctx, batch, theta, s, gradient, layers)
	for i := range gradient {
		gradient[i] *= n.scale
	}
	for i := range layers {
		layers[i] *= n.scale
	}
	return loss * n.scale, err
}

// TestClippingScalesTheAdjoint: with its scale held constant, clipping is training on a loss that is multiplied by the scale.
func TestClippingScalesTheAdjoint(t *testing.T) {
	n := newReference[float64](3, 4, 2, 7, 1)
	alpha := []float64{0.3, -0.4, 0.2}
	for _, method := range []InnerMethod{SGD, AdamW} {
		o := unrollOptions(Unrolled, method, 1)
		b, err := NewBilevel(n, n.start(0.2), o)
		require.NoError(t, err)
		_, err = b.Step(context.Background())
		require.NoError(t, err)
		free := hyper(t, n, o, b.State(), alpha)
		scaled := scaledNet{n, 0.5 * free.GradientNorm / (free.GradientNorm + 1e-6)}
		slower := hyper(t, scaled, o, b.State(), alpha)
		o.Inner.Clip = 0.5 * free.GradientNorm
		clipped := hyper(t, n, o, b.State(), alpha)
		require.InDelta(t, slower.ValidationLoss, clipped.ValidationLoss, 1e-12)
		require.InDeltaSlice(t, slower.AlphaGradient, clipped.AlphaGradient, 1e-8*norm(slower.AlphaGradient))
		require.Greater(t, math.Abs(free.AlphaGradient[0]-clipped.AlphaGradient[0]), 1e-4*norm(free.AlphaGradient), method)
	}
}

// TestFloat32 runs the modes with adapters as they are in use, and compares with float64.
func TestFloat32(t *testing.T) {
	for _, method := range []InnerMethod{SGD, AdamW} {
		o := unrollOptions(Unrolled, method, 3)
		wide, narrow := newReference[float64](3, 4, 2, 7, 1), newReference[float32](3, 4, 2, 7, 1)
		b64, err := NewBilevel(wide, wide.start(0.2), o)
		require.NoError(t, err)
		b32, err := NewBilevel(narrow, narrow.start(0.2), o)
		require.NoError(t, err)
		want, err := b64.Step(context.Background())
		require.NoError(t, err)
		got, err := b32.Step(context.Background())
		require.NoError(t, err)
		require.InDeltaSlice(t, want.AlphaGradient, got.AlphaGradient, 5e-3*norm(want.AlphaGradient), method)
	}
}
