package model

import (
	"fmt"
	"maps"
	"slices"

	"gorgonia.org/gorgonia"

	"flexi/core/device"
	"flexi/core/model/exec"
	"flexi/core/model/op"
)

// mode is what a graph computes.
type mode struct {
	logits  bool // the output of the head, in place of the loss
	drop    bool // with dropout
	trained bool // and the gradients of the trained parameters
	layers  bool // and those of the layers' multipliers
	inner   bool // A·x of every adapter
}

var (
	training   = mode{drop: true, trained: true}
	evaluation = mode{}
	prediction = mode{logits: true}
)

// size is what a plan is compiled for: B rows of T positions, and the number of rows that reach the head.
type size struct {
	mode       mode
	B, T, rows int
}

// graph is a model's expression graph for one size.
type graph struct {
	ids, segments, lengths *gorgonia.Node
	positions, rotary      *gorgonia.Node // of backbones
	// rows are the flat positions that reach the head; labels or targets belong to them.
	rows, labels, targets *gorgonia.Node
	params                map[string]*gorgonia.Node
	factors               map[int]*gorgonia.Node    // the layers' multipliers
	inner                 map[string]*gorgonia.Node // A·x of modules
	ends                  []*gorgonia.Node          // of layers
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
		b = &builder{Graph: g, net: n, size: s, graph: graph{params: map[string]*gorgonia.Node{}, factors: map[int]*gorgonia.Node{}, inner: map[string]*gorgonia.Node{}}}
		if s.mode.drop {
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
	for _, s := range n.stores() {
		for _, p := range s.list {
			if node, ok := b.params[p.name]; ok {
				spec.Bound[node] = s.values.Slice(p.offset, p.elements())
			}
		}
	}
	for layer, node := range b.factors {
		spec.Bound[node] = n.multipliers.Slice(layer, 1)
	}
	if b.size.mode.logits {
		spec.Outputs = []*gorgonia.Node{b.logits}
		return spec, nil
	}
	spec.Outputs = []*gorgonia.Node{b.loss}
	for _, name := range slices.Sorted(maps.Keys(b.inner)) {
		spec.Outputs = append(spec.Outputs, b.inner[name])
	}
	var nodes gorgonia.Nodes
	var to []device.Tensor
	if b.size.mode.trained {
		for _, p := range n.flat.list {
			nodes, to = append(nodes, b.params[p.name]), append(to, n.grads.Slice(p.offset, p.elements()))
		}
	}
	if b.size.mode.layers {
		for _, layer := range slices.Sorted(maps.Keys(b.factors)) {
			nodes, to = append(nodes, b.factors[layer]), append(to, n.multiplierGrads.Slice(layer, 1))
		}
	}
	if len(nodes) == 0 {
		return spec, nil
	}
	derivatives, err := gorgonia.Grad(b.loss, nodes...)
	if err != nil {
		return spec, fmt.Errorf("differentiate model: %w", err)
	}
	if n.recompute {
		spec.Checkpoints = b.ends
	}
	for i, d := range derivatives {
		spec.Gradients = append(spec.Gradients, exec.Gradient{Node: d, To: to[i]})
	}
	return spec, nil
}

// param is the node of a parameter.
func (b *builder) param(name string) *gorgonia.Node {
	if node, ok := b.params[name]; ok {
		return node
	}
	n := b.net
	var node *gorgonia.Node
	if i, ok := n.flat.index[name]; ok && b.size.mode.trained {
		node = b.Float(name, n.flat.list[i].shape...)
	} else if ok {
		node = b.Frozen(name, n.flat.list[i].shape...)
	} else {
		node = b.Frozen(name, n.untrained(name).shape...)
	}
	b.params[name] = node
	return node
}

// optional is the node of a parameter, nil if the model has none of that name.
func (b *builder) optional(name string) *gorgonia.Node {
	for _, s := range b.net.stores() {
		if _, ok := s.index[name]; ok {
			return b.param(name)
		}
	}
	return nil
}

func (b *builder) weightAndBias(name string) (w, bias *gorgonia.Node) {
	return b.param(name + ".weight"), b.optional(name + ".bias")
}

// apply is the linear map of a name on l.X, with its adapters if it has any.
func (b *builder) apply(l op.Linear, name string) *gorgonia.Node {
	l.W, l.Bias = b.weightAndBias(name)
	if modules := b.net.adapters[name+".weight"]; modules != nil {
		return b.adapted(l, name, modules)
	}
	return b.Linear(l)
}

func (b *builder) linear(x *gorgonia.Node, name string) *gorgonia.Node {
	return b.apply(op.Linear{X: x}, name)
}

func (b *builder) activated(x *gorgonia.Node, name string, act device.Activation) *gorgonia.Node {
	return b.apply(op.Linear{X: x, Act: act}, name)
}

// residual is x + Drop(linear(z)).
func (b *builder) residual(x, z *gorgonia.Node, name string) *gorgonia.Node {
	return b.apply(op.Linear{X: z, Residual: x, Dropout: b.drop}, name)
}

func (b *builder) norm(x *gorgonia.Node, name string, drop float32) *gorgonia.Node {
	gamma, beta := b.weightAndBias(name)
	return b.LayerNorm(x, gamma, beta, op.LayerNormEps, drop)
}

// model builds the model of the net.
func (b *builder) model() {
	switch backbone := b.net.backbone; {
	case backbone == nil:
		b.flexiBERT()
	case backbone.Family.Decoder():
		b.decoder(*backbone)
	default:
		b.encoder(*backbone)
	}
}

// flexiBERT is embedding, layers and head (design notes 2.2, 2.7, 2.8).
func (b *builder) flexiBERT() {
	s := b.size
	b.ids, b.segments, b.lengths = b.Int("ids", s.B*s.T), b.Int("segments", s.B*s.T), b.Int("lengths", s.B)
	b.At("embeddings")
	x := b.Embedding(b.ids, b.segments, b.param(WordEmbedding), b.param(typeEmbedding))
	x = b.norm(x, embeddingNorm, b.drop)
	for j := range b.net.arch.Layers {
		x = b.end(b.layer(j, x))
	}
	b.At("head")
	b.rows = b.Int("rows", s.rows)
	x = b.Gather(x, b.rows)
	if b.net.objective.Kind == MaskedLM {
		x = b.norm(b.activated(x, mlmTransform, device.GELU), mlmNorm, 0)
		b.predict(x, mlmDecoder, mlmDecoder)
	} else {
		x = b.activated(x, poolerDense, device.Tanh)
		b.predict(b.Dropout(x, b.drop), classifier, classifier)
	}
}

// end is the result of a layer.
func (b *builder) end(x *gorgonia.Node) *gorgonia.Node {
	b.ends = append(b.ends, x)
	return x
}

// predict ends the model with its last linear map, of a weight and a bias by their names: the logits, or the loss.
func (b *builder) predict(x *gorgonia.Node, weight, bias string) {
	l := op.Linear{X: x, W: b.param(weight + ".weight"), Bias: b.optional(bias + ".bias")}
	switch {
	case b.size.mode.logits:
		b.logits = b.Linear(l)
	case b.net.objective.Kind == Regress:
		b.logits = b.Linear(l)
		b.At("loss")
		b.targets = b.Float("targets", b.size.rows)
		b.loss = b.SquaredError(b.logits, b.targets)
	default:
		b.At("loss")
		b.labels = b.Int("labels", b.size.rows)
		b.loss = b.CrossEntropy(op.CrossEntropy{X: l.X, W: l.W, Bias: l.Bias, Labels: b.labels})
	}
}
