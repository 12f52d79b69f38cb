package model

import (
	"fmt"
	"slices"
)

// NamedTensor is a tensor in host memory under its name in files.
type NamedTensor struct {
	Name  string
	Shape []int
	Data  []float32
}

// exported are the names a parameter has in files: its own, or those of its equal groups of rows.
func (p parameter) exported() []string {
	if p.pieces == nil {
		return []string{p.name}
	}
	return p.pieces
}

// exportedShape is the shape of each exported tensor.
func (p parameter) exportedShape() []int {
	s := slices.Clone(p.shape)
	s[0] /= len(p.exported())
	return s
}

// Tensors copies all parameters to the host under their names in files.
func (n *Net) Tensors() []NamedTensor {
	var out []NamedTensor
	for _, p := range n.flat.list {
		names := p.exported()
		each := p.elements() / len(names)
		for i, name := range names {
			t := NamedTensor{Name: name, Shape: p.exportedShape(), Data: make([]float32, each)}
			n.dev.DownloadF32(t.Data, n.values.Slice(p.offset+i*each, each))
			out = append(out, t)
		}
	}
	return out
}

// SetTensors copies tensors into the parameters of the same names. It reports parameters it got no tensor for and tensors it has no parameter for; a shape
// that differs is an error, and nothing is changed then.
func (n *Net) SetTensors(tensors []NamedTensor) (missing, unexpected []string, err error) {
	given := make(map[string]NamedTensor, len(tensors))
	for _, t := range tensors {
		given[t.Name] = t
	}
	known := map[string]bool{}
	for _, p := range n.flat.list {
		for _, name := range p.exported() {
			known[name] = true
			t, ok := given[name]
			if !ok {
				missing = append(missing, name)
			} else if shape := p.exportedShape(); !slices.Equal(t.Shape, shape) || len(t.Data) != product(shape) {
				return nil, nil, fmt.Errorf("set tensor %s: shape %v with %d values; the model has %v", name, t.Shape, len(t.Data), shape)
			}
		}
	}
	for _, p := range n.flat.list {
		names := p.exported()
		each := p.elements() / len(names)
		for i, name := range names {
			if t, ok := given[name]; ok {
				n.dev.UploadF32(n.values.Slice(p.offset+i*each, each), t.Data)
			}
		}
	}
	for _, t := range tensors {
		if !known[t.Name] {
			unexpected = append(unexpected, t.Name)
		}
	}
	return missing, unexpected, nil
}

func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}
