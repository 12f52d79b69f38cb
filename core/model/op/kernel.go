// Package op holds the fused operations that models are made of, as Gorgonia ops: each is one device kernel forward and one backward.
//
// A Graph builds expression graphs from them; gorgonia.Grad derives the backward graph, because every forward op knows its derivative
// symbolically (gorgonia.SDOp). The value of a node is one matrix or vector, but kernels compute several things at once (an output and what the
// backward pass needs of it; the gradients of all inputs). An op therefore has parts: part 0 is its node's value, and a Part op views another.
// Window, Place and Join view column ranges, so that fused projections are split and joined without copies; Place is what a Window's
// gradient is made of, and Gorgonia's own addition sums Places into the gradient of the fused tensor.
//
// The package model/exec runs such graphs with planned memory. The ops also run on Gorgonia's TapeMachine, through Do and the CPU device.
//
// Shapes: activations are matrices of B·T rows (batch row major); parameters are matrices [out, in] and vectors.
package op

import (
	"fmt"
	"hash"
	"hash/fnv"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"flexi/core/device"
)

// Need says when a part of an op must be computed.
type Need uint8

// Needs. A part that is not computed is an empty view for the kernel.
const (
	Always   Need = iota // the kernel writes it in any case
	OnDemand             // only if something reads it
	Scratch              // the kernel's own working memory
)

// Shape is what an op computes as one of its parts: a matrix (2 sizes), a vector (1) or a scalar (0) of float32.
type Shape struct {
	Dims []int
	Need Need
}

// Elements is the number of values of the part.
func (s Shape) Elements() int {
	n := 1
	for _, d := range s.Dims {
		n *= d
	}
	return n
}

// Matrix gives the part as rows and columns; a vector is one row.
func (s Shape) Matrix() (rows, cols int) {
	if len(s.Dims) == 2 {
		return s.Dims[0], s.Dims[1]
	}
	return 1, s.Elements()
}

// Env is what a kernel run needs beside its operands.
type Env struct {
	Device device.Device
	// Seed and Step choose the dropout masks: the same pair gives the same masks.
	Seed uint64
	Step uint32
}

// dropout is the mask of one site of the model at this step.
func (e *Env) dropout(p float32, site uint32) device.Dropout {
	if p == 0 {
		return device.Dropout{}
	}
	return device.Dropout{P: p, Seed: device.StreamSeed(e.Seed, site, e.Step)}
}

// signature is the part of an op that Gorgonia's graph and type system look at.
type signature struct {
	name  string
	label string
	// id makes equal ops on different operands hash differently: Gorgonia merges nodes whose op and node hashes (32 bits) agree.
	id  uint64
	in  []hm.Type
	out Shape
}

// Name is the operation without its place in the model ("linear gelu").
func (s *signature) Name() string { return s.name }

// Label is the place in the model the op belongs to ("layer 2 feed-forward").
func (s *signature) Label() string { return s.label }

// Arity is the number of operands.
func (s *signature) Arity() int { return len(s.in) }

// Type is the concrete function type of the op.
func (s *signature) Type() hm.Type {
	return hm.NewFnType(append(append([]hm.Type(nil), s.in...), valueType(s.out.Dims, tensor.Float32))...)
}

// InferShape gives the shape of part 0, which is fixed when the op is made.
func (s *signature) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) {
	return tensor.Shape(s.out.Dims).Clone(), nil
}

// ReturnsPtr says that the value may be used without a copy.
func (s *signature) ReturnsPtr() bool { return true }

// CallsExtern says that no C code is called.
func (s *signature) CallsExtern() bool { return false }

// OverwritesInput says that operands are left alone.
func (s *signature) OverwritesInput() int { return -1 }

// WriteHash writes what makes the op different from others.
func (s *signature) WriteHash(h hash.Hash) { fmt.Fprintf(h, "%s#%d", s.name, s.id) }

// Hashcode is the 32-bit hash of WriteHash.
func (s *signature) Hashcode() uint32 {
	h := fnv.New32a()
	s.WriteHash(h)
	return h.Sum32()
}

func (s *signature) String() string { return s.name }

// valueType is Gorgonia's type of a value of the given dimensions.
func valueType(dims []int, of tensor.Dtype) hm.Type {
	if len(dims) == 0 {
		return of
	}
	return gorgonia.TensorType{Dims: len(dims), Of: of}
}

// Kernel is an op that a device computes.
type Kernel struct {
	signature
	parts []Shape
	// diff says which operands have gradients, in the order of operands.
	diff []bool
	run  func(e *Env, in, out []device.Mat)
	// grad builds the gradient nodes of the operands from the output y and its gradient dy; nil for ops of the backward pass.
	grad func(y, dy *gorgonia.Node) gorgonia.Nodes
	g    *Graph
}

// Parts are the shapes of what the op computes; part 0 is the node's value.
func (k *Kernel) Parts() []Shape { return k.parts }

// Run computes the parts from the operands. Views of parts that are not needed are empty. Vectors and integers are one-row matrices.
func (k *Kernel) Run(e *Env, in, out []device.Mat) { k.run(e, in, out) }

// DiffWRT says which operands the op can be differentiated by.
func (k *Kernel) DiffWRT(int) []bool { return k.diff }

// SymDiff builds the gradients of the operands.
func (k *Kernel) SymDiff(_ gorgonia.Nodes, y, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	if k.grad == nil {
		return nil, fmt.Errorf("differentiate %s (%s): it is an op of the backward pass, which has no derivative here", k.name, k.label)
	}
	k.g.at = k.label
	grads := k.grad(y, dy)
	return grads, k.g.err
}
