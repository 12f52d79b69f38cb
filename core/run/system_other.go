//go:build !unix

package run

// ProcessSeconds is not known on this system: always 0.
func ProcessSeconds() float64 { return 0 }
