package model

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
)

// Spreads of initial values (design notes 2.1).
const (
	initialDeviation = 0.02
	initialRange     = 0.1
)

// fill gives a tensor its initial values. They depend on the seed and the tensor's name alone, so that adding a head or a layer changes no other
// tensor.
func (i initial) fill(dst []float32, seed uint64, name string, shape []int) {
	h := fnv.New64a()
	h.Write([]byte(name))
	rng := rand.New(rand.NewPCG(seed, h.Sum64()))
	for k := range dst {
		switch i {
		case normal:
			dst[k] = float32(rng.NormFloat64() * initialDeviation)
		case uniform:
			dst[k] = float32((2*rng.Float64() - 1) * initialRange)
		case kaiming:
			dst[k] = float32((2*rng.Float64() - 1) / math.Sqrt(float64(shape[1])))
		case ones:
			dst[k] = 1
		default:
			dst[k] = 0
		}
	}
}
