package gauss

import (
	"math"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// Prior of the hyperparameters, most of them logarithms: independent normals, but for the weights, which share a common part. Weights are around
// 1/C, so that architectures which differ in everything are correlated by about 1/e, in what choices do together and in what each does alone.
const (
	weightCommonSD, weightOwnSD = 1, 0.5
	valueSD                     = 0.7
	additiveSD                  = 1
	signalSD                    = 1
	noiseMean, noiseSD          = -3, 1.5
	slopeSD                     = 0.5
)

// evidence is the negative log posterior density of the hyperparameters given warped scores y at some points, with its gradient. The constant mean is
// integrated out.
type evidence struct {
	in       *Inputs
	y, level []float64 // level is the mean that the noise depends on, per point
	cells    []int32   // of every pair i > j and column: the pair of values
	squares  []float64 // of every pair i > j and component of the embedding: the squared distance
	dense    int       // number of such components
}

func newEvidence(in *Inputs, at []int, y, level []float64) *evidence {
	e := &evidence{in: in, y: y, level: level}
	if in.dense != nil {
		e.dense = in.Components - in.dense[0]
	}
	for i := range at {
		for j := range i {
			for c := range in.columns {
				col := &in.columns[c]
				a, b := int(in.codes[at[i]][c])-col.offset, int(in.codes[at[j]][c])-col.offset
				e.cells = append(e.cells, int32(col.cells+a*len(col.distance)+b))
			}
			squares := make([]float64, e.dense)
			for q, c := range in.dense {
				d := in.points[at[i]][q] - in.points[at[j]][q]
				squares[c-in.dense[0]] += in.scale * d * d
			}
			e.squares = append(e.squares, squares...)
		}
	}
	return e
}

// covariance is the matrix with noise; joint are the pairs' parts s² (1-p) exp(-sum_c w_c d_c).
func (e *evidence) covariance(k *kernel, m *Model) (noisy *mat.SymDense, joint []float64) {
	n, columns := len(e.y), len(e.in.columns)
	noisy, joint = mat.NewSymDense(n, nil), make([]float64, 0, n*(n-1)/2)
	cells, squares := e.cells, e.squares
	for i := range n {
		for j := range i {
			exponent := floats.Dot(k.weights[e.in.Components-e.dense:], squares[:e.dense])
			var alone float64
			for _, cell := range cells[:columns] {
				exponent += k.exponent[cell]
				alone += k.alone[cell] // 0 for a count
			}
			together := k.signal * (1 - k.additive) * math.Exp(-exponent)
			joint = append(joint, together)
			noisy.SetSym(i, j, together+k.signal*alone)
			cells, squares = cells[columns:], squares[e.dense:]
		}
		noisy.SetSym(i, i, k.signal*(1+jitter)+math.Exp(m.LogNoise+m.Slope*e.level[i]))
	}
	return noisy, joint
}

// jitter is the share of the signal that is added to the diagonal, for the factorisation.
const jitter = 1e-8

// at is the value at the hyperparameters m, and its gradient in the order of Model.vector if one is asked for.
func (e *evidence) at(m *Model, grad *Model) float64 {
	k := newKernel(e.in, m)
	noisy, joint := e.covariance(k, m)
	var chol mat.Cholesky
	if !chol.Factorize(noisy) {
		return math.MaxFloat64 / 4
	}
	n := len(e.y)
	ones, y := onesOf(n), mat.NewVecDense(n, e.y)
	var a1, ay mat.VecDense
	_ = chol.SolveVecTo(&a1, ones) // a bad condition shows in the value
	_ = chol.SolveVecTo(&ay, y)
	precision := mat.Dot(ones, &a1)
	mean := mat.Dot(ones, &ay) / precision
	ay.AddScaledVec(&ay, -mean, &a1) // A⁻¹ (y - mean)
	value := 0.5*(mat.Dot(&ay, y)+chol.LogDet()+math.Log(precision)) + m.prior(grad)
	if grad == nil {
		return value
	}
	// dvalue/dt = sum_ij G_ij dA_ij/dt with G = (A⁻¹ - a aᵀ - b bᵀ/precision) / 2 for a = A⁻¹(y - mean), b = A⁻¹ 1.
	var g mat.SymDense
	_ = chol.InverseTo(&g)
	g.SymRankOne(&g, -1, &ay)
	g.SymRankOne(&g, -1/precision, &a1)
	g.ScaleSym(0.5, &g)
	e.gradient(k, m, grad, &g, joint)
	return value
}

func onesOf(n int) *mat.VecDense {
	ones := mat.NewVecDense(n, nil)
	for i := range n {
		ones.SetVec(i, 1)
	}
	return ones
}

// gradient adds the derivatives of sum_ij G_ij A_ij to grad. Those by choices are collected per pair of values first.
func (e *evidence) gradient(k *kernel, m, grad *Model, g *mat.SymDense, joint []float64) {
	columns, first := len(e.in.columns), e.in.Components-e.dense
	byJoint, byAlone := make([]float64, e.in.cells), make([]float64, e.in.cells)
	p := 0
	for i := range e.y {
		for j := range i {
			both := 2 * g.At(i, j)
			together := both * joint[p]
			grad.LogSignal += together
			grad.Additive -= together * k.additive // (1-p)' = -p (1-p)
			for _, cell := range e.cells[p*columns : (p+1)*columns] {
				byJoint[cell] += together
				byAlone[cell] += both
			}
			for q, d := range e.squares[p*e.dense : (p+1)*e.dense] {
				grad.LogWeights[first+q] -= together * k.weights[first+q] * d
			}
			p++
		}
		grad.LogSignal += g.At(i, i) * k.signal * (1 + jitter)
		noise := g.At(i, i) * math.Exp(m.LogNoise+m.Slope*e.level[i])
		grad.LogNoise += noise
		grad.Slope += noise * e.level[i]
	}
	e.contract(k, grad, byJoint, byAlone)
}

// contract turns derivatives by pairs of values into those by hyperparameters.
func (e *evidence) contract(k *kernel, grad *Model, byJoint, byAlone []float64) {
	for c := range e.in.columns {
		col := &e.in.columns[c]
		n, w := len(col.distance), k.weights[col.component]
		for at := range n * n {
			cell := col.cells + at
			alone := byAlone[cell] * k.signal * k.alone[cell]
			byExponent := -byJoint[cell] - float64(e.in.Components)*alone
			grad.LogWeights[col.component] += byExponent * k.exponent[cell]
			if c >= e.in.features {
				continue
			}
			grad.LogSignal += alone
			grad.Additive += alone * (1 - k.additive) // p' = p (1-p)
			for _, v := range [2]int{at / n, at % n} {
				grad.LogValues[col.values+v] += byExponent * w * col.own[at/n][at%n] * k.values[col.values+v] / 2
			}
		}
	}
}

// prior is the negative log prior density up to a constant; it overwrites grad with its gradient.
func (m *Model) prior(grad *Model) float64 {
	if grad == nil {
		grad = m.zero()
	}
	k := len(m.LogWeights)
	centre := -math.Log(float64(k))
	var sum, squares float64
	for _, l := range m.LogWeights {
		sum += l - centre
		squares += (l - centre) * (l - centre)
	}
	// The inverse of own² I + common² 11ᵀ, by Sherman and Morrison.
	const own, common = weightOwnSD * weightOwnSD, weightCommonSD * weightCommonSD
	shared := common / (own + float64(k)*common) * sum
	for c, l := range m.LogWeights {
		grad.LogWeights[c] = (l - centre - shared) / own
	}
	total := (squares - shared*sum) / own
	normal := func(v, mean, sd float64, slope *float64) {
		*slope = (v - mean) / (sd * sd)
		total += (v - mean) * (v - mean) / (sd * sd)
	}
	for v, l := range m.LogValues {
		normal(l, 0, valueSD, &grad.LogValues[v])
	}
	normal(m.Additive, 0, additiveSD, &grad.Additive)
	normal(m.LogSignal, 0, signalSD, &grad.LogSignal)
	normal(m.LogNoise, noiseMean, noiseSD, &grad.LogNoise)
	normal(m.Slope, 0, slopeSD, &grad.Slope)
	return total / 2
}
