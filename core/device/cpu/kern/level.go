package kern

import (
	"fmt"
	"os"
	"strings"
)

// Level is an instruction set that kernels are written for.
type Level uint8

// Levels, each a superset of the one before it.
const (
	Generic Level = iota // portable Go
	AVX2                 // AVX2 and FMA
	AVX512               // AVX-512 F, BW, DQ, VL
)

// EnvVar forces a level: avx512, avx2 or generic.
const EnvVar = "FLEXI_CPU"

var levelNames = [...]string{Generic: "generic", AVX2: "avx2", AVX512: "avx512"}

// String is the name that FLEXI_CPU takes.
func (l Level) String() string {
	if int(l) < len(levelNames) {
		return levelNames[l]
	}
	return fmt.Sprintf("level(%d)", uint8(l))
}

// Levels are the levels that this machine can run, lowest first.
func Levels() []Level {
	var all []Level
	for l := Generic; l <= Detect(); l++ {
		all = append(all, l)
	}
	return all
}

// FromEnv is the level of this process: what FLEXI_CPU names, or Detect when it is unset or empty. It reports a name that does not exist
// and a level that the machine lacks.
func FromEnv() (Level, error) { return parseLevel(os.Getenv(EnvVar)) }

func parseLevel(name string) (Level, error) {
	if name == "" {
		return Detect(), nil
	}
	for l, known := range levelNames {
		if strings.EqualFold(name, known) {
			return Level(l), supported(Level(l))
		}
	}
	return Generic, fmt.Errorf("read %s=%q: no such instruction set; use avx512, avx2 or generic, or unset it", EnvVar, name)
}

func supported(l Level) error {
	if best := Detect(); l > best {
		return fmt.Errorf("use the %s kernels: this machine has %s at most; set %s=%s or unset it", l, best, EnvVar, best)
	}
	return nil
}
