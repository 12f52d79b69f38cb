package cuda

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/ebitengine/purego"
)

var blasFunctions = []string{
	"cublasLtCreate", "cublasLtDestroy", "cublasLtGetVersion", "cublasLtMatmulDescCreate", "cublasLtMatmulDescDestroy", "cublasLtMatmulDescSetAttribute",
	"cublasLtMatrixLayoutCreate", "cublasLtMatrixLayoutDestroy", "cublasLtMatrixLayoutSetAttribute", "cublasLtMatmulPreferenceCreate",
	"cublasLtMatmulPreferenceDestroy", "cublasLtMatmulPreferenceSetAttribute", "cublasLtMatmulAlgoGetHeuristic", "cublasLtMatmul",
}

// Numbers of cuBLASLt's interface (cublasLt.h, library_types.h).
const (
	typeF32, typeBF16    = 0, 14
	compute32            = 68
	descTransA           = 3
	descTransB           = 4
	descEpilogue         = 7
	descBias             = 8
	epilogueBias         = 4
	layoutBatch          = 5
	layoutStride         = 6
	preferWorkspace      = 1
	preferReduction      = 3
	preferAlignA         = 5 // and B, C, D behind it
	reductionComputeType = 2
)

// workspaceBytes is what products may use beside their operands; NVIDIA recommends 32 MiB for Hopper.
const workspaceBytes = 32 << 20

// blas is cuBLASLt on one stream. The algorithm of a product is chosen once per shape, by cuBLASLt's heuristic, which is a function of the shape alone.
type blas struct {
	g         *gpu
	lib       *library
	handle    uintptr
	workspace uintptr
	plans     map[planKey]*plan
	// Scalars as the library reads them.
	alpha, beta float32
}

// planKey is what the choice of an algorithm depends on: the product without its addresses, but with their alignment.
type planKey struct {
	shape   product
	aligned [4]uint32
	bias    bool
}

// plan is a product's descriptors and algorithm.
type plan struct {
	desc, a, b, c, d uintptr
	algorithm        [8]uint64
}

// choice is cublasLtMatmulHeuristicResult_t.
type choice struct {
	algorithm [8]uint64
	workspace uint64
	state     int32
	waves     float32
	_         [4]int32
}

func openBlas(g *gpu) (*blas, error) {
	lib, err := findBlas()
	if err != nil {
		return nil, err
	}
	b := &blas{g: g, lib: lib, plans: map[planKey]*plan{}, alpha: 1}
	if b.workspace, err = g.alloc(workspaceBytes); err != nil {
		return nil, fmt.Errorf("cuBLASLt's workspace: %w", err)
	}
	return b, b.call("cublasLtCreate", uintptr(unsafe.Pointer(&b.handle)))
}

func findBlas() (*library, error) {
	lib, err := openLibrary(blasNames, blasFunctions)
	if err != nil {
		return nil, fmt.Errorf("%w: cuBLASLt, which multiplies matrices: %w; pip install nvidia-cublas, or name its folder in %s", ErrMissingLibrary, err,
			pathVariable)
	}
	return lib, nil
}

func blasVersion(lib *library) string {
	v, _, _ := purego.SyscallN(lib.call["cublasLtGetVersion"])
	return fmt.Sprintf("%d.%d.%d", v/10000, v/100%100, v%100)
}

//go:uintptrescapes
func (b *blas) call(name string, args ...uintptr) error {
	leave, err := b.g.enter()
	if err != nil {
		return err
	}
	defer leave()
	if bad, _, _ := purego.SyscallN(b.lib.call[name], args...); bad != 0 {
		return fmt.Errorf("%s failed with status %d of cuBLASLt %s", name, int32(bad), blasVersion(b.lib))
	}
	return nil
}

func alignment(at uintptr) uint32 { return uint32(min(at&-at, 256)) }

func keyOf(p product) planKey {
	k := planKey{shape: p, aligned: [4]uint32{alignment(p.a), alignment(p.b), alignment(p.c), alignment(p.d)}, bias: p.bias != 0}
	k.shape.a, k.shape.b, k.shape.c, k.shape.d, k.shape.bias = 0, 0, 0, 0, 0
	return k
}

func (b *blas) multiply(p product) error {
	key := keyOf(p)
	q := b.plans[key]
	if q == nil {
		var err error
		if q, err = b.choose(p, key); err != nil {
			return fmt.Errorf("product %dx%d·%dx%d: %w", p.n, p.k, p.k, p.m, err)
		}
		b.plans[key] = q
	}
	if p.bias != 0 {
		if err := b.set("cublasLtMatmulDescSetAttribute", q.desc, descBias, unsafe.Pointer(&p.bias), 8); err != nil {
			return err
		}
	}
	b.beta = p.beta
	return b.call("cublasLtMatmul", b.handle, q.desc, uintptr(unsafe.Pointer(&b.alpha)), p.a, q.a, p.b, q.b, uintptr(unsafe.Pointer(&b.beta)), p.c, q.c, p.d,
		q.d, uintptr(unsafe.Pointer(&q.algorithm)), b.workspace, workspaceBytes, b.g.stream)
}

//go:uintptrescapes
func (b *blas) set(function string, of uintptr, attribute int, value unsafe.Pointer, bytes int) error {
	return b.call(function, of, uintptr(attribute), uintptr(value), uintptr(bytes))
}

// choose makes descriptors and asks the heuristic.
func (b *blas) choose(p product, key planKey) (*plan, error) {
	q := &plan{}
	if err := errors.Join(b.describe(q, p), b.layouts(q, p)); err != nil {
		return nil, err
	}
	preference, err := b.preference(key)
	if err != nil {
		return nil, err
	}
	defer func() { _ = b.call("cublasLtMatmulPreferenceDestroy", preference) }()
	var found choice
	var count int32
	err = b.call("cublasLtMatmulAlgoGetHeuristic", b.handle, q.desc, q.a, q.b, q.c, q.d, preference, 1, uintptr(unsafe.Pointer(&found)),
		uintptr(unsafe.Pointer(&count)))
	if err == nil && (count == 0 || found.state != 0) {
		err = errors.New("cuBLASLt has no algorithm for it")
	}
	q.algorithm = found.algorithm
	return q, err
}

// preference says what an algorithm may use: workspace, sums of partial results in float32, and the operands' alignment.
func (b *blas) preference(key planKey) (uintptr, error) {
	var preference uintptr
	if err := b.call("cublasLtMatmulPreferenceCreate", uintptr(unsafe.Pointer(&preference))); err != nil {
		return 0, err
	}
	workspace, reduction := uint64(workspaceBytes), uint32(reductionComputeType)
	const set = "cublasLtMatmulPreferenceSetAttribute"
	err := errors.Join(b.set(set, preference, preferWorkspace, unsafe.Pointer(&workspace), 8),
		b.set(set, preference, preferReduction, unsafe.Pointer(&reduction), 4))
	for i := range key.aligned {
		err = errors.Join(err, b.set(set, preference, preferAlignA+i, unsafe.Pointer(&key.aligned[i]), 4))
	}
	return preference, err
}

func (b *blas) describe(q *plan, p product) error {
	if err := b.call("cublasLtMatmulDescCreate", uintptr(unsafe.Pointer(&q.desc)), compute32, typeF32); err != nil {
		return err
	}
	var err error
	for attribute, transposed := range map[int]bool{descTransA: p.transA, descTransB: p.transB} {
		one := int32(1)
		if transposed {
			err = errors.Join(err, b.set("cublasLtMatmulDescSetAttribute", q.desc, attribute, unsafe.Pointer(&one), 4))
		}
	}
	if p.bias != 0 {
		epilogue := int32(epilogueBias)
		err = errors.Join(err, b.set("cublasLtMatmulDescSetAttribute", q.desc, descEpilogue, unsafe.Pointer(&epilogue), 4))
	}
	return err
}

func (b *blas) layouts(q *plan, p product) error {
	of := typeF32
	if p.half {
		of = typeBF16
	}
	turned := func(rows, cols int, transposed bool) (int, int) {
		if transposed {
			return cols, rows
		}
		return rows, cols
	}
	aRows, aCols := turned(p.m, p.k, p.transA)
	bRows, bCols := turned(p.k, p.n, p.transB)
	return errors.Join(b.layout(&q.a, of, aRows, aCols, p.lda, p.batch, p.strideA), b.layout(&q.b, of, bRows, bCols, p.ldb, p.batch, p.strideB),
		b.layout(&q.c, typeF32, p.m, p.n, p.ldc, p.batch, p.strideD), b.layout(&q.d, typeF32, p.m, p.n, p.ldd, p.batch, p.strideD))
}

func (b *blas) layout(to *uintptr, of, rows, cols, ld, batch, stride int) error {
	err := b.call("cublasLtMatrixLayoutCreate", uintptr(unsafe.Pointer(to)), uintptr(of), uintptr(rows), uintptr(cols), uintptr(ld))
	if err != nil || batch == 1 {
		return err
	}
	count, apart := int32(batch), int64(stride)
	return errors.Join(b.set("cublasLtMatrixLayoutSetAttribute", *to, layoutBatch, unsafe.Pointer(&count), 4),
		b.set("cublasLtMatrixLayoutSetAttribute", *to, layoutStride, unsafe.Pointer(&apart), 8))
}

func (b *blas) close() error {
	var problems []error
	for _, q := range b.plans {
		problems = append(problems, b.call("cublasLtMatmulDescDestroy", q.desc))
		for _, l := range []uintptr{q.a, q.b, q.c, q.d} {
			problems = append(problems, b.call("cublasLtMatrixLayoutDestroy", l))
		}
	}
	if b.handle != 0 {
		problems = append(problems, b.call("cublasLtDestroy", b.handle))
	}
	return errors.Join(append(problems, b.g.free(b.workspace))...)
}
