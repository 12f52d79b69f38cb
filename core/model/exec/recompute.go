package exec

// recompute lets every layer but the last forget what it keeps for the backward pass, except what later layers read, and computes it again from that when
// the backward pass reaches the layer (gradient checkpointing, Chen et al. 2016, arXiv 1604.06174). Kernels are functions of their operands, masks of dropout
// included, so the gradients have the same bits. A layer is the steps up to a mark.
func (c *compiler) recompute() {
	if len(c.marks) < 2 {
		return
	}
	forward := c.marks[len(c.marks)-1]
	layers := make([]layerSteps, len(c.marks)-1)
	from := 0
	for i := range layers {
		layers[i] = layerSteps{c: c, steps: c.plan.steps[from:c.marks[i]], made: map[*buffer]bool{}, needed: map[*buffer]bool{}, copies: map[*buffer]*buffer{}}
		layers[i].own(c.plan.steps[c.marks[i]:forward])
		from = c.marks[i]
	}
	backward := c.plan.steps[forward:]
	for i := range layers {
		for _, s := range backward {
			layers[i].need(s.in)
		}
	}
	steps := append([]step(nil), c.plan.steps[:forward]...)
	for _, s := range backward {
		for i := range layers {
			if l := &layers[i]; l.reads(s.in) {
				if !l.again {
					steps, l.again = append(steps, l.repeat()...), true
				}
				s.in = l.copied(s.in)
			}
		}
		steps = append(steps, s)
	}
	c.plan.steps = steps
}

// layerSteps are the steps of a layer in the forward pass.
type layerSteps struct {
	c      *compiler
	steps  []step
	made   map[*buffer]bool // roots that they write, and that nothing but they and the backward pass reads
	needed map[*buffer]bool // those that are read in the backward pass, or to compute what is
	copies map[*buffer]*buffer
	again  bool
}

// own finds what the layer makes for itself; later are the forward steps behind it.
func (l *layerSteps) own(later []step) {
	for _, s := range l.steps {
		for _, r := range s.out {
			if r.buf != nil {
				l.made[r.buf.root()] = true
			}
		}
	}
	for _, s := range later {
		for _, r := range append(append([]ref(nil), s.in...), s.out...) {
			if r.buf != nil {
				delete(l.made, r.buf.root())
			}
		}
	}
	for n := range l.c.external {
		if r := l.c.refs[n]; r.buf != nil {
			delete(l.made, r.buf.root())
		}
	}
}

func (l *layerSteps) reads(in []ref) bool {
	for _, r := range in {
		if r.buf != nil && l.made[r.buf.root()] {
			return true
		}
	}
	return false
}

func (l *layerSteps) need(in []ref) {
	for _, r := range in {
		if r.buf != nil && l.made[r.buf.root()] {
			l.needed[r.buf.root()] = true
		}
	}
}

// repeat is the steps that make what is needed, with results of their own.
func (l *layerSteps) repeat() []step {
	wanted := make([]bool, len(l.steps))
	for i := len(l.steps) - 1; i >= 0; i-- {
		for _, r := range l.steps[i].out {
			wanted[i] = wanted[i] || r.buf != nil && l.needed[r.buf.root()]
		}
		if wanted[i] {
			l.need(l.steps[i].in)
		}
	}
	var out []step
	for i, s := range l.steps {
		if !wanted[i] {
			continue
		}
		s.in = l.copied(s.in)
		s.out = append([]ref(nil), s.out...)
		for j := range s.out {
			if s.out[j].buf != nil {
				s.out[j].buf = l.copy(s.out[j].buf)
			}
		}
		out = append(out, s)
	}
	return out
}

// copied are operands with copies in place of what the layer makes for itself.
func (l *layerSteps) copied(in []ref) []ref {
	out := append([]ref(nil), in...)
	for i, r := range out {
		if r.buf != nil && l.made[r.buf.root()] {
			out[i].buf = l.copy(r.buf)
		}
	}
	return out
}

func (l *layerSteps) copy(b *buffer) *buffer {
	if l.copies[b] == nil {
		n := l.c.buffer(b.rows, b.cols, b.dtype)
		n.pinned, n.column = b.pinned, b.column
		if b.parent != nil {
			n.parent = l.copy(b.parent)
		}
		l.copies[b] = n
	}
	return l.copies[b]
}
