package finetune

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"flexi/core/selection"

	"github.com/stretchr/testify/require"
)

// handNet is two layers whose adapters are one number each: training loss 1/2 sum (s_i theta_i - 1)^2, validation loss sum c_n s_i theta_i.
type handNet struct{}

func (handNet) Layers() int { return 2 }
func (handNet) Size() int   { return 2 }

func (handNet) Train(_ context.Context, _ int, theta, s, gradient, layers []float64) (float64, error) {
	var loss float64
	for i := range theta {
		d := s[i]*theta[i] - 1
		loss += d * d / 2
		if gradient != nil {
			gradient[i] = d * s[i]
		}
		if layers != nil {
			layers[i] = d * theta[i]
		}
	}
	return loss, nil
}

func (handNet) Validate(_ context.Context, n int, theta, s, gradient, layers []float64) (float64, error) {
	c := []float64{float64(n + 1), -2}
	var loss float64
	for i := range theta {
		loss += c[i] * s[i] * theta[i]
		if gradient != nil {
			gradient[i] = c[i] * s[i]
		}
		layers[i] = c[i] * theta[i]
	}
	return loss, nil
}

// TestCompatByHand reproduces the released code: no first step, sign steps whatever the gradient's size, s cubed, validation gradients summed.
func TestCompatByHand(t *testing.T) {
	o := DefaultBilevel()
	o.Mode, o.OuterSteps, o.Accumulate, o.Validation = Compat, 10, 1, 2
	b, err := NewBilevel(handNet{}, []float64{0, 3}, o)
	require.NoError(t, err)
	alpha := []float64{math.Log(1.5), math.Log(0.5)} // s = 1.5, 0.5
	state := b.State()
	state.Alpha = alpha
	require.NoError(t, b.Restore(state))
	b.FreezeAlpha(true)

	record, err := b.Step(context.Background())
	require.NoError(t, err)
	require.Zero(t, record.InnerRate, "a warm-up of 0.1 steps")
	require.Equal(t, []float64{0, 3}, b.State().Theta)
	s3 := []float64{1.5 * 1.5 * 1.5, 0.125}
	require.InDelta(t, 0.5*1+0.5*(0.375-1)*(0.375-1), record.TrainLoss, 1e-12)
	// dL/ds = 3 s^2 (c theta), summed over the batches with c = (1, -2) and (2, -2): layers (0, -12 * 3 * 0.25).
	g := []float64{0, -9}
	mean := (1.5*g[0] + 0.5*g[1]) / 2
	require.InDeltaSlice(t, []float64{1.5 * (g[0] - mean), 0.5 * (g[1] - mean)}, record.AlphaGradient, 1e-12)
	require.InDelta(t, -2*0.125*3, record.ValidationLoss, 1e-12)

	record, err = b.Step(context.Background())
	require.NoError(t, err)
	rate := 1e-4 * 0.5 * (1 + math.Cos(math.Pi*0.9/9.9))
	require.InDelta(t, rate, record.InnerRate, 1e-18)
	// The gradients are -s^3 and (0.375-1) s^3: both below zero, and their sizes count for nothing.
	require.InDeltaSlice(t, []float64{rate, 3 + rate}, b.State().Theta, 1e-9)
	require.Greater(t, norm([]float64{s3[0], 0.625 * s3[1]}), 1.0, "clipping had something to do")
}

// TestFirstOrderByHand follows the specification's loop: SGD, then the direct gradient, then Adam.
func TestFirstOrderByHand(t *testing.T) {
	o := DefaultBilevel()
	o.OuterSteps, o.InnerSteps, o.Accumulate, o.Validation = 2, 2, 1, 1
	o.Inner = InnerOptimizer{Method: SGD, Rate: 0.5}
	b, err := NewBilevel(handNet{}, []float64{0, 0}, o)
	require.NoError(t, err)
	record, err := b.Step(context.Background())
	require.NoError(t, err)
	second := 0.25 * (1 + math.Cos(math.Pi/4))
	theta := 0.5 + second*0.5
	require.InDeltaSlice(t, []float64{theta, theta}, b.State().Theta, 1e-12)
	require.InDelta(t, (1+0.25)/2, record.TrainLoss, 1e-12)
	require.InDelta(t, -theta, record.ValidationLoss, 1e-12)
	require.InDeltaSlice(t, []float64{1.5 * theta, -1.5 * theta}, record.AlphaGradient, 1e-12)
	require.InDeltaSlice(t, []float64{-0.01, 0.01}, record.Alpha, 1e-9, "Adam's first step is its rate")
	require.Equal(t, []int{1}, record.Positive)
	require.Equal(t, selection.Multipliers(record.Alpha), record.Multipliers)
	require.Equal(t, record.DirectGradient, record.AlphaGradient)

	multipliers := record.Multipliers
	record, err = b.Step(context.Background())
	require.NoError(t, err)
	last := b.State().Theta
	require.InDelta(t, 2*multipliers[0]*last[0]-2*multipliers[1]*last[1], record.ValidationLoss, 1e-12, "the next validation batch")
}

func TestFD1IsUnrolledOverOneStep(t *testing.T) {
	run := func(mode Mode) []OuterStep {
		n := newReference[float64](3, 4, 2, 7, 1)
		b, err := NewBilevel(n, n.start(0.1), unrollOptions(mode, SGD, 1))
		require.NoError(t, err)
		return finish(t, b)
	}
	one, all := run(FD1), run(Unrolled)
	for i := range all {
		one[i].Mode = Unrolled
	}
	require.Equal(t, all, one)
}

// finish makes all outer steps.
func finish[F Float](t *testing.T, b *Bilevel[F]) []OuterStep {
	t.Helper()
	var out []OuterStep
	for !b.Done() {
		record, err := b.Step(context.Background())
		require.NoError(t, err)
		out = append(out, record)
	}
	return out
}

func TestCostOfTheModes(t *testing.T) {
	for mode, evaluations := range map[Mode]int{FirstOrder: 1, FD1: 3, Unrolled: 3, Compat: 1} {
		n := newReference[float32](3, 4, 2, 7, 1)
		b, err := NewBilevel(n, n.start(0), unrollOptions(mode, AdamW, 1))
		require.NoError(t, err)
		records := finish(t, b)
		require.Equal(t, []int{2 * 3 * evaluations, 2 * 3}, []int{n.trained, n.validated}, mode)
		for i, r := range records {
			require.Equal(t, i, r.Step)
			for _, a := range r.Alpha {
				require.True(t, finite(a))
			}
		}
	}
}

// TestResumedSearch goes on from every state and ends with the same bits.
func TestResumedSearch(t *testing.T) {
	for _, mode := range []Mode{FirstOrder, Unrolled, Compat} {
		inner := 2
		if mode == Compat {
			inner = 1
		}
		fresh := func() *Bilevel[float32] {
			n := newReference[float32](3, 4, 2, 7, 1)
			o := unrollOptions(mode, AdamW, inner)
			o.OuterSteps = 6
			b, err := NewBilevel(n, n.start(0), o)
			require.NoError(t, err)
			return b
		}
		whole := fresh()
		var states []BilevelState[float32]
		var records []OuterStep
		for !whole.Done() {
			states = append(states, whole.State())
			record, err := whole.Step(context.Background())
			require.NoError(t, err)
			records = append(records, record)
		}
		for i, s := range states {
			b := fresh()
			require.NoError(t, b.Restore(s))
			require.Equal(t, records[i:], finish(t, b))
			require.Equal(t, whole.State(), b.State())
		}
	}
	b, err := NewBilevel(handNet{}, []float64{0, 0}, DefaultBilevel())
	require.NoError(t, err)
	require.ErrorContains(t, b.Restore(BilevelState[float64]{Theta: []float64{1}}), "the checkpoint is of another model")
}

func TestNaNFailsTheSearch(t *testing.T) {
	n := newReference[float32](3, 4, 2, 7, 1)
	n.poison = 5
	b, err := NewBilevel(n, n.start(0), unrollOptions(FirstOrder, AdamW, 1))
	require.NoError(t, err)
	for range 2 {
		_, err = b.Step(context.Background())
		require.NoError(t, err)
	}
	before := b.State()
	_, err = b.Step(context.Background())
	require.ErrorContains(t, err, "outer step 2: inner step 0: micro-batch 5: the loss is NaN; lower the learning rate")
	require.Equal(t, before, b.State(), "a failed step leaves no trace")
	n.poison = 0
	_, err = b.Step(context.Background())
	require.NoError(t, err)
	_, err = b.Step(context.Background())
	require.ErrorContains(t, err, "all 3 outer steps are made")
}

func TestFrozenAlpha(t *testing.T) {
	n := newReference[float32](3, 4, 2, 7, 1)
	b, err := NewBilevel(n, n.start(0.1), unrollOptions(FirstOrder, AdamW, 1))
	require.NoError(t, err)
	b.FreezeAlpha(true)
	before := b.State()
	record, err := b.Step(context.Background())
	require.NoError(t, err)
	require.Equal(t, before.Alpha, record.Alpha)
	require.NotEqual(t, before.Theta, b.State().Theta)
	require.True(t, b.State().Frozen)
	b.FreezeAlpha(false)
	record, err = b.Step(context.Background())
	require.NoError(t, err)
	for i, a := range record.Alpha {
		require.InDelta(t, 0.05, math.Abs(a), 1e-6, "Adam's first step is its rate, whenever it comes: alpha %d", i)
	}
}

func TestBilevelOptions(t *testing.T) {
	for want, change := range map[string]func(o *BilevelOptions){
		`no mode "darts"`:                                 func(o *BilevelOptions) { o.Mode = "darts" },
		"0 inner steps":                                   func(o *BilevelOptions) { o.InnerSteps = 0 },
		"mode fd1 makes one inner step, not 2":            func(o *BilevelOptions) { o.Mode, o.InnerSteps = FD1, 2 },
		"unroll window 2: there are 1 inner steps":        func(o *BilevelOptions) { o.Mode, o.UnrollWindow = Unrolled, 2 },
		"an unroll window is for mode unrolled":           func(o *BilevelOptions) { o.UnrollWindow = 1 },
		"learning rate 0 of alpha":                        func(o *BilevelOptions) { o.AlphaRate = 0 },
		`no inner optimiser "adam"`:                       func(o *BilevelOptions) { o.Inner.Method = "adam" },
		"sign steps are for mode compat, not first_order": func(o *BilevelOptions) { o.Inner.Method = Sign },
		"the rate must be above 0":                        func(o *BilevelOptions) { o.Inner.Rate = math.NaN() },
		"betas must be in [0, 1)":                         func(o *BilevelOptions) { o.Inner.Beta2 = 1 },
	} {
		o := DefaultBilevel()
		change(&o)
		_, err := NewBilevel(handNet{}, []float64{0, 0}, o)
		require.ErrorContains(t, err, want)
	}
	_, err := NewBilevel(handNet{}, []float64{0}, DefaultBilevel())
	require.ErrorContains(t, err, "2 layers and 1 of 2 adapter parameters")
}

// TestPlantedLayers gives a teacher that differs in two of six layers: the search must rank these on top. Chance would put both there once in 15
// seeds.
func TestPlantedLayers(t *testing.T) {
	const seeds = 20
	o := BilevelOptions{Mode: FirstOrder, OuterSteps: 200, InnerSteps: 1, Accumulate: 2, Validation: 2, AlphaRate: 0.01}
	o.Inner = InnerOptimizer{Method: AdamW, Rate: 0.004, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, Clip: 1}
	hits := 0
	for seed := range uint64(seeds) {
		planted := rand.New(rand.NewPCG(seed, 77)).Perm(6)[:2]
		slices.Sort(planted)
		n := newReference[float32](6, 8, 2, 100+seed, planted...)
		b, err := NewBilevel(n, n.start(0), o)
		require.NoError(t, err)
		last := finish(t, b)[o.OuterSteps-1]
		selected, err := selection.Rule{Name: "topk", Value: 2}.Select(last.Alpha, make([]int, 6))
		require.NoError(t, err)
		if slices.Equal(planted, selected.Layers) {
			hits++
		} else {
			t.Logf("seed %d: planted %v, selected %v", seed, planted, selected.Layers)
		}
	}
	t.Logf("%d of %d seeds", hits, seeds)
	require.GreaterOrEqual(t, 10*hits, 9*seeds)
}
