package hub

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"flexi/core/model"
)

// llama2.c's own format (run.c, version 0): seven int32 (dim, hidden dim, layers, heads, key-value heads, vocabulary, positions; a negative vocabulary
// says that the head is not tied), then float32 tensors. Rotary positions turn neighbouring elements there, so the rows of queries and keys are
// reordered.

// maxSize bounds every number of a header.
const maxSize = 1 << 24

func openLlama2c(path string) (*Model, error) {
	f, err := packed(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var h [7]int32
	if err := binary.Read(f, binary.LittleEndian, &h); err != nil {
		return nil, fmt.Errorf("it is neither a model folder nor a llama2.c checkpoint: %w", err)
	}
	tied := h[5] > 0
	if !tied {
		h[5] = -h[5]
	}
	for _, n := range h {
		if n < 1 || n > maxSize {
			return nil, fmt.Errorf("it is neither a model folder nor a llama2.c checkpoint of version 0: its header says %v", h)
		}
	}
	b := model.Backbone{
		Family: model.Llama, Hidden: int(h[0]), Intermediate: int(h[1]), Layers: int(h[2]), Heads: int(h[3]), KVHeads: int(h[4]), Vocab: int(h[5]),
		MaxPositions: int(h[6]), NormEps: 1e-5, Tied: tied, Rope: model.Rope{Theta: 10000},
	}
	b.HeadDim = b.Hidden / b.Heads
	if err := b.Validate(); err != nil {
		return nil, err
	}
	return &Model{Path: path, Model: model.Pretrained{Backbone: &b}, BOS: 1, EOS: []int{2}, Pad: -1, files: []string{path}, llama2c: true}, nil
}

func (m *Model) readLlama2c(take func(model.NamedTensor)) error {
	f, err := packed(m.files[0])
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<20)
	if _, err := r.Discard(7 * 4); err != nil {
		return err
	}
	b := *m.Model.Backbone
	dim, hidden, keys := b.Hidden, b.Intermediate, b.KVHeads*b.HeadDim
	one := func(name string, shape ...int) error {
		data, err := floats(r, shape)
		if err == nil {
			take(model.NamedTensor{Name: name, Shape: shape, Data: data})
		}
		return err
	}
	each := func(name string, heads int, shape ...int) error {
		for j := range b.Layers {
			data, err := floats(r, shape)
			if err != nil {
				return fmt.Errorf("%s of layer %d: %w", name, j, err)
			}
			if heads > 0 {
				data = halves(data, heads, b.HeadDim, dim)
			}
			take(model.NamedTensor{Name: fmt.Sprintf("model.layers.%d.%s.weight", j, name), Shape: shape, Data: data})
		}
		return nil
	}
	for _, step := range []func() error{
		func() error { return one("model.embed_tokens.weight", b.Vocab, dim) },
		func() error { return each("input_layernorm", 0, dim) },
		func() error { return each("self_attn.q_proj", b.Heads, b.Heads*b.HeadDim, dim) },
		func() error { return each("self_attn.k_proj", b.KVHeads, keys, dim) },
		func() error { return each("self_attn.v_proj", 0, keys, dim) },
		func() error { return each("self_attn.o_proj", 0, dim, b.Heads*b.HeadDim) },
		func() error { return each("post_attention_layernorm", 0, dim) },
		func() error { return each("mlp.gate_proj", 0, hidden, dim) },
		func() error { return each("mlp.down_proj", 0, dim, hidden) },
		func() error { return each("mlp.up_proj", 0, hidden, dim) },
		func() error { return one("model.norm.weight", dim) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	if _, err := floats(r, []int{b.MaxPositions, b.HeadDim}); err != nil { // cosines and sines, which are computed
		return err
	}
	if !b.Tied {
		if err := one("lm_head.weight", b.Vocab, dim); err != nil {
			return err
		}
	}
	if _, err := r.ReadByte(); err == nil {
		return errors.New("bytes after the last tensor")
	}
	return nil
}

// halves reorders the rows of every head: those of even number first, which pairs element j with j + d/2.
func halves(w []float32, heads, d, in int) []float32 {
	out := make([]float32, len(w))
	for h := range heads {
		for i := range d {
			to := i/2 + i%2*d/2
			copy(out[(h*d+to)*in:][:in], w[(h*d+i)*in:][:in])
		}
	}
	return out
}

func floats(r io.Reader, shape []int) ([]float32, error) {
	n := 1
	for _, d := range shape {
		n *= d
	}
	// Grown in steps, so that a header that promises more than the file holds fails early.
	out := make([]float32, 0, min(n, 1<<20))
	buf := make([]byte, 4<<10)
	for left := 4 * n; left > 0; {
		piece := buf[:min(left, len(buf))]
		if _, err := io.ReadFull(r, piece); err != nil {
			return nil, errors.New("the file ends early")
		}
		left -= len(piece)
		for i := 0; i < len(piece); i += 4 {
			out = append(out, math.Float32frombits(binary.LittleEndian.Uint32(piece[i:])))
		}
	}
	return out, nil
}
