package search

import (
	"fmt"
	"runtime"
	"slices"
	"sync"

	"flexi/core/model"
)

// Prices order the node labels of a space by computational weight: input, output, add_norm, feed-forward, linear transform, self-attention, convolution,
// each kind by rising size, with blanks between the kinds (design notes 3.2). A label's price is its position; it is what inserting the node costs.
type Prices struct {
	space  string
	labels []string // "" is a blank
	price  map[string]int
}

// Prices lists the prices of the space's labels.
func (s *Space) Prices() *Prices {
	p := &Prices{space: s.Name, labels: []string{inputLabel, outputLabel, normLabel}}
	p.addKind(len(s.FeedForward.Widths), func(i int) string { return widthLabel(s.FeedForward.Widths[i]) })
	ops := s.operations()
	for len(ops) > 0 {
		n := 1
		for n < len(ops) && ops[n].op == ops[0].op {
			n++
		}
		kind := ops[:n]
		p.addKind(n*len(s.Hidden), func(i int) string { return opLabel(kind[i%n].op, kind[i%n].param, s.Hidden[i/n]) })
		ops = ops[n:]
	}
	p.price = make(map[string]int, len(p.labels))
	for i, label := range p.labels {
		if label != "" {
			p.price[label] = i
		}
	}
	return p
}

// addKind appends a blank and n labels.
func (p *Prices) addKind(n int, label func(int) string) {
	p.labels = append(p.labels, "")
	for i := range n {
		p.labels = append(p.labels, label(i))
	}
}

// Labels are the labels in the order of their prices; "" is a blank.
func (p *Prices) Labels() []string { return slices.Clone(p.labels) }

// Profile is C(t) for t = 1 to the highest price: the number of nodes whose price is at least t.
func (p *Prices) Profile(g *Graph) ([]uint16, error) {
	profile := make([]uint16, len(p.labels)-1)
	for _, label := range g.Labels {
		price, ok := p.price[label]
		if !ok {
			return nil, fmt.Errorf("node %s has no price in space %s; distances are between architectures of one space", label, p.space)
		}
		for t := range profile[:price] {
			profile[t]++
		}
	}
	return profile, nil
}

// NodeDistance is D of design notes 3.4: the cost of the cheapest matching of two graphs' nodes where moving a node by one price costs 1 and inserting or
// deleting it costs its price. It is a one-dimensional optimal transport, hence the L1 distance of the profiles.
func NodeDistance(a, b []uint16) int {
	d := 0
	for t, c := range a {
		if diff := int(c) - int(b[t]); diff < 0 {
			d -= diff
		} else {
			d += diff
		}
	}
	return d
}

// DefaultEdgeWeight is the cost of a mismatched edge: the original's cost of inserting or deleting one.
const DefaultEdgeWeight = 0.1

// Distances are the graph distances within a list of architectures,
//
//	distance(a, b) = D(a, b) + edgeWeight * E(a, b)
//
// with D the node distance and E the mismatched edges of the best alignment of layers, see EdgeMismatch. At weight 0.1 the result lies within the
// bounds that design notes 3.4 gives for the graph edit distance. It is computed on demand, in about 60 ns per pair at 4 layers.
type Distances struct {
	weight   float64
	profiles [][]uint16
	kinds    *layerKinds
	layers   [][]int32 // kinds of the layers of each architecture
}

// NewDistances prepares the distances of architectures of one space.
func NewDistances(space *Space, archs []model.Arch, scheme Scheme, edgeWeight float64) (*Distances, error) {
	d := &Distances{weight: edgeWeight, kinds: newLayerKinds(scheme)}
	prices := space.Prices()
	for i, a := range archs {
		profile, err := prices.Profile(NewGraph(a, scheme))
		if err != nil {
			return nil, fmt.Errorf("architecture %d: %w", i, err)
		}
		d.profiles = append(d.profiles, profile)
		d.layers = append(d.layers, d.kinds.of(a))
	}
	d.kinds.compare()
	return d, nil
}

// Len is the number of architectures.
func (d *Distances) Len() int { return len(d.profiles) }

// Node is D(i, j).
func (d *Distances) Node(i, j int) int { return NodeDistance(d.profiles[i], d.profiles[j]) }

// EdgeMismatch is E(i, j): layers are aligned in order, each with at most one of the other architecture; an aligned pair costs the edges (by the labels
// of their two ends, those of the feed-forward stack in order) that only one of the two has, a layer left alone all its edges; E is the smallest such cost.
func (d *Distances) EdgeMismatch(i, j int) int { return d.kinds.align(d.layers[i], d.layers[j]) }

// At is the distance of i and j.
func (d *Distances) At(i, j int) float64 {
	return float64(d.Node(i, j)) + d.weight*float64(d.EdgeMismatch(i, j))
}

// Row writes the distances from i to architectures first, first+1, ... into dst.
func (d *Distances) Row(i, first int, dst []float32) {
	w := float32(d.weight)
	profile, layers := d.profiles[i], d.layers[i]
	for k := range dst {
		j := first + k
		dst[k] = float32(NodeDistance(profile, d.profiles[j])) + w*float32(d.kinds.align(layers, d.layers[j]))
	}
}

// inBlocks calls do(0) to do(n-1), each exactly once, in blocks of consecutive numbers, on so many goroutines (0 is all cores).
func inBlocks(n, block, threads int, do func(i int)) {
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	var next sync.Mutex
	var start int
	take := func() (from, to int) {
		next.Lock()
		defer next.Unlock()
		from, to = start, min(start+block, n)
		start = to
		return from, to
	}
	var wait sync.WaitGroup
	for range min(threads, (n+block-1)/block) {
		wait.Go(func() {
			for from, to := take(); from < to; from, to = take() {
				for i := from; i < to; i++ {
					do(i)
				}
			}
		})
	}
	wait.Wait()
}
