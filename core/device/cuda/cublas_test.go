package cuda

import (
	"testing"
	"unsafe"
)

// Descriptors need no GPU: the real library checks our numbers of attributes and their sizes.
func TestDescriptorsOfRealCuBLASLt(t *testing.T) {
	lib, err := findBlas()
	if err != nil {
		t.Skip("cuBLASLt is not here: ", err)
	}
	b := &blas{g: &gpu{}, lib: lib, plans: map[planKey]*plan{}}
	for _, p := range []product{
		{m: 5, n: 7, k: 3, lda: 8, ldb: 8, ldc: 5, ldd: 5, half: true, transA: true, bias: 64, batch: 1},
		{m: 4, n: 6, k: 6, lda: 4, ldb: 6, ldc: 4, ldd: 9, transB: true, batch: 3, strideA: 24, strideD: 60},
	} {
		q := &plan{}
		if err := b.describe(q, p); err != nil {
			t.Error(err)
		}
		if err := b.layouts(q, p); err != nil {
			t.Error(err)
		}
		if p.bias != 0 {
			if err := b.set("cublasLtMatmulDescSetAttribute", q.desc, descBias, unsafe.Pointer(&p.bias), 8); err != nil {
				t.Error(err)
			}
		}
		preference, err := b.preference(keyOf(p))
		if err != nil {
			t.Error(err)
		}
		if err := b.set("cublasLtMatmulPreferenceSetAttribute", preference, preferWorkspace, unsafe.Pointer(&p.bias), 3); err == nil {
			t.Error("an attribute of three bytes was taken: the library checks nothing")
		}
	}
}

func TestKeyOfAProductHasNoAddresses(t *testing.T) {
	p := product{m: 5, n: 7, k: 3, a: 0x1000, b: 0x2010, c: 0x3004, d: 0x3004, bias: 0x40, batch: 1}
	q := p
	q.a, q.b, q.c, q.d, q.bias = 0x7000, 0x8010, 0x9004, 0x9004, 0x80
	if keyOf(p) != keyOf(q) {
		t.Error("the same product elsewhere has another algorithm")
	}
	q.b = 0x8008
	if keyOf(p) == keyOf(q) {
		t.Error("less aligned operands have the same algorithm")
	}
	if k := keyOf(p); k.aligned != [4]uint32{256, 16, 4, 4} || !k.bias {
		t.Errorf("aligned to %v", k.aligned)
	}
}
