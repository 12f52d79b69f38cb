package exec

import (
	"slices"

	"gorgonia.org/gorgonia"

	"flexi/core/device"
	"flexi/core/model/op"
)

// A term of a sum is a whole matrix, or columns of one (column >= 0) where the rest is zero.
type term struct {
	from   ref
	column int
}

// dense marks a term that covers all columns by itself.
const dense = -1

// inlined reports whether an addition is a term of the one sum that reads it.
func (c *compiler) inlined(n *gorgonia.Node) bool {
	users := c.consumers[n]
	return len(users) == 1 && isAddition(users[0]) && !c.external[n]
}

// onlySummed reports whether a Place is read by additions only, which take its operand instead.
func (c *compiler) onlySummed(n *gorgonia.Node) bool {
	return !c.external[n] && !slices.ContainsFunc(c.consumers[n], func(u *gorgonia.Node) bool { return !isAddition(u) })
}

// terms flattens a chain of additions.
func (c *compiler) terms(n *gorgonia.Node) []term {
	var out []term
	for _, kid := range children(n) {
		place, placed := kid.Op().(*op.Place)
		switch {
		case isAddition(kid) && c.inlined(kid):
			out = append(out, c.terms(kid)...)
		case placed && c.onlySummed(kid):
			out = append(out, term{from: c.refs[children(kid)[0]], column: place.Column})
		default:
			out = append(out, term{from: c.refs[kid], column: dense})
		}
	}
	return out
}

// sum lowers an addition, or a Place that stands alone.
func (c *compiler) sum(n *gorgonia.Node) {
	var terms []term
	if place, ok := n.Op().(*op.Place); ok {
		terms = []term{{from: c.refs[children(n)[0]], column: place.Column}}
	} else {
		terms = c.terms(n)
	}
	rows, cols := matrixOf(n)
	z := c.buffer(rows, cols, device.F32)
	c.refs[n] = whole(z)
	var whole, placed []term
	for _, t := range terms {
		if t.column == dense {
			whole = append(whole, t)
		} else {
			placed = append(placed, t)
		}
	}
	if len(whole) == 0 && tile(placed, cols) {
		c.assemble(z, placed, n.Name())
		return
	}
	c.addStep(z, whole, placed, n.Name())
}

// tile reports whether the terms cover every column once.
func tile(terms []term, cols int) bool {
	slices.SortFunc(terms, func(a, b term) int { return a.column - b.column })
	at := 0
	for _, t := range terms {
		if t.column != at {
			return false
		}
		at += t.from.width
	}
	return at == cols
}

// join puts operands side by side.
func (c *compiler) join(n *gorgonia.Node, kids gorgonia.Nodes) {
	rows, cols := matrixOf(n)
	z := c.buffer(rows, cols, device.F32)
	c.refs[n] = whole(z)
	var terms []term
	at := 0
	for _, kid := range kids {
		r := c.refs[kid]
		terms = append(terms, term{from: r, column: at})
		at += r.width
	}
	c.assemble(z, terms, n.Name())
}

// assemble makes terms the columns of z: their kernels write there at once where the term is a whole buffer that nothing else has a hold on,
// otherwise they are copied.
func (c *compiler) assemble(z *buffer, terms []term, label string) {
	for _, t := range terms {
		b := t.from.buf
		if t.from.isWhole() && b.parent == nil && !b.pinned && b.root() != z {
			b.parent, b.column = z, t.column
			continue
		}
		c.copy(ref{buf: z, column: t.column, width: t.from.width}, t.from, label)
	}
}

// addStep adds z = sum of whole terms, plus the placed ones in their columns.
func (c *compiler) addStep(z *buffer, whole, placed []term, label string) {
	s := step{name: "add", label: label, out: []ref{{buf: z, width: z.cols}}, checked: 1}
	for _, t := range append(append([]term(nil), whole...), placed...) {
		s.in = append(s.in, t.from)
	}
	n := len(whole)
	if n == 0 {
		// Clearing needs a contiguous buffer.
		z.pinned = true
	}
	columns := make([]int, len(placed))
	for i, t := range placed {
		columns[i] = t.column
	}
	s.run = func(e *op.Env, in, out []device.Mat) { add(e.Device, out[0], in[:n], in[n:], columns) }
	c.plan.steps = append(c.plan.steps, s)
}

func add(dev device.Device, z device.Mat, whole, placed []device.Mat, columns []int) {
	switch len(whole) {
	case 0:
		dev.Zero(z.T)
	case 1:
		if z != whole[0] {
			dev.Copy(z, whole[0])
		}
	default:
		dev.Add(z, whole[0], whole[1])
		for _, x := range whole[2:] {
			dev.Add(z, z, x)
		}
	}
	for i, x := range placed {
		part := z.Columns(columns[i], x.Cols)
		dev.Add(part, part, x)
	}
}

// sumInPlace writes a sum over its first whole term where this is the term's last use.
func (c *compiler) sumInPlace() {
	for i := range c.plan.steps {
		s := &c.plan.steps[i]
		if s.name != "add" {
			continue
		}
		z := s.out[0].buf
		x := s.in[0]
		if z.parent != nil || z.pinned || !x.isWhole() || x.width != z.cols || x.buf.rows != z.rows {
			continue
		}
		owner := x.buf.root()
		if owner.pinned || owner.last != i || owner.cols != x.width || slices.ContainsFunc(s.in[1:], func(o ref) bool { return o.buf.root() == owner }) {
			continue
		}
		last := z.last
		z.parent, z.column = owner, 0
		owner.last = max(owner.last, last)
	}
}
