package devicetest

import (
	"fmt"
	"math"

	"flexi/core/device"
)

// lossBound is relative to the largest element of losses and their gradients.
const lossBound = 2e-6

// crossEntropyReference is the mean of -log softmax(Logits[i])[Labels[i]] over rows with a label.
type crossEntropyReference struct {
	logits matrix
	labels []int32
}

func (c crossEntropyReference) count() int {
	n := 0
	for _, label := range c.labels {
		if label >= 0 {
			n++
		}
	}
	return max(n, 1)
}

func (c crossEntropyReference) logSums() matrix {
	out := zeros(1, c.logits.rows)
	for i := range out.x {
		var sum float64
		for _, v := range c.logits.row(i) {
			sum += math.Exp(v)
		}
		out.x[i] = math.Log(sum)
	}
	return out
}

func (c crossEntropyReference) forward() matrix {
	var sum float64
	logSums := c.logSums()
	for i, label := range c.labels {
		if label >= 0 {
			sum += logSums.x[i] - c.logits.at(i, int(label))
		}
	}
	return scalar(sum / float64(c.count()))
}

func (c crossEntropyReference) backward(dLoss float64) matrix {
	out := zerosLike(c.logits)
	for i, label := range c.labels {
		if label < 0 {
			continue
		}
		p := out.row(i)
		copy(p, c.logits.row(i))
		softmax(p)
		p[label]--
		for j := range p {
			p[j] *= dLoss / float64(c.count())
		}
	}
	return out
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
	for _, s := range [][2]int{{1, 1}, {1, 2}, {5, 3}, {13, 37}, {37, 7}, {67, 307}} {
		cases = append(cases,
			crossEntropyCase(fmt.Sprintf("cross entropy %dx%d", s[0], s[1]), s[0], s[1], func(r *rig) []int32 { return r.picks(s[0], s[1], false) }),
			crossEntropyCase(fmt.Sprintf("cross entropy %dx%d some ignored", s[0], s[1]), s[0], s[1], func(r *rig) []int32 { return r.picks(s[0], s[1], true) }))
	}
	cases = append(cases, crossEntropyCase("cross entropy all ignored", 3, 5, func(*rig) []int32 { return []int32{-100, -1, -1} }))
	for _, n := range []int{1, 2, 13, 37, 301} {
		cases = append(cases, squaredErrorCase(n))
	}
	return cases
}

func crossEntropyCase(name string, rows, classes int, labels func(r *rig) []int32) kernelCase {
	return kernelCase{name, func(r *rig) {
		ref := crossEntropyReference{r.normal(rows, classes), labels(r)}
		// Logits far from zero must not overflow.
		for j := range ref.logits.row(0) {
			ref.logits.add(0, j, 60)
		}
		for i, v := range ref.logits.x {
			ref.logits.x[i] = float64(float32(v))
		}
		const dLoss = -0.75
		c := device.CrossEntropy{Logits: r.input(ref.logits), Labels: r.indices(ref.labels), LogSum: r.vectorOutput(rows), Loss: r.vectorOutput(1)}
		g := device.CrossEntropyGrad{CrossEntropy: c, DLoss: r.vector(scalar(dLoss)), DLogits: r.output(rows, classes)}
		r.d.CrossEntropyForward(c)
		r.d.CrossEntropyBackward(g)
		r.compare(func() []matrix { return []matrix{ref.logSums(), ref.forward(), ref.backward(dLoss)} },
			result{"LogSum", flat(c.LogSum), lossBound}, result{"Loss", flat(c.Loss), lossBound}, result{"DLogits", g.DLogits, 8 * lossBound})
	}, false}
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
