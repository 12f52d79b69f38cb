package run

import (
	"bytes"
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"sync/atomic"
	"time"
)

// systemMeter reads what the process uses.
type systemMeter struct {
	base    System
	last    time.Time
	lastCPU float64
	percent float64

	ask  func() Load // nil where nobody knows
	load atomic.Pointer[Load]
	busy atomic.Bool // asking: a driver may take its time
}

func newSystemMeter(o Options) *systemMeter {
	return &systemMeter{base: System{Version: o.Version, PID: os.Getpid(), Started: o.Clock(), CPUs: runtime.NumCPU()}, ask: o.Load}
}

// read is called by the controller's loop alone.
func (m *systemMeter) read(now time.Time) System {
	s := m.base
	s.Goroutines = runtime.NumGoroutine()
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	s.HeapBytes = sample[0].Value.Uint64()
	s.RSSBytes = residentBytes()
	if used := ProcessSeconds(); m.last.IsZero() || now.Sub(m.last) >= time.Second {
		if !m.last.IsZero() {
			m.percent = 100 * (used - m.lastCPU) / now.Sub(m.last).Seconds()
		}
		m.last, m.lastCPU = now, used
		m.askLoad()
	}
	s.Load = m.load.Load()
	s.CPUPercent = m.percent
	return s
}

// askLoad brings the load up to date in its own time; while one question is not answered there is no second.
func (m *systemMeter) askLoad() {
	if m.ask == nil || m.busy.Swap(true) {
		return
	}
	go func() {
		defer m.busy.Store(false)
		l := m.ask()
		m.load.Store(&l)
	}()
}

// residentBytes is the second field of /proc/self/statm, in pages; 0 where there is no /proc.
func residentBytes() uint64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(text)
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseUint(string(fields[1]), 10, 64)
	return pages * uint64(os.Getpagesize())
}
