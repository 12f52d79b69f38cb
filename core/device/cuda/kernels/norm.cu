// Normalisation of layers and by root mean square, one warp per row.

struct NormArgs { View x, y; const float *gamma, *beta; float *mean, *rstd; bf16* half; Drop drop; float eps; int unused; };

KERNEL(layernorm, NormArgs, 256) {
  int lane = threadIdx.x % WARP, i = blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP, n = a.x.cols;
  if (i >= a.x.rows) return;
  const float* x = row_of(a.x, i);
  float* y = row_of(a.y, i);
  float sum = 0.f, squares = 0.f;
  for (int j = lane; j < n; j += WARP) sum += x[j];
  float mean = warp_sum(sum) / n;
  for (int j = lane; j < n; j += WARP) squares += (x[j] - mean) * (x[j] - mean);
  float rstd = 1.f / sqrtf(warp_sum(squares) / n + a.eps);
  if (lane == 0) {
    a.mean[i] = mean;
    a.rstd[i] = rstd;
  }
  for (int j = lane; j < n; j += WARP) {
    float v = dropped(a.drop, (uint32_t)i * (uint32_t)n + j, a.gamma[j] * (x[j] - mean) * rstd + a.beta[j]);
    y[j] = v;
    store_half(a.half, i, n, j, v);
  }
}

// NormGradArgs: with xhat = (x-mean)·rstd and u = dy·gamma: dx = rstd·(u - sum(u)/n - xhat·sum(u·xhat)/n).
struct NormGradArgs { View x, dy, dx; const float *gamma, *mean, *rstd; Drop drop; };

KERNEL(layernorm_grad, NormGradArgs, 256) {
  int lane = threadIdx.x % WARP, i = blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP, n = a.x.cols;
  if (i >= a.x.rows) return;
  const float *x = row_of(a.x, i), *dy = row_of(a.dy, i);
  float* dx = row_of(a.dx, i);
  float mean = a.mean[i], rstd = a.rstd[i], sum = 0.f, along = 0.f;
  for (int j = lane; j < n; j += WARP) {
    float u = dropped(a.drop, (uint32_t)i * (uint32_t)n + j, dy[j]) * a.gamma[j];
    sum += u;
    along += u * (x[j] - mean) * rstd;
  }
  sum = warp_sum(sum) / n;
  along = warp_sum(along) / n;
  for (int j = lane; j < n; j += WARP) {
    float u = dropped(a.drop, (uint32_t)i * (uint32_t)n + j, dy[j]) * a.gamma[j];
    dx[j] = rstd * (u - sum - (x[j] - mean) * rstd * along);
  }
}

// RmsArgs: y = gamma·x·rstd, rstd = 1/sqrt(mean(x²) + eps).
struct RmsArgs { View x, y; const float* gamma; float* rstd; bf16* half; float eps; int unused; };

KERNEL(rmsnorm, RmsArgs, 256) {
  int lane = threadIdx.x % WARP, i = blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP, n = a.x.cols;
  if (i >= a.x.rows) return;
  const float* x = row_of(a.x, i);
  float* y = row_of(a.y, i);
  float squares = 0.f;
  for (int j = lane; j < n; j += WARP) squares += x[j] * x[j];
  float rstd = 1.f / sqrtf(warp_sum(squares) / n + a.eps);
  if (lane == 0) a.rstd[i] = rstd;
  for (int j = lane; j < n; j += WARP) {
    float v = a.gamma[j] * x[j] * rstd;
    y[j] = v;
    store_half(a.half, i, n, j, v);
  }
}

// RmsGradArgs: with u = dy·gamma: dx = rstd·(u - x·rstd²·sum(u·x)/n).
struct RmsGradArgs { View x, dy, dx; const float *gamma, *rstd; };

KERNEL(rmsnorm_grad, RmsGradArgs, 256) {
  int lane = threadIdx.x % WARP, i = blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP, n = a.x.cols;
  if (i >= a.x.rows) return;
  const float *x = row_of(a.x, i), *dy = row_of(a.dy, i);
  float* dx = row_of(a.dx, i);
  float rstd = a.rstd[i], along = 0.f;
  for (int j = lane; j < n; j += WARP) along += dy[j] * a.gamma[j] * x[j];
  along = warp_sum(along) * rstd * rstd / n;
  for (int j = lane; j < n; j += WARP) dx[j] = rstd * (dy[j] * a.gamma[j] - x[j] * along);
}
