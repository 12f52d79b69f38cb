//go:build !amd64

package kern

// Detect is the highest level that the processor and the operating system support.
func Detect() Level { return Generic }
