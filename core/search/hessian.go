package search

// quadratic is the second-order expansion of a scalar function at one point of the d-dimensional input space.
//
// Gorgonia's Grad of a Grad silently returns the first gradient, so the surrogates carry the Jacobian of every unit forward and collect
// exact curvature from each of them: a unit f(o) with adjoint a and second derivative f2 adds a*f2*(do/dx)(do/dx)ᵀ to the Hessian.
type quadratic struct {
	value float64
	grad  []float64 // d
	diag  []float64 // d, the Hessian's diagonal
	hess  []float64 // d*d, row-major, nil unless asked for; mirror completes the lower triangle and diag
}

// newQuadratic holds the Hessian's diagonal only.
func newQuadratic(d int) *quadratic {
	return &quadratic{grad: make([]float64, d), diag: make([]float64, d)}
}

// newFullQuadratic holds the whole Hessian, which takes d/2 times the work of the diagonal to collect.
func newFullQuadratic(d int) *quadratic {
	q := newQuadratic(d)
	q.hess = make([]float64, d*d)
	return q
}

func (q *quadratic) reset() {
	q.value = 0
	clear(q.grad)
	clear(q.diag)
	clear(q.hess)
}

// addGrad adds c*u to the gradient.
func (q *quadratic) addGrad(c float64, u []float64) { addScaled(q.grad, c, u) }

// addSquare adds c to the Hessian's diagonal at i.
func (q *quadratic) addSquare(i int, c float64) {
	if q.hess == nil {
		q.diag[i] += c
	} else {
		q.hess[i*len(q.grad)+i] += c
	}
}

// addCurvature adds c*u*uᵀ to the Hessian.
func (q *quadratic) addCurvature(c float64, u []float64) {
	d := len(u)
	if q.hess == nil {
		for i, ui := range u {
			q.diag[i] += c * ui * ui
		}
		return
	}
	for i, ui := range u {
		addScaled(q.hess[i*d+i:(i+1)*d], c*ui, u[i:])
	}
}

// addCurvature2 adds the curvature of a function of two inner variables whose Jacobian rows are u and v:
// uu*u*uᵀ + uv*(u*vᵀ + v*uᵀ) + vv*v*vᵀ.
func (q *quadratic) addCurvature2(uu, uv, vv float64, u, v []float64) {
	d := len(u)
	v = v[:d]
	if q.hess == nil {
		for i, ui := range u {
			q.diag[i] += ui*(uu*ui+2*uv*v[i]) + vv*v[i]*v[i]
		}
		return
	}
	for i, ui := range u {
		row := q.hess[i*d+i : (i+1)*d]
		addScaled(row, uu*ui+uv*v[i], u[i:])
		addScaled(row, uv*ui+vv*v[i], v[i:])
	}
}

// mirror completes a whole Hessian.
func (q *quadratic) mirror() {
	if q.hess == nil {
		return
	}
	d := len(q.grad)
	for i := range d {
		q.diag[i] = q.hess[i*d+i]
		for j := range i {
			q.hess[i*d+j] = q.hess[j*d+i]
		}
	}
}

// product writes the Hessian-vector product H*v to out; the quadratic must be full and mirrored.
func (q *quadratic) product(v, out []float64) {
	d := len(q.grad)
	for i := range out {
		out[i] = dot(q.hess[i*d:(i+1)*d], v)
	}
}
