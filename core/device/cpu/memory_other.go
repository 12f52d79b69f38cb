//go:build !linux

package cpu

// memoryForProcess is not known on this system.
func memoryForProcess() (limit int64, known bool) { return 0, false }
