//go:build !unix

package run

// processSeconds is not known on this system.
func processSeconds() float64 { return 0 }
