// Products of tiles in shared memory. A warp computes 16 rows of a result; thread (g, t) = (lane/4, lane%4) holds of every 8 columns the elements
// (g, 2t), (g, 2t+1), (g+8, 2t), (g+8, 2t+1): the layout of the tensor cores' mma.m16n8k16, which bfloat16 tiles use. Tiles of float32, for checking,
// are multiplied by ordinary arithmetic in the same layout.

template <class S> struct Tile;
// rounded is x as a tile holds it.
template <class S> __device__ __forceinline__ float rounded(float x) {
  S s;
  store(&s, x);
  return load(&s);
}

template <> struct Tile<float> { static constexpr int rows = 32, pad = 1; };
template <> struct Tile<bf16> { static constexpr int rows = 64, pad = 8; };

#ifndef FLEXI_HOST
__device__ __forceinline__ void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#endif

// Operands are seen as (row, k) elements; pair is two neighbours in k, as the tensor cores take them.

// Rows: element (r, k) is p[r][k].
template <class S> struct Rows {
  const S* p; int ld;
  __device__ __forceinline__ float get(int r, int k) const { return load(p + r * ld + k); }
  __device__ __forceinline__ uint32_t pair(int r, int k) const { return *(const uint32_t*)(p + r * ld + k); }
};

// Columns: element (r, k) is p[k][r].
template <class S> struct Columns {
  const S* p; int ld;
  __device__ __forceinline__ float get(int r, int k) const { return load(p + k * ld + r); }
  __device__ __forceinline__ uint32_t pair(int r, int k) const { return p[k * ld + r].bits | (uint32_t)p[(k + 1) * ld + r].bits << 16; }
};

// Skewed: element (a, w) is p[a][a + n - 1 - w], zero outside of the tile's n columns: scores by distance instead of by key.
template <class S, int n> struct Skewed {
  const S* p; int ld;
  __device__ __forceinline__ float get(int a, int w) const {
    int c = a + n - 1 - w;
    return c >= 0 && c < n ? load(p + a * ld + c) : 0.f;
  }
  __device__ __forceinline__ uint32_t bits(int a, int w) const {
    int c = a + n - 1 - w;
    return c >= 0 && c < n ? p[a * ld + c].bits : 0u;
  }
  __device__ __forceinline__ uint32_t pair(int a, int w) const { return bits(a, w) | bits(a, w + 1) << 16; }
};

// SkewedColumns: element (w, a) is element (a, w) of Skewed.
template <class S, int n> struct SkewedColumns {
  Skewed<S, n> of;
  __device__ __forceinline__ float get(int w, int a) const { return of.get(a, w); }
  __device__ __forceinline__ uint32_t pair(int w, int a) const { return of.bits(a, w) | of.bits(a + 1, w) << 16; }
};

// multiply adds A[row0.., k0..k0+count)·B[col0.., k0..k0+count)ᵀ to 16 rows and 8·N columns.
template <class S, int N> struct Multiply;

template <int N> struct Multiply<float, N> {
  template <class A, class B>
  static __device__ __forceinline__ void add(float (&acc)[N][4], const A& x, int row0, const B& y, int col0, int k0, int count) {
    int g = threadIdx.x % WARP / 4, t = threadIdx.x % 4;
    for (int k = k0; k < k0 + count; k++) {
      float low = x.get(row0 + g, k), high = x.get(row0 + g + 8, k);
#pragma unroll
      for (int n = 0; n < N; n++) {
        float left = y.get(col0 + n * 8 + 2 * t, k), right = y.get(col0 + n * 8 + 2 * t + 1, k);
        acc[n][0] += low * left;
        acc[n][1] += low * right;
        acc[n][2] += high * left;
        acc[n][3] += high * right;
      }
    }
  }
};

template <int N> struct Multiply<bf16, N> {
  template <class A, class B>
  static __device__ __forceinline__ void add(float (&acc)[N][4], const A& x, int row0, const B& y, int col0, int k0, int count) {
    int g = threadIdx.x % WARP / 4, t = threadIdx.x % 4;
    for (int k = k0 + 2 * t; k < k0 + count; k += 16) {
      uint32_t a[4] = {x.pair(row0 + g, k), x.pair(row0 + g + 8, k), x.pair(row0 + g, k + 8), x.pair(row0 + g + 8, k + 8)};
#pragma unroll
      for (int n = 0; n < N; n++) {
        uint32_t b[2] = {y.pair(col0 + n * 8 + g, k), y.pair(col0 + n * 8 + g, k + 8)};
        mma_bf16(acc[n], a, b);
      }
    }
  }
};

template <int N>
__device__ __forceinline__ void zero(float (&acc)[N][4]) {
#pragma unroll
  for (int n = 0; n < N; n++)
    for (int e = 0; e < 4; e++) acc[n][e] = 0.f;
}

// raise brings the running softmax of a thread's two rows to a new largest score: high, of which each of the row's four threads has seen a part, takes the
// place of top, and what was summed so far shrinks by that much. A row that has seen nothing yet has a top of -infinity.
template <int N>
__device__ __forceinline__ void raise(float (&top)[2], float (&high)[2], float (&sum)[2], float (&out)[N][4]) {
#pragma unroll
  for (int h = 0; h < 2; h++) {
    high[h] = fmaxf(high[h], __shfl_xor_sync(FULL, high[h], 1));
    high[h] = fmaxf(high[h], __shfl_xor_sync(FULL, high[h], 2));
    float shrink = top[h] == -INF_F ? 0.f : expf(top[h] - high[h]);
    top[h] = high[h];
    sum[h] *= shrink;
#pragma unroll
    for (int n = 0; n < N; n++) {
      out[n][2 * h] *= shrink;
      out[n][2 * h + 1] *= shrink;
    }
  }
}

// load_tile copies rows [row0, row0+count) and dim columns from column col0 of a matrix into a tile of width D, with zeros where row is not in [low, high)
// and behind dim. vector says that dim and all rows are in whole, aligned groups of four.
template <class S, int D>
__device__ __forceinline__ void load_tile(S* to, const View& v, int row0, int count, int low, int high, int col0, int dim, int vector) {
  constexpr int ld = D + Tile<S>::pad;
  for (int at = threadIdx.x * 4; at < count * D; at += blockDim.x * 4) {
    int r = at / D, d = at % D, from = row0 + r;
    float x[4] = {0.f, 0.f, 0.f, 0.f};
    if (from >= low && from < high) {
      const float* p = row_of(v, from) + col0 + d;
      if (vector && d < dim) {
        float4 all = *(const float4*)p;
        x[0] = all.x, x[1] = all.y, x[2] = all.z, x[3] = all.w;
      } else {
#pragma unroll
        for (int e = 0; e < 4; e++)
          if (d + e < dim) x[e] = p[e];
      }
    }
#pragma unroll
    for (int e = 0; e < 4; e++) store(to + r * ld + d + e, x[e]);
  }
}

// store_rows writes, or adds, 16 rows of a result to rows [row0, row0+16) of a matrix, those in [low, high) and the columns below dim.
template <int N>
__device__ __forceinline__ void store_rows(const float (&acc)[N][4], const View& v, int row0, int low, int high, int col0, int dim, bool accumulate) {
  int g = threadIdx.x % WARP / 4, t = threadIdx.x % 4;
#pragma unroll
  for (int n = 0; n < N; n++)
#pragma unroll
    for (int e = 0; e < 4; e++) {
      int r = row0 + g + e / 2 * 8, d = n * 8 + 2 * t + e % 2;
      if (r < low || r >= high || d >= dim) continue;
      float* p = row_of(v, r) + col0 + d;
      *p = accumulate ? *p + acc[n][e] : acc[n][e];
    }
}
