package exec

import (
	"fmt"
	"slices"
	"sync"

	"flexi/core/device"
	"flexi/core/model/op"
)

// building guards Gorgonia's graph construction: it shares global nodes and node pools between graphs.
var building sync.Mutex

// attempts bounds rebuilding after a hash collision; one attempt fails with a probability of about one in a million.
const attempts = 4

// Build makes a plan of the graph that build makes and differentiates. It may call build again, under another salt.
func Build(dev device.Device, build func(g *op.Graph) (Spec, error)) (*Plan, error) {
	building.Lock()
	defer building.Unlock()
	for salt := range uint32(attempts) {
		g := op.NewGraph(dev, salt)
		spec, err := build(g)
		if err != nil {
			return nil, err
		}
		if !collided(g, spec) {
			return Compile(spec)
		}
	}
	return nil, fmt.Errorf("%d attempts ended with colliding node hashes", attempts)
}

// collided reports whether Gorgonia merged two different nodes because their 32-bit hashes agree. Every node of our graphs is needed for the
// outputs, unless its reader was taken for another node.
func collided(g *op.Graph, spec Spec) bool {
	roots := slices.Clone(spec.Outputs)
	for _, g := range spec.Gradients {
		roots = append(roots, g.Node)
	}
	return len(Reachable(roots)) != len(g.Expr().AllNodes())
}

// Arena is the memory that the plans of one model share. It grows to the largest.
type Arena struct {
	Device device.Device
	memory *device.Memory
}

// Bind gives a plan its memory.
func (a *Arena) Bind(p *Plan) error {
	if a.memory == nil || a.memory.Bytes < p.ArenaBytes() {
		a.Free()
		memory, err := a.Device.Alloc(p.ArenaBytes())
		if err != nil {
			return fmt.Errorf("allocate %d MiB for activations: %w; a smaller batch or shorter rows need less", p.ArenaBytes()>>20, err)
		}
		a.memory = memory
	}
	p.Bind(a.memory)
	return nil
}

// Bytes is the arena's size.
func (a *Arena) Bytes() int {
	if a.memory == nil {
		return 0
	}
	return a.memory.Bytes
}

// Free gives the memory back.
func (a *Arena) Free() {
	if a.memory != nil {
		a.Device.Free(a.memory)
		a.memory = nil
	}
}
