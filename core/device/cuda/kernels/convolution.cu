// Convolutions over positions: depthwise with learned filters, and with taps that the data choose (span-based dynamic convolution).

struct DepthwiseArgs { View x, w, y, dy, dx; float* parts; int seq, unused; };

// y[t, c] = sum_j w[c, j]·x[t+j-K/2, c]
KERNEL(depthwise, DepthwiseArgs, 256) {
  int taps = a.w.cols;
  EACH(i, c, a.y.rows, a.y.cols) {
    int t = i % a.seq;
    float sum = 0.f;
    for (int j = 0; j < taps; j++) {
      int s = t + j - taps / 2;
      if (s >= 0 && s < a.seq) sum += row_of(a.w, c)[j] * row_of(a.x, i - t + s)[c];
    }
    row_of(a.y, i)[c] = sum;
  }
}

// dx[s, c] = sum_j w[c, j]·dy[s-j+K/2, c]
KERNEL(depthwise_dx, DepthwiseArgs, 256) {
  int taps = a.w.cols;
  EACH(i, c, a.dx.rows, a.dx.cols) {
    int s = i % a.seq;
    float sum = 0.f;
    for (int j = 0; j < taps; j++) {
      int t = s - j + taps / 2;
      if (t >= 0 && t < a.seq) sum += row_of(a.w, c)[j] * row_of(a.dy, i - s + t)[c];
    }
    row_of(a.dx, i)[c] = sum;
  }
}

// parts[group][c, j] = sum over a group of rows of dy[t, c]·x[t+j-K/2, c]
KERNEL(depthwise_dw, DepthwiseArgs, 256) {
  int c = blockIdx.x * 32 + threadIdx.x % 32, taps = a.w.cols, channels = a.w.rows;
  int first = blockIdx.y * GROUP_ROWS, last = min(first + GROUP_ROWS, a.dy.rows);
  for (int j = 0; j < taps; j++) {
    float sum = 0.f;
    if (c < channels)
      for (int i = first + threadIdx.x / 32; i < last; i += 8) {
        int t = i % a.seq, s = t + j - taps / 2;
        if (s >= 0 && s < a.seq) sum += row_of(a.dy, i)[c] * row_of(a.x, i - t + s)[c];
      }
    sum = column_total(sum);
    if (threadIdx.x < 32 && c < channels) a.parts[((long long)blockIdx.y * channels + c) * taps + j] = sum;
  }
}

struct TapsArgs { View logits, v, y, saved, dy, d_logits, dv; int seq, heads, dim, taps; };

// saved = softmax of the taps of a token and head, one thread each.
KERNEL(taps_softmax, TapsArgs, 256) {
  EACH(i, h, a.logits.rows, a.heads) {
    const float* z = row_of(a.logits, i) + h * a.taps;
    float* p = row_of(a.saved, i) + h * a.taps;
    float top = z[0], sum = 0.f;
    for (int j = 1; j < a.taps; j++) top = fmaxf(top, z[j]);
    for (int j = 0; j < a.taps; j++) sum += expf(z[j] - top);
    for (int j = 0; j < a.taps; j++) p[j] = expf(z[j] - top) / sum;
  }
}

// y[t, h, c] = sum_j saved[t, h, j]·v[t+j-(K-1)/2, h, c]
KERNEL(taps_forward, TapsArgs, 256) {
  EACH(i, c, a.y.rows, a.y.cols) {
    int t = i % a.seq;
    const float* p = row_of(a.saved, i) + c / a.dim * a.taps;
    float sum = 0.f;
    for (int j = 0; j < a.taps; j++) {
      int s = t + j - (a.taps - 1) / 2;
      if (s >= 0 && s < a.seq) sum += p[j] * row_of(a.v, i - t + s)[c];
    }
    row_of(a.y, i)[c] = sum;
  }
}

// dv[s, h, c] = sum_j saved[t, h, j]·dy[t, h, c] with t = s-j+(K-1)/2
KERNEL(taps_dv, TapsArgs, 256) {
  EACH(i, c, a.dv.rows, a.dv.cols) {
    int s = i % a.seq;
    float sum = 0.f;
    for (int j = 0; j < a.taps; j++) {
      int t = s - j + (a.taps - 1) / 2;
      if (t >= 0 && t < a.seq) sum += row_of(a.saved, i - s + t)[c / a.dim * a.taps + j] * row_of(a.dy, i - s + t)[c];
    }
    row_of(a.dv, i)[c] = sum;
  }
}

// One warp per token and head: the gradient of every tap is a dot product; d_logits = p·(g - sum(p·g)).
KERNEL(taps_dlogits, TapsArgs, 256) {
  int lane = threadIdx.x % WARP, pair = blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP, i = pair / a.heads, h = pair % a.heads;
  if (i >= a.dy.rows) return;
  int t = i % a.seq;
  const float *dy = row_of(a.dy, i) + h * a.dim, *p = row_of(a.saved, i) + h * a.taps;
  float *d = row_of(a.d_logits, i) + h * a.taps, along = 0.f;
  for (int j = 0; j < a.taps; j++) {
    int s = t + j - (a.taps - 1) / 2;
    float g = 0.f;
    if (s >= 0 && s < a.seq) {
      const float* v = row_of(a.v, i - t + s) + h * a.dim;
      for (int c = lane; c < a.dim; c += WARP) g += dy[c] * v[c];
    }
    g = warp_sum(g);
    along += p[j] * g;
    if (lane == j % WARP) d[j] = g;
  }
  for (int j = lane; j < a.taps; j += WARP) d[j] = p[j] * (d[j] - along);
}
