// Package exec compiles Gorgonia graphs of the ops in model/op into plans: lists of kernels in order, with every buffer at a fixed place of one
// arena. Running a plan allocates nothing.
//
// How a graph becomes a plan:
//   - nodes that the outputs need run in the order they were made in, which is a topological order;
//   - Part and Window nodes are views; the operands of a Join, and the Places that Gorgonia's addition sums into the gradient of a fused tensor, are
//     written by their kernels straight into their columns where nothing forbids it, and copied where something does;
//   - chains of additions become one sum, written over its first term when that is its last use;
//   - where checkpoints are named, layers are computed again in the backward pass instead of being kept;
//   - gradients of parameters are written straight to their memory outside the arena;
//   - buffers are placed by liveness: memory is used again once its last reader is done.
package exec

import (
	"context"
	"fmt"
	"time"

	"gorgonia.org/gorgonia"

	"flexi/core/device"
	"flexi/core/model/op"
)

// Plan is a compiled graph. It must be bound to an arena before it runs, and plans that share an arena must not run at the same time.
type Plan struct {
	dev     device.Device
	steps   []step
	buffers []*buffer
	inputs  map[*gorgonia.Node]*buffer
	outputs map[*gorgonia.Node]ref
	// constants are uploaded by every run, since other plans may have used the arena in between.
	constants []constant
	size      int
	arena     *device.Memory
}

type constant struct {
	buf    *buffer
	values []float32
}

// step is one kernel.
type step struct {
	name, label   string
	in, out       []ref
	checked       int // how many of out hold results, not scratch
	run           func(e *op.Env, in, out []device.Mat)
	inMat, outMat []device.Mat
}

// Profile sums the time of kernels by op name. While it is used, every kernel is waited for.
type Profile map[string]time.Duration

// ArenaBytes is how much arena memory the plan needs.
func (p *Plan) ArenaBytes() int { return p.size * device.F32.Size() }

// Steps is the number of kernels of a run.
func (p *Plan) Steps() int { return len(p.steps) }

// Bind places the plan's buffers in an arena of at least ArenaBytes. Binding to the same arena again costs nothing.
func (p *Plan) Bind(arena *device.Memory) {
	if p.arena == arena {
		return
	}
	p.arena = arena
	for _, b := range p.buffers {
		if b.root().first >= 0 {
			p.bind(b)
		}
	}
	for i := range p.steps {
		s := &p.steps[i]
		for j, r := range s.in {
			s.inMat[j] = r.mat()
		}
		for j, r := range s.out {
			s.outMat[j] = r.mat()
		}
	}
}

func (p *Plan) bind(b *buffer) {
	switch {
	case b.parent != nil:
		p.bind(b.parent)
		b.mat = b.parent.mat.Columns(b.column, b.cols)
	case !b.bound.Empty():
		b.mat = b.bound.Mat(b.rows, b.cols)
	default:
		b.mat = device.NewTensor(p.arena, b.offset, b.elements(), b.dtype).Mat(b.rows, b.cols)
	}
}

// Input is the memory of an input node, to be filled before every run. It is empty if the plan does not read the node.
func (p *Plan) Input(n *gorgonia.Node) device.Tensor {
	if b := p.inputs[n]; b != nil {
		return b.mat.T
	}
	return device.Tensor{}
}

// Output is the value of an output node after a run; it is valid until the next run of any plan on the same arena.
func (p *Plan) Output(n *gorgonia.Node) device.Mat { return p.outputs[n].mat() }

// Run queues all kernels; the device's Sync reports their failures. A panic of a kernel becomes an error. The context is looked at between
// kernels. profile may be nil.
func (p *Plan) Run(ctx context.Context, e *op.Env, profile Profile) error {
	p.uploadConstants()
	if r, ok := p.dev.(device.Replayer); ok && profile == nil {
		return r.Replay(p, func() error { return p.queue(ctx, e, nil) })
	}
	return p.queue(ctx, e, profile)
}

// queue is Run without the constants.
func (p *Plan) queue(ctx context.Context, e *op.Env, profile Profile) error {
	for i := range p.steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		start := time.Time{}
		if profile != nil {
			start = time.Now()
		}
		if err := p.steps[i].do(e); err != nil {
			return err
		}
		if profile != nil {
			if err := p.dev.Sync(ctx); err != nil {
				return p.steps[i].failure(err)
			}
			profile[p.steps[i].name] += time.Since(start)
		}
	}
	return nil
}

func (p *Plan) uploadConstants() {
	for _, c := range p.constants {
		p.dev.UploadF32(c.buf.mat.T, c.values)
	}
}

// FirstNonFinite runs the plan step by step and describes the first op whose result holds a NaN or an infinity ("layer 2 feed-forward: linear");
// it is empty if there is none.
func (p *Plan) FirstNonFinite(ctx context.Context, e *op.Env) (string, error) {
	p.uploadConstants()
	for i := range p.steps {
		s := &p.steps[i]
		if err := ctx.Err(); err != nil {
			return "", err
		}
		if err := s.do(e); err != nil {
			return "", err
		}
		for _, m := range s.outMat[:s.checked] {
			if !m.Empty() && !finite(p.dev, m) {
				return s.label + ": " + s.name, nil
			}
		}
	}
	return "", p.dev.Sync(ctx)
}

func finite(dev device.Device, m device.Mat) bool {
	if m.Cols == m.Stride {
		return dev.FirstNonFinite(m.T) < 0
	}
	for r := range m.Rows {
		if dev.FirstNonFinite(m.RowsView(r, 1).T) >= 0 {
			return false
		}
	}
	return true
}

func (s *step) do(e *op.Env) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = s.failure(fmt.Errorf("%v", r))
		}
	}()
	s.run(e, s.inMat, s.outMat)
	return nil
}

func (s *step) failure(err error) error {
	return fmt.Errorf("run %s (%s) of %s to %s: %w", s.name, s.label, shapes(s.inMat), shapes(s.outMat), err)
}

func shapes(ms []device.Mat) string {
	text := ""
	for i, m := range ms {
		if i > 0 {
			text += " "
		}
		text += fmt.Sprintf("%d×%d", m.Rows, m.Cols)
	}
	return text
}
