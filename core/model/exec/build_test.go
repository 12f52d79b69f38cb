package exec

import (
	"testing"

	"gorgonia.org/gorgonia"

	"flexi/core/device"
	"flexi/core/device/cpu"
	"flexi/core/model/op"
)

// A node that nothing reads is how a hash collision shows; then the graph is built again under another salt.
func TestCollisionIsNoticed(t *testing.T) {
	dev, err := cpu.New(1, device.PrecisionF32)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	built := 0
	var loss *gorgonia.Node
	plan, err := Build(dev, func(g *op.Graph) (Spec, error) {
		built++
		x := g.Float("x", 3, 1)
		loss = g.SquaredError(x, g.Float("target", 3))
		if built < 3 {
			g.Mul(x, x)
		}
		return Spec{Device: dev, Outputs: []*gorgonia.Node{loss}}, g.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	if built != 3 || plan.Steps() != 1 {
		t.Errorf("built %d times, a plan of %d steps; the first two graphs have an unread node", built, plan.Steps())
	}
	if _, err := Build(dev, func(g *op.Graph) (Spec, error) {
		x := g.Float("x", 3, 1)
		loss = g.SquaredError(x, g.Float("target", 3))
		g.Mul(x, x)
		return Spec{Device: dev, Outputs: []*gorgonia.Node{loss}}, g.Err()
	}); err == nil {
		t.Error("a graph that always has an unread node was built")
	}
}
