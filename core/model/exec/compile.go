package exec

import (
	"fmt"
	"slices"
	"strings"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"flexi/core/device"
	"flexi/core/model/op"
)

// Spec says what to compile.
type Spec struct {
	Device device.Device
	// Outputs are kept until the end of a run.
	Outputs []*gorgonia.Node
	// Bound are variables with memory of their own: parameters.
	Bound map[*gorgonia.Node]device.Tensor
	// Gradients are nodes whose value is written to memory outside the arena.
	Gradients []Gradient
	// Checkpoints end layers, in order. Where there are any, what layers keep for the backward pass is computed again there, except them.
	Checkpoints []*gorgonia.Node
}

// Gradient is a node and where its value goes.
type Gradient struct {
	Node *gorgonia.Node
	To   device.Tensor
}

type compiler struct {
	spec      Spec
	plan      *Plan
	nodes     gorgonia.Nodes
	consumers map[*gorgonia.Node][]*gorgonia.Node // users of a node, outside readers not included
	external  map[*gorgonia.Node]bool             // outputs and gradients
	refs      map[*gorgonia.Node]ref
	parts     map[*gorgonia.Node][]ref
	marks     []int // numbers of steps up to the checkpoints
}

// Compile makes a plan. Variables that are not bound become inputs.
func Compile(spec Spec) (*Plan, error) {
	c := &compiler{
		spec:     spec,
		plan:     &Plan{dev: spec.Device, inputs: map[*gorgonia.Node]*buffer{}, outputs: map[*gorgonia.Node]ref{}},
		external: map[*gorgonia.Node]bool{}, refs: map[*gorgonia.Node]ref{}, parts: map[*gorgonia.Node][]ref{},
	}
	roots := append(gorgonia.Nodes(nil), spec.Outputs...)
	for _, g := range spec.Gradients {
		roots = append(roots, g.Node)
	}
	for _, n := range roots {
		c.external[n] = true
	}
	c.nodes = Reachable(roots)
	c.consumers = consumers(c.nodes)
	for _, n := range c.nodes {
		if err := c.lower(n); err != nil {
			return nil, fmt.Errorf("compile %s: %w", n.Name(), err)
		}
		if slices.Contains(spec.Outputs, n) {
			c.refs[n].buf.pinned = true // whoever reads it wants it contiguous
		}
		if slices.Contains(spec.Checkpoints, n) {
			c.marks = append(c.marks, len(c.plan.steps))
		}
	}
	c.recompute()
	c.bindGradients()
	c.finish()
	return c.plan, nil
}

// lower turns one node into views or a step. Operands have been lowered before.
func (c *compiler) lower(n *gorgonia.Node) error {
	kids := children(n)
	switch o := n.Op().(type) {
	case nil:
		return c.variable(n)
	case *op.Kernel:
		c.kernel(n, o, kids)
	case *op.Part:
		parts, ok := c.parts[kids[0]]
		if !ok || o.Index >= len(parts) {
			return fmt.Errorf("part %d of something that is not a kernel", o.Index)
		}
		c.refs[n] = parts[o.Index]
	case *op.Window:
		r := c.refs[kids[0]]
		c.refs[n] = ref{buf: r.buf, column: r.column + o.Column, width: o.Width}
	case *op.Join:
		c.join(n, kids)
	case *op.Place:
		if !c.onlySummed(n) {
			c.sum(n)
		}
	default:
		switch {
		case isAddition(n):
			if !c.inlined(n) {
				c.sum(n)
			}
		case len(kids) == 0:
			return c.constant(n)
		default:
			return fmt.Errorf("operation %s has no kernel", o)
		}
	}
	return nil
}

// matrixOf is the shape of a node's value as rows and columns.
func matrixOf(n *gorgonia.Node) (rows, cols int) { return op.Shape{Dims: n.Shape()}.Matrix() }

func (c *compiler) buffer(rows, cols int, of device.DType) *buffer {
	b := newBuffer(rows, cols, of)
	c.plan.buffers = append(c.plan.buffers, b)
	return b
}

func (c *compiler) variable(n *gorgonia.Node) error {
	rows, cols := matrixOf(n)
	of := device.F32
	if n.Dtype() == tensor.Int32 {
		of = device.I32
	}
	b := c.buffer(rows, cols, of)
	b.pinned = true
	if t, ok := c.spec.Bound[n]; ok {
		if t.Len != rows*cols {
			return fmt.Errorf("bound to %d values, but its shape is %v", t.Len, n.Shape())
		}
		b.bound = t
	} else {
		c.plan.inputs[n] = b
	}
	c.refs[n] = whole(b)
	return nil
}

// constant is a leaf of Gorgonia's own, such as the gradient of the loss by itself.
func (c *compiler) constant(n *gorgonia.Node) error {
	v, err := n.Op().Do()
	if err != nil {
		return fmt.Errorf("value of a constant: %w", err)
	}
	x, ok := v.Data().(float32)
	if !ok {
		return fmt.Errorf("constant %v is not a float32", v)
	}
	b := c.buffer(1, 1, device.F32)
	b.pinned = true
	c.plan.constants = append(c.plan.constants, constant{buf: b, values: []float32{x}})
	c.refs[n] = whole(b)
	return nil
}

// kernel adds the step of one of our ops, computing the parts that something reads.
func (c *compiler) kernel(n *gorgonia.Node, k *op.Kernel, kids gorgonia.Nodes) {
	needed := c.neededParts(n, len(k.Parts()))
	s := step{name: k.Name(), label: k.Label(), run: k.Run}
	for _, kid := range kids {
		s.in = append(s.in, c.refs[kid])
	}
	for i, p := range k.Parts() {
		r := ref{}
		if needed[i] || p.Need != op.OnDemand {
			rows, cols := p.Matrix()
			r = whole(c.buffer(rows, cols, device.F32))
		}
		if p.Need != op.Scratch {
			s.checked = i + 1
		}
		s.out = append(s.out, r)
	}
	c.parts[n], c.refs[n] = s.out, s.out[0]
	c.plan.steps = append(c.plan.steps, s)
}

// neededParts says which parts of a kernel node are read.
func (c *compiler) neededParts(n *gorgonia.Node, parts int) []bool {
	needed := make([]bool, parts)
	needed[0] = c.external[n]
	for _, user := range c.consumers[n] {
		if p, ok := user.Op().(*op.Part); ok {
			needed[p.Index] = true
		} else {
			needed[0] = true
		}
	}
	return needed
}

// bindGradients lets kernels write gradients where they belong, or copies them there.
func (c *compiler) bindGradients() {
	for _, g := range c.spec.Gradients {
		r := c.refs[g.Node]
		if r.isWhole() && r.buf.parent == nil && !r.buf.pinned && r.buf.elements() == g.To.Len {
			r.buf.bound, r.buf.pinned = g.To, true
			continue
		}
		to := c.buffer(r.buf.rows, r.width, device.F32)
		to.bound, to.pinned = g.To, true
		c.copy(whole(to), r, g.Node.Name())
	}
}

func (c *compiler) copy(to, from ref, label string) {
	c.plan.steps = append(c.plan.steps, step{
		name: "copy", label: label, in: []ref{from}, out: []ref{to}, checked: 1,
		run: func(e *op.Env, in, out []device.Mat) { e.Device.Copy(out[0], in[0]) },
	})
}

// finish fixes lifetimes, aliases sums, places buffers and prepares the operand lists.
func (c *compiler) finish() {
	p := c.plan
	end := len(p.steps)
	for _, b := range p.inputs {
		b.touch(0)
		b.touch(end)
	}
	for _, k := range p.constants {
		k.buf.touch(0)
		k.buf.touch(end)
	}
	for i := range p.steps {
		s := &p.steps[i]
		for _, r := range append(append([]ref(nil), s.in...), s.out...) {
			if r.buf != nil {
				r.buf.touch(i)
			}
		}
		s.inMat, s.outMat = make([]device.Mat, len(s.in)), make([]device.Mat, len(s.out))
	}
	for _, n := range c.spec.Outputs {
		p.outputs[n] = c.refs[n]
		c.refs[n].buf.touch(end)
	}
	c.sumInPlace()
	p.size = place(p.buffers)
}

// Reachable lists the nodes that the roots are computed from, in the order they were made in, operands first.
func Reachable(roots gorgonia.Nodes) gorgonia.Nodes {
	seen := map[*gorgonia.Node]bool{}
	var out gorgonia.Nodes
	stack := append(gorgonia.Nodes(nil), roots...)
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if seen[n] {
			continue
		}
		seen[n] = true
		out = append(out, n)
		stack = append(stack, children(n)...)
	}
	sortByID(out)
	return out
}

// isAddition recognises Gorgonia's element-wise sum, whose type is not exported.
func isAddition(n *gorgonia.Node) bool {
	_, binary := n.Op().(gorgonia.BinaryOp)
	return binary && strings.HasPrefix(n.Op().String(), "+")
}
