package gauss

import (
	"fmt"
	"math"
	"slices"
)

// limit bounds the hyperparameters, against overflow in a line search.
const limit = 12

// Model are the hyperparameters.
type Model struct {
	// LogWeights are log w of the kernel's components, LogValues log a of the values of choices, Additive is the logit of p, the share of what each
	// choice does alone.
	LogWeights, LogValues []float64
	Additive              float64
	// LogSignal is log s², LogNoise the log noise variance at a warped mean of 0, and Slope its change per unit of the mean.
	LogSignal, LogNoise, Slope float64
	Bend                       float64 // of the warp
	// Inflation multiplies both variances of calibrated predictions: the mean square of the residuals left out one by one, in units of what the fit
	// expected.
	Inflation float64
	Fixed     Fixed
}

// Fixed names parts of the model that are left out, to measure what they bring.
type Fixed struct {
	Values   bool // all values of a choice are equally far apart
	Additive bool // choices act together only
	Slope    bool // the noise is the same everywhere
}

// NewModel is the prior's mode.
func NewModel(in *Inputs, fixed Fixed) *Model {
	m := &Model{
		LogWeights: make([]float64, in.Components), LogValues: make([]float64, in.Values), LogNoise: noiseMean, Bend: bends[len(bends)-1], Fixed: fixed,
		Inflation: 1,
	}
	if fixed.Additive {
		m.Additive = -limit
	}
	for c := range m.LogWeights {
		m.LogWeights[c] = -math.Log(float64(in.Components))
	}
	return m
}

// Check is an error if the model is not one for the inputs.
func (m *Model) Check(in *Inputs) error {
	if len(m.LogWeights) != in.Components || len(m.LogValues) != in.Values {
		return fmt.Errorf("%d weights and %d values instead of %d and %d; the design space or its embedding differs",
			len(m.LogWeights), len(m.LogValues), in.Components, in.Values)
	}
	for _, v := range append(m.vector(), m.Bend, m.Inflation) {
		if !(math.Abs(v) <= limit) {
			return fmt.Errorf("hyperparameter %g is out of range", v)
		}
	}
	if m.Inflation <= 0 {
		return fmt.Errorf("inflation %g of the variances is not positive", m.Inflation)
	}
	return nil
}

// pin sets the derivatives by what is fixed to zero.
func (m *Model) pin(grad *Model) {
	if m.Fixed.Values {
		clear(grad.LogValues)
	}
	if m.Fixed.Additive {
		grad.Additive = 0
	}
	if m.Fixed.Slope {
		grad.Slope = 0
	}
}

func (m *Model) zero() *Model {
	return &Model{LogWeights: make([]float64, len(m.LogWeights)), LogValues: make([]float64, len(m.LogValues))}
}

func (m *Model) vector() []float64 {
	return slices.Concat(m.LogWeights, m.LogValues, []float64{m.Additive, m.LogSignal, m.LogNoise, m.Slope})
}

// with is a copy that has the numbers of a vector, kept within limit; outside says which were not.
func (m *Model) with(t []float64) (out *Model, outside []bool) {
	t, outside = slices.Clone(t), make([]bool, len(t))
	for i, v := range t {
		if !(math.Abs(v) <= limit) {
			t[i], outside[i] = max(-limit, min(v, limit)), true
		}
	}
	c := *m
	k := len(m.LogWeights)
	rest := t[k+len(m.LogValues):]
	c.LogWeights, c.LogValues = t[:k:k], t[k:k+len(m.LogValues):k+len(m.LogValues)]
	c.Additive, c.LogSignal, c.LogNoise, c.Slope = rest[0], rest[1], rest[2], rest[3]
	return &c, outside
}

// noise is the variance where the warped mean is z.
func (m *Model) noise(z float64) float64 { return math.Exp(m.LogNoise + m.Slope*clip(z)) }

func clip(z float64) float64 { return min(max(z, -3), 3) }
