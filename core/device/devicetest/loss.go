package devicetest

import (
	"fmt"
	"math"
	"slices"

	"flexi/core/device"
)

// lossBound is relative to the largest element of losses and their gradients.
const lossBound = 2e-6

// crossEntropyReference is the mean of -log softmax(X·Wᵀ + Bias)[i, Labels[i]] over rows with a label.
type crossEntropyReference struct {
	x, w, bias matrix // bias may be absent
	labels     []int32
}

func (c crossEntropyReference) count() float64 {
	n := 0
	for _, label := range c.labels {
		if label >= 0 {
			n++
		}
	}
	return float64(max(n, 1))
}

func (c crossEntropyReference) logits() matrix {
	return linearReference{x: c.x, w: c.w, bias: c.bias}.pre()
}

func (c crossEntropyReference) forward() matrix {
	var sum float64
	logits := c.logits()
	for i, label := range c.labels {
		if label >= 0 {
			p := logits.row(i)
			at, top := p[label], slices.Max(p)
			var exps float64
			for _, v := range p {
				exps += math.Exp(v - top)
			}
			sum += math.Log(exps) + top - at
		}
	}
	return scalar(sum / c.count())
}

// backward gives DX, DW and DBias.
func (c crossEntropyReference) backward() []matrix {
	d := c.logits()
	for i, label := range c.labels {
		p := d.row(i)
		if label < 0 {
			clear(p)
			continue
		}
		softmax(p)
		p[label]--
		for j := range p {
			p[j] /= c.count()
		}
	}
	return linearReference{x: c.x, w: c.w}.backward(d)
}

// squaredErrorReference is the mean of (X - Target)².
type squaredErrorReference struct{ x, target matrix }

func (s squaredErrorReference) forward() matrix {
	var sum float64
	for i, v := range s.x.x {
		sum += (v - s.target.x[i]) * (v - s.target.x[i])
	}
	return scalar(sum / float64(len(s.x.x)))
}

func (s squaredErrorReference) backward(dLoss float64) matrix {
	out := zerosLike(s.x)
	for i, v := range s.x.x {
		out.x[i] = dLoss * 2 * (v - s.target.x[i]) / float64(len(s.x.x))
	}
	return out
}

func lossCases() []kernelCase {
	var cases []kernelCase
	for _, s := range [][3]int{{1, 1, 1}, {1, 3, 2}, {5, 2, 3}, {13, 5, 37}, {37, 13, 7}, {67, 11, 307}, {521, 5, 3}} {
		for flags := range 8 {
			cases = append(cases, crossEntropyCase(s[0], s[1], s[2], flags, false))
		}
	}
	cases = append(cases, crossEntropyCase(563, 67, 1021, 7, true))
	for _, n := range []int{1, 2, 13, 37, 301} {
		cases = append(cases, squaredErrorCase(n))
	}
	return cases
}

// crossEntropyCase is a loss with or without bias, ignored rows and gradients. Every case with ignored rows has labels only from its third row on,
// so those of one or two rows have none.
func crossEntropyCase(rows, in, classes, flags int, large bool) kernelCase {
	bias, ignored, gradient := flags&1 != 0, flags&2 != 0, flags&4 != 0
	name := fmt.Sprintf("cross entropy %dx%d to %d bias=%v ignored=%v gradient=%v", rows, in, classes, bias, ignored, gradient)
	return kernelCase{name, func(r *rig) {
		ref := crossEntropyReference{x: r.normal(rows, in), w: r.normal(classes, in), labels: r.picks(rows, classes, ignored)}
		if ignored {
			copy(ref.labels, []int32{-100, -1})
		}
		c := device.CrossEntropy{X: r.input(ref.x), W: r.input(ref.w), Labels: r.indices(ref.labels), Loss: r.vectorOutput(1)}
		if bias {
			// Logits far from zero must not overflow.
			ref.bias = zeros(1, classes)
			for j := range ref.bias.x {
				ref.bias.x[j] = 100
			}
			c.Bias = r.vector(ref.bias)
		}
		if gradient {
			c.DX, c.DW = r.output(rows, in), r.output(classes, in)
			if bias {
				c.DBias = r.vectorOutput(classes)
			}
		}
		r.d.CrossEntropy(c)
		r.compare(func() []matrix { return append([]matrix{ref.forward()}, ref.backward()...) },
			result{"Loss", flat(c.Loss), 4 * lossBound}, result{"DX", c.DX, 8 * lossBound}, result{"DW", c.DW, 8 * lossBound},
			result{"DBias", flat(c.DBias), 8 * lossBound})
	}, large}
}

func squaredErrorCase(n int) kernelCase {
	return kernelCase{fmt.Sprintf("squared error %d", n), func(r *rig) {
		ref := squaredErrorReference{r.normal(n, 1), r.normal(1, n)}
		const dLoss = 1.25
		s := device.SquaredError{X: r.input(ref.x), Target: r.vector(ref.target), Loss: r.vectorOutput(1)}
		g := device.SquaredErrorGrad{SquaredError: s, DLoss: r.vector(scalar(dLoss)), DX: r.output(n, 1)}
		r.d.SquaredErrorForward(s)
		r.d.SquaredErrorBackward(g)
		r.compare(func() []matrix { return []matrix{ref.forward(), ref.backward(dLoss)} },
			result{"Loss", flat(s.Loss), lossBound}, result{"DX", g.DX, lossBound})
	}, false}
}
