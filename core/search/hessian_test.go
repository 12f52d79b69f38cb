package search

import (
	"math"
	"testing"
)

// checkExpansion compares value, gradient and Hessian with central differences, of the value and of the gradient respectively.
func checkExpansion(t *testing.T, x []float64, expand func(x []float64, q *quadratic)) {
	t.Helper()
	const h = 1e-5
	d := len(x)
	at := func(x []float64) *quadratic {
		q := newFullQuadratic(d)
		expand(x, q)
		q.mirror()
		return q
	}
	q, diagonal := at(x), newQuadratic(d)
	expand(x, diagonal)
	var largest float64
	for i := range d {
		up, down := append([]float64(nil), x...), append([]float64(nil), x...)
		up[i] += h
		down[i] -= h
		qu, qd := at(up), at(down)
		if want := (qu.value - qd.value) / (2 * h); math.Abs(q.grad[i]-want) > 1e-7*(1+math.Abs(want)) {
			t.Errorf("gradient %d: %g, differences %g", i, q.grad[i], want)
		}
		for j := range d {
			want := (qu.grad[j] - qd.grad[j]) / (2 * h)
			largest = max(largest, math.Abs(want))
			if math.Abs(q.hess[i*d+j]-want) > 1e-7*(1+math.Abs(want)) {
				t.Errorf("Hessian %d,%d: %g, differences %g", i, j, q.hess[i*d+j], want)
			}
		}
		if q.diag[i] != q.hess[i*d+i] || math.Abs(diagonal.diag[i]-q.diag[i]) > 1e-12*(1+math.Abs(q.diag[i])) || diagonal.grad[i] != q.grad[i] {
			t.Errorf("diagonal %d: %g alone, %g in the whole Hessian", i, diagonal.diag[i], q.diag[i])
		}
	}
	if largest < 1e-4 {
		t.Errorf("the function is flat (largest curvature %g): the test shows nothing", largest)
	}
	checkProduct(t, x, q, at)
}

// checkProduct compares H*v with central differences of the gradient along v.
func checkProduct(t *testing.T, x []float64, q *quadratic, at func([]float64) *quadratic) {
	t.Helper()
	const h = 1e-5
	v := normals(seeded(31), len(x))
	up, down, got := append([]float64(nil), x...), append([]float64(nil), x...), make([]float64, len(x))
	for i := range x {
		up[i] += h * v[i]
		down[i] -= h * v[i]
	}
	q.product(v, got)
	qu, qd := at(up), at(down)
	for i := range x {
		if want := (qu.grad[i] - qd.grad[i]) / (2 * h); math.Abs(got[i]-want) > 1e-6*(1+math.Abs(want)) {
			t.Errorf("Hessian-vector product %d: %g, differences %g", i, got[i], want)
		}
	}
}

func TestMLPExpansion(t *testing.T) {
	for _, d := range []int{1, 3, 16} {
		n := newMLP(seeded(21), d, 0)
		checkExpansion(t, normals(seeded(uint64(d)), d), func(x []float64, q *quadratic) { n.expand(x, -3.5, q) })
	}
}

func TestNPNExpansion(t *testing.T) {
	for _, d := range []int{1, 3, 16} {
		n := roughNPN(d)
		checkExpansion(t, normals(seeded(uint64(d)), d), func(x []float64, q *quadratic) { n.expand(x, 1, -0.5, q) })
		checkExpansion(t, normals(seeded(uint64(d+1)), d), func(x []float64, q *quadratic) { n.expand(x, 0.3, 40, q) })
	}
}

func BenchmarkExpand(b *testing.B) {
	for name, q := range map[string]*quadratic{"diagonal": newQuadratic(16), "full": newFullQuadratic(16)} {
		b.Run(name, func(b *testing.B) {
			m, n, x := newMLP(seeded(1), 16, 0), roughNPN(16), normals(seeded(2), 16)
			b.ReportAllocs()
			for b.Loop() {
				q.reset()
				n.expand(x, 1, -0.5, q)
				m.expand(x, -0.5, q)
				q.mirror()
			}
		})
	}
}
