// A stand-in for libcuda and libcublasLt, with NVIDIA's signatures, that runs on the processor: for tests of everything between Go and the driver. Memory is
// the process's, streams are done at once, captured work is kept and repeated by cuGraphLaunch. fake_set injects failures.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>
#include <dlfcn.h>

typedef int CUresult;
typedef int CUdevice;
typedef unsigned long long CUdeviceptr;

static struct {
  long version = 13000, count = 1, lost_at = -1, limit = 1l << 40;
  long launches = 0, used = 0, current = 0, captures = 0, updates = 0, calls_without_context = 0;
} fake;

extern "C" void fake_set(int what, long value) {
  long* all[] = {&fake.version, &fake.count, &fake.lost_at, &fake.limit};
  *all[what] = value;
}
extern "C" long fake_get(int what) {
  long all[] = {fake.launches, fake.used, fake.captures, fake.updates, fake.calls_without_context};
  return all[what];
}

static int state() { return fake.lost_at >= 0 && fake.launches >= fake.lost_at ? 719 : 0; }

// in_context is what a call that needs one gives.
static int in_context() {
  if (!fake.current) {
    fake.calls_without_context++;
    return 201;
  }
  return state();
}

struct Function {
  std::string name;
  int (*run)(const void*, int, int, int, int);
  int size, shared;
};
struct Command {
  std::function<int()> run;
  std::vector<char>* args;
  Function* f;
};
struct Graph { std::vector<Command*> commands; };
struct Stream { Graph* capture; std::vector<void*> last; };

static std::map<CUdeviceptr, size_t> sizes;

static int queue(Stream* s, std::function<int()> f, std::vector<char>* args = nullptr, Function* of = nullptr) {
  if (!s->capture) return f();
  Command* c = new Command{f, args, of};
  s->capture->commands.push_back(c);
  s->last.assign(1, c);
  return 0;
}

// NVML, as far as it is asked. The clock is one thing the GPU does not tell.
extern "C" {
int nvmlInit_v2() { return 0; }
int nvmlSystemGetDriverVersion(char* v, unsigned n) { return snprintf(v, n, "580.1"), 0; }
int nvmlSystemGetProcessName(unsigned pid, char* name, unsigned n) { return snprintf(name, n, "python%u", pid), 0; }
int nvmlDeviceGetHandleByPciBusId_v2(const char* id, void** d) { return *d = &fake, strcmp(id, "0000:00:00.0") ? 6 : 0; }
struct NvmlProcess { unsigned pid; unsigned long long bytes; unsigned instance, partition; };
int nvmlDeviceGetComputeRunningProcesses_v3(void* d, unsigned* n, NvmlProcess* list) {
  *n = 1;
  list[0] = {3, 5000000000ull, 0, 0};
  return d == &fake ? 0 : 2;
}
int nvmlDeviceGetUtilizationRates(void* d, unsigned* rates) { return rates[0] = 87, rates[1] = 40, d == &fake ? 0 : 2; }
int nvmlDeviceGetMemoryInfo(void* d, unsigned long long* m) { return m[0] = 150, m[1] = 50, m[2] = 100, d == &fake ? 0 : 2; }
int nvmlDeviceGetTemperature(void* d, int sensor, unsigned* t) { return *t = 56, d == &fake && sensor == 0 ? 0 : 2; }
int nvmlDeviceGetClockInfo(void*, int, unsigned*) { return 3; }
int nvmlDeviceGetMaxClockInfo(void* d, int type, unsigned* mhz) { return *mhz = 1980, d == &fake && type == 1 ? 0 : 2; }
}

extern "C" {
CUresult cuInit(unsigned) { return fake.count ? 0 : 100; }
CUresult cuDriverGetVersion(int* v) { *v = fake.version; return 0; }
CUresult cuDeviceGetCount(int* n) { *n = fake.count; return 0; }
CUresult cuDeviceGet(CUdevice* d, int i) { *d = i; return i < fake.count ? 0 : 101; }
CUresult cuDeviceGetName(char* name, int n, CUdevice) { snprintf(name, n, "Processor"); return 0; }
CUresult cuDeviceGetPCIBusId(char* id, int n, CUdevice) { snprintf(id, n, "0000:00:00.0"); return 0; }
CUresult cuDeviceGetAttribute(int* v, int attribute, CUdevice) {
  std::map<int, int> all = {{16, 132}, {75, 9}, {76, 0}, {97, 232448}};
  if (!all.count(attribute)) return 1;
  *v = all[attribute];
  return 0;
}
CUresult cuDevicePrimaryCtxRetain(void** c, CUdevice) { *c = &fake; return 0; }
CUresult cuDevicePrimaryCtxRelease_v2(CUdevice) { return 0; }
CUresult cuCtxSetCurrent(void* c) { fake.current = c == &fake; return c == &fake ? 0 : 201; }
CUresult cuGetErrorName(CUresult r, const char** s) { *s = r == 2 ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR"; return 0; }
CUresult cuGetErrorString(CUresult r, const char** s) { *s = r == 719 ? "unspecified launch failure" : "error"; return 0; }
CUresult cuStreamCreate(void** s, unsigned flags) { *s = new Stream{}; return flags == 1 ? in_context() : 1; }
CUresult cuStreamDestroy_v2(void* s) { delete (Stream*)s; return in_context(); }
CUresult cuStreamSynchronize(void* s) { return ((Stream*)s)->capture ? 900 : in_context(); }
CUresult cuEventCreate(void** e, unsigned flags) { *e = new int(0); return flags == 2 ? in_context() : 1; }
CUresult cuEventDestroy_v2(void* e) { delete (int*)e; return in_context(); }
CUresult cuEventRecord(void* e, void* s) { *(int*)e = 1; return ((Stream*)s)->capture ? 900 : in_context(); }
CUresult cuEventSynchronize(void* e) { return *(int*)e ? in_context() : 1; }
CUresult cuMemAllocAsync(CUdeviceptr* p, size_t n, void* s) {
  if (((Stream*)s)->capture) return 900;
  if (fake.used + (long)n > fake.limit) return 2;
  *p = (CUdeviceptr)aligned_alloc(256, (n + 255) / 256 * 256);
  memset((void*)*p, 0xff, n);
  sizes[*p] = n;
  fake.used += n;
  return in_context();
}
CUresult cuMemFreeAsync(CUdeviceptr p, void* s) {
  if (!sizes.count(p) || ((Stream*)s)->capture) return 1;
  fake.used -= sizes[p];
  sizes.erase(p);
  free((void*)p);
  return in_context();
}
CUresult cuMemGetInfo_v2(size_t* f, size_t* t) { *f = fake.limit - fake.used, *t = fake.limit; return in_context(); }
CUresult cuMemAllocHost_v2(void** p, size_t n) { *p = malloc(n); return in_context(); }
CUresult cuMemFreeHost(void* p) { free(p); return in_context(); }
CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void* from, size_t n, void* s) {
  return in_context() ? in_context() : queue((Stream*)s, [=] { return memcpy((void*)to, from, n), 0; });
}
CUresult cuMemcpyDtoHAsync_v2(void* to, CUdeviceptr from, size_t n, void* s) {
  return in_context() ? in_context() : queue((Stream*)s, [=] { return memcpy(to, (void*)from, n), 0; });
}
CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char v, size_t n, void* s) {
  return in_context() ? in_context() : queue((Stream*)s, [=] { return memset((void*)to, v, n), 0; });
}
CUresult cuDeviceGetDefaultMemPool(void** p, CUdevice) { *p = &sizes; return 0; }
CUresult cuMemPoolSetAttribute(void* p, int attribute, void* v) { return p == &sizes && attribute == 4 && *(uint64_t*)v == ~0ull ? 0 : 1; }
CUresult cuModuleLoadData(void** m, const void* image) { *m = &fake; return memcmp(image, "\177ELF", 4) ? 200 : in_context(); }
CUresult cuModuleUnload(void*) { return in_context(); }
CUresult cuModuleGetFunction(void** f, void* m, const char* name) {
  void *run = dlsym(RTLD_DEFAULT, (std::string("host_") + name).c_str()), *size = dlsym(RTLD_DEFAULT, (std::string("size_") + name).c_str());
  if (!run || !size || m != &fake) return 500;
  *f = new Function{name, (int (*)(const void*, int, int, int, int))run, ((int (*)())size)(), 49152};
  return in_context();
}
CUresult cuFuncSetAttribute(void* f, int attribute, int v) {
  if (attribute != 8 || v > 232448) return 1;
  ((Function*)f)->shared = v;
  return in_context();
}
CUresult cuLaunchKernel(void* function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, void* s, void** params,
                        void** extra) {
  Function* f = (Function*)function;
  if (gz != 1 || by != 1 || bz != 1 || extra || (int)shared > f->shared) return 1;
  if (int bad = in_context()) return bad;
  auto* args = new std::vector<char>((char*)params[0], (char*)params[0] + f->size);
  return queue((Stream*)s, [=] { return fake.launches++, f->run(args->data(), gx, gy, bx, shared) ? 719 : 0; }, args, f);
}
CUresult cuStreamBeginCapture_v2(void* s, int mode) { ((Stream*)s)->capture = new Graph{}; fake.captures++; return mode == 2 ? in_context() : 1; }
CUresult cuStreamEndCapture(void* s, void** g) {
  *g = ((Stream*)s)->capture;
  ((Stream*)s)->capture = nullptr;
  return in_context();
}
CUresult cuStreamGetCaptureInfo_v2(void* s, int* status, unsigned long long* id, void** graph, const void*** nodes, size_t* n) {
  Stream* at = (Stream*)s;
  *status = at->capture ? 1 : 0, *id = 1, *graph = at->capture, *nodes = (const void**)at->last.data(), *n = at->last.size();
  return in_context();
}
CUresult cuGraphInstantiateWithFlags(void** e, void* g, unsigned long long flags) { *e = g; return flags ? 1 : in_context(); }
struct NodeParams { void* f; unsigned gx, gy, gz, bx, by, bz, shared; void **params, **extra; void *kernel, *context; };
CUresult cuGraphExecKernelNodeSetParams_v2(void* e, void* node, const NodeParams* p) {
  Command* c = (Command*)node;
  if (c->f != p->f || p->gz != 1 || p->by != 1 || p->bz != 1 || p->extra) return 1;
  memcpy(c->args->data(), p->params[0], c->f->size);
  fake.updates++;
  return in_context();
}
CUresult cuGraphLaunch(void* e, void* s) {
  for (Command* c : ((Graph*)e)->commands)
    if (int bad = state() ? state() : c->run()) return bad;
  return in_context();
}
CUresult cuGraphExecDestroy(void*) { return in_context(); }
CUresult cuGraphDestroy(void* g) {
  delete (Graph*)g;
  return in_context();
}

// cuBLASLt. Attributes are kept as numbers by their own.
struct Attributes { std::map<int, int64_t> of; int type; int64_t rows, cols, ld; };
static int set(void* a, int which, const void* v, size_t n) {
  int64_t x = 0;
  memcpy(&x, v, n);
  ((Attributes*)a)->of[which] = x;
  return 0;
}
int cublasLtCreate(void** h) { *h = &fake; return in_context(); }
int cublasLtDestroy(void*) { return in_context(); }
size_t cublasLtGetVersion() { return 130000; }
int cublasLtMatmulDescCreate(void** d, int compute, int scale) { *d = new Attributes{}; return compute == 68 && scale == 0 ? 0 : 7; }
int cublasLtMatmulDescDestroy(void* d) { delete (Attributes*)d; return 0; }
int cublasLtMatmulDescSetAttribute(void* d, int which, const void* v, size_t n) { return set(d, which, v, n); }
int cublasLtMatrixLayoutCreate(void** l, int type, uint64_t rows, uint64_t cols, int64_t ld) {
  *l = new Attributes{{}, type, (int64_t)rows, (int64_t)cols, ld};
  return ld >= (int64_t)rows ? 0 : 7;
}
int cublasLtMatrixLayoutDestroy(void* l) { delete (Attributes*)l; return 0; }
int cublasLtMatrixLayoutSetAttribute(void* l, int which, const void* v, size_t n) { return set(l, which, v, n); }
int cublasLtMatmulPreferenceCreate(void** p) { *p = new Attributes{}; return 0; }
int cublasLtMatmulPreferenceDestroy(void* p) { delete (Attributes*)p; return 0; }
int cublasLtMatmulPreferenceSetAttribute(void* p, int which, const void* v, size_t n) { return set(p, which, v, n); }
struct Choice { uint64_t algorithm[8], workspace; int state; float waves; int reserved[4]; };
int cublasLtMatmulAlgoGetHeuristic(void*, void*, void*, void*, void*, void*, void* preference, int asked, Choice* out, int* n) {
  *out = Choice{{42}, 0, 0, 1.f, {}};
  *n = asked == 1 && ((Attributes*)preference)->of[1] > 0 ? 1 : 0;
  return 0;
}
static double number(const void* p, int64_t i, int type) {
  if (type == 0) return ((const float*)p)[i];
  uint32_t u = (uint32_t)((const uint16_t*)p)[i] << 16;
  float x;
  memcpy(&x, &u, 4);
  return x;
}
int cublasLtMatmul(void* handle, void* desc, const float* alpha, const void* A, void* al, const void* B, void* bl, const float* beta, const void* C, void* cl,
                   void* D, void* dl, const uint64_t* algorithm, void* workspace, size_t bytes, void* s) {
  if (handle != &fake || algorithm[0] != 42 || bytes == 0 || !sizes.count((CUdeviceptr)workspace)) return 7;
  if (int bad = in_context()) return bad;
  Attributes d = *(Attributes*)desc, a = *(Attributes*)al, b = *(Attributes*)bl, c = *(Attributes*)cl, o = *(Attributes*)dl;
  float scale = *alpha, add = *beta;
  return queue((Stream*)s, [=]() mutable {
    bool ta = d.of[3], tb = d.of[4];
    int64_t k = ta ? a.rows : a.cols, batch = o.of.count(5) ? o.of[5] : 1;
    const float* bias = d.of[7] == 4 ? (const float*)d.of[8] : nullptr;
    if ((ta ? a.cols : a.rows) != o.rows || (tb ? b.rows : b.cols) != o.cols || (tb ? b.cols : b.rows) != k) return 7;
    for (int64_t n = 0; n < batch; n++)
      for (int64_t j = 0; j < o.cols; j++)
        for (int64_t i = 0; i < o.rows; i++) {
          double sum = 0;
          for (int64_t x = 0; x < k; x++)
            sum += number(A, n * a.of[6] + (ta ? i * a.ld + x : x * a.ld + i), a.type) * number(B, n * b.of[6] + (tb ? x * b.ld + j : j * b.ld + x), b.type);
          sum *= scale;
          if (add != 0) sum += add * (double)((const float*)C)[n * c.of[6] + j * c.ld + i];
          if (bias) sum += bias[i];
          ((float*)D)[n * o.of[6] + j * o.ld + i] = (float)sum;
        }
    return 0;
  });
}
}
