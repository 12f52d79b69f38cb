// The optimiser's kernels, over all parameters of a model at once, which are one flat view.

#define SQUARES_PIECE 16384

// SquaresArgs: parts[block] is the sum of squares of a piece; one block adds them.
struct SquaresArgs { const float* x; double* parts; float* out; long long n; int pieces, unused; };

KERNEL(sum_squares, SquaresArgs, 256) {
  long long first = (long long)blockIdx.x * SQUARES_PIECE, last = min(first + SQUARES_PIECE, a.n);
  double sum = 0;
  for (long long i = first + threadIdx.x; i < last; i += blockDim.x) sum += (double)a.x[i] * (double)a.x[i];
  sum = block_sum(sum);
  if (threadIdx.x == 0) a.parts[blockIdx.x] = sum;
}

KERNEL(add_squares, SquaresArgs, 256) {
  double sum = 0;
  for (int i = threadIdx.x; i < a.pieces; i += blockDim.x) sum += a.parts[i];
  sum = block_sum(sum);
  if (threadIdx.x == 0) *a.out = (float)sum;
}

// AdamArgs: decay (1 - rate·decay) multiplies the first decayed weights. If squares is there, the gradient is scaled so that its norm is at most clip (0: no
// limit), as PyTorch does, and nothing happens unless the norm is finite, *loss is, and *halt is 0, which it is no more once one of them was not finite.
struct AdamArgs {
  float *w, *g, *m, *v;
  const float *squares, *loss;
  float* halt;
  long long n, decayed;
  float beta1, rest1, beta2, rest2, keep, step_size, root_correction, eps, grad_scale, clip;
};

KERNEL(adamw, AdamArgs, 256) {
  float scale = a.grad_scale;
  if (a.squares) {
    float norm = sqrtf(*a.squares);
    bool bad = !(norm < INF_F) || !(fabsf(*a.loss) < INF_F);
    if (bad && blockIdx.x == 0 && threadIdx.x == 0) *a.halt = 1.f;
    if (bad || *a.halt != 0.f) return;
    if (a.clip > 0.f) scale *= fminf(1.f, a.clip / (norm + 1e-6f));
  }
  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < a.n; i += (long long)gridDim.x * blockDim.x) {
    float g = a.g[i] * scale;
    float m = a.beta1 * a.m[i] + a.rest1 * g, v = a.beta2 * a.v[i] + a.rest2 * g * g;
    a.m[i] = m;
    a.v[i] = v;
    a.w[i] = a.w[i] * (i < a.decayed ? a.keep : 1.f) - a.step_size * m / (sqrtf(v) * a.root_correction + a.eps);
  }
}

struct FiniteArgs { const float* x; uint64_t* first; long long n; };

// The least index of a NaN or infinity; *first starts as the largest number.
KERNEL(first_non_finite, FiniteArgs, 256) {
  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < a.n; i += (long long)gridDim.x * blockDim.x)
    if (!(fabsf(a.x[i]) < INF_F)) {
      atomicMin((unsigned long long*)a.first, (unsigned long long)i);
      return;
    }
}
