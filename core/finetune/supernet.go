package finetune

import (
	"context"
	"fmt"

	"flexi/core/device"
	"flexi/core/model"
	"flexi/core/model/train"
)

// lora is a model with adapters on every layer and a multiplier per layer, as a function of its trained parameters.
type lora struct {
	dev          device.Device
	net          *model.Net
	search, held source
	seed         uint64 // of dropout
	layers       int
}

var _ Supernet[float32] = (*lora)(nil)

func (l *lora) Layers() int { return l.layers }

func (l *lora) Size() int {
	values, _, _ := l.net.Flat()
	return values.Len
}

// theta is a copy of the net's trained parameters.
func (l *lora) theta() []float32 {
	values, _, _ := l.net.Flat()
	out := make([]float32, values.Len)
	l.dev.DownloadF32(out, values)
	return out
}

func (l *lora) set(theta []float32, s []float64) error {
	values, _, _ := l.net.Flat()
	l.dev.UploadF32(values, theta)
	return l.net.SetMultipliers(s)
}

func (l *lora) Train(ctx context.Context, n int, theta []float32, s []float64, gradient []float32, layers []float64) (float64, error) {
	return l.at(ctx, numbered(l.search, n), true, n, theta, s, gradient, layers)
}

func (l *lora) Validate(ctx context.Context, n int, theta []float32, s []float64, gradient []float32, layers []float64) (float64, error) {
	return l.at(ctx, numbered(l.held, n), false, n, theta, s, gradient, layers)
}

func (l *lora) at(
	ctx context.Context, b model.Batch, drop bool, n int, theta []float32, s []float64, gradient []float32, layers []float64,
) (float64, error) {
	if err := l.set(theta, s); err != nil {
		return 0, err
	}
	loss, err := l.net.LayerGradients(ctx, b, drop, gradient != nil, l.seed, n, layers)
	if err != nil {
		return 0, err
	}
	if !finite(loss) {
		return 0, notFinite(ctx, l.net, b, n)
	}
	if gradient != nil {
		_, grads, _ := l.net.Flat()
		l.dev.DownloadF32(gradient, grads)
	}
	return loss, nil
}

// notFinite names the place where a loss went wrong.
func notFinite(ctx context.Context, net *model.Net, b model.Batch, step int) error {
	where, err := net.FirstNonFinite(ctx, b)
	if err != nil {
		return fmt.Errorf("the loss is not finite at micro-batch %d; looking for the place: %w", step, err)
	}
	return &train.NonFiniteError{What: "loss", Step: step, Where: where}
}
