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

KERNEL(gelu_rows, BinaryArgs, 256) {
  EACH(i, j, a.z.rows, a.z.cols) row_of(a.z, i)[j] = gelu(row_of(a.x, i)[j]);
}

// z = y·gelu'(x)
KERNEL(gelu_grad, BinaryArgs, 256) {
  EACH(i, j, a.z.rows, a.z.cols) row_of(a.z, i)[j] = row_of(a.y, i)[j] * gelu_slope(row_of(a.x, i)[j]);
}

// GateArgs: x holds the columns of the gate, then those of up. z = silu(gate)·up, or, given dy, the gradient of x.
struct GateArgs { View z, x, dy; bf16* half; };

KERNEL(swiglu, GateArgs, 256) {
  EACH(i, j, a.z.rows, a.z.cols) {
    const float* x = row_of(a.x, i);
    float gate = x[j], v = gate / (1.f + expf(-gate)) * x[a.z.cols + j];
    row_of(a.z, i)[j] = v;
    store_half(a.half, i, a.z.cols, j, v);
  }
}

// With s the sigmoid of the gate: silu' = s·(1 + gate·(1-s)).
KERNEL(swiglu_grad, GateArgs, 256) {
  int n = a.dy.cols;
  EACH(i, j, a.dy.rows, n) {
    const float* x = row_of(a.x, i);
    float gate = x[j], s = 1.f / (1.f + expf(-gate)), g = row_of(a.dy, i)[j];
    float* z = row_of(a.z, i);
    z[j] = g * x[n + j] * s * (1.f + gate * (1.f - s));
    z[n + j] = g * gate * s;
  }
}

KERNEL(clear_rows, BinaryArgs, 256) {
  EACH(i, j, a.z.rows, a.z.cols) row_of(a.z, i)[j] = 0.f;
}

KERNEL(dropout, BinaryArgs, 256) {
  EACH(i, j, a.z.rows, a.z.cols) row_of(a.z, i)[j] = dropped(a.drop, (uint32_t)at_, row_of(a.x, i)[j]);
}

// CastArgs: z is rows×ld, dense, and gets x rounded to bfloat16; columns beyond x's are zero. half says that x is bfloat16.
struct CastArgs { View x; bf16* z; int ld, half; };

__device__ __forceinline__ float cast_from(const CastArgs& a, int i, int j) {
  if (j >= a.x.cols) return 0.f;
  return a.half ? load((const bf16*)a.x.p + (long long)i * a.x.ld + j) : row_of(a.x, i)[j];
}

KERNEL(to_bf16, CastArgs, 256) {
  int pairs = a.ld / 2;
  EACH(i, j, a.x.rows, pairs) {
    ((uint32_t*)(a.z + (long long)i * a.ld))[j] = pack_bf16(cast_from(a, i, 2 * j), cast_from(a, i, 2 * j + 1));
  }
}

// FinishArgs: y = residual + Drop(act(y + bias)), in place; pre receives y + bias if it is there. vector says that columns and rows of all operands are
// whole, aligned groups of four.
struct FinishArgs { View y, pre, residual; const float* bias; bf16* half; Drop drop; int act, vector; };

__device__ __forceinline__ float finished(const FinishArgs& a, uint32_t index, float v) {
  if (a.act == GELU) v = gelu(v);
  if (a.act == TANH) v = tanhf(v);
  return dropped(a.drop, index, v);
}

__device__ __forceinline__ void finish_four(const FinishArgs& a, int i, int j) {
  float4 v = *(const float4*)(row_of(a.y, i) + j);
  if (a.bias) {
    float4 b = *(const float4*)(a.bias + j);
    v.x += b.x, v.y += b.y, v.z += b.z, v.w += b.w;
  }
  if (a.pre.p) *(float4*)(row_of(a.pre, i) + j) = v;
  uint32_t index = (uint32_t)i * (uint32_t)a.y.cols + j;
  v.x = finished(a, index, v.x), v.y = finished(a, index + 1, v.y), v.z = finished(a, index + 2, v.z), v.w = finished(a, index + 3, v.w);
  if (a.residual.p) {
    float4 r = *(const float4*)(row_of(a.residual, i) + j);
    v.x += r.x, v.y += r.y, v.z += r.z, v.w += r.w;
  }
  *(float4*)(row_of(a.y, i) + j) = v;
  if (a.half) {
    uint32_t* half = (uint32_t*)(a.half + (long long)i * a.y.cols + j);
    half[0] = pack_bf16(v.x, v.y);
    half[1] = pack_bf16(v.z, v.w);
  }
}

KERNEL(finish_linear, FinishArgs, 256) {
  if (a.vector) {
    EACH(i, j, a.y.rows, a.y.cols / 4) finish_four(a, i, 4 * j);
    return;
  }
  EACH(i, j, a.y.rows, a.y.cols) {
    float* y = row_of(a.y, i) + j;
    float v = *y;
    if (a.bias) v += a.bias[j];
    if (a.pre.p) row_of(a.pre, i)[j] = v;
    v = finished(a, (uint32_t)at_, v);
    if (a.residual.p) v += row_of(a.residual, i)[j];
    *y = v;
    store_half(a.half, i, a.y.cols, j, v);
  }
}
