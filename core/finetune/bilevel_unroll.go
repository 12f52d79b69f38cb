package finetune

import (
	"context"
	"fmt"
	"math"
)

// back adds to layers, dL/ds at the last adapters, what the inner steps of the window contribute: the reverse recursion
//
//	lambda_K = dL_val/dtheta_K
//	q        = adjoint of update k with respect to its gradient
//	ds      += d2L_train/(ds dtheta) q,   lambda_k = (1 - rate decay) lambda_k+1 + d2L_train/dtheta2 q
//
// Both products are one central difference of gradients along q. The clipping scale and the learning rate count as constants.
func (b *Bilevel[F]) back(ctx context.Context, s, layers []float64) error {
	w := &b.work
	clear(w.lamM)
	clear(w.lamV)
	for k := len(b.steps) - 1; k >= 0; k-- {
		step := &b.steps[k]
		adjoint(b.o.Inner, step, w.lambda, w.lamM, w.lamV, w.q)
		length := norm(w.q)
		if !finite(length) {
			return fmt.Errorf("inner step %d of the window: the adjoint is not finite; shorten the window or lower the learning rate", k)
		}
		keep := 1 - step.rate*b.o.Inner.Decay
		for i := range w.lambda {
			w.lambda[i] = F(keep * float64(w.lambda[i]))
		}
		if length == 0 {
			continue
		}
		if err := b.products(ctx, step, s, layers, b.radius/(length+1e-15)); err != nil {
			return fmt.Errorf("inner step %d of the window: %w", k, err)
		}
	}
	return nil
}

// products adds the Hessian's product with q to lambda and the mixed one to layers, from the gradients at theta + eps q and theta - eps q on the
// step's batches.
func (b *Bilevel[F]) products(ctx context.Context, step *innerStep[F], s, layers []float64, eps float64) error {
	w := &b.work
	for i, q := range w.q {
		w.shifted[i] = F(float64(step.theta[i]) + eps*float64(q))
	}
	if _, err := b.mean(ctx, b.net.Train, step.batch, b.o.Accumulate, w.shifted, s, w.plus, w.layersPlus); err != nil {
		return err
	}
	for i, q := range w.q {
		w.shifted[i] = F(float64(step.theta[i]) - eps*float64(q))
	}
	if _, err := b.mean(ctx, b.net.Train, step.batch, b.o.Accumulate, w.shifted, s, w.sum, w.layers); err != nil {
		return err
	}
	for i := range w.lambda {
		w.lambda[i] += F((float64(w.plus[i]) - float64(w.sum[i])) / (2 * eps))
	}
	for i := range layers {
		layers[i] += (w.layersPlus[i] - w.layers[i]) / (2 * eps)
	}
	return nil
}

// negligible is a second moment of adapters that have not moved yet, such as A while B is zero. Adam's derivative there, rate / epsilon, holds for
// gradients far below epsilon only and would drown everything else in q, so such entries count as fixed.
const negligible = 1e-24

// adjoint is q: how the loss behind an update changes with the gradient that made it, given lambda, how it changes with the adapters behind the
// update, and for AdamW with the moments behind it, lamM and lamV, which become those before it.
func adjoint[F Float](o InnerOptimizer, s *innerStep[F], lambda, lamM, lamV, q []F) {
	if o.Method == SGD {
		for i, l := range lambda {
			q[i] = F(-s.scale * s.rate * float64(l))
		}
		return
	}
	c1, c2 := 1-math.Pow(o.Beta1, float64(s.count)), 1-math.Pow(o.Beta2, float64(s.count))
	for i := range lambda {
		l, g, m, v := float64(lambda[i]), float64(s.gradient[i]), float64(s.m[i]), float64(s.v[i])
		if v < negligible {
			q[i], lamM[i], lamV[i] = 0, 0, 0
			continue
		}
		d := math.Sqrt(v/c2) + o.Epsilon
		mu := float64(lamM[i]) - l*s.rate/(c1*d)
		nu := float64(lamV[i]) + l*(s.rate*m/c1)/(d*d)/(2*math.Sqrt(c2*v))
		q[i] = F(s.scale * ((1-o.Beta1)*mu + 2*(1-o.Beta2)*g*nu))
		lamM[i], lamV[i] = F(o.Beta1*mu), F(o.Beta2*nu)
	}
}
