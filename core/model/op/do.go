package op

import (
	"context"
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"flexi/core/device"
)

// bundle is the value of a kernel's node on a Gorgonia machine: part 0, with the other parts beside it for Part ops.
type bundle struct {
	*tensor.Dense
	rest []*tensor.Dense
}

// Do computes the op on Gorgonia values through the device the graph was built for, copying operands in and parts out. Dropout masks are those
// of seed 0 and step 0. It is the slow way, for Gorgonia's own machines; model/exec runs kernels in place.
func (k *Kernel) Do(values ...gorgonia.Value) (v gorgonia.Value, err error) {
	defer func() {
		if r := recover(); r != nil {
			v, err = nil, fmt.Errorf("run %s (%s): %v", k.name, k.label, r)
		}
	}()
	dev := k.g.dev
	var memories []*device.Memory
	defer func() {
		for _, m := range memories {
			dev.Free(m)
		}
	}()
	alloc := func(n int, of device.DType) (device.Tensor, error) {
		m, err := dev.Alloc(max(n, 1) * of.Size())
		if err != nil {
			return device.Tensor{}, fmt.Errorf("run %s (%s): %w", k.name, k.label, err)
		}
		memories = append(memories, m)
		return device.NewTensor(m, 0, n, of), nil
	}
	in := make([]device.Mat, len(values))
	for i, value := range values {
		if in[i], err = upload(dev, value, alloc); err != nil {
			return nil, err
		}
	}
	out := make([]device.Mat, len(k.parts))
	for i, p := range k.parts {
		t, err := alloc(p.Elements(), device.F32)
		if err != nil {
			return nil, err
		}
		out[i] = t.Mat(p.Matrix())
	}
	k.run(&Env{Device: dev}, in, out)
	if err := dev.Sync(context.Background()); err != nil {
		return nil, fmt.Errorf("run %s (%s): %w", k.name, k.label, err)
	}
	dense := make([]*tensor.Dense, len(out))
	for i, p := range k.parts {
		dense[i] = download(dev, out[i].T, p)
	}
	return &bundle{Dense: dense[0], rest: dense[1:]}, nil
}

// upload copies a value to the device; vectors and scalars become one-row matrices.
func upload(dev device.Device, v gorgonia.Value, alloc func(int, device.DType) (device.Tensor, error)) (device.Mat, error) {
	of := device.F32
	if v.Dtype() == tensor.Int32 {
		of = device.I32
	}
	t, err := alloc(Shape{Dims: v.Shape()}.Elements(), of)
	if err != nil {
		return device.Mat{}, err
	}
	switch data := v.Data().(type) {
	case []float32:
		dev.UploadF32(t, data)
	case float32:
		dev.UploadF32(t, []float32{data})
	case []int32:
		dev.UploadI32(t, data)
	case int32:
		dev.UploadI32(t, []int32{data})
	default:
		return device.Mat{}, fmt.Errorf("operand of type %T", data)
	}
	return t.Mat(Shape{Dims: v.Shape()}.Matrix()), nil
}

func download(dev device.Device, t device.Tensor, p Shape) *tensor.Dense {
	data := make([]float32, t.Len)
	dev.DownloadF32(data, t)
	return dense(data, p.Dims)
}

func dense(data []float32, dims []int) *tensor.Dense {
	if len(dims) == 0 {
		return tensor.New(tensor.FromScalar(data[0]))
	}
	return tensor.New(tensor.WithShape(dims...), tensor.WithBacking(data))
}

// Do selects a part of its operand.
func (p *Part) Do(values ...gorgonia.Value) (gorgonia.Value, error) {
	b, ok := values[0].(*bundle)
	if !ok || p.Index > len(b.rest) {
		return nil, fmt.Errorf("part %d of a %T", p.Index, values[0])
	}
	return b.rest[p.Index-1], nil
}

// Do copies columns out.
func (w *Window) Do(values ...gorgonia.Value) (gorgonia.Value, error) {
	x := values[0].Data().([]float32)
	rows, cols := values[0].Shape()[0], values[0].Shape()[1]
	out := make([]float32, 0, rows*w.Width)
	for r := range rows {
		out = append(out, x[r*cols+w.Column:][:w.Width]...)
	}
	return dense(out, []int{rows, w.Width}), nil
}

// Do copies columns in between zeros.
func (p *Place) Do(values ...gorgonia.Value) (gorgonia.Value, error) {
	out := make([]float32, p.out.Elements())
	copyColumns(out, p.out.Dims[1], p.Column, values[0])
	return dense(out, p.out.Dims), nil
}

// Do copies all columns side by side.
func (j *Join) Do(values ...gorgonia.Value) (gorgonia.Value, error) {
	out := make([]float32, j.out.Elements())
	c := 0
	for _, v := range values {
		copyColumns(out, j.out.Dims[1], c, v)
		c += v.Shape()[1]
	}
	return dense(out, j.out.Dims), nil
}

func copyColumns(dst []float32, total, c int, v gorgonia.Value) {
	x := v.Data().([]float32)
	rows, cols := v.Shape()[0], v.Shape()[1]
	for r := range rows {
		copy(dst[r*total+c:][:cols], x[r*cols:][:cols])
	}
}
