// Element-wise kernels, one thread per element.

struct BinaryArgs { View z, x, y; Drop drop; };

KERNEL(mul, BinaryArgs, 256) {
  EACH(i, j, a.z.rows, a.z.cols) row_of(a.z, i)[j] = row_of(a.x, i)[j] * row_of(a.y, i)[j];
}

KERNEL(add, BinaryArgs, 256) {
  EACH(i, j, a.z.rows, a.z.cols) row_of(a.z, i)[j] = row_of(a.x, i)[j] + row_of(a.y, i)[j];
}

KERNEL(copy, BinaryArgs, 256) {
  EACH(i, j, a.z.rows, a.z.cols) row_of(a.z, i)[j] = row_of(a.x, i)[j];
}

KERNEL(clear_rows, BinaryArgs, 256) {
  EACH(i, j, a.z.rows, a.z.cols) row_of(a.z, i)[j] = 0.f;
}

KERNEL(dropout, BinaryArgs, 256) {
  EACH(i, j, a.z.rows, a.z.cols) row_of(a.z, i)[j] = dropped(a.drop, (uint32_t)at_, row_of(a.x, i)[j]);
}

// CastArgs: z is rows×ld, dense, and gets x rounded to bfloat16; columns beyond x's are zero.
struct CastArgs { View x; bf16* z; int ld, unused; };

KERNEL(to_bf16, CastArgs, 256) {
  int pairs = a.ld / 2;
  EACH(i, j, a.x.rows, pairs) {
    const float* x = row_of(a.x, i);
    float low = 2 * j < a.x.cols ? x[2 * j] : 0.f, high = 2 * j + 1 < a.x.cols ? x[2 * j + 1] : 0.f;
    ((uint32_t*)(a.z + (long long)i * a.ld))[j] = pack_bf16(low, high);
  }
}

// FinishArgs: y = residual + Drop(act(y + bias)), in place; pre receives y + bias if it is there.
struct FinishArgs { View y, pre, residual; const float* bias; Drop drop; int act, unused; };

KERNEL(finish_linear, FinishArgs, 256) {
  EACH(i, j, a.y.rows, a.y.cols) {
    float* y = row_of(a.y, i) + j;
    float v = *y;
    if (a.bias) v += a.bias[j];
    if (a.pre.p) row_of(a.pre, i)[j] = v;
    if (a.act == GELU) v = gelu(v);
    if (a.act == TANH) v = tanhf(v);
    v = dropped(a.drop, (uint32_t)at_, v);
    if (a.residual.p) v += row_of(a.residual, i)[j];
    *y = v;
  }
}
