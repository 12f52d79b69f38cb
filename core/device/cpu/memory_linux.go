package cpu

import (
	"bytes"
	"os"
	"strconv"
)

// memoryForProcess is what this process holds plus what the machine, or the control group, could still give it.
func memoryForProcess() (limit int64, known bool) {
	free, known := meminfo("MemAvailable:")
	if !known {
		return 0, false
	}
	if limit, used := groupFile("memory.max"), groupFile("memory.current"); limit > 0 && used > 0 {
		free = min(free, max(0, limit-used))
	}
	return free + resident(), true
}

// meminfo reads a line of /proc/meminfo, in bytes.
func meminfo(name string) (int64, bool) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, false
	}
	for line := range bytes.Lines(text) {
		fields := bytes.Fields(line)
		if len(fields) >= 2 && string(fields[0]) == name {
			kB, err := strconv.ParseInt(string(fields[1]), 10, 64)
			return kB << 10, err == nil
		}
	}
	return 0, false
}

// groupFile reads a number of the control group (version 2); 0 where there is none, or no limit.
func groupFile(name string) int64 {
	text, err := os.ReadFile("/sys/fs/cgroup/" + name)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// resident is the memory that this process holds.
func resident() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(text)
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
