// Package safetensors reads and writes the safetensors format: eight bytes of little-endian header length, a JSON header that maps names to dtype,
// shape and byte range, and the data. Files are written with names in ascending order and the header padded to eight bytes, so equal
// content gives equal bytes.
package safetensors

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"sort"
)

// maxHeader bounds the header, as the reference implementation does.
const maxHeader = 100 << 20

// ErrFormat is wrapped by every error about a file that is not valid safetensors.
var ErrFormat = errors.New("not a valid safetensors file")

// Tensor is a named float32 tensor in row-major order.
type Tensor struct {
	Name  string
	Shape []int
	Data  []float32
}

// File is the content of a safetensors file: tensors by ascending name, and the free-form metadata.
type File struct {
	Tensors  []Tensor
	Metadata map[string]string
}

type entry struct {
	DType   string   `json:"dtype"`
	Shape   []int    `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"`
}

// Write writes f as F32 tensors. Names must be unique, and every shape must agree with its data.
func Write(w io.Writer, f File) error {
	tensors := append([]Tensor(nil), f.Tensors...)
	sort.Slice(tensors, func(i, j int) bool { return tensors[i].Name < tensors[j].Name })
	header, err := encodeHeader(tensors, f.Metadata)
	if err != nil {
		return err
	}
	if _, err := w.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(header)))); err != nil {
		return fmt.Errorf("write safetensors header: %w", err)
	}
	if _, err := w.Write(header); err != nil {
		return fmt.Errorf("write safetensors header: %w", err)
	}
	buf := make([]byte, 1<<20)
	for _, t := range tensors {
		if err := writeData(w, t.Data, buf); err != nil {
			return fmt.Errorf("write tensor %s: %w", t.Name, err)
		}
	}
	return nil
}

func encodeHeader(tensors []Tensor, meta map[string]string) ([]byte, error) {
	entries := make(map[string]any, len(tensors)+1)
	if len(meta) > 0 {
		entries["__metadata__"] = meta
	}
	var off int64
	for _, t := range tensors {
		n, err := elements(t.Shape)
		if err != nil || n != int64(len(t.Data)) {
			return nil, fmt.Errorf("write tensor %s: shape %v does not hold %d values", t.Name, t.Shape, len(t.Data))
		}
		if _, dup := entries[t.Name]; dup || t.Name == "" {
			return nil, fmt.Errorf("write tensor %q: the name is empty, reserved or used twice", t.Name)
		}
		shape := t.Shape
		if shape == nil {
			shape = []int{}
		}
		entries[t.Name] = entry{DType: "F32", Shape: shape, Offsets: [2]int64{off, off + 4*n}}
		off += 4 * n
	}
	header, err := json.Marshal(entries)
	if err != nil {
		return nil, fmt.Errorf("encode safetensors header: %w", err)
	}
	for len(header)%8 != 0 {
		header = append(header, ' ')
	}
	return header, nil
}

func writeData(w io.Writer, data []float32, buf []byte) error {
	for len(data) > 0 {
		n := min(len(data), len(buf)/4)
		for i, v := range data[:n] {
			binary.LittleEndian.PutUint32(buf[4*i:], math.Float32bits(v))
		}
		if _, err := w.Write(buf[:4*n]); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// elements is the product of a shape, or an error if it is negative or overflows.
func elements(shape []int) (int64, error) {
	n := int64(1)
	for _, d := range shape {
		if d < 0 || (d > 0 && n > math.MaxInt64/4/int64(d)) {
			return 0, fmt.Errorf("%w: shape %v", ErrFormat, shape)
		}
		n *= int64(d)
	}
	return n, nil
}
