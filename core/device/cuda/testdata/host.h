// CUDA for the processor: enough of it to run this package's kernels in tests, one thread block after the other on one thread. Every CUDA thread is a
// fiber that runs until it waits for its warp or block. Blocks and threads run in ascending order, or in descending order when host_descending is set: a
// kernel whose result depends on the order has a race. Dynamic shared memory holds NaNs at the start of every block.
#pragma once
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define FLEXI_HOST 1
#define __device__
#define __forceinline__ inline
#define __shared__ static
#define NAN_F __builtin_nanf("")
#define INF_F __builtin_inff()
#define KERNEL(name, Args, threads)                                                                          \
  static void name##_kernel(const Args& a);                                                                  \
  static void name##_call(const void* a) { name##_kernel(*(const Args*)a); }                                 \
  extern "C" int host_##name(const void* args, int gx, int gy, int block, int shared) {                      \
    if (block > threads) return host::fail(#name ": more threads than its launch bound");                    \
    return host::launch(name##_call, args, gx, gy, block, shared);                                           \
  }                                                                                                          \
  extern "C" int size_##name() { return sizeof(Args); }                                                      \
  static void name##_kernel(const Args& a)

struct float4 { float x, y, z, w; };
struct Index { unsigned x, y, z; };
static Index threadIdx, blockIdx, blockDim, gridDim;
static int host_descending;
extern "C" void host_order(int descending) { host_descending = descending; }

extern "C" void host_switch(void** save, void* to);
asm(R"(
.text
.globl host_switch
.type host_switch, @function
host_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
)");

namespace host {

enum State { ready, at_warp, at_block, done };
constexpr int max_threads = 1024, stack_bytes = 1 << 16;
constexpr int max_shared = 232448; // of a Hopper block

struct Fiber { void* sp; State state; };
static Fiber fibers[max_threads];
static char *stacks, *shared_memory;
static void* scheduler;
static int current, count;
static void (*body)(const void*);
static const void* arguments;
static union { float f; double d; int i; uint32_t u[8]; } slots[max_threads];

static int fail(const char* what) {
  fprintf(stderr, "host kernels: %s\n", what);
  return 1;
}

static void wait(State s) {
  fibers[current].state = s;
  host_switch(&fibers[current].sp, scheduler);
}

static void entry() {
  body(arguments);
  for (;;) wait(done);
}

static void start(int i) {
  uintptr_t top = ((uintptr_t)(stacks + (size_t)(i + 1) * stack_bytes) & ~(uintptr_t)15) - 8;
  void** sp = (void**)top;
  *--sp = (void*)entry;
  for (int r = 0; r < 6; r++) *--sp = nullptr;
  fibers[i] = {sp, ready};
}

// release makes threads [lo, hi) ready if all that still run wait as said, and at least one does.
static bool release(int lo, int hi, State s) {
  bool any = false;
  for (int i = lo; i < hi; i++) {
    if (fibers[i].state == s) any = true;
    else if (fibers[i].state != done) return false;
  }
  for (int i = lo; any && i < hi; i++)
    if (fibers[i].state == s) fibers[i].state = ready;
  return any;
}

static int run_block() {
  for (int i = 0; i < count; i++) start(i);
  for (;;) {
    for (int k = 0; k < count; k++) {
      int i = host_descending ? count - 1 - k : k;
      if (fibers[i].state != ready) continue;
      current = i;
      threadIdx = {(unsigned)i, 0, 0};
      host_switch(&scheduler, fibers[i].sp);
    }
    bool moved = release(0, count, at_block), left = false;
    for (int w = 0; w < count; w += 32) moved |= release(w, w + 32 < count ? w + 32 : count, at_warp);
    for (int i = 0; i < count; i++) left |= fibers[i].state != done;
    if (!left) return 0;
    if (!moved) return fail("threads wait for each other");
  }
}

static int launch(void (*f)(const void*), const void* args, int gx, int gy, int block, int shared) {
  if (block > max_threads || block % 32 != 0 || shared > max_shared || gy > 65535 || gx < 1 || gy < 1) return fail("launch out of range");
  if (!stacks) {
    stacks = (char*)mmap(nullptr, (size_t)max_threads * stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    shared_memory = (char*)aligned_alloc(128, max_shared + 128);
  }
  body = f, arguments = args, count = block;
  blockDim = {(unsigned)block, 1, 1};
  gridDim = {(unsigned)gx, (unsigned)gy, 1};
  for (long k = 0; k < (long)gx * gy; k++) {
    long at = host_descending ? (long)gx * gy - 1 - k : k;
    blockIdx = {(unsigned)(at % gx), (unsigned)(at / gx), 0};
    memset(shared_memory, 0xff, shared);
    if (int bad = run_block()) return bad;
  }
  return 0;
}

} // namespace host

#define DYNAMIC_SHARED() (host::shared_memory)
static void __syncthreads() { host::wait(host::at_block); }
static void __syncwarp() { host::wait(host::at_warp); }

// A shuffle: every lane shows its value, then reads another's.
template <class T>
static T __shfl_xor_sync(uint32_t, T x, int by) {
  int me = host::current;
  memcpy(&host::slots[me], &x, sizeof x);
  __syncwarp();
  memcpy(&x, &host::slots[me ^ by], sizeof x);
  __syncwarp();
  return x;
}

// mma.m16n8k16 of bfloat16 as the PTX manual lays out its fragments.
static void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  int me = host::current, warp = me / 32 * 32, g = me % 32 / 4, t = me % 4;
  for (int r = 0; r < 4; r++) host::slots[me].u[r] = a[r];
  for (int r = 0; r < 2; r++) host::slots[me].u[4 + r] = b[r];
  __syncwarp();
  for (int e = 0; e < 4; e++) {
    int row = g + e / 2 * 8, col = 2 * t + e % 2;
    for (int k = 0; k < 16; k++) {
      uint32_t x = host::slots[warp + row % 8 * 4 + k % 8 / 2].u[row / 8 + k / 8 * 2] >> (k % 2 * 16) << 16;
      uint32_t y = host::slots[warp + col * 4 + k % 8 / 2].u[4 + k / 8] >> (k % 2 * 16) << 16;
      float left, right;
      memcpy(&left, &x, 4);
      memcpy(&right, &y, 4);
      d[e] += left * right;
    }
  }
  __syncwarp();
}

static inline float __uint_as_float(uint32_t u) {
  float x;
  memcpy(&x, &u, 4);
  return x;
}
template <class A, class B> static inline auto min(A a, B b) -> decltype(a + b) { return a < b ? a : b; }
template <class A, class B> static inline auto max(A a, B b) -> decltype(a + b) { return a > b ? a : b; }
static inline int atomicAdd(int* p, int x) {
  int old = *p;
  *p += x;
  return old;
}
static inline unsigned long long atomicMin(unsigned long long* p, unsigned long long x) {
  unsigned long long old = *p;
  if (x < old) *p = x;
  return old;
}
