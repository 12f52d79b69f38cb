package model

import (
	"context"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"flexi/core/model/op"
)

// Gorgonia's own machine runs the same graph, op by op through Do, to the same loss and gradients (dropout masks of seed 0, step 0).
func TestTapeMachineAgrees(t *testing.T) {
	for _, name := range []string{"all kinds", "hetero", "dct"} {
		for _, m := range smallModels {
			if m.name == name {
				t.Run(name, func(t *testing.T) { compareWithTape(t, m.arch, m.goal) })
			}
		}
	}
}

func compareWithTape(t *testing.T, arch string, goal Objective) {
	c := smallConfig(false)
	c.Dropout = 0.2
	n := newSmallNet(t, 1, arch, goal, c)
	randomWeights(t, n, 1)
	batch := randomBatch(c, goal, 2, 5, 2)
	loss, err := n.Gradients(context.Background(), batch, 0, 0)
	if err != nil {
		t.Fatal(err)
	}

	b := &builder{Graph: op.NewGraph(n.dev, 0), net: n, drop: 0.2, graph: graph{params: map[string]*gorgonia.Node{}}}
	b.size = size{mode: training, B: 2, T: 5, rows: len(n.headRows(batch))}
	b.model()
	spec, err := b.spec()
	if err != nil {
		t.Fatal(err)
	}
	feedTape(t, b, batch)
	var lossValue gorgonia.Value
	gorgonia.Read(b.loss, &lossValue)
	gradients := make([]gorgonia.Value, len(spec.Gradients))
	for i, g := range spec.Gradients {
		gorgonia.Read(g.Node, &gradients[i])
	}
	machine := gorgonia.NewTapeMachine(b.Expr())
	defer machine.Close()
	if err := machine.RunAll(); err != nil {
		t.Fatal(err)
	}
	if got := lossValue.Data().(float32); float64(got) != loss {
		t.Errorf("loss %v on the tape machine, %v on ours", got, loss)
	}
	for i, p := range n.flat.list {
		want := download(n, n.grads.Slice(p.offset, p.elements()))
		if d := relative(gradients[i].Data().([]float32), widen(want)); d > 1e-6 {
			t.Errorf("%s: gradients differ by %.2g of the largest", p.name, d)
		}
	}
}

// feedTape gives a graph's variables their values.
func feedTape(t *testing.T, b *builder, batch Batch) {
	t.Helper()
	let := func(n *gorgonia.Node, backing any) {
		if err := gorgonia.Let(n, tensor.New(tensor.WithShape(n.Shape()...), tensor.WithBacking(backing))); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range b.net.flat.list {
		let(b.params[p.name], download(b.net, b.net.values.Slice(p.offset, p.elements())))
	}
	let(b.ids, batch.IDs)
	let(b.segments, batch.Segments)
	let(b.lengths, batch.Lengths)
	let(b.rows, b.net.headRows(batch))
	if b.labels != nil {
		let(b.labels, batch.Labels)
	}
	if b.targets != nil {
		let(b.targets, batch.Targets)
	}
}
