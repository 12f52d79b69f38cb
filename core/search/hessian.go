package search

// quadratic is the second-order expansion of a scalar function at one point of the d-dimensional input space.
//
// Gorgonia's Grad of a Grad silently returns the first gradient, so the surrogates carry the Jacobian of every unit forward and collect
// exact curvature from each of them: with adjoint a of a unit f(o), the Hessian gains a f”(o) (do/dx)(do/dx)ᵀ.
type quadratic struct {
	value float64
	grad  []float64 // d
	hess  []float64 // d*d, row-major; only the upper triangle holds until mirror is called
}

func newQuadratic(d int) *quadratic {
	return &quadratic{grad: make([]float64, d), hess: make([]float64, d*d)}
}

func (q *quadratic) reset() {
	q.value = 0
	clear(q.grad)
	clear(q.hess)
}

// addGrad adds c*u to the gradient.
func (q *quadratic) addGrad(c float64, u []float64) {
	for i, ui := range u {
		q.grad[i] += c * ui
	}
}

// addCurvature adds c*u*uᵀ to the upper triangle of the Hessian.
func (q *quadratic) addCurvature(c float64, u []float64) {
	d := len(u)
	for i, ui := range u {
		a, row := c*ui, q.hess[i*d:(i+1)*d]
		for j := i; j < d; j++ {
			row[j] += a * u[j]
		}
	}
}

// addCurvature2 adds the curvature of a function of two inner variables whose Jacobian rows are u and v:
// uu*u*uᵀ + uv*(u*vᵀ + v*uᵀ) + vv*v*vᵀ.
func (q *quadratic) addCurvature2(uu, uv, vv float64, u, v []float64) {
	d := len(u)
	v = v[:d]
	for i, ui := range u {
		a, b, row := uu*ui+uv*v[i], uv*ui+vv*v[i], q.hess[i*d:(i+1)*d]
		for j := i; j < d; j++ {
			row[j] += a*u[j] + b*v[j]
		}
	}
}

// mirror completes the lower triangle.
func (q *quadratic) mirror() {
	d := len(q.grad)
	for i := range d {
		for j := range i {
			q.hess[i*d+j] = q.hess[j*d+i]
		}
	}
}

// diagonal writes the Hessian's diagonal to out.
func (q *quadratic) diagonal(out []float64) {
	for i := range out {
		out[i] = q.hess[i*len(q.grad)+i]
	}
}

// product writes the Hessian-vector product H*v to out; mirror must have been called.
func (q *quadratic) product(v, out []float64) {
	d := len(q.grad)
	for i := range out {
		var sum float64
		for j, vj := range v {
			sum += q.hess[i*d+j] * vj
		}
		out[i] = sum
	}
}
