// Grouped-query attention in tiles of shared memory: several heads of queries read one head of keys and values, which queries see up to their own
// position, in a window, or all.
//
// The backward pass is given nothing by the forward pass: grouped_stats computes the scores again for the logarithm of their sum (lse) and for
// delta(a) = d_out_a·out_a, of d_out as products take it, so that both cancel where a query sees one key. Then one kernel goes over keys, for the gradients
// of keys and values, and another over queries: every gradient is summed by one block, in a fixed order.

// TurnArgs: z is x with the two halves (u, v) of every head turned by the angles of the row's position: (u·cos - sign·v·sin, v·cos + sign·u·sin). A row
// of the table holds the cosines of dim/2 angles, then their sines. z may be x.
struct TurnArgs { View z, x, table; int seq, dim; float sign; int unused; };

KERNEL(turn, TurnArgs, 256) {
  int half = a.dim / 2;
  EACH(i, pair, a.z.rows, a.z.cols / 2) {
    int j = pair % half, at = pair / half * a.dim + j;
    const float *angle = row_of(a.table, i % a.seq), *x = row_of(a.x, i);
    float c = angle[j], s = a.sign * angle[half + j], u = x[at], v = x[at + half];
    float* z = row_of(a.z, i);
    z[at] = u * c - v * s;
    z[at + half] = v * c + u * s;
  }
}

struct GroupedArgs {
  View q, k, v, out, d_out, dq, dk, dv;
  const int* lengths;
  float *lse, *delta; // per batch row, head and query
  Drop drop;
  int seq, dim, heads, kv_heads, batch, causal, window, vector;
  float scale;
  int unused;
};

// Grouped is what a block works on: a head of a batch row, or a head of keys.
struct Grouped { int b, row0, keys; };

__device__ __forceinline__ Grouped grouped_of(const GroupedArgs& a, int b) {
  return {b, b * a.seq, a.lengths ? min(max(a.lengths[b], 0), a.seq) : a.seq};
}

__device__ __forceinline__ bool sees(const GroupedArgs& a, const Grouped& p, int query, int key) {
  return query < a.seq && key < p.keys && (!a.causal || key <= query) && (a.window == 0 || key > query - a.window);
}

// Tiles of keys [first, last) that a tile of n queries from a0 sees.
__device__ __forceinline__ int first_key(const GroupedArgs& a, int a0, int n) { return a.window == 0 ? 0 : max(0, a0 - a.window + 1) / n * n; }
__device__ __forceinline__ int last_key(const GroupedArgs& a, const Grouped& p, int a0, int n) { return a.causal ? min(p.keys, a0 + n) : p.keys; }

__device__ __forceinline__ uint32_t grouped_drop(const GroupedArgs& a, int b, int head, int query, int key) {
  return (((uint32_t)b * a.heads + head) * a.seq + query) * a.seq + key;
}

// grouped_forward does a tile of queries of a head: their context, or with stats lse and delta alone.
template <class S, int D>
__device__ __forceinline__ void grouped_forward(const GroupedArgs& a, bool stats) {
  constexpr int n = Tile<S>::rows, ld = D + Tile<S>::pad, ldp = n + Tile<S>::pad;
  int tiles = (a.seq + n - 1) / n, a0 = blockIdx.x % tiles * n, head = blockIdx.x / tiles % a.heads;
  int warp = threadIdx.x / WARP, g = threadIdx.x % WARP / 4, t = threadIdx.x % 4;
  Grouped p = grouped_of(a, blockIdx.x / tiles / a.heads);
  int from = head / (a.heads / a.kv_heads) * a.dim, end = p.row0 + a.seq;
  S *q = (S*)DYNAMIC_SHARED(), *k = q + n * ld, *v = k + n * ld, *probs = v + n * ld + warp * 16 * ldp;

  load_tile<S, D>(q, a.q, p.row0 + a0, n, p.row0, end, head * a.dim, a.dim, a.vector);
  float out[D / 8][4], top[2] = {-INF_F, -INF_F}, sum[2] = {0.f, 0.f};
  zero(out);
  int last = last_key(a, p, a0, n);
  for (int c0 = first_key(a, a0, n); c0 < last; c0 += n) {
    __syncthreads();
    load_tile<S, D>(k, a.k, p.row0 + c0, n, p.row0, end, from, a.dim, a.vector);
    load_tile<S, D>(v, a.v, p.row0 + c0, n, p.row0, end, from, a.dim, a.vector);
    __syncthreads();
    float s[n / 8][4], high[2] = {top[0], top[1]};
    zero(s);
    Multiply<S, n / 8>::add(s, Rows<S>{q, ld}, warp * 16, Rows<S>{k, ld}, 0, 0, D);
#pragma unroll
    for (int j = 0; j < n / 8; j++)
#pragma unroll
      for (int e = 0; e < 4; e++) {
        bool seen = sees(a, p, a0 + warp * 16 + g + e / 2 * 8, c0 + j * 8 + 2 * t + e % 2);
        s[j][e] = seen ? s[j][e] * a.scale : -INF_F;
        high[e / 2] = fmaxf(high[e / 2], s[j][e]);
      }
    raise(top, high, sum, out);
#pragma unroll
    for (int j = 0; j < n / 8; j++)
#pragma unroll
      for (int e = 0; e < 4; e++) {
        int row = g + e / 2 * 8, col = j * 8 + 2 * t + e % 2;
        float x = s[j][e] == -INF_F ? 0.f : expf(s[j][e] - top[e / 2]);
        sum[e / 2] += x;
        store(probs + row * ldp + col, dropped(a.drop, grouped_drop(a, p.b, head, a0 + warp * 16 + row, c0 + col), x));
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
    float over = sum[h] > 0.f ? 1.f / sum[h] : 0.f, delta = 0.f;
#pragma unroll
    for (int j = 0; j < D / 8; j++)
#pragma unroll
      for (int e = 0; e < 2; e++) {
        float& o = out[j][2 * h + e];
        o *= over;
        int d = j * 8 + 2 * t + e;
        if (stats && query < a.seq && d < a.dim) delta += o * rounded<S>(row_of(a.d_out, p.row0 + query)[head * a.dim + d]);
      }
    if (!stats) continue;
    delta += __shfl_xor_sync(FULL, delta, 1);
    delta += __shfl_xor_sync(FULL, delta, 2);
    if (t == 0 && query < a.seq) {
      int at = (p.b * a.heads + head) * a.seq + query;
      a.lse[at] = sum[h] > 0.f ? top[h] + logf(sum[h]) : INF_F;
      a.delta[at] = delta;
    }
  }
  if (!stats) store_rows(out, a.out, p.row0 + a0 + warp * 16, p.row0, end, head * a.dim, a.dim, false);
}

// grouped_grads fills ds, and probs after dropout if it is there, for a tile of queries and a tile of keys. lse and delta are those of the tile.
template <class S, int D>
__device__ __forceinline__ void grouped_grads(const GroupedArgs& a, const Grouped& p, int head, int a0, int c0, const S* q, const S* g_out, const S* k,
                                              const S* v, const float* lse, const float* delta, S* probs, S* ds) {
  constexpr int n = Tile<S>::rows, ld = D + Tile<S>::pad, ldp = n + Tile<S>::pad;
  int g = threadIdx.x % WARP / 4, t = threadIdx.x % 4, row0 = threadIdx.x / WARP * 16;
  float s[n / 8][4], dp[n / 8][4];
  zero(s);
  zero(dp);
  Multiply<S, n / 8>::add(s, Rows<S>{q, ld}, row0, Rows<S>{k, ld}, 0, 0, D);
  Multiply<S, n / 8>::add(dp, Rows<S>{g_out, ld}, row0, Rows<S>{v, ld}, 0, 0, D);
#pragma unroll
  for (int j = 0; j < n / 8; j++)
#pragma unroll
    for (int e = 0; e < 4; e++) {
      int row = row0 + g + e / 2 * 8, col = j * 8 + 2 * t + e % 2;
      float x = 0.f, d = 0.f;
      if (sees(a, p, a0 + row, c0 + col)) {
        float keep = a.drop.on ? drop_factor(a.drop, grouped_drop(a, p.b, head, a0 + row, c0 + col)) : 1.f;
        x = expf(s[j][e] * a.scale - lse[row]);
        d = x * (dp[j][e] * keep - delta[row]) * a.scale;
        x *= keep;
      }
      if (probs) store(probs + row * ldp + col, x);
      store(ds + row * ldp + col, d);
    }
}

template <class S, int D>
__device__ __forceinline__ void load_queries(const GroupedArgs& a, const Grouped& p, int head, int a0, S* q, S* g_out, float* lse, float* delta) {
  constexpr int n = Tile<S>::rows;
  load_tile<S, D>(q, a.q, p.row0 + a0, n, p.row0, p.row0 + a.seq, head * a.dim, a.dim, a.vector);
  load_tile<S, D>(g_out, a.d_out, p.row0 + a0, n, p.row0, p.row0 + a.seq, head * a.dim, a.dim, a.vector);
  for (int r = threadIdx.x; r < n && a0 + r < a.seq; r += blockDim.x) {
    lse[r] = a.lse[(p.b * a.heads + head) * a.seq + a0 + r];
    delta[r] = a.delta[(p.b * a.heads + head) * a.seq + a0 + r];
  }
}

// grouped_keys does a tile of keys and values of a head of them, over all heads and queries that see them.
template <class S, int D>
__device__ __forceinline__ void grouped_keys(const GroupedArgs& a) {
  constexpr int n = Tile<S>::rows, ld = D + Tile<S>::pad, ldp = n + Tile<S>::pad;
  int tiles = (a.seq + n - 1) / n, c0 = blockIdx.x % tiles * n, from = blockIdx.x / tiles % a.kv_heads, row0 = threadIdx.x / WARP * 16;
  Grouped p = grouped_of(a, blockIdx.x / tiles / a.kv_heads);
  int each = a.heads / a.kv_heads, end = p.row0 + a.seq;
  float *lse = (float*)DYNAMIC_SHARED(), *delta = lse + n;
  S *q = (S*)(delta + n), *g_out = q + n * ld, *k = g_out + n * ld, *v = k + n * ld, *probs = v + n * ld, *ds = probs + n * ldp;
  load_tile<S, D>(k, a.k, p.row0 + c0, n, p.row0, end, from * a.dim, a.dim, a.vector);
  load_tile<S, D>(v, a.v, p.row0 + c0, n, p.row0, end, from * a.dim, a.dim, a.vector);
  float dk[D / 8][4], dv[D / 8][4];
  zero(dk);
  zero(dv);
  int last = c0 < p.keys ? a.seq : 0;
  if (a.window > 0) last = min(last, c0 + n + a.window - 1);
  for (int head = from * each; head < (from + 1) * each; head++)
    for (int a0 = a.causal ? c0 : 0; a0 < last; a0 += n) {
      __syncthreads();
      load_queries<S, D>(a, p, head, a0, q, g_out, lse, delta);
      __syncthreads();
      grouped_grads<S, D>(a, p, head, a0, c0, q, g_out, k, v, lse, delta, probs, ds);
      __syncthreads();
      Multiply<S, D / 8>::add(dv, Columns<S>{probs, ldp}, row0, Columns<S>{g_out, ld}, 0, 0, n);
      Multiply<S, D / 8>::add(dk, Columns<S>{ds, ldp}, row0, Columns<S>{q, ld}, 0, 0, n);
    }
  store_rows(dk, a.dk, p.row0 + c0 + row0, p.row0, end, from * a.dim, a.dim, false);
  store_rows(dv, a.dv, p.row0 + c0 + row0, p.row0, end, from * a.dim, a.dim, false);
}

// grouped_queries does a tile of queries of a head, over the keys they see.
template <class S, int D>
__device__ __forceinline__ void grouped_queries(const GroupedArgs& a) {
  constexpr int n = Tile<S>::rows, ld = D + Tile<S>::pad, ldp = n + Tile<S>::pad;
  int tiles = (a.seq + n - 1) / n, a0 = blockIdx.x % tiles * n, head = blockIdx.x / tiles % a.heads, row0 = threadIdx.x / WARP * 16;
  Grouped p = grouped_of(a, blockIdx.x / tiles / a.heads);
  int from = head / (a.heads / a.kv_heads) * a.dim, end = p.row0 + a.seq;
  float *lse = (float*)DYNAMIC_SHARED(), *delta = lse + n;
  S *q = (S*)(delta + n), *g_out = q + n * ld, *k = g_out + n * ld, *v = k + n * ld, *ds = v + n * ld;
  load_queries<S, D>(a, p, head, a0, q, g_out, lse, delta);
  float dq[D / 8][4];
  zero(dq);
  int last = last_key(a, p, a0, n);
  for (int c0 = first_key(a, a0, n); c0 < last; c0 += n) {
    __syncthreads();
    load_tile<S, D>(k, a.k, p.row0 + c0, n, p.row0, end, from, a.dim, a.vector);
    load_tile<S, D>(v, a.v, p.row0 + c0, n, p.row0, end, from, a.dim, a.vector);
    __syncthreads();
    grouped_grads<S, D>(a, p, head, a0, c0, q, g_out, k, v, lse, delta, (S*)0, ds);
    __syncwarp();
    Multiply<S, D / 8>::add(dq, Rows<S>{ds, ldp}, row0, Columns<S>{k, ld}, 0, 0, n);
  }
  store_rows(dq, a.dq, p.row0 + a0 + row0, p.row0, end, head * a.dim, a.dim, false);
}

#define GROUPED(type, D)                                                                                                                   \
  KERNEL(grouped_##type##_##D, GroupedArgs, 2 * Tile<type>::rows) { grouped_forward<type, D>(a, false); }                                  \
  KERNEL(grouped_stats_##type##_##D, GroupedArgs, 2 * Tile<type>::rows) { grouped_forward<type, D>(a, true); }                             \
  KERNEL(grouped_keys_##type##_##D, GroupedArgs, 2 * Tile<type>::rows) { grouped_keys<type, D>(a); }                                       \
  KERNEL(grouped_queries_##type##_##D, GroupedArgs, 2 * Tile<type>::rows) { grouped_queries<type, D>(a); }

GROUPED(float, 32)
GROUPED(float, 64)
GROUPED(float, 128)
GROUPED(bf16, 32)
GROUPED(bf16, 64)
GROUPED(bf16, 128)
