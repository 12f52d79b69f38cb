package finetune

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// AdaLoRA's constants as published (Zhang et al. 2023, section 4 and appendix): smoothing of sensitivity and uncertainty, weight of the orthogonality
// penalty, standard deviation of the initial factors, initial over final budget.
const (
	adaBeta1      = 0.85
	adaBeta2      = 0.85
	adaOrthogonal = 0.1
	adaDeviation  = 0.02
	adaExcess     = 1.5
)

// Shares of the updates before pruning begins and after it ends.
const (
	adaInitial = 0.1
	adaFinal   = 0.3
)

// triplet is an adapted module in AdaLoRA's form: the increment gamma P diag(lambda) Q, with P [Out, Rank] and Q [Rank, In].
type triplet struct {
	in, out, rank int
	at            int // of P in theta; Q and lambda follow
}

func (t triplet) size() int { return t.rank * (t.in + t.out + 1) }

func (t triplet) parts(theta []float32) (p, q, lambda []float32) {
	a, b := t.at+t.out*t.rank, t.at+t.rank*(t.in+t.out)
	return theta[t.at:a], theta[a:b], theta[b : b+t.rank]
}

// adaLoRA trains all modules in singular-value form and prunes singular values by sensitivity, so that at the end as many remain as the budget says.
type adaLoRA struct {
	modules []triplet
	budget  int // singular values that remain
	steps   int // updates of the whole training
	// sensitivity and uncertainty are the smoothed |w dL/dw| and its deviation, per parameter.
	sensitivity, uncertainty []float32
}

// newAdaLoRA prepares modules of [in, out] sizes whose ranks are the final average, times 1.5.
func newAdaLoRA(shapes [][2]int, budget, steps int) (*adaLoRA, error) {
	if budget < 1 || len(shapes) == 0 {
		return nil, fmt.Errorf("a budget of %d singular values for %d modules: at least one of each is needed", budget, len(shapes))
	}
	a := &adaLoRA{budget: budget, steps: steps}
	rank := int(math.Ceil(adaExcess * float64(budget) / float64(len(shapes))))
	at := 0
	for _, s := range shapes {
		t := triplet{in: s[0], out: s[1], rank: min(rank, s[0], s[1]), at: at}
		a.modules, at = append(a.modules, t), at+t.size()
	}
	a.sensitivity, a.uncertainty = make([]float32, at), make([]float32, at)
	return a, nil
}

// size is the number of parameters.
func (a *adaLoRA) size() int { return len(a.sensitivity) }

// initial draws P and Q; the singular values are zero, so the increment is.
func (a *adaLoRA) initial(theta []float32, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 0))
	for _, t := range a.modules {
		p, q, lambda := t.parts(theta)
		for _, part := range [][]float32{p, q} {
			for i := range part {
				part[i] = float32(adaDeviation * r.NormFloat64())
			}
		}
		clear(lambda)
	}
}

// compose writes a module as LoRA factors: A = Q and B = P diag(lambda).
func (t triplet) compose(theta, A, B []float32) {
	p, q, lambda := t.parts(theta)
	copy(A, q)
	for i, v := range p {
		B[i] = v * lambda[i%t.rank]
	}
}

// gradient takes the gradients of the factors A and B back to the module's parameters, and adds those of the orthogonality penalty
//
//	weight (|P'P - I|^2 + |QQ' - I|^2),  whose gradients are 4 weight P(P'P - I) and 4 weight (QQ' - I)Q
//
// The penalty is returned.
func (t triplet) gradient(theta, dA, dB, grad []float32) float64 {
	p, q, lambda := t.parts(theta)
	dp, dq, dl := t.parts(grad)
	clear(dl)
	sums := make([]float64, t.rank)
	for i, v := range dB {
		k := i % t.rank
		dp[i] = v * lambda[k]
		sums[k] += float64(v) * float64(p[i])
	}
	for k, s := range sums {
		dl[k] = float32(s)
	}
	copy(dq, dA)
	penalty := 0.0
	gram := make([]float64, t.rank*t.rank)
	add := func(n int, at func(k, j int) int, w, dw []float32) {
		for k := range t.rank {
			for l := range k + 1 {
				var dot float64
				for j := range n {
					dot += float64(w[at(k, j)]) * float64(w[at(l, j)])
				}
				if k == l {
					dot--
				}
				gram[k*t.rank+l], gram[l*t.rank+k] = dot, dot
			}
		}
		for _, g := range gram {
			penalty += adaOrthogonal * g * g
		}
		for k := range t.rank {
			for j := range n {
				var sum float64
				for l := range t.rank {
					sum += gram[k*t.rank+l] * float64(w[at(l, j)])
				}
				dw[at(k, j)] += float32(4 * adaOrthogonal * sum)
			}
		}
	}
	add(t.out, func(k, j int) int { return j*t.rank + k }, p, dp)
	add(t.in, func(k, j int) int { return k*t.in + j }, q, dq)
	return penalty
}

// allowed is the budget after a number of updates (their equation 12): the initial one, then a cubic fall, then the final one.
func (a *adaLoRA) allowed(step int) int {
	initial := 0
	for _, t := range a.modules {
		initial += t.rank
	}
	first, last := adaInitial*float64(a.steps), (1-adaFinal)*float64(a.steps)
	left := 1.0
	switch s := float64(step); {
	case s >= last:
		left = 0
	case s > first:
		left = 1 - (s-first)/(last-first)
	}
	return a.budget + int(math.Round(float64(initial-a.budget)*left*left*left))
}

// prune follows update number step (from 1): it smooths the sensitivities by the gradient and zeroes the singular values beyond the budget. The importance
// of a triplet is that of its singular value plus the means over its two vectors (their equation 8).
func (a *adaLoRA) prune(theta, grad []float32, step int) {
	for i, g := range grad {
		now := float32(math.Abs(float64(theta[i]) * float64(g)))
		smooth := adaBeta1*a.sensitivity[i] + (1-adaBeta1)*now
		a.uncertainty[i] = adaBeta2*a.uncertainty[i] + (1-adaBeta2)*float32(math.Abs(float64(now-smooth)))
		a.sensitivity[i] = smooth
	}
	type value struct {
		module, k  int
		importance float64
	}
	var all []value
	for m, t := range a.modules {
		sp, sq, sl := t.parts(a.sensitivity)
		up, uq, ul := t.parts(a.uncertainty)
		for k := range t.rank {
			importance := float64(sl[k]) * float64(ul[k])
			for j := range t.out {
				importance += float64(sp[j*t.rank+k]) * float64(up[j*t.rank+k]) / float64(t.out)
			}
			for j := range t.in {
				importance += float64(sq[k*t.in+j]) * float64(uq[k*t.in+j]) / float64(t.in)
			}
			all = append(all, value{m, k, importance})
		}
	}
	slices.SortStableFunc(all, func(x, y value) int { return cmp.Compare(y.importance, x.importance) })
	for _, v := range all[min(len(all), a.allowed(step)):] {
		_, _, lambda := a.modules[v.module].parts(theta)
		lambda[v.k] = 0
	}
}

// kept writes the module as LoRA factors of the singular values that are not zero, and returns their number.
func (t triplet) kept(theta []float32) (A, B []float32, rank int) {
	p, q, lambda := t.parts(theta)
	var at []int
	for k, v := range lambda {
		if v != 0 {
			at = append(at, k)
			A = append(A, q[k*t.in:(k+1)*t.in]...)
		}
	}
	for j := range t.out {
		for _, k := range at {
			B = append(B, p[j*t.rank+k]*lambda[k])
		}
	}
	return A, B, len(at)
}
