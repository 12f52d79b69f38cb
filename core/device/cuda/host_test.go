package cuda

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/ebitengine/purego"

	"flexi/core/device"
)

// host is a driver that runs the kernels on the processor: the same sources, compiled by g++ behind testdata/host.h. Its products follow cuBLASLt's
// definition. It has no memory to spare: what is freed is overwritten, and sizes are exact but for alignment.
type host struct {
	lib        *hostLibrary
	descending bool
	pieces     map[uintptr][]byte
	recording  *hostGraph
	launches   int
	// failures by the number of the call they happen at, counted over launches.
	lostAt int
	limit  int // bytes; 0 is none
	used   int
}

type hostLibrary struct {
	launch [kernels]uintptr
	size   [kernels]uintptr
	order  uintptr
}

var hostKernels = sync.OnceValues(func() (*hostLibrary, error) {
	if runtime.GOARCH != "amd64" || runtime.GOOS != "linux" {
		return nil, errors.New("the processor's stand-in for CUDA is written for linux/amd64")
	}
	compiler, err := exec.LookPath("g++")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "flexi-host-kernels")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) // the library stays mapped
	headers, err := filepath.Abs("testdata")
	if err != nil {
		return nil, err
	}
	text := filepath.Join(dir, "kernels.cc")
	if err := os.WriteFile(text, []byte("#include \"host.h\"\n"+source()), 0o600); err != nil {
		return nil, err
	}
	library := filepath.Join(dir, "kernels.so")
	out, err := exec.Command(compiler, "-std=c++17", "-O1", "-shared", "-fPIC", "-w", "-I", headers, text, "-o", library).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return openHost(library)
})

func openHost(library string) (*hostLibrary, error) {
	lib, err := purego.Dlopen(library, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, err
	}
	h := &hostLibrary{}
	for k, name := range names {
		if h.launch[k], err = purego.Dlsym(lib, "host_"+name); err != nil {
			return nil, err
		}
		if h.size[k], err = purego.Dlsym(lib, "size_"+name); err != nil {
			return nil, err
		}
	}
	h.order, err = purego.Dlsym(lib, "host_order")
	return h, err
}

func newHost(t *testing.T) *host {
	t.Helper()
	lib, err := hostKernels()
	switch {
	case err != nil && (errors.Is(err, exec.ErrNotFound) || strings.Contains(err.Error(), "stand-in")):
		t.Skip("kernels cannot be compiled for the processor: ", err)
	case err != nil:
		t.Fatal(err)
	}
	return &host{lib: lib, pieces: map[uintptr][]byte{}, lostAt: -1}
}

func openOn(t *testing.T, h *host, p device.Precision) *Device {
	t.Helper()
	d := newDevice(h, 0, p)
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func (h *host) info() info {
	return info{name: "processor", major: 9, driverVersion: 13000, processors: 1, sharedBytes: 232448}
}

func (h *host) alloc(bytes int) (uintptr, error) {
	if h.limit > 0 && h.used+bytes > h.limit {
		return 0, &result{"cuMemAllocAsync", outOfMemory, "out of memory"}
	}
	raw := make([]byte, bytes+256)
	for i := range raw {
		raw[i] = 0xff
	}
	at := (uintptr(unsafe.Pointer(&raw[0])) + 255) &^ 255
	h.pieces[at], h.used = raw, h.used+bytes
	return at, nil
}

func (h *host) free(p uintptr) error {
	raw, ok := h.pieces[p]
	if !ok {
		return &result{"cuMemFreeAsync", 1, "invalid argument"}
	}
	for i := range raw {
		raw[i] = 0xff
	}
	h.used -= len(raw) - 256
	delete(h.pieces, p)
	return nil
}

func (h *host) memory() (free, total int, err error) { return h.limit - h.used, h.limit, nil }

func (h *host) holders() []holder { return []holder{{pid: 4711, name: "python3", bytes: 3 << 30}} }

func (h *host) pinned(bytes int) ([]byte, error) { return make([]byte, bytes), nil }

// at is memory as bytes.
func at(p uintptr, n int) []byte { return unsafe.Slice(*(**byte)(unsafe.Pointer(&p)), n) }

func (h *host) upload(to uintptr, from []byte) error {
	copy(at(to, len(from)), from)
	return h.dead()
}

func (h *host) download(to []byte, from uintptr) error {
	copy(to, at(from, len(to)))
	return h.dead()
}

func (h *host) fill(to uintptr, value byte, bytes int) error {
	return h.do(func() error {
		line := at(to, bytes)
		for i := range line {
			line[i] = value
		}
		return nil
	})
}

// do runs a command, or keeps it where a graph is being recorded.
func (h *host) do(f func() error) error {
	if h.recording != nil {
		h.recording.commands = append(h.recording.commands, f)
		return nil
	}
	if err := h.dead(); err != nil {
		return err
	}
	return f()
}

func (h *host) dead() error {
	if h.lostAt >= 0 && h.launches >= h.lostAt {
		return &result{"cuStreamSynchronize", 719, "unspecified launch failure"}
	}
	return nil
}

func (h *host) launch(l launch) error {
	args := append([]byte(nil), argumentsOf(l)...)
	if h.recording != nil {
		h.recording.args = append(h.recording.args, args)
	}
	return h.do(func() error {
		h.launches++
		order := uintptr(0)
		if h.descending {
			order = 1
		}
		if size, _, _ := purego.SyscallN(h.lib.size[l.kernel]); int(int32(size)) != l.size {
			return fmt.Errorf("%s takes %d bytes of arguments, got %d", names[l.kernel], size, l.size)
		}
		purego.SyscallN(h.lib.order, order)
		bad, _, _ := purego.SyscallN(h.lib.launch[l.kernel], uintptr(unsafe.Pointer(&args[0])), uintptr(l.columns), uintptr(l.rows), uintptr(l.block),
			uintptr(l.shared))
		if int32(bad) != 0 {
			return fmt.Errorf("%s failed on the processor", names[l.kernel])
		}
		return nil
	})
}

func (h *host) sync() error { return h.dead() }

func (h *host) mark(int) error { return h.dead() }

func (h *host) await(int) error { return h.dead() }

func (h *host) close() error {
	if len(h.pieces) > 0 && h.dead() == nil {
		return fmt.Errorf("%d pieces of memory were not freed", len(h.pieces))
	}
	return nil
}

// value is element i of float32 or bfloat16 memory.
func value(p uintptr, i int, half bool) float64 {
	if half {
		bits := *(*uint16)(unsafe.Pointer(&at(p, 2*i+2)[2*i]))
		f := uint32(bits) << 16
		return float64(*(*float32)(unsafe.Pointer(&f)))
	}
	return float64(*(*float32)(unsafe.Pointer(&at(p, 4*i+4)[4*i])))
}

func (h *host) multiply(p product) error {
	return h.do(func() error {
		for b := range p.batch {
			multiplyOne(p, b)
		}
		return nil
	})
}

// multiplyOne is the definition: D = op(A)·op(B) + beta·C + bias, all column-major.
func multiplyOne(p product, b int) {
	element := func(i, j, ld int) int { return j*ld + i }
	for j := range p.n {
		for i := range p.m {
			var sum float64
			for k := range p.k {
				ai, bi := element(i, k, p.lda), element(k, j, p.ldb)
				if p.transA {
					ai = element(k, i, p.lda)
				}
				if p.transB {
					bi = element(j, k, p.ldb)
				}
				sum += value(p.a, b*p.strideA+ai, p.half) * value(p.b, b*p.strideB+bi, p.half)
			}
			if p.beta != 0 {
				sum += float64(p.beta) * value(p.c, b*p.strideD+element(i, j, p.ldc), false)
			}
			if p.bias != 0 {
				sum += value(p.bias, i, false)
			}
			d := b*p.strideD + element(i, j, p.ldd)
			*(*float32)(unsafe.Pointer(&at(p.d, 4*d+4)[4*d])) = float32(sum)
		}
	}
}

// hostGraph is commands to be run again.
type hostGraph struct {
	h        *host
	commands []func() error
	args     [][]byte
	updates  int
}

func (h *host) record(f func() error) (graph, error) {
	g := &hostGraph{h: h}
	h.recording = g
	defer func() { h.recording = nil }()
	return g, f()
}

func (g *hostGraph) update(i int, l launch) error {
	g.updates++
	copy(g.args[i], argumentsOf(l))
	return nil
}

func (g *hostGraph) run() error {
	for _, c := range g.commands {
		if err := g.h.do(c); err != nil {
			return err
		}
	}
	return nil
}

func (g *hostGraph) close() {}
