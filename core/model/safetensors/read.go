package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"sort"
)

// Read reads a whole file. F64, F32, F16 and BF16 tensors become float32; another dtype is an error that names it.
// Byte ranges must cover the data without gaps or overlaps, and nothing may follow them.
func Read(r io.Reader) (File, error) {
	var f File
	metadata, err := Each(r, func(t Tensor, dtype string) error {
		if t.Data == nil {
			return fmt.Errorf("tensor %s: dtype %q is not supported (F64, F32, F16 and BF16 are)", t.Name, dtype)
		}
		f.Tensors = append(f.Tensors, t)
		return nil
	})
	if err != nil {
		return File{}, err
	}
	f.Metadata = metadata
	sort.Slice(f.Tensors, func(i, j int) bool { return f.Tensors[i].Name < f.Tensors[j].Name })
	return f, nil
}

// Each reads a file tensor by tensor, in the order of its bytes. A tensor of integers comes without data. An error of visit ends it.
func Each(r io.Reader, visit func(t Tensor, dtype string) error) (metadata map[string]string, err error) {
	header, err := readHeader(r)
	if err != nil {
		return nil, err
	}
	f, spans, err := decodeHeader(header)
	if err != nil {
		return nil, err
	}
	for i, s := range spans {
		t := f.Tensors[i]
		if t.Data, err = readData(r, s); err != nil {
			return nil, fmt.Errorf("read tensor %s: %w", t.Name, err)
		}
		if err := visit(t, s.DType); err != nil {
			return nil, err
		}
	}
	if n, _ := r.Read(make([]byte, 1)); n > 0 {
		return nil, fmt.Errorf("%w: bytes after the last tensor", ErrFormat)
	}
	return f.Metadata, nil
}

func readHeader(r io.Reader) ([]byte, error) {
	var size [8]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, fmt.Errorf("%w: shorter than its length field", ErrFormat)
	}
	n := binary.LittleEndian.Uint64(size[:])
	if n > maxHeader {
		return nil, fmt.Errorf("%w: header of %d bytes is over the limit of %d", ErrFormat, n, maxHeader)
	}
	// Copied in steps, so that a damaged length does not allocate what the file does not hold.
	var b bytes.Buffer
	if m, err := io.CopyN(&b, r, int64(n)); err != nil {
		return nil, fmt.Errorf("%w: header ends after %d of %d bytes", ErrFormat, m, n)
	}
	return b.Bytes(), nil
}

// span is where and how one tensor is stored.
type span struct {
	entry
	count int64
}

// decodeHeader returns the tensors without data in the order of their bytes, with their spans.
func decodeHeader(header []byte) (File, []span, error) {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(header, &raw); err != nil {
		return File{}, nil, fmt.Errorf("%w: header: %v", ErrFormat, err)
	}
	var f File
	if m, ok := raw["__metadata__"]; ok {
		if err := json.Unmarshal(m, &f.Metadata); err != nil {
			return File{}, nil, fmt.Errorf("%w: metadata: %v", ErrFormat, err)
		}
		delete(raw, "__metadata__")
	}
	spans := make(map[string]span, len(raw))
	for name, text := range raw {
		s, err := decodeEntry(text)
		if err != nil {
			return File{}, nil, fmt.Errorf("tensor %s: %w", name, err)
		}
		spans[name] = s
		f.Tensors = append(f.Tensors, Tensor{Name: name, Shape: s.Shape})
	}
	sort.Slice(f.Tensors, func(i, j int) bool {
		a, b := spans[f.Tensors[i].Name], spans[f.Tensors[j].Name]
		if a.Offsets != b.Offsets {
			return a.Offsets[0] < b.Offsets[0] || a.Offsets[0] == b.Offsets[0] && a.Offsets[1] < b.Offsets[1]
		}
		return f.Tensors[i].Name < f.Tensors[j].Name
	})
	ordered := make([]span, len(f.Tensors))
	var off int64
	for i, t := range f.Tensors {
		ordered[i] = spans[t.Name]
		if ordered[i].Offsets[0] != off {
			return File{}, nil, fmt.Errorf("%w: tensor %s starts at byte %d, not %d", ErrFormat, t.Name, ordered[i].Offsets[0], off)
		}
		off = ordered[i].Offsets[1]
	}
	return f, ordered, nil
}

func decodeEntry(text []byte) (span, error) {
	var e entry
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&e); err != nil {
		return span{}, fmt.Errorf("%w: %v", ErrFormat, err)
	}
	width := widths[e.DType]
	if width == 0 {
		return span{}, fmt.Errorf("dtype %q is not known", e.DType)
	}
	n, err := elements(e.Shape)
	if err != nil {
		return span{}, err
	}
	if e.Offsets[0] < 0 || e.Offsets[1]-e.Offsets[0] != n*width {
		return span{}, fmt.Errorf("%w: shape %v of %s does not fill bytes %d to %d", ErrFormat, e.Shape, e.DType, e.Offsets[0], e.Offsets[1])
	}
	return span{entry: e, count: n}, nil
}

// widths are bytes per value; floats are those that are read.
var (
	widths = map[string]int64{
		"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "U64": 8, "I32": 4, "U32": 4, "I16": 2, "U16": 2, "I8": 1, "U8": 1, "BOOL": 1,
	}
	floats = map[string]bool{"F64": true, "F32": true, "F16": true, "BF16": true}
)

// readData reads count values in pieces, so that a header that promises more than the file holds fails early; nil for integers.
func readData(r io.Reader, s span) ([]float32, error) {
	width := widths[s.DType]
	if !floats[s.DType] {
		if _, err := io.CopyN(io.Discard, r, s.Offsets[1]-s.Offsets[0]); err != nil {
			return nil, fmt.Errorf("%w: the data ends early", ErrFormat)
		}
		return nil, nil
	}
	data := make([]float32, 0, min(s.count, 1<<20))
	buf := make([]byte, 1<<20)
	for left := s.Offsets[1] - s.Offsets[0]; left > 0; {
		piece := buf[:min(left, int64(len(buf)))]
		if _, err := io.ReadFull(r, piece); err != nil {
			return nil, fmt.Errorf("%w: the data ends early", ErrFormat)
		}
		left -= int64(len(piece))
		for i := int64(0); i < int64(len(piece)); i += width {
			data = append(data, decodeValue(s.DType, piece[i:]))
		}
	}
	return data, nil
}

func decodeValue(dtype string, b []byte) float32 {
	switch dtype {
	case "F64":
		return float32(math.Float64frombits(binary.LittleEndian.Uint64(b)))
	case "BF16":
		return math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16)
	case "F16":
		return halfToFloat(binary.LittleEndian.Uint16(b))
	default:
		return math.Float32frombits(binary.LittleEndian.Uint32(b))
	}
}

// halfToFloat converts IEEE 754 binary16.
func halfToFloat(h uint16) float32 {
	sign := uint32(h>>15) << 31
	exp, frac := uint32(h>>10)&31, uint32(h)&1023
	switch exp {
	case 0:
		v := float32(frac) / (1 << 24)
		return math.Float32frombits(math.Float32bits(v) | sign)
	case 31:
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	default:
		return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
	}
}
