package finetune

import (
	"context"
	"fmt"
	"math"
	"slices"
)

// Supernet is a model with a LoRA adapter on every layer, as a function of its adapters theta (all A, B and a task head, flat) and the layers'
// multipliers s. Batches are numbered from 0 without end; the same number always gives the same rows and the same dropout masks.
type Supernet[F Float] interface {
	// Layers is the number of multipliers, Size the length of theta.
	Layers() int
	Size() int
	// Train is the loss of training micro-batch n. It overwrites theta's gradient and the layers' dL/ds where they are not nil.
	Train(ctx context.Context, n int, theta []F, s []float64, gradient []F, layers []float64) (float64, error)
	// Validate is the same for validation micro-batch n, without dropout.
	Validate(ctx context.Context, n int, theta []F, s []float64, gradient []F, layers []float64) (float64, error)
}

// Mode is how the gradient of alpha is found.
type Mode string

const (
	// FirstOrder takes the direct partial derivative of the validation loss, theta held fixed, as the authors' code does.
	FirstOrder Mode = "first_order"
	// FD1 adds the mixed term of the one inner step by central differences (Liu et al. 2019, DARTS).
	FD1 Mode = "fd1"
	// Unrolled differentiates through all inner steps, as the paper describes; Hessian products are central differences of gradients.
	Unrolled Mode = "unrolled"
	// Compat reproduces the released code: sign steps, the multiplier cubed, validation gradients summed.
	Compat Mode = "compat"
)

// BilevelOptions of the first stage.
type BilevelOptions struct {
	Mode         Mode           `json:"mode"`
	OuterSteps   int            `json:"outer_steps"`
	InnerSteps   int            `json:"inner_steps"`   // updates of the adapters before each one of alpha
	UnrollWindow int            `json:"unroll_window"` // last inner steps that Unrolled differentiates through; 0 takes all
	Accumulate   int            `json:"accumulate"`    // training micro-batches per update
	Validation   int            `json:"validation"`    // validation micro-batches per outer step
	Inner        InnerOptimizer `json:"inner"`
	AlphaRate    float64        `json:"alpha_rate"` // learning rate of alpha's Adam, constant
}

// DefaultBilevel is the authors' setting: 600 steps of 8 examples, alpha updated after each with 8 validation examples.
func DefaultBilevel() BilevelOptions {
	return BilevelOptions{
		Mode: FirstOrder, OuterSteps: 600, InnerSteps: 1, Accumulate: 8, Validation: 8, AlphaRate: 0.01,
		Inner: InnerOptimizer{Method: AdamW, Rate: 1e-4, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, Clip: 1},
	}
}

func (o BilevelOptions) check() error {
	switch {
	case !slices.Contains([]Mode{FirstOrder, FD1, Unrolled, Compat}, o.Mode):
		return fmt.Errorf("there is no mode %q; modes are first_order, fd1, unrolled and compat", o.Mode)
	case o.OuterSteps < 1 || o.InnerSteps < 1 || o.Accumulate < 1 || o.Validation < 1:
		return fmt.Errorf("%d outer steps, %d inner steps, %d training and %d validation micro-batches: at least one of each is needed",
			o.OuterSteps, o.InnerSteps, o.Accumulate, o.Validation)
	case (o.Mode == FD1 || o.Mode == Compat) && o.InnerSteps != 1:
		return fmt.Errorf("mode %s makes one inner step, not %d; use unrolled or first_order", o.Mode, o.InnerSteps)
	case o.Inner.Method == Sign && o.Mode != Compat:
		return fmt.Errorf("sign steps are for mode compat, not %s", o.Mode)
	case o.UnrollWindow < 0 || o.UnrollWindow > o.InnerSteps:
		return fmt.Errorf("unroll window %d: there are %d inner steps", o.UnrollWindow, o.InnerSteps)
	case o.UnrollWindow > 0 && o.Mode != Unrolled:
		return fmt.Errorf("an unroll window is for mode unrolled, not %s", o.Mode)
	case !(o.AlphaRate > 0):
		return fmt.Errorf("learning rate %v of alpha: it must be above 0", o.AlphaRate)
	}
	return o.Inner.check()
}

// window is the number of inner steps that are differentiated through.
func (o BilevelOptions) window() int {
	switch {
	case o.Mode == FirstOrder || o.Mode == Compat:
		return 0
	case o.UnrollWindow > 0:
		return o.UnrollWindow
	default:
		return o.InnerSteps
	}
}

// rate is the inner learning rate at an update: a cosine from the full rate to zero. The released code has a warm-up of 0.1 steps, which makes its
// first rate zero.
func (o BilevelOptions) rate(step int) float64 {
	total, at := float64(o.OuterSteps*o.InnerSteps), float64(step)
	if o.Mode == Compat {
		if step == 0 {
			return 0
		}
		total, at = total-0.1, at-0.1
	}
	return o.Inner.Rate * 0.5 * (1 + math.Cos(math.Pi*min(1, at/total)))
}

// BilevelState is where a search stands between two outer steps. Batches are a function of Outer, so this is all that is needed to go on bit for bit.
type BilevelState[F Float] struct {
	Outer         int // outer steps made
	Theta         []F // adapters
	M, V          []F // their moments, zero for SGD
	Alpha         []float64
	AlphaM        []float64
	AlphaV        []float64
	InnerFinished int // inner updates made, which their bias correction counts
	AlphaUpdates  int // and those of alpha
	Frozen        bool
}

func (s *BilevelState[F]) copyFrom(o BilevelState[F]) {
	s.Outer, s.InnerFinished, s.AlphaUpdates, s.Frozen = o.Outer, o.InnerFinished, o.AlphaUpdates, o.Frozen
	s.Theta, s.M, s.V = append(s.Theta[:0], o.Theta...), append(s.M[:0], o.M...), append(s.V[:0], o.V...)
	s.Alpha, s.AlphaM, s.AlphaV = append(s.Alpha[:0], o.Alpha...), append(s.AlphaM[:0], o.AlphaM...), append(s.AlphaV[:0], o.AlphaV...)
}

// OuterStep is the record of one outer step. Alpha and what follows from it are those after the step, the gradient the one that made it.
type OuterStep struct {
	Step           int       `json:"step"` // from 0
	Mode           Mode      `json:"mode"`
	InnerRate      float64   `json:"inner_rate"`      // of the last inner step
	TrainLoss      float64   `json:"train_loss"`      // mean over the inner steps, each before its update
	ValidationLoss float64   `json:"validation_loss"` // mean over the validation micro-batches, before alpha's update
	GradientNorm   float64   `json:"gradient_norm"`   // of the last inner step, before clipping
	AlphaGradient  []float64 `json:"alpha_gradient"`  // dL/dalpha
	DirectGradient []float64 `json:"direct_gradient"` // its part with the adapters held fixed
	Alpha          []float64 `json:"alpha"`           // after the update
	Multipliers    []float64 `json:"multipliers"`     // N softmax(alpha)
	Positive       []int     `json:"positive"`        // layers with alpha above 0
}

// radius is the length of the step of theta in central differences (Liu et al. 2019).
const radius = 0.01

// Bilevel alternates updates of the adapters on training batches with updates of alpha on validation batches.
type Bilevel[F Float] struct {
	net    Supernet[F]
	o      BilevelOptions
	radius float64
	state  BilevelState[F]
	next   BilevelState[F] // the step in the making, so that a failed one leaves state as it was
	steps  []innerStep[F]  // of the window, to go back through
	work   struct {
		gradient, sum, lambda, lamM, lamV, q, shifted, plus []F
		layers, layersPlus                                  []float64
	}
}

// NewBilevel starts a search at adapters theta, alpha zero.
func NewBilevel[F Float](net Supernet[F], theta []F, o BilevelOptions) (*Bilevel[F], error) {
	if o.Mode == Compat {
		o.Inner.Method = Sign
	}
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("layer search: %w", err)
	}
	n, p := net.Layers(), net.Size()
	if n < 1 || len(theta) != p {
		return nil, fmt.Errorf("layer search: %d layers and %d of %d adapter parameters", n, len(theta), p)
	}
	b := &Bilevel[F]{net: net, o: o, radius: radius, steps: make([]innerStep[F], o.window())}
	b.state = BilevelState[F]{
		Theta: slices.Clone(theta), M: make([]F, p), V: make([]F, p),
		Alpha: make([]float64, n), AlphaM: make([]float64, n), AlphaV: make([]float64, n),
	}
	w := &b.work
	w.gradient, w.sum, w.layers, w.layersPlus = make([]F, p), make([]F, p), make([]float64, n), make([]float64, n)
	if o.window() > 0 {
		w.lambda, w.lamM, w.lamV, w.q, w.shifted, w.plus = make([]F, p), make([]F, p), make([]F, p), make([]F, p), make([]F, p), make([]F, p)
	}
	return b, nil
}

// State is where the search stands; it is a copy.
func (b *Bilevel[F]) State() BilevelState[F] {
	var s BilevelState[F]
	s.copyFrom(b.state)
	return s
}

// Restore goes on from a state of a search with the same options and model.
func (b *Bilevel[F]) Restore(s BilevelState[F]) error {
	p, n := b.net.Size(), b.net.Layers()
	for _, have := range [][2]int{{len(s.Theta), p}, {len(s.M), p}, {len(s.V), p}, {len(s.Alpha), n}, {len(s.AlphaM), n}, {len(s.AlphaV), n}} {
		if have[0] != have[1] {
			return fmt.Errorf("restore a layer search: %d values where the model has %d: the checkpoint is of another model", have[0], have[1])
		}
	}
	b.state.copyFrom(s)
	return nil
}

// Done reports whether all outer steps are made.
func (b *Bilevel[F]) Done() bool { return b.state.Outer >= b.o.OuterSteps }

// FreezeAlpha stops or resumes the updates of alpha; the adapters go on. It is part of the state.
func (b *Bilevel[F]) FreezeAlpha(frozen bool) { b.state.Frozen = frozen }
