// What adapters need beside products: scaling, inner products, the lengths of an adapted weight's rows, and magnitudes of columns.

// ScaleArgs: z = factor·by[0]·x; an absent by counts as 1.
struct ScaleArgs { View z, x; const float* by; float factor; int unused; };

KERNEL(scale, ScaleArgs, 256) {
  float f = a.by ? a.factor * *a.by : a.factor;
  EACH(i, j, a.z.rows, a.z.cols) row_of(a.z, i)[j] = f * row_of(a.x, i)[j];
}

#define INNER_PIECE 16384

// InnerArgs: parts[block] is the sum of a piece of x∘y, elements counted row by row; one block adds them to out = (out if accumulate) + factor·sum.
struct InnerArgs { View x, y; double* parts; float* out; float factor; int pieces, accumulate, unused; };

KERNEL(inner_pieces, InnerArgs, 256) {
  long long first = (long long)blockIdx.x * INNER_PIECE, last = min(first + INNER_PIECE, (long long)a.x.rows * a.x.cols);
  double sum = 0;
  for (long long at = first + threadIdx.x; at < last; at += blockDim.x) {
    int i = row_at(at, a.x.cols), j = (int)(at - (long long)i * a.x.cols);
    sum += (double)row_of(a.x, i)[j] * (double)row_of(a.y, i)[j];
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) a.parts[blockIdx.x] = sum;
}

KERNEL(add_inner, InnerArgs, 256) {
  double sum = 0;
  for (int i = threadIdx.x; i < a.pieces; i += blockDim.x) sum += a.parts[i];
  sum = block_sum(sum) * (double)a.factor;
  if (threadIdx.x == 0) *a.out = (float)(a.accumulate ? (double)*a.out + sum : sum);
}

// AdaptedArgs: norms[i] = |w[i] + factor·by[0]·sum over k of b[i][k]·down[k]|, a warp per row. half says that w is bfloat16.
struct AdaptedArgs { View w, down, b; const float* by; float* norms; float factor; int half; };

KERNEL(adapted_norms, AdaptedArgs, 256) {
  int lane = threadIdx.x % WARP, i = blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP;
  if (i >= a.w.rows) return;
  float f = a.by ? a.factor * *a.by : a.factor, squares = 0.f;
  const float* b = row_of(a.b, i);
  for (int j = lane; j < a.w.cols; j += WARP) {
    long long at = (long long)i * a.w.ld + j;
    float v = a.half ? load((const bf16*)a.w.p + at) : a.w.p[at];
    for (int k = 0; k < a.down.rows; k++) v += f * b[k] * row_of(a.down, k)[j];
    squares += v * v;
  }
  squares = warp_sum(squares);
  if (lane == 0) a.norms[i] = sqrtf(squares);
}

// MagnitudeArgs: y = x·mag/norm + bias + residual, column by column; what is absent counts as one or zero.
struct MagnitudeArgs { View x, residual, y; const float *mag, *norm, *bias; };

KERNEL(magnitude, MagnitudeArgs, 256) {
  EACH(i, j, a.y.rows, a.y.cols) {
    float v = row_of(a.x, i)[j];
    if (a.mag) v *= a.mag[j] / a.norm[j];
    if (a.bias) v += a.bias[j];
    if (a.residual.p) v += row_of(a.residual, i)[j];
    row_of(a.y, i)[j] = v;
  }
}

// MagnitudeGradArgs: dx = dy·mag/norm; parts[group][column] receives the sums of dy·x/norm, if they are there.
struct MagnitudeGradArgs { View x, dy, dx; const float *mag, *norm; float* parts; };

KERNEL(magnitude_grad, MagnitudeGradArgs, 256) {
  int j = blockIdx.x * 32 + threadIdx.x % 32, first = blockIdx.y * GROUP_ROWS, cols = a.dx.cols, last = min(first + GROUP_ROWS, a.dx.rows);
  float sum = 0.f, factor = j < cols && a.mag ? a.mag[j] / a.norm[j] : 1.f;
  if (j < cols)
    for (int i = first + threadIdx.x / 32; i < last; i += 8) {
      float g = row_of(a.dy, i)[j];
      if (a.parts) sum += g * row_of(a.x, i)[j];
      row_of(a.dx, i)[j] = g * factor;
    }
  if (!a.parts) return;
  sum = column_total(sum);
  if (threadIdx.x < 32 && j < cols) a.parts[(long long)blockIdx.y * cols + j] = sum / a.norm[j];
}
