// Losses. Cross-entropy works on a chunk of rows of logits at a time, one block per row.

// CountArgs: scale = 1/max(1, number of labels that are not negative).
struct CountArgs { const int* labels; float* scale; int n, unused; };

KERNEL(count_labels, CountArgs, 256) {
  int count = 0;
  for (int i = threadIdx.x; i < a.n; i += blockDim.x) count += a.labels[i] >= 0;
  count = block_sum(count);
  if (threadIdx.x == 0) *a.scale = 1.f / (float)max(count, 1);
}

// LossArgs: losses[i] = log(sum(exp(z_i))) - z_i[label]; then, if gradient is set, z_i = (softmax(z_i) - onehot)·scale in place, or in half, of ld_half
// elements a row with zeros behind the last class, if half is there.
struct LossArgs { View z; const float* bias; const int* labels; const float* scale; double* losses; bf16* half; int gradient, ld_half; };

KERNEL(loss_rows, LossArgs, 256) {
  int i = blockIdx.x, n = a.z.cols, label = a.labels[i];
  float* z = row_of(a.z, i);
  bf16* half = a.half ? a.half + (long long)i * a.ld_half : 0;
  if (label < 0) {
    if (threadIdx.x == 0) a.losses[i] = 0;
    for (int j = threadIdx.x; j < n && !half; j += blockDim.x) z[j] = 0.f;
    for (int j = threadIdx.x; j < a.ld_half && half; j += blockDim.x) half[j].bits = 0;
    return;
  }
  float top = -INF_F, sum = 0.f;
  for (int j = threadIdx.x; j < n; j += blockDim.x) {
    float v = z[j] + (a.bias ? a.bias[j] : 0.f);
    if (v > top) {
      sum = sum * expf(top - v) + 1.f;
      top = v;
    } else {
      sum += expf(v - top);
    }
  }
  float whole = block_max(top);
  sum = block_sum(top == -INF_F ? 0.f : sum * expf(top - whole));
  float at = z[label] + (a.bias ? a.bias[label] : 0.f);
  __syncthreads();
  if (threadIdx.x == 0) a.losses[i] = (double)whole - (double)at + log((double)sum);
  if (!a.gradient) return;
  float scale = *a.scale, over = scale / sum;
  for (int j = threadIdx.x; j < (half ? a.ld_half : n); j += blockDim.x) {
    float g = 0.f;
    if (j < n) g = expf(z[j] + (a.bias ? a.bias[j] : 0.f) - whole) * over - (j == label ? scale : 0.f);
    if (half) store(half + j, g);
    else z[j] = g;
  }
}

// ColumnsArgs: parts[group][j] is the sum of a group of rows of z, or of half where that is there.
struct ColumnsArgs { View z; const bf16* half; float* parts; int ld_half, unused; };

KERNEL(sum_columns, ColumnsArgs, 256) {
  int j = blockIdx.x * 32 + threadIdx.x % 32, first = blockIdx.y * GROUP_ROWS, last = min(first + GROUP_ROWS, a.z.rows);
  float sum = 0.f;
  if (j < a.z.cols)
    for (int i = first + threadIdx.x / 32; i < last; i += 8)
      sum += a.half ? load(a.half + (long long)i * a.ld_half + j) : row_of(a.z, i)[j];
  sum = column_total(sum);
  if (threadIdx.x < 32 && j < a.z.cols) a.parts[(long long)blockIdx.y * a.z.cols + j] = sum;
}

// MeanLossArgs: loss = scale times the sum of the losses.
struct MeanLossArgs { const double* losses; const float* scale; float* loss; int n, unused; };

KERNEL(mean_loss, MeanLossArgs, 256) {
  double sum = 0;
  for (int i = threadIdx.x; i < a.n; i += blockDim.x) sum += a.losses[i];
  sum = block_sum(sum);
  if (threadIdx.x == 0) *a.loss = (float)(sum * (double)*a.scale);
}

struct SquaredArgs { View x, dx; const float *target, *d_loss; float* loss; };

KERNEL(squared_error, SquaredArgs, 256) {
  double sum = 0;
  for (int i = threadIdx.x; i < a.x.rows; i += blockDim.x) {
    double e = (double)*row_of(a.x, i) - (double)a.target[i];
    sum += e * e;
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) *a.loss = (float)(sum / max(a.x.rows, 1));
}

KERNEL(squared_error_grad, SquaredArgs, 256) {
  float scale = 2.f * *a.d_loss / max(a.x.rows, 1);
  EACH(i, j, a.x.rows, 1) row_of(a.dx, i)[j] = scale * (row_of(a.x, i)[j] - a.target[i]);
}
