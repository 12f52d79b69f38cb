package cuda

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/ebitengine/purego"
)

// functions of libcuda. All are in drivers from CUDA 12.0 on.
var driverFunctions = []string{
	"cuInit", "cuDriverGetVersion", "cuDeviceGetCount", "cuDeviceGet", "cuDeviceGetName", "cuDeviceGetAttribute", "cuDeviceGetPCIBusId",
	"cuDevicePrimaryCtxRetain", "cuDevicePrimaryCtxRelease_v2", "cuCtxSetCurrent", "cuGetErrorName", "cuGetErrorString", "cuStreamCreate",
	"cuStreamDestroy_v2", "cuStreamSynchronize", "cuMemAllocAsync", "cuMemFreeAsync", "cuMemGetInfo_v2", "cuMemAllocHost_v2", "cuMemFreeHost",
	"cuMemcpyHtoDAsync_v2", "cuMemcpyDtoHAsync_v2", "cuMemsetD8Async", "cuDeviceGetDefaultMemPool", "cuMemPoolSetAttribute", "cuModuleLoadData",
	"cuModuleUnload", "cuModuleGetFunction", "cuFuncSetAttribute", "cuLaunchKernel", "cuStreamBeginCapture_v2", "cuStreamEndCapture",
	"cuStreamGetCaptureInfo_v2", "cuGraphInstantiateWithFlags", "cuGraphExecKernelNodeSetParams_v2", "cuGraphLaunch", "cuGraphExecDestroy",
	"cuGraphDestroy", "cuEventCreate", "cuEventRecord", "cuEventSynchronize", "cuEventDestroy_v2",
}

// leastDriver is the version that has all of them, and runs what NVRTC 12 makes.
const leastDriver = 12000

// Numbers of the driver's interface.
const (
	attributeProcessors  = 16
	attributeMajor       = 75
	attributeMinor       = 76
	attributeShared      = 97 // that a block may ask for
	functionSharedBytes  = 8
	poolReleaseThreshold = 4
	streamNonBlocking    = 1
	eventNoTiming        = 2
	captureRelaxed       = 2
)

// gpu is a GPU through libcuda.
type gpu struct {
	lib       *library
	blas      *blas
	monitor   *monitor
	device    int32
	context   uintptr
	stream    uintptr
	module    uintptr
	functions [kernels]uintptr
	about     info
	host      uintptr // pinned memory
	events    [marks]uintptr
	params    [1]unsafe.Pointer
	capturing *gpuGraph
}

var _ driver = (*gpu)(nil)

// openDriver finds libcuda and counts the GPUs.
func openDriver() (lib *library, version, count int, err error) {
	lib, err = openLibrary(driverNames, driverFunctions[:2])
	if err != nil {
		return nil, 0, 0, fmt.Errorf("%w: the driver's library libcuda was not found: %w", ErrNoGPU, err)
	}
	g := &gpu{lib: lib}
	var v, n int32
	if err := g.call("cuDriverGetVersion", uintptr(unsafe.Pointer(&v))); err != nil {
		return lib, 0, 0, err
	}
	if v < leastDriver {
		return lib, int(v), 0, fmt.Errorf("%w: it is for CUDA %s, flexi needs one for %s or later: update the driver", ErrOldDriver, cudaVersion(int(v)),
			cudaVersion(leastDriver))
	}
	if lib, err = openLibrary([]string{lib.path}, driverFunctions); err != nil {
		return nil, int(v), 0, fmt.Errorf("%w: %w", ErrOldDriver, err)
	}
	g.lib = lib
	if err := g.call("cuInit", 0); err != nil {
		return lib, int(v), 0, fmt.Errorf("%w: %w", ErrNoGPU, err)
	}
	if err := g.call("cuDeviceGetCount", uintptr(unsafe.Pointer(&n))); err != nil || n == 0 {
		return lib, int(v), 0, errors.Join(fmt.Errorf("%w: the driver sees none", ErrNoGPU), err)
	}
	return lib, int(v), int(n), nil
}

// call makes one call of the driver with this GPU's context on the calling thread.
//
//go:uintptrescapes
func (g *gpu) call(name string, args ...uintptr) error {
	leave, err := g.enter()
	if err != nil {
		return err
	}
	defer leave()
	if bad, _, _ := purego.SyscallN(g.lib.call[name], args...); bad != 0 {
		return g.failure(name, code(int32(bad)))
	}
	return nil
}

// enter keeps the goroutine on its thread until leave, with this GPU's context on it.
func (g *gpu) enter() (leave func(), err error) {
	runtime.LockOSThread()
	if g.context != 0 {
		if bad, _, _ := purego.SyscallN(g.lib.call["cuCtxSetCurrent"], g.context); bad != 0 {
			runtime.UnlockOSThread()
			return nil, g.failure("cuCtxSetCurrent", code(int32(bad)))
		}
	}
	return runtime.UnlockOSThread, nil
}

func (g *gpu) failure(call string, c code) error {
	r := &result{call: call, code: c}
	for _, f := range []string{"cuGetErrorName", "cuGetErrorString"} {
		var at *byte
		if fn := g.lib.call[f]; fn != 0 {
			if bad, _, _ := purego.SyscallN(fn, uintptr(c), uintptr(unsafe.Pointer(&at))); bad == 0 && at != nil {
				r.text += cText(at) + " "
			}
		}
	}
	return r
}

// openGPU makes GPU number index ready: context, stream, memory pool, kernels, products.
func openGPU(index int) (*gpu, error) {
	lib, version, count, err := openDriver()
	if err != nil {
		return nil, err
	}
	if index < 0 || index >= count {
		return nil, fmt.Errorf("%w number %d: there are %d, from 0", ErrNoGPU, index, count)
	}
	nvrtc, err := openCompiler()
	if err != nil {
		return nil, err
	}
	g := &gpu{lib: lib}
	if err := g.prepare(index, version, nvrtc); err != nil {
		_ = g.close()
		return nil, err
	}
	return g, nil
}

func (g *gpu) prepare(index, version int, nvrtc *compiler) error {
	if err := g.describe(index, version); err != nil {
		return err
	}
	if g.about.major < 8 {
		return fmt.Errorf("%s is of compute capability %d.%d, the kernels need 8.0 or later: use --device cpu", g.about.name, g.about.major, g.about.minor)
	}
	code, err := nvrtc.kernelCode(fmt.Sprintf("sm_%d%d", g.about.major, g.about.minor))
	if err != nil {
		return err
	}
	if err := g.call("cuDevicePrimaryCtxRetain", uintptr(unsafe.Pointer(&g.context)), uintptr(g.device)); err != nil {
		return err
	}
	if err := g.call("cuStreamCreate", uintptr(unsafe.Pointer(&g.stream)), streamNonBlocking); err != nil {
		return err
	}
	for i := range g.events {
		if err := g.call("cuEventCreate", uintptr(unsafe.Pointer(&g.events[i])), eventNoTiming); err != nil {
			return err
		}
	}
	if err := g.keepMemory(); err != nil {
		return err
	}
	if err := g.load(code); err != nil {
		return err
	}
	g.monitor, _ = openMonitor() // without it messages say less
	g.blas, err = openBlas(g)
	return err
}

func (g *gpu) describe(index, version int) error {
	if err := g.call("cuDeviceGet", uintptr(unsafe.Pointer(&g.device)), uintptr(index)); err != nil {
		return err
	}
	name := make([]byte, 256)
	if err := g.call("cuDeviceGetName", uintptr(unsafe.Pointer(&name[0])), uintptr(len(name)), uintptr(g.device)); err != nil {
		return err
	}
	g.about = info{name: text(name), driverVersion: version}
	for attribute, to := range map[int]*int{
		attributeMajor: &g.about.major, attributeMinor: &g.about.minor, attributeProcessors: &g.about.processors, attributeShared: &g.about.sharedBytes,
	} {
		var v int32
		if err := g.call("cuDeviceGetAttribute", uintptr(unsafe.Pointer(&v)), uintptr(attribute), uintptr(g.device)); err != nil {
			return err
		}
		*to = int(v)
	}
	return nil
}

// keepMemory lets the driver's pool keep what is freed, instead of giving it back to the system at every synchronisation.
func (g *gpu) keepMemory() error {
	var pool uintptr
	if err := g.call("cuDeviceGetDefaultMemPool", uintptr(unsafe.Pointer(&pool)), uintptr(g.device)); err != nil {
		return err
	}
	all := ^uint64(0)
	return g.call("cuMemPoolSetAttribute", pool, poolReleaseThreshold, uintptr(unsafe.Pointer(&all)))
}

// load finds the kernels in machine code.
func (g *gpu) load(image []byte) error {
	if err := g.call("cuModuleLoadData", uintptr(unsafe.Pointer(&g.module)), uintptr(unsafe.Pointer(&image[0]))); err != nil {
		return fmt.Errorf("load kernels: %w", err)
	}
	for k, name := range names {
		n := append([]byte(name), 0)
		if err := g.call("cuModuleGetFunction", uintptr(unsafe.Pointer(&g.functions[k])), g.module, uintptr(unsafe.Pointer(&n[0]))); err != nil {
			return fmt.Errorf("load kernel %s: %w", name, err)
		}
		if kernel(k) >= attentionF32 {
			if err := g.call("cuFuncSetAttribute", g.functions[k], functionSharedBytes, uintptr(g.about.sharedBytes-reservedShared)); err != nil {
				return fmt.Errorf("shared memory of kernel %s: %w", name, err)
			}
		}
	}
	return nil
}

func (g *gpu) info() info { return g.about }

func (g *gpu) alloc(bytes int) (uintptr, error) {
	if g.capturing != nil {
		return 0, errors.New("memory asked for while a graph is recorded")
	}
	var at uintptr
	err := g.call("cuMemAllocAsync", uintptr(unsafe.Pointer(&at)), uintptr(bytes), g.stream)
	return at, err
}

func (g *gpu) free(p uintptr) error { return g.call("cuMemFreeAsync", p, g.stream) }

func (g *gpu) memory() (free, total int, err error) {
	var f, t uint64
	err = g.call("cuMemGetInfo_v2", uintptr(unsafe.Pointer(&f)), uintptr(unsafe.Pointer(&t)))
	return int(f), int(t), err
}

func (g *gpu) holders() []holder {
	if g.monitor == nil {
		return nil
	}
	bus, err := g.bus()
	if err != nil {
		return nil
	}
	return g.monitor.holders(bus)
}

// bus is the id by which NVML knows the GPU.
func (g *gpu) bus() (string, error) {
	id := make([]byte, 32)
	err := g.call("cuDeviceGetPCIBusId", uintptr(unsafe.Pointer(&id[0])), uintptr(len(id)), uintptr(g.device))
	return text(id), err
}

func (g *gpu) pinned(bytes int) ([]byte, error) {
	if err := g.call("cuMemAllocHost_v2", uintptr(unsafe.Pointer(&g.host)), uintptr(bytes)); err != nil {
		return nil, err
	}
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&g.host)), bytes), nil
}

func (g *gpu) upload(to uintptr, from []byte) error {
	return g.call("cuMemcpyHtoDAsync_v2", to, uintptr(unsafe.Pointer(&from[0])), uintptr(len(from)), g.stream)
}

func (g *gpu) download(to []byte, from uintptr) error {
	return g.call("cuMemcpyDtoHAsync_v2", uintptr(unsafe.Pointer(&to[0])), from, uintptr(len(to)), g.stream)
}

func (g *gpu) fill(to uintptr, value byte, bytes int) error {
	return g.call("cuMemsetD8Async", to, uintptr(value), uintptr(bytes), g.stream)
}

func (g *gpu) launch(l launch) error {
	g.params[0] = l.args
	err := g.call("cuLaunchKernel", g.functions[l.kernel], uintptr(l.columns), uintptr(l.rows), 1, uintptr(l.block), 1, 1, uintptr(l.shared), g.stream,
		uintptr(unsafe.Pointer(&g.params)), 0)
	if err == nil && g.capturing != nil {
		err = g.capturing.note()
	}
	return err
}

func (g *gpu) multiply(p product) error { return g.blas.multiply(p) }

func (g *gpu) mark(i int) error { return g.call("cuEventRecord", g.events[i], g.stream) }

func (g *gpu) await(i int) error { return g.call("cuEventSynchronize", g.events[i]) }

func (g *gpu) sync() error { return g.call("cuStreamSynchronize", g.stream) }

func (g *gpu) close() error {
	var problems []error
	if g.blas != nil {
		problems = append(problems, g.blas.close())
	}
	for _, c := range []struct {
		name string
		of   uintptr
	}{{"cuMemFreeHost", g.host}, {"cuModuleUnload", g.module}, {"cuEventDestroy_v2", g.events[0]}, {"cuEventDestroy_v2", g.events[1]}, {"cuStreamDestroy_v2", g.stream}} {
		if c.of != 0 {
			problems = append(problems, g.call(c.name, c.of))
		}
	}
	if g.context != 0 {
		problems = append(problems, g.call("cuDevicePrimaryCtxRelease_v2", uintptr(g.device)))
	}
	return errors.Join(problems...)
}
