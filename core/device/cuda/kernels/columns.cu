// Sums over rows: gradients of biases and of the parameters of layer normalisation. A block of 32×8 threads sums 32 columns over a group of rows;
// a second kernel adds the groups in their order.

#define GROUP_ROWS 128

// column_total adds the eight rows of threads; row 0 has the result.
__device__ float column_total(float x) {
  __shared__ float parts[8][33];
  int lane = threadIdx.x % 32, line = threadIdx.x / 32;
  __syncthreads();
  parts[line][lane] = x;
  __syncthreads();
  float sum = 0.f;
  if (line == 0)
    for (int k = 0; k < 8; k++) sum += parts[k][lane];
  return sum;
}

// UndoArgs: grad = Drop'(dy) * act'(pre or y); parts[group][column] receives its sums. grad may be absent, and so may parts.
struct UndoArgs { View dy, pre, grad; float* parts; bf16* half; Drop drop; int act, unused; };

KERNEL(undo_linear, UndoArgs, 256) {
  int j = blockIdx.x * 32 + threadIdx.x % 32, first = blockIdx.y * GROUP_ROWS, cols = a.dy.cols;
  int last = min(first + GROUP_ROWS, a.dy.rows);
  float sum = 0.f;
  if (j < cols)
    for (int i = first + threadIdx.x / 32; i < last; i += 8) {
      float g = dropped(a.drop, (uint32_t)i * (uint32_t)cols + j, row_of(a.dy, i)[j]);
      if (a.act == GELU) g *= gelu_slope(row_of(a.pre, i)[j]);
      if (a.act == TANH) {
        float y = row_of(a.pre, i)[j];
        g *= 1.f - y * y;
      }
      if (a.grad.p) row_of(a.grad, i)[j] = g;
      store_half(a.half, i, cols, j, g);
      sum += g;
    }
  if (!a.parts) return;
  sum = column_total(sum);
  if (threadIdx.x < 32 && j < cols) a.parts[(long long)blockIdx.y * cols + j] = sum;
}

// NormParamsArgs: gradients of gamma and beta of a group of rows. Without a mean it is zero and there is no beta.
struct NormParamsArgs { View x, dy; const float *mean, *rstd; float *gamma_parts, *beta_parts; Drop drop; };

KERNEL(norm_params, NormParamsArgs, 256) {
  int j = blockIdx.x * 32 + threadIdx.x % 32, first = blockIdx.y * GROUP_ROWS, cols = a.x.cols;
  int last = min(first + GROUP_ROWS, a.x.rows);
  float gamma = 0.f, beta = 0.f;
  if (j < cols)
    for (int i = first + threadIdx.x / 32; i < last; i += 8) {
      float g = dropped(a.drop, (uint32_t)i * (uint32_t)cols + j, row_of(a.dy, i)[j]);
      gamma += g * (row_of(a.x, i)[j] - (a.mean ? a.mean[i] : 0.f)) * a.rstd[i];
      beta += g;
    }
  gamma = column_total(gamma);
  beta = column_total(beta);
  if (threadIdx.x < 32 && j < cols) {
    a.gamma_parts[(long long)blockIdx.y * cols + j] = gamma;
    if (a.beta_parts) a.beta_parts[(long long)blockIdx.y * cols + j] = beta;
  }
}

// AddPartsArgs: out[j] = (out[j] if accumulate) + the sum over groups of parts[group·stride + j], in the order of groups.
struct AddPartsArgs { float* out; const float* parts; long long n, stride; int groups, accumulate; };

KERNEL(add_parts, AddPartsArgs, 256) {
  for (long long j = (long long)blockIdx.x * blockDim.x + threadIdx.x; j < a.n; j += (long long)gridDim.x * blockDim.x) {
    float sum = a.accumulate ? a.out[j] : 0.f;
    for (int g = 0; g < a.groups; g++) sum += a.parts[g * a.stride + j];
    a.out[j] = sum;
  }
}
