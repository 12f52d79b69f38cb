package model

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"flexi/core/device"
	"flexi/core/model/exec"
	"flexi/core/model/op"
)

// mode is what a graph computes.
type mode uint8

const (
	training   mode = iota // the loss with dropout, and its gradients
	evaluation             // the loss
	prediction             // the output of the head
)

// size is what a plan is compiled for: B rows of T positions, and the number of rows that reach the head.
type size struct {
	mode       mode
	B, T, rows int
}

// graph is a model's expression graph for one size.
type graph struct {
	ids, segments, lengths *gorgonia.Node
	// rows are the flat positions that reach the head; labels or targets belong to them.
	rows, labels, targets *gorgonia.Node
	params                map[string]*gorgonia.Node
	logits, loss          *gorgonia.Node
}

// builder builds the graph of a model.
type builder struct {
	*op.Graph
	net  *Net
	size size
	drop float32
	graph
}

// compile builds the graph of a size, differentiates it if it is for training, and plans its execution.
func (n *Net) compile(s size) (*compiled, error) {
	var b *builder
	plan, err := exec.Build(n.dev, func(g *op.Graph) (exec.Spec, error) {
		b = &builder{Graph: g, net: n, size: s, graph: graph{params: map[string]*gorgonia.Node{}}}
		if s.mode == training {
			b.drop = float32(n.config.Dropout)
		}
		b.model()
		if err := b.Err(); err != nil {
			return exec.Spec{}, err
		}
		return b.spec()
	})
	if err != nil {
		return nil, fmt.Errorf("build model: %w", err)
	}
	return &compiled{plan: plan, graph: b.graph}, nil
}

// spec says what to run, after differentiation.
func (b *builder) spec() (exec.Spec, error) {
	n := b.net
	spec := exec.Spec{Device: n.dev, Bound: map[*gorgonia.Node]device.Tensor{}}
	for _, p := range n.flat.list {
		if node, ok := b.params[p.name]; ok {
			spec.Bound[node] = n.values.Slice(p.offset, p.elements())
		}
	}
	if b.size.mode == prediction {
		spec.Outputs = []*gorgonia.Node{b.logits}
		return spec, nil
	}
	spec.Outputs = []*gorgonia.Node{b.loss}
	if b.size.mode == evaluation {
		return spec, nil
	}
	nodes := make(gorgonia.Nodes, len(n.flat.list))
	for i, p := range n.flat.list {
		nodes[i] = b.params[p.name]
	}
	derivatives, err := gorgonia.Grad(b.loss, nodes...)
	if err != nil {
		return spec, fmt.Errorf("differentiate model: %w", err)
	}
	for i, p := range n.flat.list {
		spec.Gradients = append(spec.Gradients, exec.Gradient{Node: derivatives[i], To: n.grads.Slice(p.offset, p.elements())})
	}
	return spec, nil
}

// param is the node of a parameter.
func (b *builder) param(name string) *gorgonia.Node {
	if node, ok := b.params[name]; ok {
		return node
	}
	node := b.Float(name, b.net.flat.list[b.net.flat.index[name]].shape...)
	b.params[name] = node
	return node
}

func (b *builder) weightAndBias(name string) (w, bias *gorgonia.Node) {
	return b.param(name + ".weight"), b.param(name + ".bias")
}

func (b *builder) linear(x *gorgonia.Node, name string) *gorgonia.Node {
	w, bias := b.weightAndBias(name)
	return b.Linear(op.Linear{X: x, W: w, Bias: bias})
}

func (b *builder) activated(x *gorgonia.Node, name string, act device.Activation) *gorgonia.Node {
	w, bias := b.weightAndBias(name)
	return b.Linear(op.Linear{X: x, W: w, Bias: bias, Act: act})
}

// residual is x + Drop(linear(z)).
func (b *builder) residual(x, z *gorgonia.Node, name string) *gorgonia.Node {
	w, bias := b.weightAndBias(name)
	return b.Linear(op.Linear{X: z, W: w, Bias: bias, Residual: x, Dropout: b.drop})
}

func (b *builder) norm(x *gorgonia.Node, name string, drop float32) *gorgonia.Node {
	gamma, beta := b.weightAndBias(name)
	return b.LayerNorm(x, gamma, beta, op.LayerNormEps, drop)
}

// model is embedding, layers and head (design notes 2.2, 2.7, 2.8).
func (b *builder) model() {
	s := b.size
	b.ids, b.segments, b.lengths = b.Int("ids", s.B*s.T), b.Int("segments", s.B*s.T), b.Int("lengths", s.B)
	b.At("embeddings")
	x := b.Embedding(b.ids, b.segments, b.param(WordEmbedding), b.param(typeEmbedding))
	x = b.norm(x, embeddingNorm, b.drop)
	for j := range b.net.arch.Layers {
		x = b.layer(j, x)
	}
	b.At("head")
	b.rows = b.Int("rows", s.rows)
	x = b.Gather(x, b.rows)
	if b.net.objective.Kind == MaskedLM {
		x = b.norm(b.activated(x, mlmTransform, device.GELU), mlmNorm, 0)
		b.predict(x, mlmDecoder)
	} else {
		x = b.activated(x, poolerDense, device.Tanh)
		b.predict(b.Dropout(x, b.drop), classifier)
	}
}

// predict ends the model with its last linear map: the logits, or the loss.
func (b *builder) predict(x *gorgonia.Node, name string) {
	switch {
	case b.size.mode == prediction:
		b.logits = b.linear(x, name)
	case b.net.objective.Kind == Regress:
		b.logits = b.linear(x, name)
		b.At("loss")
		b.targets = b.Float("targets", b.size.rows)
		b.loss = b.SquaredError(b.logits, b.targets)
	default:
		b.At("loss")
		w, bias := b.weightAndBias(name)
		b.labels = b.Int("labels", b.size.rows)
		b.loss = b.CrossEntropy(op.CrossEntropy{X: x, W: w, Bias: bias, Labels: b.labels})
	}
}
