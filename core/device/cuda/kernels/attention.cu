// Attention with a relative position term, in tiles of shared memory: the scores of a sequence are never whole in memory.
//
// s(a, c) = (u_a·k_c + q_a·R[a-c+P-1])/sqrt(dim), where u is q, or q·W for a bilinear head; heads that score by position have no first term. For a tile of
// queries from a0 and keys from c0 the relative terms are the product of the queries with a window of R, w = a-a0 - (c-c0) + keys-1, read back along the
// diagonal. Keys behind a row's length get exactly no weight (-10000 in the formula, which underflows); a row without a length attends everywhere.
//
// The backward pass computes scores again from the logarithm of their sum (lse). One block does a head of a batch row, so nothing needs atomics.

#define MAX_HEADS 64

enum Score { DOT, BILINEAR, POSITION };

struct AttentionArgs {
  View q, u, k, v, rel, out, d_out, dq, du, dk, dv;
  const int* lengths;
  float *lse, *delta, *rel_parts; // per head, batch row and query; rel_parts: 2·seq-1 rows of dim per head and batch row
  Drop drop;
  int seq, dim, heads, batch, vector, train;
  float scale;
  int unused;
  unsigned char score[MAX_HEADS];
};

// Place is what a block works on.
struct Place { int b, head, row0, col0, keys, score; };

__device__ __forceinline__ Place place_of(const AttentionArgs& a, int pair) {
  Place p;
  p.b = pair / a.heads;
  p.head = pair % a.heads;
  p.row0 = p.b * a.seq;
  p.col0 = p.head * a.dim;
  p.score = a.score[p.head];
  int length = a.lengths ? a.lengths[p.b] : 0;
  p.keys = length > 0 ? min(length, a.seq) : a.seq;
  return p;
}

// scores_of computes 16 queries' scores with a tile of keys, before scale and mask.
template <class S, int D>
__device__ __forceinline__ void scores_of(float (&s)[Tile<S>::rows / 8][4], const S* q, const S* u, const S* k, const S* window, float* relative,
                                          int score) {
  constexpr int n = Tile<S>::rows, ld = D + Tile<S>::pad, wide = n + 16;
  int g = threadIdx.x % WARP / 4, t = threadIdx.x % 4, row0 = threadIdx.x / WARP * 16;
  {
    float r[wide / 8][4];
    zero(r);
    Multiply<S, wide / 8>::add(r, Rows<S>{q, ld}, row0, Rows<S>{window, ld}, row0, 0, D);
    __syncwarp();
#pragma unroll
    for (int j = 0; j < wide / 8; j++)
#pragma unroll
      for (int e = 0; e < 4; e++) relative[(g + e / 2 * 8) * (wide + 1) + j * 8 + 2 * t + e % 2] = r[j][e];
    __syncwarp();
  }
  zero(s);
  if (score != POSITION) Multiply<S, n / 8>::add(s, Rows<S>{u, ld}, row0, Rows<S>{k, ld}, 0, 0, D);
#pragma unroll
  for (int j = 0; j < n / 8; j++)
#pragma unroll
    for (int e = 0; e < 4; e++) {
      int row = g + e / 2 * 8, col = j * 8 + 2 * t + e % 2;
      s[j][e] += relative[row * (wide + 1) + row - col + n - 1];
    }
}

__device__ __forceinline__ uint32_t drop_index(const AttentionArgs& a, const Place& p, int query, int key) {
  return (((uint32_t)p.b * a.heads + p.head) * a.seq + query) * a.seq + key;
}

// load_window loads the rows of the table that a tile of queries and a tile of keys reach.
template <class S, int D>
__device__ __forceinline__ void load_window(S* window, const AttentionArgs& a, int a0, int c0) {
  constexpr int n = Tile<S>::rows;
  load_tile<S, D>(window, a.rel, a0 - c0 - (n - 1) + (a.rel.rows + 1) / 2 - 1, 2 * n, 0, a.rel.rows, 0, a.dim, a.vector);
}

template <class S, int D>
__device__ __forceinline__ void attention_forward(const AttentionArgs& a) {
  constexpr int n = Tile<S>::rows, ld = D + Tile<S>::pad, ldp = n + Tile<S>::pad;
  int tiles = (a.seq + n - 1) / n, a0 = blockIdx.x % tiles * n;
  int warp = threadIdx.x / WARP, g = threadIdx.x % WARP / 4, t = threadIdx.x % 4;
  Place p = place_of(a, blockIdx.x / tiles);
  bool bilinear = p.score == BILINEAR;
  float* relative = (float*)DYNAMIC_SHARED() + warp * 16 * (n + 17);
  S* q = (S*)((float*)DYNAMIC_SHARED() + n * (n + 17));
  S *k = q + n * ld, *v = k + n * ld, *window = v + n * ld, *probs = window + 2 * n * ld + warp * 16 * ldp;
  S* u = bilinear ? window + 2 * n * ld + n * ldp : q;

  load_tile<S, D>(q, a.q, p.row0 + a0, n, p.row0, p.row0 + a.seq, p.col0, a.dim, a.vector);
  if (bilinear) load_tile<S, D>(u, a.u, p.row0 + a0, n, p.row0, p.row0 + a.seq, p.col0, a.dim, a.vector);
  float out[D / 8][4], top[2] = {-INF_F, -INF_F}, sum[2] = {0.f, 0.f};
  zero(out);
  for (int c0 = 0; c0 < p.keys; c0 += n) {
    __syncthreads();
    if (p.score != POSITION) load_tile<S, D>(k, a.k, p.row0 + c0, n, p.row0, p.row0 + a.seq, p.col0, a.dim, a.vector);
    load_tile<S, D>(v, a.v, p.row0 + c0, n, p.row0, p.row0 + a.seq, p.col0, a.dim, a.vector);
    load_window<S, D>(window, a, a0, c0);
    __syncthreads();
    float s[n / 8][4];
    scores_of<S, D>(s, q, u, k, window, relative, p.score);
    float high[2] = {top[0], top[1]};
#pragma unroll
    for (int j = 0; j < n / 8; j++)
#pragma unroll
      for (int e = 0; e < 4; e++) {
        s[j][e] = c0 + j * 8 + 2 * t + e % 2 < p.keys ? s[j][e] * a.scale : -INF_F;
        high[e / 2] = fmaxf(high[e / 2], s[j][e]);
      }
    raise(top, high, sum, out);
#pragma unroll
    for (int j = 0; j < n / 8; j++)
#pragma unroll
      for (int e = 0; e < 4; e++) {
        int row = g + e / 2 * 8, col = j * 8 + 2 * t + e % 2;
        float x = expf(s[j][e] - top[e / 2]);
        sum[e / 2] += x;
        store(probs + row * ldp + col, dropped(a.drop, drop_index(a, p, a0 + warp * 16 + row, c0 + col), x));
      }
    __syncwarp();
    Multiply<S, D / 8>::add(out, Rows<S>{probs, ldp}, 0, Columns<S>{v, ld}, 0, 0, n);
    __syncwarp();
  }
#pragma unroll
  for (int h = 0; h < 2; h++) {
    sum[h] += __shfl_xor_sync(FULL, sum[h], 1);
    sum[h] += __shfl_xor_sync(FULL, sum[h], 2);
    int query = a0 + warp * 16 + g + h * 8;
    if (a.train && t == 0 && query < a.seq) a.lse[(p.b * a.heads + p.head) * a.seq + query] = top[h] + logf(sum[h]);
#pragma unroll
    for (int j = 0; j < D / 8; j++) {
      out[j][2 * h] /= sum[h];
      out[j][2 * h + 1] /= sum[h];
    }
  }
  store_rows(out, a.out, p.row0 + a0 + warp * 16, p.row0, p.row0 + a.seq, p.col0, a.dim, false);
}

// delta(a) = d_out_a·out_a, the sum over keys of a probability times its gradient; one warp per query and head.
KERNEL(attention_delta, AttentionArgs, 256) {
  int lane = threadIdx.x % WARP, at = blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP, query = at % a.seq;
  if (at >= a.batch * a.heads * a.seq) return;
  Place p = place_of(a, at / a.seq);
  const float *o = row_of(a.out, p.row0 + query) + p.col0, *g = row_of(a.d_out, p.row0 + query) + p.col0;
  float sum = 0.f;
  for (int d = lane; d < a.dim; d += WARP) sum += o[d] * g[d];
  sum = warp_sum(sum);
  if (lane == 0) a.delta[at] = sum;
}

// Backward's tiles in shared memory.
template <class S, int D> struct GradTiles {
  static constexpr int n = Tile<S>::rows, ld = D + Tile<S>::pad, ldp = n + Tile<S>::pad;
  float* relative;
  float *lse, *delta;
  S *q, *u, *g, *k, *v, *window, *probs, *ds;
  __device__ __forceinline__ GradTiles(bool bilinear) {
    relative = (float*)DYNAMIC_SHARED() + threadIdx.x / WARP * 16 * (n + 17);
    lse = (float*)DYNAMIC_SHARED() + n * (n + 17);
    delta = lse + n;
    q = (S*)(delta + n);
    g = q + n * ld, k = g + n * ld, v = k + n * ld, window = v + n * ld, probs = window + 2 * n * ld, ds = probs + n * ldp;
    u = bilinear ? ds + n * ldp : q;
  }
};

// grad_scores fills probs (after dropout) and ds for a tile of queries and a tile of keys.
template <class S, int D>
__device__ __forceinline__ void grad_scores(const AttentionArgs& a, const Place& p, const GradTiles<S, D>& m, int a0, int c0) {
  constexpr int n = Tile<S>::rows, ld = D + Tile<S>::pad, ldp = n + Tile<S>::pad;
  int g = threadIdx.x % WARP / 4, t = threadIdx.x % 4, row0 = threadIdx.x / WARP * 16;
  float s[n / 8][4], dp[n / 8][4];
  scores_of<S, D>(s, m.q, m.u, m.k, m.window, m.relative, p.score);
  zero(dp);
  Multiply<S, n / 8>::add(dp, Rows<S>{m.g, ld}, row0, Rows<S>{m.v, ld}, 0, 0, D);
#pragma unroll
  for (int j = 0; j < n / 8; j++)
#pragma unroll
    for (int e = 0; e < 4; e++) {
      int row = row0 + g + e / 2 * 8, col = j * 8 + 2 * t + e % 2;
      float x = 0.f, d = 0.f;
      if (a0 + row < a.seq && c0 + col < p.keys) {
        float keep = a.drop.on ? drop_factor(a.drop, drop_index(a, p, a0 + row, c0 + col)) : 1.f;
        x = expf(s[j][e] * a.scale - m.lse[row]);
        d = x * (dp[j][e] * keep - m.delta[row]) * a.scale;
        x *= keep;
      }
      store(m.probs + row * ldp + col, x);
      store(m.ds + row * ldp + col, d);
    }
}

// grad_queries adds a tile of keys' share to dq, and to du for a bilinear head.
template <class S, int D>
__device__ __forceinline__ void grad_queries(const AttentionArgs& a, const Place& p, const GradTiles<S, D>& m, int a0, int c0) {
  constexpr int n = Tile<S>::rows, ld = D + Tile<S>::pad, ldp = n + Tile<S>::pad;
  int row0 = threadIdx.x / WARP * 16, to = p.row0 + a0 + row0;
  float acc[D / 8][4];
  zero(acc);
  if (p.score != POSITION) Multiply<S, D / 8>::add(acc, Rows<S>{m.ds, ldp}, row0, Columns<S>{m.k, ld}, 0, 0, n);
  if (p.score == BILINEAR) {
    store_rows(acc, a.du, to, p.row0, p.row0 + a.seq, p.col0, a.dim, c0 > 0);
    zero(acc);
  }
  Multiply<S, D / 8>::add(acc, Skewed<S, n>{m.ds, ldp}, row0, Columns<S>{m.window, ld}, 0, row0, n + 16);
  store_rows(acc, a.dq, to, p.row0, p.row0 + a.seq, p.col0, a.dim, c0 > 0);
}

// grad_table adds to this head's and batch row's share of the table's gradient, whose rows are distances from -(seq-1).
template <class S, int D>
__device__ __forceinline__ void grad_table(const AttentionArgs& a, const Place& p, const GradTiles<S, D>& m, int a0, int c0) {
  constexpr int n = Tile<S>::rows, ld = D + Tile<S>::pad, ldp = n + Tile<S>::pad;
  int reach = 2 * a.seq - 1, first = a0 - c0 - (n - 1) + a.seq - 1;
  View part = {a.rel_parts + (long long)(p.b * a.heads + p.head) * reach * a.dim, reach, a.dim, a.dim, 0};
  for (int w0 = threadIdx.x / WARP * 16; w0 < 2 * n; w0 += n) {
    float acc[D / 8][4];
    zero(acc);
    Multiply<S, D / 8>::add(acc, SkewedColumns<S, n>{{m.ds, ldp}}, w0, Columns<S>{m.q, ld}, 0, 0, n);
    store_rows(acc, part, first + w0, 0, reach, 0, a.dim, true);
  }
}

template <class S, int D>
__device__ __forceinline__ void attention_backward(const AttentionArgs& a) {
  constexpr int n = Tile<S>::rows, ld = D + Tile<S>::pad, ldp = n + Tile<S>::pad;
  Place p = place_of(a, blockIdx.x);
  int end = p.row0 + a.seq, row0 = threadIdx.x / WARP * 16;
  GradTiles<S, D> m(p.score == BILINEAR);
  for (int c0 = 0; c0 < a.seq; c0 += n) {
    float dk[D / 8][4], dv[D / 8][4];
    zero(dk);
    zero(dv);
    __syncthreads();
    if (p.score != POSITION) load_tile<S, D>(m.k, a.k, p.row0 + c0, n, p.row0, end, p.col0, a.dim, a.vector);
    load_tile<S, D>(m.v, a.v, p.row0 + c0, n, p.row0, end, p.col0, a.dim, a.vector);
    for (int a0 = 0; a0 < a.seq && c0 < p.keys; a0 += n) {
      __syncthreads();
      load_tile<S, D>(m.q, a.q, p.row0 + a0, n, p.row0, end, p.col0, a.dim, a.vector);
      if (p.score == BILINEAR) load_tile<S, D>(m.u, a.u, p.row0 + a0, n, p.row0, end, p.col0, a.dim, a.vector);
      load_tile<S, D>(m.g, a.d_out, p.row0 + a0, n, p.row0, end, p.col0, a.dim, a.vector);
      load_window<S, D>(m.window, a, a0, c0);
      for (int r = threadIdx.x; r < n && a0 + r < a.seq; r += blockDim.x) {
        m.lse[r] = a.lse[(p.b * a.heads + p.head) * a.seq + a0 + r];
        m.delta[r] = a.delta[(p.b * a.heads + p.head) * a.seq + a0 + r];
      }
      __syncthreads();
      grad_scores<S, D>(a, p, m, a0, c0);
      __syncthreads();
      Multiply<S, D / 8>::add(dv, Columns<S>{m.probs, ldp}, row0, Columns<S>{m.g, ld}, 0, 0, n);
      if (p.score != POSITION) Multiply<S, D / 8>::add(dk, Columns<S>{m.ds, ldp}, row0, Columns<S>{m.u, ld}, 0, 0, n);
      grad_queries<S, D>(a, p, m, a0, c0);
      grad_table<S, D>(a, p, m, a0, c0);
    }
    store_rows(dv, a.dv, p.row0 + c0 + row0, p.row0, end, p.col0, a.dim, false);
    if (a.dk.p) store_rows(dk, a.dk, p.row0 + c0 + row0, p.row0, end, p.col0, a.dim, false);
  }
}

#define ATTENTION(type, D)                                                                                                                 \
  KERNEL(attention_##type##_##D, AttentionArgs, 2 * Tile<type>::rows) { attention_forward<type, D>(a); }                                   \
  KERNEL(attention_grad_##type##_##D, AttentionArgs, 2 * Tile<type>::rows) { attention_backward<type, D>(a); }

ATTENTION(float, 32)
ATTENTION(float, 64)
ATTENTION(float, 128)
ATTENTION(bf16, 32)
ATTENTION(bf16, 64)
ATTENTION(bf16, 128)

// TableArgs: d_rel = sum over heads and batch rows of their parts; rows that no distance reaches are zero.
struct TableArgs { View d_rel; const float* parts; int pairs, seq; };

KERNEL(sum_table, TableArgs, 256) {
  int reach = 2 * a.seq - 1;
  EACH(r, d, a.d_rel.rows, a.d_rel.cols) {
    int at = r - (a.d_rel.rows + 1) / 2 + a.seq;
    float sum = 0.f;
    if (at >= 0 && at < reach)
      for (int p = 0; p < a.pairs; p++) sum += a.parts[((long long)p * reach + at) * a.d_rel.cols + d];
    row_of(a.d_rel, r)[d] = sum;
  }
}
