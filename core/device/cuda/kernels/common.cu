// What every kernel uses. All files of this folder are compiled as one, in the order of compile.go, by NVRTC for a GPU and, in tests, by g++ behind
// testdata/host.h, which stands in for CUDA. Only what both understand is used.
//
// A kernel takes one struct, whose fields are those of the Go struct beside its launch. Reductions have a fixed order: no atomic additions of
// floating-point numbers.

#ifndef FLEXI_HOST
typedef unsigned int uint32_t;
typedef unsigned long long uint64_t;
#define KERNEL(name, Args, threads) extern "C" __global__ void __launch_bounds__(threads) name(const __grid_constant__ Args a)
extern __shared__ float4 dynamic_shared_[];
#define DYNAMIC_SHARED() ((char*)dynamic_shared_)
#define NAN_F __int_as_float(0x7fc00000)
#define INF_F __int_as_float(0x7f800000)
#endif

#define WARP 32
#define FULL 0xffffffffu

struct bf16 { unsigned short bits; };

// View is a row-major matrix of float32, ld elements from row to row.
struct View { float* p; int rows, cols, ld, unused; };

__device__ __forceinline__ float* row_of(const View& v, int i) { return v.p + (long long)i * v.ld; }

// Drop is device.Dropout: an element is kept if its hash is at least the threshold. on is 0 if nothing is dropped.
struct Drop { uint32_t seed_low, seed_high, threshold; float scale; int on, unused; };

__device__ __forceinline__ uint32_t mix32(uint32_t x) {
  x ^= x >> 16; x *= 0x7feb352du;
  x ^= x >> 15; x *= 0x846ca68bu;
  return x ^ (x >> 16);
}

// drop_factor is what dropout multiplies element i by.
__device__ __forceinline__ float drop_factor(const Drop& d, uint32_t i) {
  return mix32(mix32(i ^ d.seed_low) ^ d.seed_high) >= d.threshold ? d.scale : 0.f;
}

__device__ __forceinline__ float dropped(const Drop& d, uint32_t i, float x) { return d.on ? x * drop_factor(d, i) : x; }

#ifdef FLEXI_HOST
inline uint32_t bf16_of(float x) {
  uint32_t u;
  memcpy(&u, &x, 4);
  if ((u & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
  return (u + 0x7fffu + ((u >> 16) & 1)) >> 16;
}
inline uint32_t pack_bf16(float low, float high) { return bf16_of(low) | bf16_of(high) << 16; }
#else
__device__ __forceinline__ uint32_t pack_bf16(float low, float high) {
  uint32_t out;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(out) : "f"(high), "f"(low));
  return out;
}
#endif

__device__ __forceinline__ void store(float* p, float x) { *p = x; }
__device__ __forceinline__ void store(bf16* p, float x) { p->bits = (unsigned short)pack_bf16(x, 0.f); }
__device__ __forceinline__ float load(const float* p) { return *p; }
__device__ __forceinline__ float load(const bf16* p) { return __uint_as_float((uint32_t)p->bits << 16); }

__device__ __forceinline__ float warp_sum(float x) {
  for (int o = 16; o > 0; o >>= 1) x += __shfl_xor_sync(FULL, x, o);
  return x;
}

__device__ __forceinline__ float warp_max(float x) {
  for (int o = 16; o > 0; o >>= 1) x = fmaxf(x, __shfl_xor_sync(FULL, x, o));
  return x;
}

// block_sum adds one value per thread in a fixed order; every thread gets the sum. The block has a multiple of 32 threads, at most 1024.
template <class T>
__device__ T block_sum(T x) {
  __shared__ T parts[32];
  for (int o = 16; o > 0; o >>= 1) x += __shfl_xor_sync(FULL, x, o);
  __syncthreads();
  if (threadIdx.x % WARP == 0) parts[threadIdx.x / WARP] = x;
  __syncthreads();
  T sum = 0;
  for (int w = 0; w < (int)(blockDim.x / WARP); w++) sum += parts[w];
  return sum;
}

__device__ float block_max(float x) {
  __shared__ float parts[32];
  x = warp_max(x);
  __syncthreads();
  if (threadIdx.x % WARP == 0) parts[threadIdx.x / WARP] = x;
  __syncthreads();
  float top = parts[0];
  for (int w = 1; w < (int)(blockDim.x / WARP); w++) top = fmaxf(top, parts[w]);
  return top;
}

// The exact GELU, x·Phi(x), and its derivative Phi(x) + x·phi(x).
__device__ __forceinline__ float gelu(float x) { return 0.5f * x * (1.f + erff(x * 0.70710678118654752f)); }

__device__ __forceinline__ float gelu_slope(float x) {
  return 0.5f * (1.f + erff(x * 0.70710678118654752f)) + x * 0.39894228040143268f * expf(-0.5f * x * x);
}

enum Act { IDENTITY, GELU, TANH };

// row_at is the row of element number at of a matrix of cols columns; division of 32 bits is several times faster than that of 64.
__device__ __forceinline__ int row_at(long long at, int cols) {
  return at >> 32 ? (int)(at / cols) : (int)((uint32_t)at / (uint32_t)cols);
}

// EACH visits the elements of a rows×cols matrix, columns first, each by one thread of the grid.
#define EACH(i, j, rows, cols) \
  for (long long at_ = (long long)blockIdx.x * blockDim.x + threadIdx.x, all_ = (long long)(rows) * (cols); at_ < all_; \
       at_ += (long long)gridDim.x * blockDim.x) \
    if (int i = row_at(at_, cols), j = (int)(at_ - (long long)i * (cols)); true)

// store_half writes element (i, j) of the copy in bfloat16 of a matrix of cols columns, if there is one: the next product finds it made.
__device__ __forceinline__ void store_half(bf16* half, int i, int cols, int j, float x) {
  if (half) store(half + (long long)i * cols + j, x);
}
