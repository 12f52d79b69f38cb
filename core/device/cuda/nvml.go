package cuda

import (
	"fmt"
	"unsafe"

	"github.com/ebitengine/purego"

	"flexi/core/device"
)

// monitor is NVML, which knows what happens on a GPU beside this process.
type monitor struct{ lib *library }

func openMonitor() (*monitor, error) {
	lib, err := openLibrary(nvmlNames, []string{
		"nvmlInit_v2", "nvmlSystemGetDriverVersion", "nvmlSystemGetProcessName", "nvmlDeviceGetHandleByPciBusId_v2",
		"nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetUtilizationRates", "nvmlDeviceGetMemoryInfo", "nvmlDeviceGetTemperature",
		"nvmlDeviceGetClockInfo", "nvmlDeviceGetMaxClockInfo",
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

// device is the handle of the GPU at a bus id.
func (m *monitor) device(bus string) (handle uintptr, err error) {
	id := append([]byte(bus), 0)
	err = m.call("nvmlDeviceGetHandleByPciBusId_v2", uintptr(unsafe.Pointer(&id[0])), uintptr(unsafe.Pointer(&handle)))
	return handle, err
}

// Meter reads what a GPU does. It may be used while devices compute, by one goroutine at a time.
type Meter struct {
	monitor *monitor
	handle  uintptr
}

// OpenMeter makes a meter of GPU number index. It fails where NVML is missing.
func OpenMeter(index int) (*Meter, error) {
	lib, version, _, err := openDriver()
	if err != nil {
		return nil, err
	}
	g := &gpu{lib: lib}
	if err := g.describe(index, version); err != nil {
		return nil, err
	}
	bus, err := g.bus()
	if err != nil {
		return nil, err
	}
	m, err := openMonitor()
	if err != nil {
		return nil, err
	}
	handle, err := m.device(bus)
	return &Meter{m, handle}, err
}

// Numbers of NVML's interface.
const (
	sensorGPU = 0
	clockSM   = 1
)

// Read gives the load of this moment. What the GPU does not tell, as the parts of a divided one do not, is device.Unknown.
func (m *Meter) Read() device.Load {
	l := device.Load{Busy: device.Unknown, Celsius: device.Unknown, MHz: device.Unknown, MostMHz: device.Unknown}
	var busy struct{ gpu, memory uint32 }
	if m.monitor.call("nvmlDeviceGetUtilizationRates", m.handle, uintptr(unsafe.Pointer(&busy))) == nil {
		l.Busy = int(busy.gpu)
	}
	var memory struct{ total, free, used uint64 }
	if m.monitor.call("nvmlDeviceGetMemoryInfo", m.handle, uintptr(unsafe.Pointer(&memory))) == nil {
		l.UsedBytes, l.TotalBytes = int64(memory.used), int64(memory.total)
	}
	var value uint32
	if m.monitor.call("nvmlDeviceGetTemperature", m.handle, sensorGPU, uintptr(unsafe.Pointer(&value))) == nil {
		l.Celsius = int(value)
	}
	if m.monitor.call("nvmlDeviceGetClockInfo", m.handle, clockSM, uintptr(unsafe.Pointer(&value))) == nil {
		l.MHz = int(value)
	}
	if m.monitor.call("nvmlDeviceGetMaxClockInfo", m.handle, clockSM, uintptr(unsafe.Pointer(&value))) == nil {
		l.MostMHz = int(value)
	}
	return l
}

// process is nvmlProcessInfo_t.
type process struct {
	pid                 uint32
	bytes               uint64
	instance, partition uint32
}

// holders are the processes with memory on the GPU at a bus id.
func (m *monitor) holders(bus string) []holder {
	device, err := m.device(bus)
	if err != nil {
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
