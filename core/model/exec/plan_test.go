package exec_test

import (
	"context"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"

	"flexi/core/device"
	"flexi/core/device/cpu"
	"flexi/core/model/exec"
	"flexi/core/model/op"
)

// bench is a graph under construction, its parameters and their gradients.
type bench struct {
	*op.Graph
	t      *testing.T
	dev    device.Device
	memory *device.Memory
	used   int
	params []*gorgonia.Node
	values map[*gorgonia.Node]device.Tensor
}

func newBench(t *testing.T, dev device.Device) *bench {
	t.Helper()
	m, err := dev.Alloc(1 << 16)
	if err != nil {
		t.Fatal(err)
	}
	return &bench{Graph: op.NewGraph(dev, 0), t: t, dev: dev, memory: m, values: map[*gorgonia.Node]device.Tensor{}}
}

func newCPU(t *testing.T) device.Device {
	t.Helper()
	dev, err := cpu.New(1, device.PrecisionF32)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	return dev
}

func (b *bench) tensor(n int) device.Tensor {
	t := device.NewTensor(b.memory, b.used, n, device.F32)
	b.used += n
	return t
}

// param adds a parameter of random values.
func (b *bench) param(name string, dims ...int) *gorgonia.Node {
	n := b.fill(b.Float(name, dims...), name, dims)
	b.params = append(b.params, n)
	return n
}

// fill gives a variable random values that depend on its name.
func (b *bench) fill(n *gorgonia.Node, name string, dims []int) *gorgonia.Node {
	host := make([]float32, op.Shape{Dims: dims}.Elements())
	hash := fnv.New64a()
	hash.Write([]byte(name))
	rng := rand.New(rand.NewPCG(1, hash.Sum64()))
	for i := range host {
		host[i] = float32(rng.NormFloat64() / 2)
	}
	b.values[n] = b.tensor(len(host))
	b.dev.UploadF32(b.values[n], host)
	return n
}

// loss reduces a matrix to a scalar that depends on all its columns: mean over rows of (x·w - 0.5)².
func (b *bench) loss(x *gorgonia.Node) *gorgonia.Node {
	w := b.param("reduce", 1, x.Shape()[1])
	target := b.param("target", x.Shape()[0])
	b.params = b.params[:len(b.params)-1]
	return b.SquaredError(b.Linear(op.Linear{X: x, W: w}), target)
}

// train compiles the loss with gradients of all parameters.
func (b *bench) train(loss *gorgonia.Node) (*exec.Plan, map[*gorgonia.Node]device.Tensor) {
	b.t.Helper()
	if err := b.Err(); err != nil {
		b.t.Fatal(err)
	}
	derivatives, err := gorgonia.Grad(loss, b.params...)
	if err != nil {
		b.t.Fatal(err)
	}
	spec := exec.Spec{Device: b.dev, Outputs: []*gorgonia.Node{loss}, Bound: b.values}
	grads := map[*gorgonia.Node]device.Tensor{}
	for i, d := range derivatives {
		grads[b.params[i]] = b.tensor(b.values[b.params[i]].Len)
		spec.Gradients = append(spec.Gradients, exec.Gradient{Node: d, To: grads[b.params[i]]})
	}
	plan, err := exec.Compile(spec)
	if err != nil {
		b.t.Fatal(err)
	}
	arena, err := b.dev.Alloc(plan.ArenaBytes())
	if err != nil {
		b.t.Fatal(err)
	}
	// Whatever the arena holds from before must not matter.
	for i := range arena.Bytes / 4 {
		device.NewTensor(arena, i, 1, device.F32).F32()[0] = float32(math.NaN())
	}
	plan.Bind(arena)
	return plan, grads
}

func (b *bench) run(plan *exec.Plan, loss *gorgonia.Node) float64 {
	b.t.Helper()
	if err := plan.Run(context.Background(), &op.Env{Device: b.dev}, nil); err != nil {
		b.t.Fatal(err)
	}
	return float64(plan.Output(loss).T.F32()[0])
}

// The ways in which values share memory: each graph needs another combination of views, joins in place, copies, placed sums and sums in place.
// Gradients are held against differences of the loss, which use the forward plan only.
func TestViewsAndSums(t *testing.T) {
	square := func(b *bench, x *gorgonia.Node, name string) *gorgonia.Node {
		return b.Linear(op.Linear{X: x, W: b.param(name, x.Shape()[1], x.Shape()[1]), Act: device.GELU})
	}
	graphs := map[string]func(b *bench, x *gorgonia.Node) *gorgonia.Node{
		"windows joined in order": func(b *bench, x *gorgonia.Node) *gorgonia.Node {
			y := square(b, x, "w")
			return b.Join(square(b, b.Window(y, 0, 2), "a"), square(b, b.Window(y, 2, 4), "b"))
		},
		"windows that leave a gap": func(b *bench, x *gorgonia.Node) *gorgonia.Node {
			y := square(b, x, "w")
			return b.Join(square(b, b.Window(y, 4, 2), "a"), b.Window(y, 1, 1))
		},
		"one window alone": func(b *bench, x *gorgonia.Node) *gorgonia.Node {
			return square(b, b.Window(square(b, x, "w"), 1, 3), "a")
		},
		"a window of a parameter": func(b *bench, x *gorgonia.Node) *gorgonia.Node {
			return square(b, b.Window(x, 2, 3), "a")
		},
		"windows of windows that overlap": func(b *bench, x *gorgonia.Node) *gorgonia.Node {
			y := b.Window(square(b, x, "w"), 1, 4)
			return b.Join(b.Mul(b.Window(y, 0, 3), b.Window(y, 1, 3)), b.Window(y, 3, 1))
		},
		"whole and window of one value": func(b *bench, x *gorgonia.Node) *gorgonia.Node {
			y := square(b, x, "w")
			return b.Join(square(b, y, "a"), b.Window(y, 0, 2))
		},
		"an operand twice in a join": func(b *bench, x *gorgonia.Node) *gorgonia.Node {
			y := square(b, x, "w")
			return b.Join(y, y)
		},
		"a parameter in a join": func(b *bench, x *gorgonia.Node) *gorgonia.Node { return b.Join(x, square(b, x, "w"), x) },
		"a join in a join": func(b *bench, x *gorgonia.Node) *gorgonia.Node {
			y := square(b, x, "w")
			return b.Join(b.Join(square(b, y, "a"), square(b, y, "b")), square(b, y, "c"))
		},
		"a value read after it was summed": func(b *bench, x *gorgonia.Node) *gorgonia.Node {
			y := square(b, x, "w")
			return b.Join(b.Add(y, x), square(b, y, "a"))
		},
		"a chain of sums": func(b *bench, x *gorgonia.Node) *gorgonia.Node {
			y, z := square(b, x, "w"), square(b, x, "v")
			return b.Mul(b.Add(b.Add(y, z), b.Add(x, square(b, z, "a"))), y)
		},
		"a sum with itself": func(b *bench, x *gorgonia.Node) *gorgonia.Node {
			y := square(b, x, "w")
			return square(b, b.Add(y, y), "a")
		},
		"a sum in a join": func(b *bench, x *gorgonia.Node) *gorgonia.Node {
			y, z := square(b, x, "w"), square(b, x, "v")
			s := b.Add(y, z)
			return b.Join(s, square(b, s, "a"))
		},
	}
	for name, build := range graphs {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, newCPU(t))
			loss := b.loss(build(b, b.param("x", 3, 6)))
			plan, grads := b.train(loss)
			checkAllDifferences(t, b, plan, loss, grads, b.params)
		})
	}
}

// checkAllDifferences checks the gradients of some parameters.
func checkAllDifferences(t *testing.T, b *bench, plan *exec.Plan, loss *gorgonia.Node, grads map[*gorgonia.Node]device.Tensor, of gorgonia.Nodes) {
	t.Helper()
	b.run(plan, loss)
	want := map[*gorgonia.Node][]float32{}
	for _, p := range of {
		want[p] = append([]float32(nil), grads[p].F32()...)
	}
	for _, p := range of {
		checkDifferences(t, b, plan, loss, p, want[p])
	}
}

// checkDifferences compares a gradient with central differences of the float32 loss, whose rounding bounds what can be seen to about 2e-3.
func checkDifferences(t *testing.T, b *bench, plan *exec.Plan, loss, p *gorgonia.Node, grad []float32) {
	t.Helper()
	scale := 1e-2
	for _, g := range grad {
		scale = max(scale, math.Abs(float64(g)))
	}
	values := b.values[p].F32()
	for i := range values {
		old := values[i]
		const h = 1.0 / 128
		values[i] = old + h
		up := b.run(plan, loss)
		values[i] = old - h
		down := b.run(plan, loss)
		values[i] = old
		if slope := (up - down) / (2 * h); math.Abs(slope-float64(grad[i])) > 4e-3*scale {
			t.Errorf("%s[%d]: gradient %v, differences %v", p.Name(), i, grad[i], slope)
		}
	}
}

// Split and joined projections cost no copies and no sums.
func TestWindowsCostNothing(t *testing.T) {
	b := newBench(t, newCPU(t))
	x := b.param("x", 3, 6)
	y := b.Linear(op.Linear{X: x, W: b.param("w", 6, 6)})
	parts := make([]*gorgonia.Node, 3)
	for i := range parts {
		parts[i] = b.Linear(op.Linear{X: b.Window(y, 2*i, 2), W: b.param("p"+string(rune('0'+i)), 4, 2)})
	}
	plan, _ := b.train(b.loss(b.Join(parts...)))
	// Forward: projection, three maps, reduction, loss. Backward: the same.
	if plan.Steps() != 12 {
		t.Errorf("%d steps, want 12", plan.Steps())
	}
}

// Memory is used again: a deep forward pass needs no more than two layers' worth.
func TestMemoryIsUsedAgain(t *testing.T) {
	b := newBench(t, newCPU(t))
	x := b.param("x", 8, 16)
	for i := range 20 {
		x = b.Linear(op.Linear{X: x, W: b.param("w"+string(rune('a'+i)), 16, 16)})
	}
	plan, err := exec.Compile(exec.Spec{Device: b.dev, Outputs: []*gorgonia.Node{x}, Bound: b.values})
	if err != nil {
		t.Fatal(err)
	}
	if want := 2 * 8 * 16 * 4; plan.ArenaBytes() != want {
		t.Errorf("arena of %d bytes, want %d", plan.ArenaBytes(), want)
	}
}

// failing panics in one kernel.
type failing struct{ device.Device }

func (failing) Mul(_, _, _ device.Mat) { panic("no such luck") }

func TestFailureNamesTheOp(t *testing.T) {
	b := newBench(t, failing{newCPU(t)})
	x := b.param("x", 3, 6)
	b.At("layer 7 attention")
	y := b.Mul(x, x)
	plan, err := exec.Compile(exec.Spec{Device: b.dev, Outputs: []*gorgonia.Node{y}, Bound: b.values})
	if err != nil {
		t.Fatal(err)
	}
	arena, err := b.dev.Alloc(plan.ArenaBytes())
	if err != nil {
		t.Fatal(err)
	}
	plan.Bind(arena)
	err = plan.Run(context.Background(), &op.Env{Device: b.dev}, nil)
	if want := "run multiply (layer 7 attention) of 3×6 3×6 to 3×6: no such luck"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %q", err, want)
	}
}

func TestCompileErrors(t *testing.T) {
	b := newBench(t, newCPU(t))
	x := b.param("x", 3, 6)
	y, err := gorgonia.Tanh(x)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exec.Compile(exec.Spec{Device: b.dev, Outputs: []*gorgonia.Node{y}, Bound: b.values}); err == nil || !strings.Contains(err.Error(), "has no kernel") {
		t.Errorf("an op of Gorgonia's: error %v", err)
	}
	bound := map[*gorgonia.Node]device.Tensor{x: b.tensor(5)}
	if _, err := exec.Compile(exec.Spec{Device: b.dev, Outputs: []*gorgonia.Node{b.Mul(x, x)}, Bound: bound}); err == nil || !strings.Contains(err.Error(), "bound to 5 values") {
		t.Errorf("a parameter bound to too little: error %v", err)
	}
}
