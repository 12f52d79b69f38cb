package finetune

import (
	"context"
	"fmt"
	"math"
	"slices"

	"flexi/core/selection"
)

// alphaAdam are the constants of alpha's optimiser.
const (
	alphaBeta1, alphaBeta2 = 0.9, 0.999
	alphaEpsilon           = 1e-8
)

// Step makes one outer step: the inner updates, the gradient of alpha, alpha's update. After an error the state is that before the step.
func (b *Bilevel[F]) Step(ctx context.Context) (OuterStep, error) {
	if b.Done() {
		return OuterStep{}, fmt.Errorf("layer search: all %d outer steps are made", b.o.OuterSteps)
	}
	b.next.copyFrom(b.state)
	record := OuterStep{Step: b.state.Outer, Mode: b.o.Mode}
	s := selection.Multipliers(b.next.Alpha)
	if err := b.train(ctx, b.effective(s), &record); err != nil {
		return OuterStep{}, fmt.Errorf("outer step %d: %w", record.Step, err)
	}
	if err := b.hyperGradient(ctx, s, &record); err != nil {
		return OuterStep{}, fmt.Errorf("outer step %d: %w", record.Step, err)
	}
	b.next.Outer++
	if !b.next.Frozen {
		b.updateAlpha(record.AlphaGradient)
	}
	b.state, b.next = b.next, b.state
	record.Alpha, record.Multipliers = slices.Clone(b.state.Alpha), selection.Multipliers(b.state.Alpha)
	for i, a := range record.Alpha {
		if a > 0 {
			record.Positive = append(record.Positive, i)
		}
	}
	return record, nil
}

// effective is what the adapters' outputs are multiplied by: s, or its cube in the released code, whose hook runs three times.
func (b *Bilevel[F]) effective(s []float64) []float64 {
	if b.o.Mode != Compat {
		return s
	}
	cubed := make([]float64, len(s))
	for i, v := range s {
		cubed[i] = v * v * v
	}
	return cubed
}

// train makes the inner updates and keeps those of the window.
func (b *Bilevel[F]) train(ctx context.Context, s []float64, record *OuterStep) error {
	first := b.o.InnerSteps - len(b.steps)
	for k := range b.o.InnerSteps {
		batch := b.next.InnerFinished * b.o.Accumulate
		loss, err := b.mean(ctx, b.net.Train, batch, b.o.Accumulate, b.next.Theta, s, b.work.sum, nil)
		if err != nil {
			return fmt.Errorf("inner step %d: %w", k, err)
		}
		record.TrainLoss += loss / float64(b.o.InnerSteps)
		record.GradientNorm, record.InnerRate = norm(b.work.sum), b.o.rate(b.next.InnerFinished)
		if !finite(record.GradientNorm) {
			return fmt.Errorf("inner step %d: the gradient of the adapters is not finite; lower the learning rate", k)
		}
		scale := clip(b.work.sum, record.GradientNorm, b.o.Inner.Clip)
		b.next.InnerFinished++
		var kept *innerStep[F]
		if k >= first {
			kept = &b.steps[k-first]
			kept.theta = append(kept.theta[:0], b.next.Theta...)
		}
		update(b.o.Inner, &b.next, b.work.sum, record.InnerRate, b.next.InnerFinished)
		if kept != nil {
			kept.gradient = append(kept.gradient[:0], b.work.sum...)
			kept.m, kept.v = append(kept.m[:0], b.next.M...), append(kept.v[:0], b.next.V...)
			kept.scale, kept.rate, kept.count, kept.batch = scale, record.InnerRate, b.next.InnerFinished, batch
		}
	}
	return nil
}

// evaluation is Supernet.Train or Supernet.Validate.
type evaluation[F Float] func(ctx context.Context, n int, theta []F, s []float64, gradient []F, layers []float64) (float64, error)

// mean is the mean loss of count micro-batches, with the means of their gradients where asked for.
func (b *Bilevel[F]) mean(
	ctx context.Context, at evaluation[F], first, count int, theta []F, s []float64, gradient []F, layers []float64,
) (float64, error) {
	clear(gradient)
	clear(layers)
	var one []F
	if gradient != nil {
		one = b.work.gradient
	}
	var oneLayer []float64
	if layers != nil {
		oneLayer = make([]float64, len(layers))
	}
	var mean float64
	share := 1 / float64(count)
	for n := first; n < first+count; n++ {
		loss, err := at(ctx, n, theta, s, one, oneLayer)
		if err != nil {
			return 0, fmt.Errorf("micro-batch %d: %w", n, err)
		}
		if !finite(loss) {
			return 0, fmt.Errorf("micro-batch %d: the loss is %v; lower the learning rate", n, loss)
		}
		mean += loss * share
		for i := range gradient {
			gradient[i] += F(float64(one[i]) * share)
		}
		for i := range layers {
			layers[i] += oneLayer[i] * share
		}
	}
	return mean, nil
}

// hyperGradient fills in the validation loss and the gradient of alpha by the mode.
func (b *Bilevel[F]) hyperGradient(ctx context.Context, s []float64, record *OuterStep) error {
	layers := make([]float64, len(s))
	loss, err := b.mean(ctx, b.net.Validate, record.Step*b.o.Validation, b.o.Validation, b.next.Theta, b.effective(s), b.work.lambda, layers)
	if err != nil {
		return fmt.Errorf("validation: %w", err)
	}
	if b.o.Mode == Compat {
		for i, v := range s { // of s^3, and summed over the batches
			layers[i] *= 3 * v * v * float64(b.o.Validation)
		}
	}
	record.ValidationLoss, record.DirectGradient = loss, AlphaGradient(s, layers)
	if err := b.back(ctx, s, layers); err != nil {
		return fmt.Errorf("differentiate the inner steps: %w", err)
	}
	record.AlphaGradient = AlphaGradient(s, layers)
	for i, g := range record.AlphaGradient {
		if !finite(g) {
			return fmt.Errorf("the gradient of alpha of layer %d is %v; lower the learning rate", i, g)
		}
	}
	return nil
}

// updateAlpha is Adam without weight decay at a constant rate.
func (b *Bilevel[F]) updateAlpha(g []float64) {
	n := &b.next
	n.AlphaUpdates++
	t := float64(n.AlphaUpdates)
	c1, c2 := 1-math.Pow(alphaBeta1, t), 1-math.Pow(alphaBeta2, t)
	for i, x := range g {
		n.AlphaM[i] = alphaBeta1*n.AlphaM[i] + (1-alphaBeta1)*x
		n.AlphaV[i] = alphaBeta2*n.AlphaV[i] + (1-alphaBeta2)*x*x
		n.Alpha[i] -= b.o.AlphaRate * (n.AlphaM[i] / c1) / (math.Sqrt(n.AlphaV[i]/c2) + alphaEpsilon)
	}
}

func finite(v float64) bool { return v-v == 0 }
