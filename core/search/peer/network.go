package peer

import (
	"math"
	"math/rand/v2"
)

// Sizes and training of a network.
const (
	netWidth  = 20
	netHidden = 3
	netEpochs = 200
	netBatch  = 32
	netRate   = 0.01
)

// layer is a linear map with the state of its gradient and of Adam. Weights are rows of inputs: w[i*out+o]; the biases follow.
type layer struct {
	in, out       int
	w, grad, m, v []float64
}

// network is a multilayer perceptron with ReLU from 0/1 inputs, of which the ones are listed, to a number. The absolute error is its loss.
type network struct {
	layers []layer
	step   int
	acts   [][]float64 // outputs per layer, of the last forward pass
}

// newNetwork draws weights uniformly within the square root of 6/(in+out) (Glorot and Bengio 2010).
func newNetwork(inputs int, rng *rand.Rand) *network {
	n := &network{}
	sizes := []int{inputs}
	for range netHidden {
		sizes = append(sizes, netWidth)
	}
	sizes = append(sizes, 1)
	for k, in := range sizes[:len(sizes)-1] {
		out := sizes[k+1]
		size := (in + 1) * out
		l := layer{in, out, make([]float64, size), make([]float64, size), make([]float64, size), make([]float64, size)}
		limit := math.Sqrt(6 / float64(in+out))
		for i := range in * out {
			l.w[i] = (2*rng.Float64() - 1) * limit
		}
		n.layers = append(n.layers, l)
		n.acts = append(n.acts, make([]float64, out))
	}
	return n
}

// predict is the output for the inputs that are 1.
func (n *network) predict(on []int) float64 {
	for k := range n.layers {
		l, y := &n.layers[k], n.acts[k]
		copy(y, l.w[l.in*l.out:])
		if k == 0 {
			for _, i := range on {
				add(y, 1, l.w[i*l.out:])
			}
		} else {
			for i, x := range n.acts[k-1] {
				if x != 0 {
					add(y, x, l.w[i*l.out:])
				}
			}
		}
		if k < len(n.layers)-1 {
			for o, v := range y {
				y[o] = max(0, v)
			}
		}
	}
	return n.acts[len(n.acts)-1][0]
}

// backward adds the gradient of slope times the output to the layers' gradients, after predict of the same inputs.
func (n *network) backward(on []int, slope float64) {
	delta := []float64{slope}
	for k := len(n.layers) - 1; k >= 0; k-- {
		l := &n.layers[k]
		add(l.grad[l.in*l.out:], 1, delta)
		if k == 0 {
			for _, i := range on {
				add(l.grad[i*l.out:], 1, delta)
			}
			return
		}
		below := make([]float64, l.in)
		for i, x := range n.acts[k-1] {
			if x == 0 {
				continue
			}
			add(l.grad[i*l.out:], x, delta)
			for o, d := range delta {
				below[i] += d * l.w[i*l.out+o]
			}
		}
		delta = below
	}
}

// add adds scale times x to y, over the shorter of the two.
func add(y []float64, scale float64, x []float64) {
	for i := range min(len(x), len(y)) {
		y[i] += scale * x[i]
	}
}

// train makes 200 epochs of Adam in batches of 32.
func (n *network) train(x [][]int, y []float64, rng *rand.Rand) {
	for range netEpochs {
		order := rng.Perm(len(x))
		for from := 0; from < len(order); from += netBatch {
			batch := order[from:min(from+netBatch, len(order))]
			for _, k := range batch {
				slope := math.Copysign(1, n.predict(x[k])-y[k]) / float64(len(batch))
				n.backward(x[k], slope)
			}
			n.adam()
		}
	}
}

// adam is one step (Kingma and Ba 2015) with the usual decays 0.9 and 0.999; it clears the gradients.
func (n *network) adam() {
	n.step++
	first := 1 - math.Pow(0.9, float64(n.step))
	second := 1 - math.Pow(0.999, float64(n.step))
	for k := range n.layers {
		l := &n.layers[k]
		for i, g := range l.grad {
			l.m[i] = 0.9*l.m[i] + 0.1*g
			l.v[i] = 0.999*l.v[i] + 0.001*g*g
			l.w[i] -= netRate * (l.m[i] / first) / (math.Sqrt(l.v[i]/second) + 1e-8)
		}
		clear(l.grad)
	}
}
