// Package train updates the weights of a model.Net: AdamW with decoupled weight decay, global-norm clipping, a linear schedule with warm-up, and the state
// that lets a training be stopped at any step boundary and continued bit for bit.
//
// A training is a pure function of (initial weights, batches, seed): batches and dropout depend on the step number only, so the number of
// steps made, the weights and the two moments are its whole state.
package train

import (
	"context"
	"fmt"
	"math"

	"flexi/core/device"
	"flexi/core/model"
	"flexi/core/model/safetensors"
)

// Optimizer configures AdamW and its schedule.
type Optimizer struct {
	LR      float64 // peak learning rate
	Beta1   float64
	Beta2   float64
	Epsilon float64
	Decay   float64 // weight decay of matrices and embeddings; biases and LayerNorms have none
	Clip    float64 // largest global gradient norm; 0 switches clipping off
	Warmup  int     // steps of linear rise from 0
	Steps   int     // steps of the whole training: the rate falls to 0 at this step
	Cosine  bool    // along a cosine, in place of a line
}

// Rate is the learning rate of update number step (from 0): linear warm-up, then decay to zero at Steps.
func (o Optimizer) Rate(step int) float64 {
	if step < o.Warmup {
		return o.LR * float64(step+1) / float64(o.Warmup)
	}
	if o.Steps <= o.Warmup {
		return o.LR
	}
	left := math.Max(0, float64(o.Steps-step)/float64(o.Steps-o.Warmup))
	if o.Cosine {
		left = 0.5 * (1 - math.Cos(math.Pi*left))
	}
	return o.LR * left
}

// NonFiniteError stops a training whose loss or gradient is NaN or infinite.
type NonFiniteError struct {
	What  string // "loss" or "gradient norm"
	Step  int    // update number, from 0
	Where string // first layer and op, or parameter, that holds a non-finite value
}

func (e *NonFiniteError) Error() string {
	return fmt.Sprintf("%s is not finite at step %d: first seen in %s; lower the learning rate or raise the warm-up", e.What, e.Step, e.Where)
}

// Trainer makes update steps on one Net.
type Trainer struct {
	dev    device.Device
	net    *model.Net
	opt    Optimizer
	seed   uint64 // of dropout
	step   int
	memory *device.Memory
	m, v   device.Tensor
	norm   device.Tensor // the squared norm of the gradient, and the loss behind it
	halt   device.Tensor // see device.Update
	sum    [2]float32    // norm on the host
	loss   float64       // of the newest update that was read
	read   bool          // one was
	due    *due          // the update that was not, on a device that queues
}

// due is an update that the device was given, whose loss nobody has read.
type due struct {
	step  int
	batch model.Batch
	wait  func([]float32)
}

// New prepares a trainer at step 0. Close gives its memory back; the Net stays the caller's.
func New(dev device.Device, net *model.Net, opt Optimizer, seed uint64) (*Trainer, error) {
	values, _, _ := net.Flat()
	memory, err := dev.Alloc((2*values.Len + 16) * device.F32.Size())
	if err != nil {
		return nil, fmt.Errorf("allocate optimiser state of %d parameters: %w", values.Len, err)
	}
	return &Trainer{
		dev: dev, net: net, opt: opt, seed: seed, memory: memory,
		m:    device.NewTensor(memory, 0, values.Len, device.F32),
		v:    device.NewTensor(memory, values.Len, values.Len, device.F32),
		norm: device.NewTensor(memory, 2*values.Len, 2, device.F32),
		halt: device.NewTensor(memory, 2*values.Len+2, 1, device.F32),
	}, nil
}

// Close gives the optimiser's memory back.
func (t *Trainer) Close() { t.dev.Free(t.memory) }

// Steps is the number of updates made.
func (t *Trainer) Steps() int { return t.step }

// Step makes one update and returns the loss before it. A non-finite loss or gradient is a *NonFiniteError, and the weights stay as they were.
//
// A device.Updater is given this update while it computes the one before, whose loss and error Step returns then (the first call waits for its own).
// Settle brings the newest.
func (t *Trainer) Step(ctx context.Context, b model.Batch) (float64, error) {
	if u, ok := t.dev.(device.Updater); ok {
		return t.stepAhead(ctx, u, b)
	}
	loss, err := t.net.Gradients(ctx, b, t.seed, t.step)
	if err != nil {
		return 0, fmt.Errorf("step %d: %w", t.step, err)
	}
	if !finite(loss) {
		return 0, t.nonFinite(ctx, "loss", b)
	}
	norm, err := t.gradientNorm(ctx)
	if err != nil {
		return 0, err
	}
	if !finite(norm) {
		return 0, t.nonFinite(ctx, "gradient norm", b)
	}
	t.update(norm)
	t.step++
	t.loss = loss
	return loss, nil
}

// Settle waits for the updates made, and returns the loss of the last one. It comes before everything that presumes that they went well: a checkpoint, an
// evaluation, the end.
func (t *Trainer) Settle(ctx context.Context) (float64, error) {
	d := t.due
	if d == nil {
		return t.loss, nil
	}
	t.due = nil
	err := t.settle(ctx, d)
	return t.loss, err
}

// stepAhead queues a whole step, and reads what became of the one before.
func (t *Trainer) stepAhead(ctx context.Context, u device.Updater, b model.Batch) (float64, error) {
	out, err := t.net.QueueGradients(ctx, b, t.seed, t.step)
	if err != nil {
		return 0, fmt.Errorf("step %d: %w", t.step, err)
	}
	values, grads, decayed := t.net.Flat()
	squares, loss := t.norm.Slice(0, 1), t.norm.Slice(1, 1)
	t.dev.SumSquares(squares, grads)
	t.dev.Copy(loss.Mat(1, 1), out.Mat(1, 1))
	u.Update(device.Update{
		AdamW: t.adamW(values, grads, t.m, t.v, t.opt.Decay, 1), Decayed: decayed, Squares: squares, Loss: loss, Halt: t.halt, Clip: t.opt.Clip,
	})
	before := t.due
	t.due = &due{t.step, b, u.ReadLater(t.norm)}
	t.step++
	switch {
	case before != nil:
		err = t.settle(ctx, before)
	case !t.read:
		_, err = t.Settle(ctx)
	}
	return t.loss, err
}

// settle reads what became of an update. One that was queued behind a non-finite one has changed nothing.
func (t *Trainer) settle(ctx context.Context, d *due) error {
	d.wait(t.sum[:])
	t.read = true
	squares, loss := float64(t.sum[0]), float64(t.sum[1])
	if finite(squares) && finite(loss) {
		t.loss = loss
		return ctx.Err()
	}
	if err := t.dev.Sync(ctx); err != nil {
		return fmt.Errorf("step %d: %w", d.step, err)
	}
	t.due, t.step = nil, d.step
	t.dev.Zero(t.halt)
	if !finite(loss) {
		return t.nonFinite(ctx, "loss", d.batch)
	}
	// The gradients may be those of the update behind it.
	if _, err := t.net.Gradients(ctx, d.batch, t.seed, d.step); err != nil {
		return fmt.Errorf("step %d: %w", d.step, err)
	}
	return t.nonFinite(ctx, "gradient norm", d.batch)
}

func (t *Trainer) adamW(w, g, m, v device.Tensor, decay, scale float64) device.AdamW {
	return device.AdamW{
		W: w, G: g, M: m, V: v, LR: t.opt.Rate(t.step), Beta1: t.opt.Beta1, Beta2: t.opt.Beta2, Eps: t.opt.Epsilon, Decay: decay,
		GradScale: float32(scale), Step: t.step + 1,
	}
}

func (t *Trainer) gradientNorm(ctx context.Context) (float64, error) {
	_, grads, _ := t.net.Flat()
	t.dev.SumSquares(t.norm.Slice(0, 1), grads)
	if err := t.dev.Sync(ctx); err != nil {
		return 0, fmt.Errorf("step %d: gradient norm: %w", t.step, err)
	}
	t.dev.DownloadF32(t.sum[:1], t.norm.Slice(0, 1))
	return math.Sqrt(float64(t.sum[0])), nil
}

// update clips by global norm as PyTorch does (scale = clip / (norm + 1e-6), at most 1) and applies AdamW.
func (t *Trainer) update(norm float64) {
	values, grads, decayed := t.net.Flat()
	scale := 1.0
	if t.opt.Clip > 0 {
		scale = math.Min(1, t.opt.Clip/(norm+1e-6))
	}
	part := func(off, n int, decay float64) {
		if n == 0 {
			return
		}
		t.dev.AdamW(t.adamW(values.Slice(off, n), grads.Slice(off, n), t.m.Slice(off, n), t.v.Slice(off, n), decay, scale))
	}
	part(0, decayed, t.opt.Decay)
	part(decayed, values.Len-decayed, 0)
}

func (t *Trainer) nonFinite(ctx context.Context, what string, b model.Batch) error {
	where, err := t.net.FirstNonFinite(ctx, b)
	switch {
	case err != nil:
		return fmt.Errorf("%s is not finite at step %d; looking for the place: %w", what, t.step, err)
	case where == "":
		// The forward pass without dropout is finite, so it arose in the backward pass: name the parameter.
		where = t.firstBadGradient()
	}
	return &NonFiniteError{What: what, Step: t.step, Where: where}
}

func (t *Trainer) firstBadGradient() string {
	for _, p := range t.net.Params() {
		if t.dev.FirstNonFinite(p.Grad) >= 0 {
			return "the gradient of " + p.Name
		}
	}
	return "the sum of finite values (overflow)"
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// Names of the optimiser's tensors in a checkpoint.
const (
	firstMoment  = "optimizer.m"
	secondMoment = "optimizer.v"
)

// Tensors exports the optimiser state; with the weights and Steps it is everything a checkpoint needs. It settles first.
func (t *Trainer) Tensors() ([]safetensors.Tensor, error) {
	if _, err := t.Settle(context.Background()); err != nil {
		return nil, err
	}
	out := make([]safetensors.Tensor, 0, 2)
	for name, src := range map[string]device.Tensor{firstMoment: t.m, secondMoment: t.v} {
		data := make([]float32, src.Len)
		t.dev.DownloadF32(data, src)
		out = append(out, safetensors.Tensor{Name: name, Shape: []int{src.Len}, Data: data})
	}
	return out, nil
}

// Restore continues after step updates from exported optimiser state. The Net's weights must be those of the same checkpoint.
func (t *Trainer) Restore(step int, tensors []safetensors.Tensor) error {
	want := map[string]device.Tensor{firstMoment: t.m, secondMoment: t.v}
	for _, s := range tensors {
		dst, ok := want[s.Name]
		if !ok {
			continue
		}
		if len(s.Data) != dst.Len {
			return fmt.Errorf("restore optimiser: %s has %d values, the model has %d parameters", s.Name, len(s.Data), dst.Len)
		}
		t.dev.UploadF32(dst, s.Data)
		delete(want, s.Name)
	}
	if len(want) > 0 {
		return fmt.Errorf("restore optimiser: the checkpoint lacks its moments")
	}
	t.step, t.due = step, nil
	return nil
}
