//go:build unix

package run

import "golang.org/x/sys/unix"

// ProcessSeconds is the processor time this process has used, 0 where that is not known.
func ProcessSeconds() float64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
