package cuda

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/ebitengine/purego"

	"flexi/core/device"
	"flexi/core/device/devicetest"
)

// stand is a folder with a libcuda and a libcublasLt that run on the processor (testdata/libcuda.h), and the functions to make them fail.
type stand struct {
	dir      string
	set, get uintptr
}

var standLibraries = sync.OnceValues(func() (*stand, error) {
	if _, err := hostKernels(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "flexi-libcuda")
	if err != nil {
		return nil, err
	}
	headers, err := filepath.Abs("testdata")
	if err != nil {
		return nil, err
	}
	text, library := filepath.Join(dir, "libcuda.cc"), filepath.Join(dir, driverNames[0])
	if err := os.WriteFile(text, []byte("#include \"host.h\"\n#include \"libcuda.h\"\n"+source()), 0o600); err != nil {
		return nil, err
	}
	out, err := exec.Command("g++", "-std=c++17", "-O1", "-shared", "-fPIC", "-w", "-I", headers, text, "-o", library).CombinedOutput()
	if err != nil {
		return nil, errors.Join(err, errors.New(string(out)))
	}
	for _, name := range []string{blasNames[0], nvmlNames[0]} {
		if err := os.Symlink(library, filepath.Join(dir, name)); err != nil {
			return nil, err
		}
	}
	handle, err := purego.Dlopen(library, purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return nil, err
	}
	s := &stand{dir: dir}
	if s.set, err = purego.Dlsym(handle, "fake_set"); err != nil {
		return nil, err
	}
	s.get, err = purego.Dlsym(handle, "fake_get")
	return s, err
})

// What can be set and read of the stand-in.
const (
	setVersion = iota
	setCount
	setLostAt
	setLimit
)

const (
	getLaunches = iota
	getUsed
	getCaptures
	getUpdates
	getWithoutContext
)

func newStand(t *testing.T) *stand {
	t.Helper()
	newHost(t) // skips where there is no compiler
	nvrtc(t)
	s, err := standLibraries()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(pathVariable, s.dir)
	s.put(setVersion, 13000)
	s.put(setCount, 1)
	s.put(setLostAt, -1)
	s.put(setLimit, 1<<40)
	return s
}

func (s *stand) put(what, value int) { purego.SyscallN(s.set, uintptr(what), uintptr(value)) }

func (s *stand) read(what int) int {
	v, _, _ := purego.SyscallN(s.get, uintptr(what))
	return int(v)
}

func (s *stand) open(t *testing.T, p device.Precision) *Device {
	t.Helper()
	d, err := Open(0, p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil && s.read(getLaunches) == 0 {
			t.Error(err)
		}
	})
	return d
}

// The whole way, from the search for libraries to cuLaunchKernel and cublasLtMatmul, keeps the contract.
func TestContractThroughTheDriversInterface(t *testing.T) {
	s := newStand(t)
	for _, p := range []device.Precision{device.PrecisionF32, device.PrecisionBF16} {
		t.Run(string(p), func(t *testing.T) {
			d := s.open(t, p)
			devicetest.Run(t, p, func(*testing.T) device.Device { return d })
		})
	}
	if n := s.read(getWithoutContext); n != 0 {
		t.Errorf("%d calls without a context", n)
	}
	if n := s.read(getUsed); n != 0 {
		t.Errorf("%d bytes of the GPU were not given back", n)
	}
}

func TestGraphsThroughTheDriversInterface(t *testing.T) {
	s := newStand(t)
	_, plain, a := graphRig(t, device.PrecisionBF16)
	d := s.open(t, device.PrecisionBF16)
	m, err := d.Alloc(4 * 4 * 64)
	if err != nil {
		t.Fatal(err)
	}
	var b [4]device.Mat
	for i := range b {
		b[i] = device.NewTensor(m, 64*i, 64, device.F32).Mat(8, 8)
		d.UploadF32(b[i].T, downloaded(plain, a[i]))
	}
	captures, updates := s.read(getCaptures), s.read(getUpdates)
	for step := range 6 {
		seed := uint64(step / 2)
		passes(plain, a[0], a[1], a[2], a[3], seed)
		if err := d.Replay("step", func() error { passes(d, b[0], b[1], b[2], b[3], seed); return nil }); err != nil {
			t.Fatal(err)
		}
		same(t, "y", downloaded(plain, a[2]), downloaded(d, b[2]))
		same(t, "z", downloaded(plain, a[3]), downloaded(d, b[3]))
	}
	if n := s.read(getCaptures) - captures; n != 1 {
		t.Errorf("%d captures, want 1", n)
	}
	if n := s.read(getUpdates) - updates; n != 4 {
		t.Errorf("%d kernels got new arguments, want 4", n)
	}
	d.Free(m)
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	s := newStand(t)
	s.put(setVersion, 11080)
	_, err := Open(0, device.PrecisionF32)
	if !errors.Is(err, ErrOldDriver) {
		t.Errorf("not ErrOldDriver: %v", err)
	}
	contains(t, err, "CUDA 11.8", "12.0 or later", "update the driver")
	s.put(setVersion, 13000)

	s.put(setCount, 0)
	if _, err = Open(0, device.PrecisionF32); !errors.Is(err, ErrNoGPU) {
		t.Errorf("not ErrNoGPU: %v", err)
	}
	s.put(setCount, 1)
	_, err = Open(3, device.PrecisionF32)
	contains(t, err, "number 3", "there are 1")

	for _, f := range Examine()[:3] {
		if !f.OK {
			t.Errorf("%s: %s", f.Name, f.Text)
		}
	}
	if all := Examine(); len(all) != 5 || !all[4].OK {
		t.Errorf("the doctor finds %v", all)
	} else {
		contains(t, errors.New(all[4].Text), "Processor", "sm_90", "CUDA 13.0", "free")
	}
}

func TestMeterThroughTheDriversInterface(t *testing.T) {
	newStand(t)
	m, err := OpenMeter(0)
	if err != nil {
		t.Fatal(err)
	}
	want := device.Load{Busy: 87, UsedBytes: 100, TotalBytes: 150, Celsius: 56, MHz: device.Unknown, MostMHz: 1980}
	if got := m.Read(); got != want {
		t.Errorf("load %+v, want %+v", got, want)
	}
	if _, err := OpenMeter(1); err == nil {
		t.Error("a meter of a GPU that is not there")
	}
}

func TestFullGPUThroughTheDriversInterface(t *testing.T) {
	s := newStand(t)
	d := s.open(t, device.PrecisionF32)
	s.put(setLimit, s.read(getUsed)+1000)
	_, err := d.Alloc(5 << 20)
	if !errors.Is(err, device.ErrFull) {
		t.Errorf("not device.ErrFull: %v", err)
	}
	contains(t, err, "5.2 MB asked for", "free", "python3 (process 3) 5.00 GB", "fewer workers")
}

func TestLostGPUThroughTheDriversInterface(t *testing.T) {
	s := newStand(t)
	d := s.open(t, device.PrecisionF32)
	m, err := d.Alloc(64)
	if err != nil {
		t.Fatal(err)
	}
	s.put(setLostAt, s.read(getLaunches))
	x := device.NewTensor(m, 0, 16, device.F32).Mat(4, 4)
	d.Add(x, x, x)
	err = d.Sync(context.Background())
	if !errors.Is(err, ErrLost) {
		t.Fatalf("not ErrLost: %v", err)
	}
	contains(t, err, "add 4x4 on cuda:0", "unspecified launch failure", "last checkpoint")
	s.put(setLostAt, -1)
}
