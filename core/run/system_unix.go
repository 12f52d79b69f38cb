//go:build unix

package run

import "golang.org/x/sys/unix"

// processSeconds is the processor time this process has used.
func processSeconds() float64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
