package cuda

import (
	"fmt"
	"unsafe"

	"github.com/ebitengine/purego"
)

// monitor is NVML, which knows what happens on a GPU beside this process.
type monitor struct{ lib *library }

func openMonitor() (*monitor, error) {
	lib, err := openLibrary(nvmlNames, []string{
		"nvmlInit_v2", "nvmlSystemGetDriverVersion", "nvmlSystemGetProcessName", "nvmlDeviceGetHandleByPciBusId_v2",
		"nvmlDeviceGetComputeRunningProcesses_v3",
	})
	if err != nil {
		return nil, fmt.Errorf("%w: NVML, which comes with the driver: %w", ErrMissingLibrary, err)
	}
	m := &monitor{lib}
	return m, m.call("nvmlInit_v2")
}

//go:uintptrescapes
func (m *monitor) call(name string, args ...uintptr) error {
	if bad, _, _ := purego.SyscallN(m.lib.call[name], args...); bad != 0 {
		return fmt.Errorf("%s failed with %d", name, int32(bad))
	}
	return nil
}

func (m *monitor) driverVersion() string {
	b := make([]byte, 80)
	if m.call("nvmlSystemGetDriverVersion", uintptr(unsafe.Pointer(&b[0])), uintptr(len(b))) != nil {
		return "unknown"
	}
	return text(b)
}

// process is nvmlProcessInfo_t.
type process struct {
	pid                 uint32
	bytes               uint64
	instance, partition uint32
}

// holders are the processes with memory on the GPU at a bus id.
func (m *monitor) holders(bus string) []holder {
	id := append([]byte(bus), 0)
	var device uintptr
	if m.call("nvmlDeviceGetHandleByPciBusId_v2", uintptr(unsafe.Pointer(&id[0])), uintptr(unsafe.Pointer(&device))) != nil {
		return nil
	}
	list := make([]process, 64)
	count := uint32(len(list))
	if m.call("nvmlDeviceGetComputeRunningProcesses_v3", device, uintptr(unsafe.Pointer(&count)), uintptr(unsafe.Pointer(&list[0]))) != nil {
		return nil
	}
	var out []holder
	for _, p := range list[:min(int(count), len(list))] {
		name := make([]byte, 256)
		if m.call("nvmlSystemGetProcessName", uintptr(p.pid), uintptr(unsafe.Pointer(&name[0])), uintptr(len(name))) != nil {
			name = []byte("?")
		}
		out = append(out, holder{pid: int(p.pid), name: text(name), bytes: int(p.bytes)})
	}
	return out
}
