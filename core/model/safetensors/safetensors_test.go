package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var f File
		for i, n := 0, rapid.IntRange(0, 5).Draw(t, "tensors"); i < n; i++ {
			shape := rapid.SliceOfN(rapid.IntRange(0, 4), 0, 3).Draw(t, "shape")
			size := 1
			for _, d := range shape {
				size *= d
			}
			data := rapid.SliceOfN(rapid.Float32(), size, size).Draw(t, "data")
			f.Tensors = append(f.Tensors, Tensor{Name: string(rune('a'+i)) + ".weight", Shape: append([]int{}, shape...), Data: data})
		}
		f.Metadata = map[string]string{"format": "pt", "note": rapid.String().Draw(t, "note")}
		var a bytes.Buffer
		require.NoError(t, Write(&a, f))
		got, err := Read(bytes.NewReader(a.Bytes()))
		require.NoError(t, err)
		require.Len(t, got.Tensors, len(f.Tensors))
		for i := range f.Tensors {
			require.Equal(t, f.Tensors[i].Name, got.Tensors[i].Name)
			require.Equal(t, f.Tensors[i].Shape, got.Tensors[i].Shape)
			for j, v := range f.Tensors[i].Data {
				require.Equal(t, math.Float32bits(v), math.Float32bits(got.Tensors[i].Data[j]))
			}
		}
		var b bytes.Buffer
		require.NoError(t, Write(&b, got))
		require.Equal(t, a.Bytes(), b.Bytes(), "equal content gives equal bytes")
	})
}

func file(header string, data []byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), data...)
}

func TestReadHalfPrecision(t *testing.T) {
	header := `{"b":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]},"h":{"dtype":"F16","shape":[4],"data_offsets":[4,12]}}`
	var data []byte
	for _, v := range []uint16{0x3fc0, 0xc000, 0x3c00, 0xc100, 0x0001, 0x7c00} {
		data = binary.LittleEndian.AppendUint16(data, v)
	}
	f, err := Read(bytes.NewReader(file(header, data)))
	require.NoError(t, err)
	require.Equal(t, []float32{1.5, -2}, f.Tensors[0].Data)
	require.Equal(t, []float32{1, -2.5, 1.0 / (1 << 24), float32(math.Inf(1))}, f.Tensors[1].Data)
}

func TestReadRefusesDamage(t *testing.T) {
	good := file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, []byte{0, 0, 128, 63})
	for name, b := range map[string][]byte{
		"empty":         {},
		"short":         good[:20],
		"short data":    good[:len(good)-1],
		"trailing":      append(append([]byte{}, good...), 1),
		"huge header":   file("", nil)[:0],
		"not json":      file("{", nil),
		"gap":           file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, make([]byte, 8)),
		"overlap":       file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, make([]byte, 4)),
		"shape":         file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, make([]byte, 4)),
		"negative":      file(`{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,-4]}}`, nil),
		"overflow":      file(`{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}`, nil),
		"huge promised": file(`{"a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}`, nil),
	} {
		_, err := Read(bytes.NewReader(b))
		require.ErrorIs(t, err, ErrFormat, name)
	}
	_, err := Read(bytes.NewReader(file(`{"a":{"dtype":"I8","shape":[1],"data_offsets":[0,1]}}`, []byte{1})))
	require.ErrorContains(t, err, `dtype "I8" is not supported`)
}

func TestWriteRefuses(t *testing.T) {
	require.Error(t, Write(&bytes.Buffer{}, File{Tensors: []Tensor{{Name: "a", Shape: []int{2}, Data: []float32{1}}}}))
	require.Error(t, Write(&bytes.Buffer{}, File{Tensors: []Tensor{{Name: "a", Shape: []int{0}}, {Name: "a", Shape: []int{0}}}}))
}

func FuzzRead(f *testing.F) {
	var b bytes.Buffer
	if err := Write(&b, File{Tensors: []Tensor{{Name: "w", Shape: []int{2, 2}, Data: []float32{1, 2, 3, 4}}}, Metadata: map[string]string{"k": "v"}}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, in []byte) {
		file, err := Read(bytes.NewReader(in))
		if err != nil {
			return
		}
		if err := Write(&bytes.Buffer{}, file); err != nil && !errors.Is(err, ErrFormat) {
			t.Fatalf("a file that was read cannot be written: %v", err)
		}
	})
}
