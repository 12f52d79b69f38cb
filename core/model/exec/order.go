package exec

import (
	"cmp"
	"slices"

	"gorgonia.org/gorgonia"
)

// children are the operands of a node, in order.
func children(n *gorgonia.Node) gorgonia.Nodes {
	it := n.Graph().From(n.ID())
	if it == nil {
		return nil
	}
	var out gorgonia.Nodes
	for it.Next() {
		out = append(out, it.Node().(*gorgonia.Node))
	}
	return out
}

// consumers lists who reads each node, once per operand.
func consumers(nodes gorgonia.Nodes) map[*gorgonia.Node][]*gorgonia.Node {
	out := make(map[*gorgonia.Node][]*gorgonia.Node, len(nodes))
	for _, n := range nodes {
		for _, kid := range children(n) {
			out[kid] = append(out[kid], n)
		}
	}
	return out
}

// sortByID orders nodes as they were made; Gorgonia numbers them upwards, and an op's operands exist before it.
func sortByID(nodes gorgonia.Nodes) {
	slices.SortFunc(nodes, func(a, b *gorgonia.Node) int { return cmp.Compare(a.ID(), b.ID()) })
}
