package search

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"flexi/core/run"
)

// trainable is a surrogate network as training sees it.
type trainable interface {
	// params are the parameter arrays, the network's own memory; refresh recomputes what depends on them.
	params() [][]float64
	refresh()
	// maskSize is the number of activations that dropout may drop; 0 without dropout.
	maskSize() int
	// accumulate adds the gradient of one sample's loss to grads and returns the loss; loss evaluates it without dropout.
	accumulate(x []float64, y float64, mask []float64, grads [][]float64) float64
	loss(x []float64, y float64) float64
	// graph is the loss over a batch of rows on Gorgonia.
	graph(rows int) (*batchGraph, error)
}

func (n *mlp) refresh()      {}
func (n *npn) maskSize() int { return 0 }

// samples are inputs and targets of a surrogate.
type samples struct {
	x [][]float64
	y []float64
}

// schedule says how one network is trained in one fit.
type schedule struct {
	// batch is the number of samples per update. 1 is the original's; larger ones run on Gorgonia, whose overhead per run (about 0.1 ms,
	// ten times the work of a single sample) they share.
	batch int
	// epochs and updates bound a fit; updates 0 sets no bound.
	epochs, updates int
	optimizer       func(shape [][]float64) optimizer
}

// errDiverged says that a surrogate's loss is not finite any more.
var errDiverged = errors.New("surrogate training diverged; check the scores for outliers")

// validationShare of the samples is held out, once per fit (B14: the original drew it anew every epoch, which leaks).
const validationShare = 0.2

// trainNet trains n in place and returns the validation loss of its last epoch (the training loss where nothing is held out).
func trainNet(ctx context.Context, n trainable, s samples, plan schedule, rng *rand.Rand) (float64, error) {
	order := rng.Perm(len(s.y))
	held := int(validationShare * float64(len(order)))
	validation, training := order[:held], order[held:]
	step, closeStep, err := newStepper(n, s, min(plan.batch, len(training)), rng)
	if err != nil {
		return 0, err
	}
	defer closeStep()
	opt := plan.optimizer(n.params())
	grads := make([][]float64, len(n.params()))
	for i, p := range n.params() {
		grads[i] = make([]float64, len(p))
	}
	stop, last := stopRule{previous: math.Inf(1)}, math.NaN()
	for epoch, updates := 0, 0; epoch < plan.epochs && (plan.updates == 0 || updates < plan.updates); epoch++ {
		run.Report(ctx, "fitting the surrogate", epoch, plan.epochs)
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		rng.Shuffle(len(training), func(i, j int) { training[i], training[j] = training[j], training[i] })
		last = 0
		for at := 0; at < len(training); at += plan.batch {
			rows := training[at:min(at+plan.batch, len(training))]
			loss, err := step(rows, grads)
			if err != nil {
				return 0, err
			}
			last += loss * float64(len(rows)) / float64(len(training))
			opt.step(n.params(), grads)
			n.refresh()
			for _, g := range grads {
				clear(g)
			}
			updates++
		}
		if held > 0 {
			last = meanLoss(n, s, validation)
		}
		if math.IsNaN(last) || math.IsInf(last, 0) {
			return 0, fmt.Errorf("epoch %d, loss %g: %w", epoch+1, last, errDiverged)
		}
		if held > 0 && stop.done(epoch+1, last) {
			break
		}
	}
	return last, nil
}

func meanLoss(n trainable, s samples, rows []int) float64 {
	var sum float64
	for _, i := range rows {
		sum += n.loss(s.x[i], s.y[i])
	}
	return sum / float64(len(rows))
}

// newStepper returns the function that adds the mean gradient over the given rows to grads and returns the mean loss.
func newStepper(n trainable, s samples, batch int, rng *rand.Rand) (step func(rows []int, grads [][]float64) (float64, error), end func(), err error) {
	var mask []float64
	if size := n.maskSize(); size > 0 {
		mask = make([]float64, size)
	}
	if batch <= 1 {
		return func(rows []int, grads [][]float64) (float64, error) {
			drawMask(rng, teacherDropout, mask)
			return n.accumulate(s.x[rows[0]], s.y[rows[0]], mask, grads), nil
		}, func() {}, nil
	}
	g, err := n.graph(batch)
	if err != nil {
		return nil, nil, err
	}
	return func(rows []int, grads [][]float64) (float64, error) {
		clear(g.weight)
		for i, r := range rows {
			drawMask(rng, teacherDropout, mask)
			g.setRow(i, s.x[r], s.y[r], 1/float64(len(rows)), mask)
		}
		return g.run(grads)
	}, func() { _ = g.close() }, nil
}

// setRow fills one row of the batch; mask holds those of all hidden layers, one after the other.
func (b *batchGraph) setRow(i int, x []float64, y, weight float64, mask []float64) {
	copy(b.x[i*b.in:(i+1)*b.in], x)
	b.y[i], b.weight[i] = y, weight
	for _, m := range b.masks {
		width := len(m) / b.rows
		copy(m[i*width:(i+1)*width], mask[:width])
		mask = mask[width:]
	}
}

// stopRule is the original's early stopping: more than 10 epochs are done and the last 7 validation losses are each not smaller than
// their predecessor.
type stopRule struct {
	previous float64
	rising   int
}

func (r *stopRule) done(epochs int, loss float64) bool {
	if loss >= r.previous {
		r.rising++
	} else {
		r.rising = 0
	}
	r.previous = loss
	return epochs > 10 && r.rising >= 7
}
