package model

import (
	"fmt"
	"slices"

	"flexi/core/device"
)

// NamedTensor is a tensor in host memory under its name in files.
type NamedTensor struct {
	Name  string
	Shape []int
	Data  []float32
}

// exportedPiece is a run of a parameter's values that is a tensor in files.
type exportedPiece struct {
	name   string
	shape  []int
	offset int // in the parameter
}

func (e exportedPiece) elements() int { return product(e.shape) }

// exported are the tensors a parameter is in files: itself, or its groups of rows.
func (p parameter) exported() []exportedPiece {
	if p.pieces == nil {
		return []exportedPiece{{p.name, p.shape, 0}}
	}
	out := make([]exportedPiece, len(p.pieces))
	row, at := product(p.shape[1:]), 0
	for i, piece := range p.pieces {
		shape := slices.Clone(p.shape)
		shape[0] = piece.rows
		out[i] = exportedPiece{piece.name, shape, at}
		at += piece.rows * row
	}
	return out
}

// Tensors copies all trained parameters to the host under their names in files.
func (n *Net) Tensors() []NamedTensor { return n.download(n.stores()[0]) }

// FrozenTensors copies the parameters that are not trained, as the device has them.
func (n *Net) FrozenTensors() []NamedTensor { return n.download(n.stores()[1:]...) }

func (n *Net) download(stores ...store) []NamedTensor {
	var out []NamedTensor
	for _, s := range stores {
		for _, p := range s.list {
			for _, e := range p.exported() {
				t := NamedTensor{Name: e.name, Shape: e.shape, Data: make([]float32, e.elements())}
				n.dev.DownloadF32(t.Data, s.values.Slice(p.offset+e.offset, e.elements()))
				out = append(out, t)
			}
		}
	}
	return out
}

// SetTensors copies tensors into the parameters of the same names, trained or not. It reports parameters it got no tensor for and tensors it has no
// parameter for; a shape that differs is an error, and nothing is changed then.
func (n *Net) SetTensors(tensors []NamedTensor) (missing, unexpected []string, err error) {
	given := make(map[string]NamedTensor, len(tensors))
	for _, t := range tensors {
		given[t.Name] = t
	}
	known := map[string]bool{}
	each := func(visit func(e exportedPiece, to device.Tensor) error) error {
		for _, s := range n.stores() {
			for _, p := range s.list {
				for _, e := range p.exported() {
					if err := visit(e, s.values.Slice(p.offset+e.offset, e.elements())); err != nil {
						return err
					}
				}
			}
		}
		return nil
	}
	if err := each(func(e exportedPiece, _ device.Tensor) error {
		known[e.name] = true
		t, ok := given[e.name]
		if !ok {
			missing = append(missing, e.name)
		} else if !slices.Equal(t.Shape, e.shape) || len(t.Data) != e.elements() {
			return fmt.Errorf("set tensor %s: shape %v with %d values; the model has %v", e.name, t.Shape, len(t.Data), e.shape)
		}
		return nil
	}); err != nil {
		return nil, nil, err
	}
	_ = each(func(e exportedPiece, to device.Tensor) error {
		if t, ok := given[e.name]; ok {
			n.dev.UploadF32(to, t.Data)
		}
		return nil
	})
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
